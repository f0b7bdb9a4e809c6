"""A look into a store: what is read, what is read again, and what is made of what is damaged or not ours."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.copies.manifest import write_manifest
from daemon.copies.shelf import look_at_all, look_into, read_shelf, write_shelf
from daemon.stores.base import Entry, Store
from daemon.stores.directory.store import DirectoryStore
from daemon.stores.streams import RateLimit
from tests.copies.support import KEY, SERVER, Told, unknown
from tests.core.build import NOW
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio


class Counting(DirectoryStore):
    """A folder that counts what is read of it."""

    reads = 0

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        self.reads += 1
        async for piece in super().get(key, start=start, end=end):
            yield piece


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Counting]:
    """A folder with one whole copy."""
    made = Counting("nas", tmp_path / "nas", RateLimit(None, clock))
    (tmp_path / "nas").mkdir()
    await put(made, KEY, b"x" * 1000)
    await put(made, f"{KEY}.json", write_manifest(Told().manifest()))
    yield made
    await made.aclose()


async def put(store: Store, key: str, content: bytes) -> None:
    """Store these bytes."""

    async def once() -> AsyncGenerator[bytes, None]:
        yield content

    await store.put(key, once())


async def test_a_whole_copy_is_read_once(store: Counting) -> None:
    """What was written down of it serves the next look."""
    shelf = await look_into(store, "main", SERVER, None, NOW)
    assert dict(shelf.manifests) == {KEY: Told().manifest()}
    again = read_shelf(write_shelf(shelf))
    assert again == shelf
    assert await look_into(store, "main", SERVER, again, NOW) == shelf
    assert store.reads == 1


async def test_a_manifest_that_was_changed_is_read_again(store: Counting) -> None:
    """And where it tells no truth any more there is no copy."""
    shelf = await look_into(store, "main", SERVER, None, NOW)
    await store.delete(f"{KEY}.json")
    await put(store, f"{KEY}.json", b"{}")
    spoiled = await look_into(store, "main", SERVER, shelf, NOW)
    assert spoiled.manifests == {}
    assert spoiled.damaged == {KEY: "its manifest cannot be read, or tells another size"}


async def test_data_that_is_gone_or_grew_is_no_copy(store: Counting) -> None:
    """Though the manifest stands, and was read before."""
    shelf = await look_into(store, "main", SERVER, None, NOW)
    await store.delete(KEY)
    assert (await look_into(store, "main", SERVER, shelf, NOW)).damaged == {KEY: "its data is gone"}
    await put(store, KEY, b"x" * 1001)
    assert (await look_into(store, "main", SERVER, shelf, NOW)).manifests == {}


async def test_data_without_a_manifest_is_remembered_until_it_may_be_cleared(store: Counting) -> None:
    """Since when it has not changed."""
    await store.delete(f"{KEY}.json")
    first = await look_into(store, "main", SERVER, None, NOW)
    later = await look_into(store, "main", SERVER, first, NOW + timedelta(hours=50))
    assert (first.manifests, list(first.loose)) == ({}, [KEY])
    assert later.loose[KEY].since == NOW


async def test_the_manifest_that_was_known_is_kept_as_long_as_its_data_stands(store: Counting) -> None:
    """It is damaged, and in nobody's way: however often it is seen, and what is written down of it serves the next."""
    shelf = await look_into(store, "main", SERVER, None, NOW)
    await store.delete(f"{KEY}.json")
    for hours in (1, 50, 100):
        shelf = await look_into(store, "main", SERVER, shelf, NOW + timedelta(hours=hours))
        assert (shelf.manifests, shelf.damaged, shelf.loose) == ({}, {KEY: "its manifest is gone"}, {})
        assert shelf.lost == {KEY: Told().manifest()}
        known = read_shelf(write_shelf(shelf))
        assert known == shelf
        shelf = known
    assert {one.installation for one in shelf.adopted("another").lost.values()} == {"another"}
    await store.delete(KEY)
    shelf = await look_into(store, "main", SERVER, shelf, NOW)
    assert (shelf.damaged, shelf.lost) == ({}, {})


