"""The ways by which an archive is sent from this machine onto a server's node, or left to the operator."""

from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path

from daemon.core.units import format_size
from daemon.operations.archive import Archive, Watching
from daemon.operations.operation import Operation
from daemon.operations.target import TargetFiles, archive_name
from daemon.operations.ways import ByHandError, WayClosedError, WayName
from daemon.panel.download import HostError
from daemon.panel.errors import PanelError
from daemon.panel.upload import upload
from daemon.stores.errors import StoreError
from daemon.stores.open import open_store
from daemon.stores.values import StoreSettings
from daemon.transfer.split import SplitError, check_split, split
from daemon.transfer.threads import in_thread

PART_BYTES = 90 * 2**20
"""A node takes uploads of up to 100 MiB unless it is configured otherwise, and so do some proxies before it."""

PIECE = 2**20


class _FileWay:
    """What ways share that send the archive from here: it is fetched into a folder of this machine, once."""

    def __init__(self, operation: Operation, watching: Watching, folder: Path) -> None:
        self._operation = operation
        self._watching = watching
        self._folder = folder

    async def _fetched(self, archive: Archive) -> Path:
        path = self._folder / "archive.tar.gz"
        if not path.exists():
            await archive.fetch(path)
        return path

    async def _come(self, target: TargetFiles, name: str, size: int) -> bool:
        """Return whether the file is there in its full size."""
        return await target.size_of(name) == size


class UploadWay(_FileWay):
    """The archive is sent to the node by the panel's signed upload link, in parts if it is large."""

    name = WayName.UPLOAD

    async def pieces(self, archive: Archive, target: TargetFiles) -> AsyncGenerator[str, None]:
        """Send a part, and the next one once that was unpacked."""
        path, name = await self._fetched(archive), archive_name(archive.backup.uuid, self.name)
        parts = iter([path])
        if _size(path) > PART_BYTES:
            await self._check_split(path)
            parts = split(path, self._folder, PART_BYTES)
        first = True
        while (part := await in_thread(lambda: next(parts, None))) is not None:
            try:
                await self._send(part, target, name)
            except (HostError, PanelError, WayClosedError) as error:
                if first:
                    raise WayClosedError(error.text, hint=error.hint) from error
                raise
            first = False
            yield name

    async def _check_split(self, path: Path) -> None:
        try:
            await in_thread(lambda: check_split(path, PART_BYTES))
        except SplitError as error:
            raise WayClosedError(error.text) from error

    async def _send(self, part: Path, target: TargetFiles, name: str) -> None:
        size, config = _size(part), self._operation.config
        link = await self._operation.client.files.upload_link(config.id)
        with self._watching(name, size) as listener:
            listener.said(f"sending {format_size(size)} to the node")
            send = partial(upload, link, part, target.folder, name, clear=config.panel.clear_links)
            try:
                await in_thread(lambda: send(moved=listener.moved))
            except HostError:
                if not await self._come(target, name, size):  # only the answer may have been lost
                    raise
                return
        if not await self._come(target, name, size):
            raise WayClosedError("the node took the file, and does not list it in its full size")


class SftpWay(_FileWay):
    """The archive is sent to the node's SFTP server."""

    name = WayName.SFTP

    def __init__(self, operation: Operation, watching: Watching, folder: Path, settings: StoreSettings) -> None:
        super().__init__(operation, watching, folder)
        self._settings = settings

    async def pieces(self, archive: Archive, target: TargetFiles) -> AsyncGenerator[str, None]:
        """Send the file under another name, and give it its own when all of it is there."""
        path, name = await self._fetched(archive), archive_name(archive.backup.uuid, self.name)
        size = _size(path)
        with self._watching(archive.backup.name, size) as listener:
            listener.said(f"sending {format_size(size)} by SFTP")
            try:
                async with open_store(self._settings, clock=self._operation.clock) as host:
                    key = f"{target.folder}/{name}".lstrip("/")
                    await host.put(key, _read(path, listener.moved), size=size)
            except StoreError as error:
                raise WayClosedError(error.text, hint=error.hint) from error
        if not await self._come(target, name, size):
            raise WayClosedError("the host took the file, and the server does not have it: is it another server's?")
        yield name


class HandWay(_FileWay):
    """The archive is left in a folder of this machine, for the operator."""

    name = WayName.HAND

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


async def _read(path: Path, moved: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    """Yield a file's bytes."""
    with await in_thread(lambda: path.open("rb")) as file:
        while piece := await in_thread(lambda: file.read(PIECE)):
            yield piece
            moved(file.tell())


def _size(path: Path) -> int:
    return path.stat().st_size
