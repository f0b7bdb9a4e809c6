"""What every engine must do, over real services."""

import asyncio
import hashlib
import pickle
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.stores.base import Capability, Store, Unfinished
from daemon.stores.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreCutError,
    StoreUnusableError,
)
from daemon.stores.sizes import PART
from tests.fakes import SkippingClock
from tests.stores.conftest import MemoryPlace
from tests.stores.places import PIECE, Place, content, endless, keys, now, read

pytestmark = pytest.mark.anyio

KEY = "main/2b9e6e2c/20260401T040000Z_x.tar.gz"
MANY = random.Random(14).randbytes(9 * 2**20 + 1)  # more than one part of a multipart upload
ODD = [
    "a b/ünïcödé ☃ cafe\u0301.tar.gz",
    "-rf",
    "+&=?#%20%/~.hidden/...",
    "'\"`$(x)*.[a]{b}:;,|<>@!" + "x" * 200,
]


async def put(store: Store, key: str, *pieces: bytes, size: int | None = None) -> None:
    """Store these pieces."""
    await store.put(key, content(*pieces), size=size)


@pytest.mark.parametrize("stored", [b"", b"x", MANY], ids=["empty", "small", "of several parts"])
async def test_what_was_put_is_there_and_is_the_same(store: Store, stored: bytes) -> None:
    """Looked at, listed and read."""
    pieces = [stored[start : start + PIECE] for start in range(0, len(stored), PIECE)]
    entry = await store.put(KEY, content(*pieces), size=len(stored))
    assert (entry.key, entry.size) == (KEY, len(stored))
    assert abs(entry.modified - now()) < timedelta(minutes=1)
    details = await store.head(KEY)
    assert (details.entry.key, details.entry.size, details.locked_until) == (KEY, len(stored), None)
    assert [(each.key, each.size) for each in await store.list_all()] == [(KEY, len(stored))]
    assert hashlib.sha256(await read(store, KEY)).digest() == hashlib.sha256(stored).digest()
    assert await store.unfinished() == []


async def test_the_size_need_not_be_known(store: Store) -> None:
    """Also of what is larger than one part."""
    await put(store, KEY, MANY)
    assert (await store.head(KEY)).entry.size == len(MANY)


async def test_nothing_is_replaced(store: Store) -> None:
    """What has the name stays as it is, and the new content is not even begun."""
    await put(store, KEY, b"first")
    with pytest.raises(ObjectExistsError, match="20260401T040000Z_x"):
        await store.put(KEY, endless())
    assert await read(store, KEY) == b"first"
    assert await store.unfinished() == []


async def test_of_two_writers_at_once_one_gets_the_name(place: Place) -> None:
    """Both have sent all that they have before either ends; without the capability the content is still one's alone."""
    arrived = asyncio.Barrier(2)

    async def held(letter: bytes) -> AsyncIterator[bytes]:
        yield letter * 4
        await arrived.wait()
        yield letter

    async with place.open() as one, place.open() as other:
        ended = await asyncio.gather(
            one.put(KEY, held(b"a"), size=5), other.put(KEY, held(b"b"), size=5), return_exceptions=True
        )
        refused = [isinstance(each, ObjectExistsError) for each in ended]
        stored = await read(one, KEY)
        assert await one.unfinished() == []
    if Capability.ATOMIC_CREATE not in one.lacks:
        assert sorted(refused) == [False, True]
        assert stored == (b"b" if refused[0] else b"a") * 5
    assert stored in {b"aaaaa", b"bbbbb"}


@pytest.mark.parametrize("size", [5, len(MANY)], ids=["small", "of several parts"])
async def test_what_came_to_be_there_while_it_was_written_stays(place: Place, size: int) -> None:
    """The look before the first byte is not the only one."""
    begun, overtaken = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"a" * (size - 1)
        begun.set()
        await overtaken.wait()
        yield b"a"

    async with place.open() as one, place.open() as other:
        writing = asyncio.create_task(one.put(KEY, slow(), size=size))
        await begun.wait()
        await other.put(KEY, content(b"quick"))
        overtaken.set()
        with pytest.raises(ObjectExistsError):
            await writing
        assert await read(one, KEY) == b"quick"
        assert await one.unfinished() == []


