"""What is in the way of a copy: when it goes, and what never does."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.copies.clear import (
    LEFTOVER,
    MOST_CLEARED,
    Clearing,
    clear_begun,
    clear_leftovers,
    clear_lonely,
    look_for_begun,
)
from daemon.copies.manifest import write_manifest
from daemon.copies.shelf import Shelf, look_into, read_shelf, write_shelf
from daemon.copies.undeleted import MOST_UNDELETED
from daemon.stores.base import Capability, Entry, Store, Unfinished
from daemon.stores.directory.store import DirectoryStore
from daemon.stores.errors import (
    ObjectLockedError,
    StoreError,
    StorePermissionError,
    StoreTroubleError,
    StoreUnreachableError,
)
from daemon.stores.parts import new_id, part_name
from daemon.stores.streams import RateLimit
from tests.copies.support import BACKUP, KEY, SERVER, Told
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


async def lonely_cleared(store: Store, shelf: Shelf, wanted: set[str], installation: str, now: datetime) -> set[str]:
    """The data's keys of the manifests that are cleared away."""
    return set(await clear_lonely(store, shelf, wanted, now, Clearing(), installation=installation))


async def test_our_manifest_goes_once_two_looks_and_the_name_itself_say_that_its_data_is_gone(store: Store) -> None:
    """And not at the first look."""
    first = await look_into(store, "main", SERVER, None, NOW)
    assert await lonely_cleared(store, first, {KEY}, "installation-1", NOW) == set()
    assert await lonely_cleared(store, await looked_twice(store), {KEY}, "installation-1", LATER) == {KEY}
    assert await store.list_all() == []


async def test_a_manifest_stays_whose_data_is_only_missing_from_the_listing(store: Store) -> None:
    """A listing may be late for as long as it likes."""
    await put(store, KEY, b"x" * 1000)
    assert await lonely_cleared(store, await looked_twice(store), {KEY}, "installation-1", LATER) == set()
    assert len(await store.list_all()) == 1


@pytest.mark.parametrize(("wanted", "installation"), [(set(), "installation-1"), ({KEY}, "another")])
async def test_a_manifest_stays_that_nothing_replaces_or_that_is_another_s(
    store: Store, wanted: set[str], installation: str
) -> None:
    """It is all that is known of a copy that was."""
    assert await lonely_cleared(store, await looked_twice(store), wanted, installation, LATER) == set()
    assert len(await store.list_all()) == 1


async def test_a_manifest_that_cannot_be_read_stays(store: Store) -> None:
    """Nobody can tell who wrote it."""
    await store.delete(f"{KEY}.json")
    await put(store, f"{KEY}.json", b"{}")
    assert await lonely_cleared(store, await looked_twice(store), {KEY}, "installation-1", LATER) == set()
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
    await clear_begun(store, shelf, now, Clearing())
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


class Refusing(DirectoryStore):
    """A folder that refuses to delete some of its objects, or to clear what was begun for them."""

    refuses: dict[str, StoreError]

    async def delete(self, key: str) -> None:
        if key in self.refuses:
            raise self.refuses[key]
        await super().delete(key)

    async def clear(self, begun: Unfinished) -> bool:
        if begun.key in self.refuses:
            raise self.refuses[begun.key]
        return await super().clear(begun)


NAMES = tuple(f"{number:08x}" for number in range(24))
KEYS = tuple(KEY.replace(BACKUP[:8], name) for name in NAMES)


@pytest.fixture
async def left(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Refusing]:
    """A folder in which three crashes left something of each kind."""
    (tmp_path / "box").mkdir()
    made = Refusing("nas", tmp_path / "box", RateLimit(None, clock))
    made.refuses = {}
    for key in KEYS[:3]:
        await put(made, key, b"data")
    for key, name in zip(KEYS[3:6], NAMES[3:6], strict=True):
        (tmp_path / "box" / part_name(key, new_id())).write_bytes(b"half")
        manifest = write_manifest(Told().manifest()).replace(BACKUP[:8].encode(), name.encode())
        await put(made, f"{key}.json", manifest)
    yield made
    await made.aclose()


async def cleared(store: Refusing, clearing: Clearing) -> list[str]:
    """The names of what a second look, 48 hours later, clears away."""
    first = await look_for_begun(store, "main", SERVER, await look_into(store, "main", SERVER, None, NOW), NOW)
    shelf = await look_for_begun(store, "main", SERVER, await look_into(store, "main", SERVER, first, LATER), LATER)
    await clear_leftovers(store, shelf, LATER, clearing)
    await clear_lonely(store, shelf, KEYS, LATER, clearing, installation="installation-1")
    return sorted(one.key for one in clearing.cleared)


