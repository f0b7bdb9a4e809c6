"""What is in the way of a copy: when it goes, and what never does."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.copies.clear import clear_begun, clear_lonely, look_for_begun
from daemon.copies.manifest import write_manifest
from daemon.copies.shelf import Shelf, look_into, read_shelf, write_shelf
from daemon.stores.base import Capability, Entry, Store, Unfinished
from daemon.stores.directory.store import DirectoryStore
from daemon.stores.errors import StorePermissionError
from daemon.stores.parts import new_id, part_name
from daemon.stores.streams import RateLimit
from tests.copies.support import KEY, SERVER, Told
from tests.core.build import NOW
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio

LATER = NOW + timedelta(hours=48)


class Late(DirectoryStore):
    """A folder whose listing does not have data yet."""

    async def list_all(self, folder: str = "") -> list[Entry]:
        return [entry for entry in await super().list_all(folder) if entry.key.endswith(".json")]


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    """A folder with a manifest, and no data in the listing."""
    (tmp_path / "nas").mkdir()
    made = Late("nas", tmp_path / "nas", RateLimit(None, clock))
    await put(made, f"{KEY}.json", write_manifest(Told().manifest()))
    yield made
    await made.aclose()


async def put(store: Store, key: str, content: bytes) -> None:
    """Store these bytes."""

    async def once() -> AsyncGenerator[bytes, None]:
        yield content

    await store.put(key, once())


async def looked_twice(store: Store) -> Shelf:
    """What two looks 48 hours apart found."""
    return await look_into(store, "main", SERVER, await look_into(store, "main", SERVER, None, NOW), LATER)


async def test_our_manifest_goes_once_two_looks_and_the_name_itself_say_that_its_data_is_gone(store: Store) -> None:
    """And not at the first look."""
    first = await look_into(store, "main", SERVER, None, NOW)
    assert await clear_lonely(store, first, {KEY}, "installation-1", NOW) == set()
    assert await clear_lonely(store, await looked_twice(store), {KEY}, "installation-1", LATER) == {KEY}
    assert await store.list_all() == []


async def test_a_manifest_stays_whose_data_is_only_missing_from_the_listing(store: Store) -> None:
    """A listing may be late for as long as it likes."""
    await put(store, KEY, b"x" * 1000)
    assert await clear_lonely(store, await looked_twice(store), {KEY}, "installation-1", LATER) == set()
    assert len(await store.list_all()) == 1


@pytest.mark.parametrize(("wanted", "installation"), [(set(), "installation-1"), ({KEY}, "another")])
async def test_a_manifest_stays_that_nothing_replaces_or_that_is_another_s(
    store: Store, wanted: set[str], installation: str
) -> None:
    """It is all that is known of a copy that was."""
    assert await clear_lonely(store, await looked_twice(store), wanted, installation, LATER) == set()
    assert len(await store.list_all()) == 1


async def test_a_manifest_that_cannot_be_read_stays(store: Store) -> None:
    """Nobody can tell who wrote it."""
    await store.delete(f"{KEY}.json")
    await put(store, f"{KEY}.json", b"{}")
    assert await clear_lonely(store, await looked_twice(store), {KEY}, "installation-1", LATER) == set()
    assert len(await store.list_all()) == 1


class Stingy(DirectoryStore):
    """A store that lets nobody ask what was begun in it."""

    lacking: Mapping[Capability, str] = {}

    @property
    def lacks(self) -> Mapping[Capability, str]:
        return self.lacking

    async def unfinished(self, folder: str = "") -> list[Unfinished]:
        raise StorePermissionError(f"nas: may not list {folder}")


async def looked_for_begun(store: Store, before: Shelf | None, hours: int) -> Shelf:
    """What a look finds so many hours later, as the catalogue would give it back."""
    now = NOW + timedelta(hours=hours)
    shelf = await look_for_begun(store, "main", SERVER, await look_into(store, "main", SERVER, before, now), now)
    await clear_begun(store, shelf, now)
    known = read_shelf(write_shelf(shelf))
    assert known == shelf
    return known


async def test_what_a_kill_left_half_stored_goes_at_a_second_look_48_hours_later(store: Store, tmp_path: Path) -> None:
    """One that grows is alive; what is none of our names is never touched."""
    ours = tmp_path / "nas" / part_name(KEY, new_id())
    grows = tmp_path / "nas" / part_name(KEY, new_id())
    foreign = ours.with_name(part_name("holiday.jpg", new_id()))
    for file in (ours, grows, foreign):
        file.write_bytes(b"half")
    first = await looked_for_begun(store, None, 0)
    second = await looked_for_begun(store, first, 47)
    assert len(second.begun) == 2
    with grows.open("ab") as more:
        more.write(b"more")
    await looked_for_begun(store, second, 48)
    assert (ours.exists(), grows.exists(), foreign.exists()) == (False, True, True)


async def test_a_key_that_may_not_ask_what_was_begun_copies_all_the_same(tmp_path: Path, clock: FakeClock) -> None:
    """Then the store's owner clears up, as by a rule of the bucket; the same where nothing can be left half stored."""
    (tmp_path / "nas").mkdir()
    store = Stingy("nas", tmp_path / "nas", RateLimit(None, clock))
    assert (await looked_for_begun(store, None, 0)).begun == {}
    store.lacking = {Capability.UNFINISHED: "it clears up by itself"}
    assert (await looked_for_begun(store, None, 0)).begun == {}
    await store.aclose()