async def test_what_breaks_in_the_middle_leaves_nothing(store: Store) -> None:
    """The error of the content is the one that is raised."""

    async def breaking() -> AsyncIterator[bytes]:
        yield MANY
        yield MANY
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.put(KEY, breaking())
    assert (await keys(store), await store.unfinished()) == ([], [])


async def test_what_is_cancelled_in_the_middle_leaves_nothing(store: Store) -> None:
    """Whatever it was doing."""
    under_way = asyncio.Event()

    async def told() -> AsyncIterator[bytes]:
        sent = 0
        async for piece in endless():
            yield piece
            sent += len(piece)
            if sent > len(MANY):
                under_way.set()

    writing = asyncio.create_task(store.put(KEY, told()))
    await under_way.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert (await keys(store), await store.unfinished()) == ([], [])


@pytest.mark.parametrize("told", [3, 7], ids=["more", "less"])
async def test_another_size_than_was_said_is_stored_under_no_name(store: Store, told: int) -> None:
    """What came is cut, or is something else."""
    with pytest.raises(StoreCutError, match=f"{told} were to be stored"):
        await put(store, KEY, b"12", b"345", size=told)
    assert (await keys(store), await store.unfinished()) == ([], [])


@pytest.mark.parametrize(
    ("start", "end"), [(0, 10), (3, None), (3, 3), (len(MANY) - 1, None), (2**20 - 1, 3 * 2**20 + 1), (0, len(MANY))]
)
async def test_a_range_is_read(store: Store, start: int, end: int | None) -> None:
    """From its first byte to the one before its last."""
    await put(store, KEY, MANY)
    options = {"start": start} if end is None else {"start": start, "end": end}
    assert await read(store, KEY, **options) == MANY[start:end]


async def test_a_range_beyond_the_end_is_cut(store: Store) -> None:
    """Fewer bytes than asked for are never taken for all of them."""
    await put(store, KEY, b"12345")
    with pytest.raises(StoreCutError):
        await read(store, KEY, start=3, end=6)
    with pytest.raises(StoreCutError):
        await read(store, KEY, start=6, end=7)


async def test_a_reader_may_stop_early(store: Store) -> None:
    """And the store is still good for more."""
    await put(store, KEY, MANY)
    async with aclosing(store.get(KEY)) as pieces:
        first = await anext(pieces)
    assert MANY.startswith(first)
    assert await read(store, KEY, start=5, end=9) == MANY[5:9]


async def test_what_is_not_there_is_missing(store: Store) -> None:
    """To read, to look at; to delete it is no error."""
    await put(store, "other/file", b"x")
    for key in (KEY, "other/file2", "other"):
        with pytest.raises(ObjectMissingError):
            await read(store, key)
        with pytest.raises(ObjectMissingError):
            await store.head(key)
    await store.delete(KEY)
    assert await keys(store) == ["other/file"]


async def test_what_is_deleted_is_gone_and_nothing_else(store: Store) -> None:
    """Its neighbours stay."""
    for key in ("a/b", "a/b2", "a/c"):
        await put(store, key, b"x")
    await store.delete("a/b")
    assert await keys(store) == ["a/b2", "a/c"]
    await put(store, "a/b", b"again")
    assert await read(store, "a/b") == b"again"


async def test_a_listing_is_of_one_folder_and_what_is_below_it(store: Store) -> None:
    """Not of what begins with the same letters."""
    for key in ("main/a", "main/b/c", "main-2/a", "maine"):
        await put(store, key, b"x")
    assert await keys(store, "main/") == ["main/a", "main/b/c"]
    assert await keys(store, "nowhere/") == []
    assert len(await keys(store)) == 4
    with pytest.raises(ValueError, match="does not end"):
        await keys(store, "main")


async def test_any_letters_may_be_in_a_name(store: Store) -> None:
    """Put, listed, looked at, read and deleted."""
    for key in ODD:
        await put(store, key, key.encode())
    assert await keys(store) == sorted(ODD)
    for key in ODD:
        assert await read(store, key) == key.encode()
        assert (await store.head(key)).entry.size == len(key.encode())
        await store.delete(key)
    assert await keys(store) == []


