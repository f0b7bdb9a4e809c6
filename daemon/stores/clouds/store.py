"""The engine for Google and Azure: the contract, over obstore.

obstore has a condition for an object of one request, and none for one of many. So a large one is written beside its
name, and then copied to it by the service itself, under the condition that nothing is there.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Mapping
from contextlib import aclosing, suppress
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.store import ObjectStore

from daemon.stores.base import Capability, Details, Entry, Traits, Unfinished, of_size
from daemon.stores.clouds.trouble import translated
from daemon.stores.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreCutError,
    StoreError,
    StoreUnusableError,
)
from daemon.stores.keys import check_folder, check_key, is_key
from daemon.stores.parts import begun_name, new_id, part_name, read_part
from daemon.stores.sizes import PART, part_size, parts_in_memory
from daemon.stores.streams import Block, RateLimit, blocks, exactly, with_first

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta

A = TypeVar("A")
P = TypeVar("P")

PIECE = 2**20
CALL_SECONDS = 120.0  # obstore's own tries are within it
END_SECONDS = 600.0
NO_LOCKS = "locks are not used with Google and Azure"
_LACKS = {
    Capability.LOCK: NO_LOCKS,
    Capability.UNFINISHED: "the service shows no parts; a lifecycle rule, or Azure after a week, removes them",
}


class CloudStore:
    """A store in what obstore opened, which has the prefix in it."""

    def __init__(self, name: str, opened: ObjectStore, limit: RateLimit) -> None:
        self._name = name
        self._opened = opened
        self._limit = limit

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """What a kill left stays out of sight; no locks."""
        return _LACKS

    async def put(
        self,
        key: str,
        content: AsyncIterable[bytes],
        *,
        size: int | None = None,
        at_most: int | None = None,
        lock_until: datetime | None = None,
    ) -> Entry:
        """Send it in one request, or in parts beside its name where it is larger than one."""
        if lock_until is not None:
            raise StoreUnusableError(f"{key} cannot be locked: {NO_LOCKS}")
        what = f"{self._name}: {check_key(key)} cannot be written"
        async with aclosing(blocks(exactly(self._limit.over(content), size), PART)) as pieces:
            await self._refuse_taken(key)
            first = await anext(pieces, b"")
            if len(first) < PART:
                put = obstore.put_async(self._opened, key, bytes(first), mode="create", use_multipart=False)
                await self._call(what, put, END_SECONDS)
            else:
                each = part_size(at_most if size is None else size)
                await self._put_parts(what, key, with_first([first], pieces), each)
        entry = (await self.head(key)).entry
        return entry if size is None else of_size(entry, size, self._name)

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Read the object, or a range of it."""
        what = f"{self._name}: {key} cannot be read"
        size = (await self.head(key)).entry.size
        last = size if end is None else end
        if last > size:
            raise StoreCutError(f"{what}: it ends {last - size} bytes before it should")
        if last <= start:
            return
        got = await self._call(what, obstore.get_async(self._opened, key, options={"range": (start, last)}))
        left = last - start
        async for piece in self._limit.over(self._pieces(what, got)):
            left -= len(piece)
            yield piece
        if left:
            raise StoreCutError(f"{what}: it ends {left} bytes before it should")

    async def list_all(self, folder: str = "") -> list[Entry]:
        """Ask for page after page."""
        return [entry for entry in await self._listed(check_folder(folder)) if is_key(entry.key)]

    async def head(self, key: str) -> Details:
        """Look at the object."""
        what = f"{self._name}: {key} cannot be looked at"
        return Details(_entry(await self._call(what, obstore.head_async(self._opened, check_key(key)))))

    async def delete(self, key: str) -> None:
        """Delete the object."""
        await self._remove(f"{self._name}: {key} cannot be deleted", check_key(key))

    async def unfinished(self, folder: str = "") -> list[Unfinished]:
        """List what was sent as a whole, and not given its name."""
        found = [(read_part(entry.key), entry) for entry in await self._listed(check_folder(folder))]
        return [Unfinished(*part, entry.size, entry.modified) for part, entry in found if part]

    async def clear(self, begun: Unfinished) -> bool:
        """Remove what was begun, if it is still there and the same."""
        if begun not in await self.unfinished(_folder_of(begun)):
            return False
        await self._remove(f"{self._name}: the unfinished {begun.key} cannot be removed", begun_name(begun))
        return True

    async def lock(self, key: str, until: datetime) -> None:
        """Refuse: this engine does not lock."""
        raise StoreUnusableError(f"{check_key(key)} cannot be locked until {until}: {NO_LOCKS}")

    async def traits(self) -> Traits:
        """Return what is known: nothing, since obstore does not ask."""
        return Traits()

    async def aclose(self) -> None:
        """Do nothing: no connection stays open."""

    async def _call(self, what: str, call: Awaitable[A], seconds: float = CALL_SECONDS) -> A:
        with translated(what):
            async with asyncio.timeout(seconds):
                return await call

    async def _put_parts(self, what: str, key: str, content: AsyncIterable[Block], each: int) -> None:
        part = part_name(key, new_id())
        try:
            await self._send(what, part, content, each)
            await self._call(what, obstore.copy_async(self._opened, part, key, overwrite=False), END_SECONDS)
        finally:
            with suppress(StoreError):
                await self._remove(f"the unfinished {key} cannot be removed", part)

    async def _send(self, what: str, name: str, content: AsyncIterable[Block], each: int) -> None:
        """Send parts of so many bytes. obstore clears them away where the content raises, and not where the task is
        cancelled; so in that case the content is made to raise.
        """
        stopped = asyncio.Event()

        async def sent() -> None:
            feed, on_their_way = _until(stopped, content), max(1, parts_in_memory(each) - 1)
            await obstore.put_async(
                self._opened, name, feed, use_multipart=True, chunk_size=each, max_concurrency=on_their_way
            )

        sending = asyncio.ensure_future(sent())
        try:
            await asyncio.wait([sending])
        except asyncio.CancelledError:
            stopped.set()
            await asyncio.wait([sending], timeout=END_SECONDS)
            with suppress(asyncio.InvalidStateError):
                sending.exception()  # it was raised by us
            raise
        with translated(what):
            sending.result()

    async def _pieces(self, what: str, got: "GetResult") -> AsyncGenerator[bytes, None]:
        stream = aiter(got.stream(min_chunk_size=PIECE))
        while piece := await self._call(what, _next(stream)):
            yield piece

    async def _listed(self, folder: str) -> list[Entry]:
        what = f"{self._name} cannot be listed"
        pages = aiter(obstore.list(self._opened, prefix=folder or None))
        found: list[Entry] = []
        while page := await self._call(what, anext(pages, None)):
            found += [_entry(each) for each in page]
        return sorted(found, key=lambda entry: entry.key)

    async def _remove(self, what: str, name: str) -> None:
        with suppress(ObjectMissingError):
            await self._call(what, obstore.delete_async(self._opened, name))

    async def _refuse_taken(self, key: str) -> None:
        with suppress(ObjectMissingError):
            await self.head(key)
            raise ObjectExistsError(f"{self._name}: {key} is there already")


class _StoppedError(Exception):
    """Raised in the content when the task is cancelled, so that the upload ends."""


async def _until(stopped: asyncio.Event, content: AsyncIterable[Block]) -> AsyncGenerator[Block, None]:
    """Yield the content, until the event ends it."""
    blocks_left = aiter(content)
    stop = asyncio.ensure_future(stopped.wait())
    try:
        while True:
            following = asyncio.ensure_future(_next(blocks_left))
            await asyncio.wait([following, stop], return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                following.cancel()
                raise _StoppedError
            if not (block := following.result()):
                return
            yield block
    finally:
        stop.cancel()


async def _next(pieces: AsyncIterator[P]) -> P | None:
    return await anext(pieces, None)


def _folder_of(begun: Unfinished) -> str:
    folder, slash, _ = check_key(begun.key).rpartition("/")
    return folder + slash


def _entry(found: "ObjectMeta") -> Entry:
    return Entry(found["path"], found["size"], found["last_modified"])
