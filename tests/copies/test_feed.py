"""A copy read out of a store, to fill another one: where that breaks off it goes on, and damage is seen."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from daemon.copies.feed import TRIES, store_feed
from daemon.copies.make import Targets, copy_backup
from daemon.copies.manifest import Manifest
from daemon.stores.directory.store import DirectoryStore
from daemon.stores.errors import StoreCutError, StoreError, StorePermissionError
from daemon.stores.streams import RateLimit
from daemon.transfer.expected import Expected
from daemon.transfer.verify import ArchiveReader
from tests.copies.conftest import Rig

pytestmark = pytest.mark.anyio


class Breaking(DirectoryStore):
    """A folder whose reads break off after so many bytes, so many times. `asked` has where each began."""

    def __init__(self, rig: Rig, *, after: int, times: int, error: StoreError) -> None:
        super().__init__("nas", rig.folder / "nas", RateLimit(None, rig.clock))
        self._after, self._times, self._error = after, times, error
        self.asked: list[int] = []

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        self.asked.append(start)
        come = 0
        async for piece in super().get(key, start=start, end=end):
            if len(self.asked) <= self._times and come >= self._after:
                raise self._error
            yield piece
            come += len(piece)


async def copied(rig: Rig) -> Manifest:
    """The backup in the folder `nas`."""
    return (await rig.copy(await rig.target("nas"))).manifests["nas"]


async def test_a_read_that_breaks_goes_on_where_it_broke(rig: Rig) -> None:
    """Any number of times, as long as something comes."""
    manifest = await copied(rig)
    store = Breaking(rig, after=2**20, times=2, error=StoreCutError("the connection broke"))
    feed = store_feed(store, manifest, rig.clock, rig.listener)
    made = await copy_backup(feed, await rig.backup(), rig.origin, Targets([await rig.target("usb")]), rig.clock)
    assert made.errors == {}
    assert store.asked == [0, 2**20, 2 * 2**20]
    assert rig.files("usb") == rig.files("nas")
    key = manifest.stored.key
    assert (rig.folder / "usb" / key).read_bytes() == rig.data


@pytest.mark.parametrize(
    ("error", "tries"), [(StoreCutError("the connection broke"), TRIES), (StorePermissionError("no"), 1)]
)
async def test_a_store_that_gives_nothing_is_given_up(rig: Rig, error: StoreError, tries: int) -> None:
    """After a few tries, or at once where another one is of no use; nothing is stored."""
    manifest = await copied(rig)
    store = Breaking(rig, after=0, times=99, error=error)
    feed = store_feed(store, manifest, rig.clock, rig.listener)
    with pytest.raises(type(error)):
        await copy_backup(feed, await rig.backup(), rig.origin, Targets([await rig.target("usb")]), rig.clock)
    assert len(store.asked) == tries
    assert rig.files("usb") == []


class Endless(DirectoryStore):
    """A store whose objects have no end."""

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        while True:
            yield bytes(2**20)


@pytest.mark.timeout(20)
async def test_what_ends_early_without_an_error_is_said(rig: Rig) -> None:
    """It would be read for ever otherwise, since nothing breaks."""
    manifest = await copied(rig)
    with (rig.folder / "nas" / manifest.stored.key).open("r+b") as data:
        data.truncate(1_000_000)
    feed = store_feed(await rig.store("nas"), manifest, rig.clock, rig.listener)
    told = manifest.backup
    difference = await asyncio.to_thread(feed.run, ArchiveReader(), Expected(told.bytes, told.checksum))
    assert difference == f"what is stored ends after 1000000 of {manifest.stored.bytes} bytes"


@pytest.mark.timeout(20)
async def test_what_does_not_end_is_read_no_further_than_it_should_be(rig: Rig) -> None:
    """It is not what its manifest tells."""
    manifest = await copied(rig)
    store = Endless("nas", rig.folder / "nas", RateLimit(None, rig.clock))
    feed = store_feed(store, manifest, rig.clock, rig.listener)
    told = manifest.backup
    difference = await asyncio.to_thread(feed.run, ArchiveReader(), Expected(told.bytes, told.checksum))
    assert difference == "what is stored has another SHA-256 than its manifest tells"


async def test_what_is_damaged_is_said(rig: Rig) -> None:
    """One bit."""
    manifest = await copied(rig)
    data = rig.folder / "nas" / manifest.stored.key
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    reader, told = ArchiveReader(), manifest.backup
    feed = store_feed(await rig.store("nas"), manifest, rig.clock, rig.listener)
    difference = await asyncio.to_thread(feed.run, reader, Expected(told.bytes, told.checksum))
    assert difference == "what is stored has another SHA-256 than its manifest tells"