async def test_what_went_is_told_with_why_and_since_when(left: Refusing) -> None:
    """By our own clock, in words of which the daemon's log and history make use."""
    clearing = Clearing()
    await cleared(left, clearing)
    since = f"unchanged since {NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert {one.text for one in clearing.cleared} == {
        f"data without a manifest, {since}",
        f"an upload that was not finished, {since}",
        f"a manifest whose data is gone, {since}",
    }
    assert {one.bytes for one in clearing.cleared if one.key == KEYS[0]} == {len(b"data")}
    assert clearing.problems() == []


@pytest.mark.parametrize("most", [0, 1, 4, 7])
async def test_leave_is_asked_right_before_each_deletion(left: Refusing, most: int) -> None:
    """A proof that fails meanwhile, or a lease that is lost, saves all that is left (invariants 17 and 20)."""
    asked: list[int] = []

    async def leave() -> str:
        asked.append(len(await left.list_all()) + len(await left.unfinished()))
        return "" if len(asked) <= most else "a proof has failed"

    clearing, there = Clearing(leave), 9
    gone = await cleared(left, clearing)
    assert (len(gone), clearing.hindrance) == (most, "a proof has failed")
    assert asked == list(range(there, there - most - 1, -1)), "nothing goes between two questions but one"


async def test_more_than_crashes_leave_is_not_cleared_and_that_is_told(left: Refusing) -> None:
    """Of a fourth on: something else took the manifests away. What was begun goes all the same."""
    await put(left, KEYS[6], b"data")
    clearing = Clearing()
    gone = await cleared(left, clearing)
    assert [key for key in gone if key in (*KEYS[:3], KEYS[6])] == []
    assert {key for key in gone if not key.endswith(".json")} == set(KEYS[3:6])
    (problem,) = clearing.problems()
    assert problem.text == f"{MOST_CLEARED + 1} copies' data without manifests, of which nothing is cleared away"
    assert "copies prune SERVER --max-deletions N" in problem.hint
    lifted = Clearing(most=MOST_CLEARED + 1)
    assert await cleared(left, lifted) == sorted((*KEYS[:3], KEYS[6]))
    assert lifted.problems() == []


@pytest.mark.parametrize("error", [StorePermissionError("no"), StoreTroubleError("not now"), ObjectLockedError("no")])
@pytest.mark.parametrize("refused", [KEYS[0], KEYS[3], f"{KEYS[3]}.json"], ids=["data", "begun", "manifest"])
async def test_what_cannot_be_deleted_hinders_nothing_else(left: Refusing, refused: str, error: StoreError) -> None:
    """It is told, but for a lock, which the store was asked for; and it stays."""
    clearing = Clearing()
    left.refuses = {refused: error}
    every = sorted((*KEYS[:6], *(f"{key}.json" for key in KEYS[3:6])))
    assert await cleared(left, clearing) == [name for name in every if name != refused]
    told = clearing.undeleted.as_error(LEFTOVER)
    is_known = isinstance(error, ObjectLockedError) and refused != KEYS[3]
    assert (told.text if told else None) == (None if is_known else f"{LEFTOVER} could not be deleted: {error.text}")


async def test_a_second_trouble_that_passes_is_the_store_s(left: Refusing) -> None:
    """And one that cannot be reached is asked for nothing more."""
    left.refuses = dict.fromkeys(KEYS[:2], StoreTroubleError("not now"))
    with pytest.raises(StoreTroubleError):
        await cleared(left, Clearing())
    left.refuses = {KEYS[0]: StoreUnreachableError("no connection")}
    with pytest.raises(StoreUnreachableError):
        await cleared(left, Clearing())


async def test_a_key_that_may_delete_nothing_is_tried_so_often_and_no_more(left: Refusing) -> None:
    """What is left of many crashes holds up no copy."""
    for key in KEYS[6:]:
        await put(left, key, b"data")
    left.refuses = dict.fromkeys((*KEYS, *(f"{key}.json" for key in KEYS)), StorePermissionError("no"))
    clearing = Clearing(most=len(KEYS))
    assert await cleared(left, clearing) == []
    told = clearing.undeleted.as_error(LEFTOVER)
    assert told is not None
    assert f"nor could {MOST_UNDELETED - 1} more" in told.text
