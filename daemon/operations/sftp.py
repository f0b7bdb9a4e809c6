"""The way by which an archive is sent from this machine to the SFTP server of a node."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from daemon.core.units import format_size
from daemon.operations.archive import Archive, Watching, fetched
from daemon.operations.operation import Operation
from daemon.operations.sent import has_come
from daemon.operations.target import TargetFiles, archive_name
from daemon.operations.ways import WayClosedError, WayName
from daemon.stores.errors import StoreError
from daemon.stores.open import open_store
from daemon.stores.values import StoreSettings
from daemon.transfer.threads import in_thread

PIECE = 2**20


class SftpWay:
    """The archive is sent to the node's SFTP server, from a file in `folder`, which is ours."""

    name = WayName.SFTP

    def __init__(self, operation: Operation, watching: Watching, folder: Path, settings: StoreSettings) -> None:
        self._operation = operation
        self._watching = watching
        self._folder = folder
        self._settings = settings

    def largest(self, size: int) -> int:
        """All of it."""
        return size

    async def pieces(self, archive: Archive, target: TargetFiles) -> AsyncGenerator[str, None]:
        """Send the file under another name, and give it its own when all of it is there."""
        path, name = await fetched(archive, self._folder), archive_name(archive.backup.uuid, self.name)
        size = path.stat().st_size
        with self._watching(archive.backup.name, size) as listener:
            listener.said(f"sending {format_size(size)} by SFTP")
            try:
                async with open_store(self._settings, clock=self._operation.clock) as host:
                    key = f"{target.folder}/{name}".lstrip("/")
                    await host.put(key, _read(path, listener.moved), size=size)
            except StoreError as error:
                raise WayClosedError(error.text, hint=error.hint) from error
        if not await has_come(target, name, size):
            raise WayClosedError("the host took the file, but the server does not have it: is it another server's?")
        yield name


async def _read(path: Path, moved: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    """Yield a file's bytes."""
    with await in_thread(lambda: path.open("rb")) as file:
        while piece := await in_thread(lambda: file.read(PIECE)):
            yield piece
            moved(file.tell())
