"""A large object takes no more memory than a small one: fewer of its parts are held at a time, or they lie in files."""

import errno
import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.stores import held, sizes
from daemon.stores.errors import PartError, PartRoomError, StoreError
from daemon.stores.held import FiledPart, parts_of, pieces_of, summed
from daemon.stores.sizes import MOST_IN_MEMORY, MOST_PARTS, PART, PARTS_HELD, part_size, parts_in_memory
from tests.stores.places import PIECE, Place, content, keys, read

pytestmark = pytest.mark.anyio

MIB, GIB, TIB = 2**20, 2**30, 2**40
KEY = "main/uuid/world.tar.gz"


@given(st.integers(min_value=0, max_value=5 * TIB))
def test_the_parts_of_an_object_are_few_enough_and_small_enough(size: int) -> None:
    """However large it is: never more than the service takes, nor more in memory than of a small one."""
    assert part_size(None) == part_size(0) == part_size(PART * MOST_PARTS) == PART
    part = part_size(size)
    assert part * MOST_PARTS >= size
    assert part % MIB == 0
    assert parts_in_memory(part) * part <= MOST_IN_MEMORY


@pytest.mark.parametrize(
    ("size", "part", "in_memory"),
    [
        (GIB, 5 * MIB, 3),
        (48 * GIB, 5 * MIB, 3),
        (49 * GIB, 6 * MIB, 2),
        (68 * GIB, 7 * MIB, 2),
        (69 * GIB, 8 * MIB, 1),
        (146 * GIB, 15 * MIB, 1),
        (147 * GIB, 16 * MIB, 0),
        (5 * TIB, 525 * MIB, 0),
    ],
)
def test_so_many_parts_are_in_memory(size: int, part: int, in_memory: int) -> None:
    """Of backups of these sizes, as docs/performance.md has it."""
    assert (part_size(size), parts_in_memory(part)) == (part, in_memory)


async def test_large_parts_lie_in_files_without_a_name(tmp_path: Path) -> None:
    """The same bytes in the same sizes; nothing is left of them."""
    sent = os.urandom(40 * MIB)
    parts, places = await parts_of(content(sent[:7], sent[7 : 33 * MIB], sent[33 * MIB :]), 16 * MIB, tmp_path)
    found, lengths = b"", []
    async for part in parts:
        assert isinstance(part, FiledPart)
        assert list(tmp_path.iterdir()) == []
        lengths.append(len(part))
        assert summed(part, "sha256") == hashlib.sha256(sent[len(found) : len(found) + len(part)]).digest()
        found += b"".join([piece async for piece in pieces_of(part, 300_000)])
    assert (found == sent, lengths, places) == (True, [16 * MIB, 16 * MIB, 8 * MIB], PARTS_HELD)


def open_files() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_file_goes_with_its_part(tmp_path: Path) -> None:
    """Whoever held it last: its room on the disk is free at once."""
    before = open_files()
    part = FiledPart(tmp_path)
    part.add(b"world")
    assert open_files() == before + 1
    del part
    assert open_files() == before


@pytest.mark.parametrize("folder", ["none", "missing", "full"])
async def test_without_room_for_files_one_part_at_a_time_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """The copy is made all the same."""
    if folder == "full":
        monkeypatch.setattr(held, "disk_usage", lambda _: SimpleNamespace(free=2 * PARTS_HELD * 16 * MIB - 1))
    place = {"none": None, "missing": tmp_path / "missing", "full": tmp_path}[folder]
    parts, places = await parts_of(content(b"world"), 16 * MIB, place)
    assert ([part async for part in parts], places) == ([b"world"], 1)


def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder, and what the system says."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    part = FiledPart(tmp_path)
    part.add(b"world")
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(PartRoomError, match=rf"cannot hold a part of the copy in {tmp_path}: No space left") as raised:
        part.add(b"more")
    assert "state_dir" in raised.value.hint
    assert not isinstance(raised.value, StoreError)
    os.ftruncate(part._file, 1)
    with pytest.raises(PartError, match="shorter than what was written"):
        list(part.pieces(10))
    with pytest.raises(PartError, match="No such file"):
        FiledPart(tmp_path / "missing")


@pytest.mark.parametrize(
    ("part", "most"),
    [(16 * MIB, 9 * MIB), (12 * MIB, 17 * MIB), (7 * MIB, 19 * MIB)],
    ids=["files", "one", "two"],
)
async def test_a_large_object_takes_as_little_memory_as_a_small_one(
    s3: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int, most: int
) -> None:
    """A real upload whose parts are as large as those of 60 to 150 GiB; what comes back is what was sent."""
    size = 3 * part - 5
    monkeypatch.setattr(sizes, "MOST_PARTS", 3)
    assert part_size(size) == part
    piece = os.urandom(PIECE)

    async def large() -> AsyncIterator[bytes]:
        for start in range(0, size, PIECE):
            yield piece[: size - start]

    async with Place("s3", replace(s3.settings, parts_in=tmp_path)).open() as store:
        tracemalloc.start()
        try:
            await store.put(KEY, large(), size=size)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert await keys(store) == [KEY]
        stored = await read(store, KEY)
    assert (len(stored), stored == (piece * (size // PIECE + 1))[:size]) == (size, True)
    assert peak < most
    assert list(tmp_path.iterdir()) == []
