"""The ways by which an archive is sent from this machine onto a server's node, or left to the operator."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path

from daemon.core.units import format_size
from daemon.operations.archive import Archive, Watching
from daemon.operations.operation import Operation
from daemon.operations.target import TargetFiles, archive_name
from daemon.operations.ways import ByHandError, PullWay, Way, WayClosedError, WayName
from daemon.panel.download import HostError
from daemon.panel.errors import PanelError
from daemon.panel.hindrance import must_be_let
from daemon.panel.upload import UploadRefusedError, upload
from daemon.transfer.split import SplitError
from daemon.transfer.threads import in_thread

PART_BYTES = 90 * 2**20
"""A node takes uploads of up to 100 MiB unless it is configured otherwise, and so do some proxies before it."""

LEAST_BYTES = 8 * 2**20
"""Parts are not made smaller than this where a node refuses larger ones: it refuses them for another reason, then."""


class UploadWay:
    """The archive is sent to the node by the panel's signed upload link, in parts if it is large.

    They are made in `folder`, which is ours.
    """

    name = WayName.UPLOAD

    def __init__(self, operation: Operation, watching: Watching, folder: Path) -> None:
        self._operation = operation
        self._watching = watching
        self._folder = folder
        self._most = PART_BYTES

    def largest(self, size: int) -> int:
        """One part."""
        return min(size, self._most)

    async def pieces(self, archive: Archive, target: TargetFiles) -> AsyncGenerator[str, None]:
        """Send a part, and the next one once that was unpacked. If the node refuses the first one, smaller ones may do:
        no panel tells its limit.
        """
        name = archive_name(archive.backup.uuid, self.name)
        while True:
            async with aclosing(archive.parts(self._folder, self._most)) as parts:
                first = await self._next(parts)
                if first is None:
                    return
                size = _size(first)
                try:
                    await self._send(first, target, name)
                except UploadRefusedError as error:
                    if size <= LEAST_BYTES:
                        raise WayClosedError(error.text, hint=error.hint) from error
                    self._most = max(LEAST_BYTES, size // 2)
                    continue
                except (HostError, PanelError) as error:
                    raise WayClosedError(error.text, hint=error.hint) from error
                yield name
                while (part := await self._next(parts)) is not None:
                    await self._send(part, target, name)
                    yield name
                return

    async def _next(self, parts: AsyncGenerator[Path, None]) -> Path | None:
        try:
            return await anext(parts, None)
        except SplitError as error:
            raise WayClosedError(error.text) from error

    async def _send(self, part: Path, target: TargetFiles, name: str) -> None:
        size, config = _size(part), self._operation.config
        link = await self._operation.client.files.upload_link(config.id)
        with self._watching(name, size) as listener:
            listener.said(f"sending {format_size(size)} to the node")
            send = partial(upload, link, part, target.folder, name, clear=config.panel.clear_links)
            try:
                await self._post(send, listener.moved)
            except HostError:
                if not await has_come(target, name, size):  # only the answer may have been lost
                    raise
                return
        if not await has_come(target, name, size):
            raise WayClosedError("the node took the file, and does not list it in its full size")

    async def _post(self, send: Callable[..., None], moved: Callable[[int], None]) -> None:
        """Send a part for as long as a write may leave, which no call of the panel's client looks at here.

        A cancel does not wait for the thread. What comes to the node without its end is no file there.
        """
        cancelled = False
        hindrance = self._operation.run.context.engine.leadership.hindrance
        let = partial(must_be_let, hindrance, f"sending a part to {self._operation.config.name}", creates=False)

        def moves(size: int) -> None:
            if cancelled:
                raise asyncio.CancelledError
            let(so_far="not all of it was sent")
            moved(size)

        let()
        try:
            await in_thread(lambda: send(moved=moves))
        except asyncio.CancelledError:
            cancelled = True
            raise


class HandWay:
    """The archive is left in a folder of this machine, for the operator."""

    name = WayName.HAND

    def __init__(self, operation: Operation, folder: Path) -> None:
        self._operation = operation
        self._folder = folder

    def largest(self, size: int) -> int:
        """All of it."""
        return size

    async def pieces(self, archive: Archive, target: TargetFiles) -> AsyncGenerator[str, None]:
        """Fetch the archive, and say what is to be done with it."""
        yield await self._left(archive, target)

    async def _left(self, archive: Archive, target: TargetFiles) -> str:
        """Raise ByHandError, always."""
        name = archive_name(archive.backup.uuid, self.name)
        path = self._folder / name
        await archive.fetch(path)
        server = self._operation.config.name
        raise ByHandError(
            f"{path} is the archive, checked",
            hint=f"upload it into {target.folder} of {server} by SFTP or the panel's file manager, choose Unarchive"
            f" there, delete {name}, and start the server",
        )


async def has_come(target: TargetFiles, name: str, size: int) -> bool:
    """Return whether the file is there in its full size."""
    return await target.size_of(name) == size


def usual_ways(operation: Operation, watching: Watching, folder: Path) -> list[Way]:
    """Return the ways that need nothing more than the panel, in the order in which they are tried."""
    return [PullWay(operation, watching), UploadWay(operation, watching, folder)]


def _size(path: Path) -> int:
    return path.stat().st_size