@pytest.mark.parametrize("key", ["../x", "/etc/x", "a/../../x", "", "a.part"])
async def test_a_name_that_leads_elsewhere_is_refused(store: Store, key: str) -> None:
    """By every call."""
    begun = Unfinished(key, "0123456789ab", 0, now())
    for call in (put(store, key, b"x"), read(store, key), store.head(key), store.delete(key), store.clear(begun)):
        with pytest.raises(ValueError, match=r"name|between|unfinished"):
            await call


async def test_a_lock_is_refused_where_there_is_none(place: Place, store: Store) -> None:
    """Before anything is stored."""
    until = now() + timedelta(days=1)
    if Capability.LOCK not in store.lacks:
        return  # its own tests say how it locks
    with pytest.raises(StoreUnusableError, match="locked"):
        await store.put(KEY, content(b"x"), lock_until=until)
    assert await keys(store) == []
    with pytest.raises(StoreUnusableError, match="locked"):
        await store.lock(KEY, until)


async def test_no_more_bytes_a_second_pass_than_the_rate(place: Place) -> None:
    """Up and down share it; nobody really waits here."""
    clock = SkippingClock()
    began = clock.monotonic()
    bounded = replace(place, settings=replace(place.settings, rate=2**20))
    async with bounded.open(clock) as store:
        await put(store, KEY, *[bytes(2**20)] * 3)
        assert clock.monotonic() - began >= 2  # the first passes at once
        await read(store, KEY)
        assert clock.monotonic() - began >= 5


async def settled(store: Store) -> list[Unfinished]:
    """What is unfinished, once what was on its way to the service when its writer was killed has come to be there."""
    before, found = None, await store.unfinished()
    while before != found:
        await asyncio.sleep(0.5)  # noqa: TID251 — the service does not tell when it has stored the last part
        before, found = found, await store.unfinished()
    return found


async def test_a_killed_writer_leaves_nothing_that_looks_whole(place: Place, store: Store) -> None:
    """What it left is found and cleared, and stands in nobody's way."""
    await kill_a_writer(place, store)
    assert await keys(store) == []
    if Capability.UNFINISHED in store.lacks:
        return
    (begun,) = await settled(store)
    assert (begun.key, await store.unfinished("elsewhere/")) == (KEY, [])
    assert await store.unfinished("main/") == [begun]
    assert abs(begun.changed - now()) < timedelta(minutes=1)
    await put(store, KEY, b"again")
    assert await store.unfinished() == [begun]
    assert not await store.clear(replace(begun, size=begun.size + 1))
    assert not await store.clear(replace(begun, changed=begun.changed - timedelta(seconds=9)))
    assert await store.unfinished() == [begun]
    assert await store.clear(begun)
    assert not await store.clear(begun)
    assert (await store.unfinished(), await keys(store)) == ([], [KEY])


WRITER = """
import asyncio, pickle, sys
from tests.stores.places import content, endless

async def told():
    sent = 0
    async for piece in endless():
        yield piece
        sent += len(piece)
        if sent > {enough}:
            print("under way", flush=True)
            await asyncio.Event().wait()

async def main():
    place = pickle.load(sys.stdin.buffer)
    async with place.open() as store:
        await store.put({key!r}, told())

asyncio.run(main())
"""


async def kill_a_writer(place: Place, store: Store) -> None:
    """Have another process write to KEY, and kill it (SIGKILL) when it has sent more than one part.

    S3 is given the time to take in what was sent: it would go on with that after the kill, and be looked at meanwhile.
    """
    if isinstance(place, MemoryPlace):
        await place.kill_a_writer(KEY)
        return
    code = WRITER.format(enough=4 * len(MANY), key=KEY)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        writer.stdin.write(pickle.dumps(place))
        writer.stdin.close()
        assert writer.stdout.readline() == b"under way\n"
        while place.kind == "s3" and sum(begun.size for begun in await store.unfinished()) < 4 * PART:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # noqa: TID251 — until the service says so
        writer.kill()
