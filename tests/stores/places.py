"""What the contract suite runs over: one place per engine, and what a test can do behind the engine's back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.clock import Clock, SystemClock
from daemon.stores.base import Store
from daemon.stores.open import open_store
from daemon.stores.values import StoreSettings

PIECE = 2**18


@dataclass(frozen=True)
class Place:
    """Where one test's store is, empty at first. `folder` is where its objects lie as files, if they do."""

    kind: str
    settings: StoreSettings
    folder: Path | None = None

    def open(self, clock: Clock | None = None) -> AbstractAsyncContextManager[Store]:
        """A store of its own, with connections of its own."""
        return open_store(self.settings, clock=clock)


async def content(*pieces: bytes) -> AsyncIterator[bytes]:
    """The pieces, one after the other."""
    for piece in pieces:
        yield piece


async def endless(piece: bytes = bytes(PIECE)) -> AsyncIterator[bytes]:
    """Pieces without an end; others run between them."""
    while True:
        yield piece
        await asyncio.sleep(0)  # noqa: TID251 — lets other tasks run, waits for nothing


async def read(store: Store, key: str, **options: int) -> bytes:
    """All of what `get` yields."""
    async with aclosing(store.get(key, **options)) as pieces:
        return b"".join([piece async for piece in pieces])


async def keys(store: Store, folder: str = "") -> list[str]:
    """What a listing says is there."""
    return [entry.key for entry in await store.list_all(folder)]


def now() -> datetime:
    """What the services' clocks say too: they are this machine's."""
    return SystemClock().now()
