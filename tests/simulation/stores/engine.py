"""An engine in memory, which keeps the contract of `daemon/stores/base` as far as its bucket's faults let it.

It belongs to one process. If that is killed, nothing that it does has any effect, and what it began stays unfinished.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from datetime import datetime

from daemon.stores.base import Capability, Details, Entry, Traits, Unfinished
from daemon.stores.errors import ObjectExistsError, ObjectMissingError, StoreCutError, StoreUnusableError
from daemon.stores.keys import check_folder, check_key, is_key
from daemon.stores.streams import RateLimit, exactly
from tests.simulation.stores.bucket import Begun, Bucket, Call, Stored

PIECE = 2**18
UNLOCKED = {Capability.LOCK: "the bucket was made without locks"}


class MemoryStore:
    """One process's way into a bucket. `step` is called at each step of the process, and raises once it is dead."""

    def __init__(self, bucket: Bucket, limit: RateLimit, step: Callable[[], None] = lambda: None) -> None:
        self._bucket = bucket
        self._limit = limit
        self._step = step

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """Nothing but locks, where its bucket has none."""
        return {} if self._bucket.lockable else UNLOCKED

    async def put(
        self,
        key: str,
        content: AsyncIterable[bytes],
        *,
        size: int | None = None,
        at_most: int | None = None,
        lock_until: datetime | None = None,
    ) -> Entry:
        """Store the content under a name that is free."""
        check_key(key)
        if lock_until is not None:
            self._refuse_lock()
        await self._asked(Call.PUT, key)
        self._refuse_taken(key)
        begun = self._bucket.begin(key)
        try:
            sent = await self._received(begun, content, size)
        except BaseException:
            if self._lives():
                self._bucket.begun.pop(begun.id)
            raise
        self._bucket.begun.pop(begun.id)
        self._bucket.store(key, sent, lock_until)
        await self._answered(Call.PUT, key)
        return Entry(key, len(sent), self._bucket.clock.now())

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of an object."""
        check_key(key)
        await self._asked(Call.GET, key)
        data = self._object(key).data
        if max(start, end or 0) > len(data):
            raise StoreCutError(f"{self._bucket.name}: {key} has {len(data)} bytes only")
        await self._answered(Call.GET, key)
        async for piece in self._limit.over(_pieces(data[start:end])):
            self._step()
            yield piece

    async def list_all(self, folder: str = "") -> list[Entry]:
        """Return what is in a folder and below it."""
        check_folder(folder)
        await self._asked(Call.LIST, folder)
        entries = self._bucket.entries(folder)
        await self._answered(Call.LIST, folder)
        return [entry for entry in entries if is_key(entry.key)]

    async def head(self, key: str) -> Details:
        """Look at one object."""
        check_key(key)
        await self._asked(Call.HEAD, key)
        one = self._object(key)
        await self._answered(Call.HEAD, key)
        return Details(Entry(key, len(one.data), one.modified), one.locked_until)

    async def delete(self, key: str) -> None:
        """Delete one object."""
        check_key(key)
        await self._asked(Call.DELETE, key)
        self._bucket.delete(key)
        await self._answered(Call.DELETE, key)

    async def unfinished(self, folder: str = "") -> list[Unfinished]:
        """Return what was begun in a folder and below it."""
        check_folder(folder)
        await self._asked(Call.LIST, folder)
        return [begun.shown() for begun in self._bucket.begun.values() if begun.key.startswith(folder)]

    async def clear(self, begun: Unfinished) -> bool:
        """Remove what was begun, unless it changed."""
        check_key(begun.key)
        await self._asked(Call.DELETE, begun.key)
        found = self._bucket.begun.get(begun.id)
        if found is None or found.shown() != begun:
            return False
        self._bucket.begun.pop(begun.id)
        return True

    async def lock(self, key: str, until: datetime) -> None:
        """Lock an object, unless its lock lasts longer."""
        check_key(key)
        self._refuse_lock()
        await self._asked(Call.LOCK, key)
        known = self._object(key).locked_until
        if known is None or known < until:
            self._bucket.lock(key, until)
        await self._answered(Call.LOCK, key)

    async def traits(self) -> Traits:
        """Say whether it has locks, and the versions that they need."""
        return Traits(versioned=self._bucket.lockable, lockable=self._bucket.lockable)

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    async def _received(self, begun: Begun, content: AsyncIterable[bytes], size: int | None) -> bytes:
        """Take what comes, to its end; whoever comes first has the name."""
        async for piece in exactly(self._limit.over(content), size):
            self._step()
            begun.data += piece
            begun.changed = self._bucket.clock.now()
        self._step()
        self._refuse_taken(begun.key)
        return bytes(begun.data)

    async def _asked(self, call: Call, key: str) -> None:
        self._step()
        self._bucket.asked(call, key)
        await self._bucket.faults.before(call, key)
        self._step()

    async def _answered(self, call: Call, key: str) -> None:
        await self._bucket.faults.after(call, key)
        self._step()

    def _lives(self) -> bool:
        try:
            self._step()
        except BaseException:  # noqa: BLE001 — whatever a dead process is told
            return False
        return True

    def _object(self, key: str) -> Stored:
        if key not in self._bucket.objects:
            raise ObjectMissingError(f"{self._bucket.name}: there is no {key}")
        return self._bucket.objects[key]

    def _refuse_taken(self, key: str) -> None:
        if key in self._bucket.objects:
            raise ObjectExistsError(f"{self._bucket.name}: there is a {key} already")

    def _refuse_lock(self) -> None:
        if not self._bucket.lockable:
            raise StoreUnusableError(f"{self._bucket.name}: nothing can be locked there")


async def _pieces(data: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]
