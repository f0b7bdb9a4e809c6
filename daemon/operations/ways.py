"""The ways by which an archive comes onto a server's node, each of which may be closed: then the next one is taken.

What must hold: a way that yields the name of an archive has seen it in the server's folder, in its full size. A way is
left for the next one only before it has yielded anything.
"""

from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Protocol

from daemon.errors import BackupdError, Exit, ProblemCode
from daemon.operations.archive import Archive, Watching
from daemon.operations.operation import Operation
from daemon.operations.target import TargetFiles, archive_name
from daemon.panel.errors import ApiLimitError, OutcomeUnknownError, PanelError


class WayName(StrEnum):
    """The ways, in the order in which they are tried."""

    PULL = "pull"
    UPLOAD = "upload"
    SFTP = "sftp"
    HAND = "hand"


class WayClosedError(BackupdError):
    """The archive cannot come by this way; nothing of it was unpacked."""

    exit_code = Exit.FAILED
    code = ProblemCode.WAY_CLOSED


class ByHandError(WayClosedError):
    """The operator has to take the next step."""

    exit_code = Exit.SOME_FAILED
    code = ProblemCode.BY_HAND


class Way(Protocol):
    """Brings an archive into a folder of a server."""

    @property
    def name(self) -> WayName:
        """Which way it is."""
        ...

    def largest(self, size: int) -> int:
        """Return how many bytes of an archive of that size lie on the server at once."""
        ...

    def pieces(self, archive: Archive, target: TargetFiles) -> AsyncGenerator[str, None]:
        """Yield the name of each archive that lies in the folder now; together they hold the archive's files.

        The caller unpacks each, and deletes it, before it asks for the next. Raises WayClosedError, BackupdError.
        """
        ...


class PullWay:
    """The server's node fetches the archive by a signed link."""

    name = WayName.PULL
    longest_throttle = 660.0

    def __init__(self, operation: Operation, watching: Watching) -> None:
        self._operation = operation
        self._watching = watching

    def largest(self, size: int) -> int:
        """All of it."""
        return size

    async def pieces(self, archive: Archive, target: TargetFiles) -> AsyncGenerator[str, None]:
        """Ask the node once, and see the file grow."""
        name, size = archive_name(archive.backup.uuid, self.name), archive.backup.bytes
        await target.delete([name] if await target.size_of(name) is not None else [])
        await self._ask(archive, target.folder, name)
        with self._watching(archive.backup.name, size) as listener:
            listener.said("the node fetches it")
            come = await target.grown(name, size, listener.moved)
        if come != size:
            await target.delete([name] if come else [])
            raise WayClosedError(f"the node does not fetch it: {come} of {size} bytes arrived")
        yield name

    async def _ask(self, archive: Archive, folder: str, name: str) -> None:
        """Ask the node to fetch it; a throttle of the panel's is waited out once."""
        client, server = self._operation.client, self._operation.config.id
        for attempt in range(2):
            link = await archive.link()
            if link is None:
                raise WayClosedError("there is no link to it that a node could follow")
            try:
                return await client.files.pull(server, link, folder, name)
            except ApiLimitError as error:
                wait = error.retry_after
                if attempt or wait is None or wait > self.longest_throttle:
                    raise WayClosedError(error.text) from error
                self._operation.tell(f"the panel lets a node fetch again in {wait:.0f} s; waiting")
            except OutcomeUnknownError:
                return None  # whether it was done is seen by whether the file comes
            except PanelError as error:
                raise WayClosedError(error.text) from error
            await self._operation.clock.sleep(wait)
        return None
