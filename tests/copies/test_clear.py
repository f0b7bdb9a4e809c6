"""What is in the way of a copy: when it goes, and what never does."""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.copies.clear import clear_lonely
from daemon.copies.manifest import write_manifest
from daemon.copies.shelf import Shelf, look_into
from daemon.stores.base import Entry, Store
from daemon.stores.directory.store import DirectoryStore
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
