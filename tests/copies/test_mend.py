"""Manifests that somebody took away, written back: when, by what, and when never."""

from collections.abc import AsyncIterable, AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.copies.manifest import write_manifest
from daemon.copies.mend import write_back
from daemon.copies.results import Mended
from daemon.copies.shelf import Shelf, look_into
from daemon.stores.base import Entry
from daemon.stores.directory.store import DirectoryStore
from daemon.stores.errors import ObjectExistsError, StoreError, StorePermissionError, StoreUnreachableError
from daemon.stores.streams import RateLimit
from tests.copies.support import BACKUP, KEY, SERVER, Told
from tests.copies.test_shelf import put
from tests.core.build import NOW
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio

US = "installation-1"
TEXT = write_manifest(Told().manifest())


class Box(DirectoryStore):
    """A folder that notes which lock was asked for, and may refuse a put, or lose the answer to it."""

    locked: datetime | None = None
    refuses: StoreError | None = None
    loses: StoreError | None = None

    async def put(self, key: str, content: AsyncIterable[bytes], **options: Any) -> Entry:
        self.locked = options.pop("lock_until", None)
        if self.refuses is not None:
            raise self.refuses
        entry = await super().put(key, content, **options)
        if self.loses is not None:
            raise self.loses
        return entry


@pytest.fixture
async def box(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Box]:
    """A folder with one whole copy."""
    (tmp_path / "nas").mkdir()
    made = Box("nas", tmp_path / "nas", RateLimit(None, clock))
    await put(made, KEY, b"x" * 1000)
    await put(made, f"{KEY}.json", TEXT)
    yield made
    await made.aclose()


async def lost(box: Box) -> Shelf:
    """What a look finds once the manifest is gone."""
    before = await look_into(box, "main", SERVER, None, NOW)
    await box.delete(f"{KEY}.json")
    shelf = await look_into(box, "main", SERVER, before, NOW)
    assert shelf.damaged == {KEY: "its manifest is gone"}
    return shelf


async def written(box: Box) -> bytes | None:
    """What stands beside the data."""
    if all(entry.key != f"{KEY}.json" for entry in await box.list_all()):
        return None
    return b"".join([piece async for piece in box.get(f"{KEY}.json")])


@pytest.mark.parametrize("until", [None, NOW + timedelta(days=30)])
async def test_a_manifest_is_written_back_as_it_was_with_its_lock(box: Box, until: datetime | None) -> None:
    """And the copy is whole again."""
    done = await write_back(box, await lost(box), US, until)
    assert done.mended == [Mended(BACKUP, Told().manifest().backup.name, KEY)]
    assert (done.error, done.shelf.damaged, list(done.shelf.manifests), done.shelf.lost) == (None, {}, [KEY], {})
    assert (await written(box), box.locked) == (TEXT, until)
    assert list((await look_into(box, "main", SERVER, done.shelf, NOW)).manifests) == [KEY]


async def test_another_installation_s_manifest_is_not_written(box: Box) -> None:
    """It may be pruning just now."""
    shelf = await lost(box)
    assert (await write_back(box, shelf, "another", None)).shelf == shelf
    assert await written(box) is None


@pytest.mark.parametrize("meanwhile", ["manifest", "gone", "grew", "taken"])
async def test_nothing_is_written_where_the_store_says_something_else_by_now(box: Box, meanwhile: str) -> None:
    """A manifest that stands, data that is gone or another, or one who was quicker."""
    shelf = await lost(box)
    if meanwhile == "manifest":
        await put(box, f"{KEY}.json", b"{}")
    elif meanwhile == "taken":
        box.refuses = ObjectExistsError("nas: it is there already")
    else:
        await box.delete(KEY)
    if meanwhile == "grew":
        await put(box, KEY, b"x" * 1001)
    done = await write_back(box, shelf, US, None)
    assert (done.mended, done.error, done.shelf) == ([], None, shelf)
    assert await written(box) == (b"{}" if meanwhile == "manifest" else None)


async def test_an_answer_that_was_lost_is_settled_by_a_look(box: Box) -> None:
    """It was written."""
    shelf = await lost(box)
    box.loses = StoreUnreachableError("nas: the answer was lost")
    done = await write_back(box, shelf, US, None)
    assert (len(done.mended), done.error) == (1, None)


async def test_a_store_that_does_not_allow_it_is_told_and_the_copy_stays_as_it_is(box: Box) -> None:
    """Known, damaged, and never cleared away."""
    shelf = await lost(box)
    box.refuses = StorePermissionError("nas: read-only")
    done = await write_back(box, shelf, US, None)
    assert (done.mended, done.shelf) == ([], shelf)
    assert done.error is not None
    assert done.error.text == f"the manifest of {KEY}, which is gone, could not be written back: nas: read-only"
    assert done.error.hint == StorePermissionError("").hint
