"""The engine for SFTP: the contract, over one connection, each call with a deadline.

A rename of the protocol's third version replaces nothing where the server is OpenSSH, which makes a link of it. Others
may replace; so it is looked for before, too.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import asyncssh
from asyncssh import SFTPAttrs, SFTPClient, SFTPClientFile

from daemon.clock import Clock
from daemon.files import FOLDER_MODE
from daemon.stores.base import Capability, Details, Entry, Traits, Unfinished, of_size
from daemon.stores.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreCutError,
    StoreError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
    StoreUnusableError,
)
from daemon.stores.keys import check_folder, check_key, is_key
from daemon.stores.parts import begun_name, new_id, part_name, read_part
from daemon.stores.sftp.session import Session
from daemon.stores.sftp.trouble import translated
from daemon.stores.sftp.upload import BLOCK, SYNC_SECONDS, Upload, read_at
from daemon.stores.streams import RateLimit, exactly

A = TypeVar("A")

CALL_SECONDS = 60.0
NO_LOCKS = "SFTP knows no locks"
_NOT_OURS = "lost+found"  # as in a folder of this machine

Found = tuple[str, SFTPAttrs]


class SftpStore:
    """A store below a folder of an SSH host."""

    def __init__(self, name: str, session: Session, root: str, limit: RateLimit, clock: Clock) -> None:
        self._name = name
        self._session = session
        self._root = root.rstrip("/") or ("/" if root else ".")
        self._limit = limit
        self._clock = clock

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """SFTP has no locks."""
        return {Capability.LOCK: NO_LOCKS}

    async def put(
        self,
        key: str,
        content: AsyncIterable[bytes],
        *,
        size: int | None = None,
        at_most: int | None = None,  # noqa: ARG002 — a file grows as it must
        lock_until: datetime | None = None,
    ) -> Entry:
        """Write NAME.….part, and give it its name when all of it is on the host's disk."""
        check_key(key)
        if lock_until is not None:
            raise StoreUnusableError(f"{key} cannot be locked: {NO_LOCKS}")
        what = f"{self._name}: {key} cannot be written"
        await self._make_folders(what, key)
        await self._refuse_taken(what, key)
        part = part_name(key, new_id())
        try:
            upload = Upload(self, what, self._at(part), self._at(""), self._clock)
            await upload.send(exactly(self._limit.over(content), size))
            await self._publish(what, part, key)
        except BaseException:
            with suppress(StoreError):  # the first error is the one to tell
                await self.call(f"the unfinished {key} cannot be removed", lambda sftp: sftp.remove(self._at(part)))
            raise
        return of_size((await self.head(key)).entry, upload.sent, self._name)

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Read the file, a block at a time."""
        what = f"{self._name}: {key} cannot be read"
        details = await self.head(key)
        file = await self.call(what, lambda sftp: sftp.open(self._at(key), asyncssh.FXF_READ, encoding=None))
        try:
            last = details.entry.size if end is None else end
            async for piece in self._limit.over(self._pieces(what, file, start, last)):
                yield piece
        finally:
            await self.call(what, lambda _: file.close())

    async def list_all(self, folder: str = "") -> list[Entry]:
        """Walk the folder."""
        found = [_entry(*each) async for each in self._files_below(check_folder(folder)) if is_key(each[0])]
        return sorted(found, key=lambda entry: entry.key)

    async def head(self, key: str) -> Details:
        """Look at the file."""
        check_key(key)
        what = f"{self._name}: {key} cannot be looked at"
        attrs = await self.call(what, lambda sftp: sftp.lstat(self._at(key)))
        if attrs.type == asyncssh.FILEXFER_TYPE_DIRECTORY:
            raise ObjectMissingError(f"{what}: it is a folder")
        if attrs.type != asyncssh.FILEXFER_TYPE_REGULAR:
            raise StoreRefusedError(f"{what}: it is no regular file")
        return Details(_entry(key, attrs))

    async def delete(self, key: str) -> None:
        """Remove the file; its folders stay, since somebody may be about to write to them."""
        check_key(key)
        with suppress(ObjectMissingError):
            await self.call(f"{self._name}: {key} cannot be deleted", lambda sftp: sftp.remove(self._at(key)))

    async def unfinished(self, folder: str = "") -> list[Unfinished]:
        """Walk the folder for names that mark what is unfinished."""
        found = [(read_part(path), attrs) async for path, attrs in self._files_below(check_folder(folder))]
        return [Unfinished(*part, attrs.size or 0, _modified(attrs)) for part, attrs in found if part]

    async def clear(self, begun: Unfinished) -> bool:
        """Remove the file, unless it was written to since; whether somebody has it open, SFTP does not say."""
        path = self._at(begun_name(begun))
        what = f"{self._name}: the unfinished {begun.key} cannot be removed"
        with suppress(ObjectMissingError):
            attrs = await self.call(what, lambda sftp: sftp.lstat(path))
            if (attrs.size, _modified(attrs)) == (begun.size, begun.changed):
                await self.call(what, lambda sftp: sftp.remove(path))
                return True
        return False

    async def lock(self, key: str, until: datetime) -> None:
        """Refuse: SFTP has no locks."""
        raise StoreUnusableError(f"{check_key(key)} cannot be locked until {until}: {NO_LOCKS}")

    async def traits(self) -> Traits:
        """Return what holds for every host."""
        return Traits(versioned=False, lockable=False)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._session.aclose()

    async def call(self, what: str, call: Callable[[SFTPClient], Awaitable[A]], seconds: float | None = None) -> A:
        """Return what a call returns; raises StoreUnreachableError if it does not end within `seconds`."""
        with translated(what):
            async with asyncio.timeout(seconds or CALL_SECONDS):
                return await call(await self._session.client())

    async def renew(self) -> None:
        """Let the next call make a new connection."""
        await self._session.renew()

    def _at(self, path: str) -> bytes:
        """Return the path at the host, as bytes, since names there may be in any encoding."""
        return f"{self._root}/{path}".rstrip("/").encode() or b"/"

    async def _make_folders(self, what: str, key: str) -> None:
        """Make the folders of a key (0700) where they are missing; never the store's own."""
        folders = key.split("/")[:-1]
        missing = []
        while folders and not await self.call(what, lambda sftp: sftp.exists(self._at("/".join(folders)))):
            missing.append("/".join(folders))
            folders.pop()
        if not folders:
            await self._refuse_no_root()
        for folder in reversed(missing):
            with suppress(ObjectExistsError):
                await self._make_folder(what, folder)

    async def _make_folder(self, what: str, folder: str) -> None:
        attrs = SFTPAttrs(permissions=FOLDER_MODE)
        try:
            await self.call(what, lambda sftp: sftp.mkdir(self._at(folder), attrs))
        except StoreTroubleError:  # what OpenSSH says for a name that is taken
            if not await self.call(what, lambda sftp: sftp.isdir(self._at(folder))):
                raise

    async def _refuse_no_root(self) -> None:
        what = f"{self._name}: the folder {self._root} cannot be looked at"
        if not await self.call(what, lambda sftp: sftp.isdir(self._at(""))):
            hint = "make the folder; it is not made by itself, since a mount on the host may be missing"
            raise StoreUnreachableError(f"{self._name}: there is no folder {self._root} on the host", hint=hint)

    async def _refuse_taken(self, what: str, key: str) -> None:
        if await self.call(what, lambda sftp: sftp.lexists(self._at(key))):
            raise ObjectExistsError(f"{self._name}: {key} is there already")

    async def _publish(self, what: str, part: str, key: str) -> None:
        await self._refuse_taken(what, key)
        try:
            await self.call(what, lambda sftp: sftp.rename(self._at(part), self._at(key)))
        except StoreTroubleError:  # what OpenSSH says for a name that is taken
            await self._refuse_taken(what, key)
            raise

    async def _pieces(self, what: str, file: SFTPClientFile, start: int, end: int) -> AsyncGenerator[bytes, None]:
        while start < end:
            size = min(BLOCK, end - start)
            piece = await self.call(what, partial(read_at, file, size, start))
            if not piece:
                raise StoreCutError(f"{what}: it ends {end - start} bytes before it should")
            yield piece
            start += len(piece)

    async def _files_below(self, folder: str) -> AsyncGenerator[Found, None]:
        """Yield every regular file in a folder and below it; a folder that is not there has none, but the store's own
        is.
        """
        what = f"{self._name} cannot be listed"
        await self._refuse_no_root()
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            try:
                names = await self.call(what, partial(_names, folder=self._at(current)), SYNC_SECONDS)
            except ObjectMissingError:
                continue
            for name, attrs in names:
                path = current + name
                if attrs.type == asyncssh.FILEXFER_TYPE_REGULAR:
                    yield path, attrs
                elif attrs.type == asyncssh.FILEXFER_TYPE_DIRECTORY and is_key(path) and path != _NOT_OURS:
                    waiting.append(f"{path}/")


async def _names(sftp: SFTPClient, folder: bytes) -> list[Found]:
    """Return what is in one folder; names that are not UTF-8 are no keys, and left out."""
    found = []
    async for each in sftp.scandir(folder):
        with suppress(UnicodeDecodeError):
            found.append((os.fsencode(each.filename).decode(), each.attrs))
    return [(name, attrs) for name, attrs in found if name not in {".", ".."}]


def _entry(key: str, attrs: SFTPAttrs) -> Entry:
    return Entry(key, attrs.size or 0, _modified(attrs))


def _modified(attrs: SFTPAttrs) -> datetime:
    return datetime.fromtimestamp(attrs.mtime or 0, UTC)