async def test_it_is_kept_too_while_what_stands_there_cannot_be_read(store: Counting) -> None:
    """Somebody spoils it first, and takes it away later."""
    shelf = await look_into(store, "main", SERVER, None, NOW)
    await store.delete(f"{KEY}.json")
    await put(store, f"{KEY}.json", b"{}")
    spoiled = await look_into(store, "main", SERVER, shelf, NOW)
    await store.delete(f"{KEY}.json")
    gone = await look_into(store, "main", SERVER, spoiled, NOW)
    assert (gone.damaged, gone.loose) == ({KEY: "its manifest is gone"}, {})


async def test_what_was_being_deleted_is_loose_once_its_manifest_is_gone(store: Counting) -> None:
    """A prune was killed between the two. If it was killed before, the copy is whole as ever, and that is forgotten."""
    shelf = replace(await look_into(store, "main", SERVER, None, NOW), going=frozenset({KEY}))
    assert read_shelf(write_shelf(shelf)) == shelf
    before = await look_into(store, "main", SERVER, shelf, NOW)
    assert (before.going, list(before.manifests)) == (frozenset(), [KEY])
    await store.delete(f"{KEY}.json")
    for _ in range(3):
        shelf = await look_into(store, "main", SERVER, shelf, NOW)
        assert (shelf.damaged, list(shelf.loose), shelf.going, shelf.lost) == ({}, [KEY], frozenset({KEY}), {})
    await store.delete(KEY)
    assert (await look_into(store, "main", SERVER, shelf, NOW)).going == frozenset()


class Late(Counting):
    """A folder whose listing lacks what came lately, and shows what went lately."""

    hides = ""
    shows: Entry | None = None

    async def list_all(self, folder: str = "") -> list[Entry]:
        there = [entry for entry in await super().list_all(folder) if entry.key != self.hides]
        return [*there, self.shows] if self.shows else there


async def test_a_late_listing_loses_no_manifest_and_no_copy(tmp_path: Path, clock: FakeClock) -> None:
    """The store is asked for both by their names."""
    (tmp_path / "box").mkdir()
    store = Late("nas", tmp_path / "box", RateLimit(None, clock))
    await put(store, KEY, b"x" * 1000)
    await put(store, f"{KEY}.json", write_manifest(Told().manifest()))
    shelf = await look_into(store, "main", SERVER, None, NOW)
    store.hides = f"{KEY}.json"
    assert await look_into(store, "main", SERVER, shelf, NOW) == shelf
    (shown,) = await store.list_all()
    await store.delete(f"{KEY}.json")
    await store.delete(KEY)
    store.shows = shown
    assert (await look_into(store, "main", SERVER, shelf, NOW)).damaged == {}
    await store.aclose()


async def test_a_manifest_as_large_as_data_is_not_read(store: Counting) -> None:
    """Whoever put it there."""
    await store.delete(f"{KEY}.json")
    await put(store, f"{KEY}.json", b" " * 70_000)
    assert (await look_into(store, "main", SERVER, None, NOW)).manifests == {}
    assert store.reads == 0


async def test_a_manifest_that_never_ends_is_not_read_to_its_end(
    store: Counting, tmp_path: Path, clock: FakeClock
) -> None:
    """Whatever its size was in the listing."""
    pieces = 0

    class Endless(Counting):
        async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
            nonlocal pieces
            for _ in range(1000):
                pieces += 1
                yield b" " * 10_000

    endless = Endless("nas", tmp_path / "nas", RateLimit(None, clock))
    assert (await look_into(endless, "main", SERVER, None, NOW)).manifests == {}
    assert pieces == 7


async def test_a_rescan_finds_every_server_and_passes_over_what_is_not_ours(store: Counting) -> None:
    """By the layout alone; it says how far it is, since a large store takes minutes."""
    for key in ("README.md", "other/notes.txt", f"main/{SERVER}/notes.txt"):
        await put(store, key, b"somebody's")
    counted: list[tuple[int, int]] = []
    seen = await look_at_all(store, unknown, NOW, lambda *how_far: counted.append(how_far))
    assert counted == [(0, 1), (1, 1)]
    assert list(seen) == [("main", SERVER)]
    assert list(seen["main", SERVER].manifests) == [KEY]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"seen_at": 1}'])
def test_what_cannot_be_read_of_the_cache_is_as_if_it_were_not_there(text: str) -> None:
    """The store itself knows better."""
    assert read_shelf(text) is None
