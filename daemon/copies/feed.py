"""What brings the bytes of a pass: the node that has the backup, or another store that has a copy of it.

Both run in the pass's own thread. What must hold: what a store hands out is what its manifest tells, to the byte.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from daemon.clock import Clock
from daemon.copies.manifest import Manifest
from daemon.core.backoff import Backoff
from daemon.core.units import format_size
from daemon.stores.base import Store
from daemon.stores.errors import StoreError
from daemon.transfer.expected import Expected
from daemon.transfer.progress import ProgressListener
from daemon.transfer.receive import Source, Transfer
from daemon.transfer.sinks import Sink

T = TypeVar("T")

BATCH = 2**20
"""How many bytes go into the thread at once, since some engines read a few KiB at a time."""

TRIES = 3
"""How many tries in a row may bring no byte before a store counts as unreadable."""
PAUSES = Backoff(1.0, 8.0)


@dataclass(frozen=True, slots=True)
class Feed:
    """Where a pass's bytes come from, and who is told of its progress.

    `run` gives the sink the whole file, in a thread, and returns what is wrong with what came, or None. It raises
    HostError, PanelError, StoreError or TransferError where the file does not come.
    """

    run: Callable[[Sink, Expected], str | None]
    listener: ProgressListener


def node_feed(source: Source) -> Feed:
    """Return what fetches a backup from its node."""
    return Feed(lambda sink, expected: Transfer(source, sink, expected).run(), source.listener)


def store_feed(store: Store, manifest: Manifest, clock: Clock, listener: ProgressListener) -> Feed:
    """Return what reads the copy that the manifest tells of, as it lies in the store. The loop that runs now reads."""
    loop = asyncio.get_running_loop()

    def on_loop(call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, loop).result()

    def run(sink: Sink, expected: Expected) -> str | None:
        return _Reading(store, manifest, clock, listener, on_loop).run(sink, expected)

    return Feed(run, listener)


@dataclass
class _Reading:
    """One copy on its way out of its store; where that breaks off it goes on from there."""

    store: Store
    manifest: Manifest
    clock: Clock
    listener: ProgressListener
    on_loop: Callable[[Coroutine[Any, Any, Any]], Any]
    come: int = 0

    def run(self, sink: Sink, expected: Expected) -> str | None:
        stored, sha256, failed = self.manifest.stored, hashlib.sha256(), 0
        while self.come < stored.bytes:
            before = self.come
            try:
                self._read(sink, sha256.update)
            except StoreError as error:
                failed = 1 if self.come > before else failed + 1
                if not error.transient or failed >= TRIES:
                    raise
                self.listener.said(f"{error.text} after {format_size(self.come)}; trying again")
                self.on_loop(self.clock.sleep(PAUSES.pause(failed)))
            else:
                if self.come == before:
                    return f"what is stored ends after {self.come} of {stored.bytes} bytes"
        if sha256.hexdigest() != stored.sha256:
            return "what is stored has another SHA-256 than its manifest tells"
        return expected.difference(sink.tally)

    def _read(self, sink: Sink, summed: Callable[[bytes], None]) -> None:
        pieces = self.store.get(self.manifest.stored.key, start=self.come)
        try:
            while self.come <= self.manifest.stored.bytes and (piece := self.on_loop(_batch(pieces))):
                sink.add(piece)
                summed(piece)
                self.come += len(piece)
                self.listener.moved(self.come)
        finally:
            self.on_loop(pieces.aclose())


async def _batch(pieces: AsyncGenerator[bytes, None]) -> bytes:
    """Return the next bytes; none at the end."""
    batch, size = [], 0
    async for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size >= BATCH:
            break
    return batch[0] if len(batch) == 1 else b"".join(batch)
