"""What waits for a slow store on a disk: in order, bounded, without a name, and a slow store holds up nobody."""

import asyncio
import os
import stat
from collections import deque
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.copies.branch import Target
from daemon.copies.channel import Channel
from daemon.copies.errors import CopyError
from daemon.copies.make import Made
from daemon.copies.spool import Spool
from daemon.copies.spool_room import SpoolRoom
from daemon.stores.base import Entry
from daemon.stores.directory.store import DirectoryStore
from daemon.stores.errors import StoreUnreachableError
from daemon.stores.streams import RateLimit
from tests.copies.conftest import Rig
from tests.copies.support import run

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any size is worth a file, and a store is slow as soon as it has one piece waiting."""
    monkeypatch.setattr("daemon.copies.spool.LEAST", 1)
    monkeypatch.setattr("daemon.copies.channel.MOST_WAITING", 1)
    monkeypatch.setattr("daemon.copies.channel.SPOOLED_AFTER", 0.0)


# The file -------------------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 40),
    st.lists(st.one_of(st.binary(min_size=1, max_size=20), st.integers(1, 20)), max_size=60),
)
def test_what_is_put_comes_out_in_order_and_never_more_is_held_than_was_said(
    tmp_path_factory: pytest.TempPathFactory, most: int, steps: list[bytes | int]
) -> None:
    """Bytes are put, numbers are how many are taken; it is compared with a plain list."""
    folder = tmp_path_factory.getbasetemp()
    spool, model = Spool(SpoolRoom((folder,), most)), bytearray()
    for step in steps:
        if isinstance(step, bytes):
            fits = len(model) + len(step) <= most
            assert spool.put(step) is fits
            model += step if fits else b""
        else:
            piece = spool.take(step)
            assert model.startswith(piece)
            assert piece or not model
            del model[: len(piece)]
        assert spool.waiting == len(model)
    spool.close()


def test_it_has_no_name_and_nobody_else_reads_it(tmp_path: Path) -> None:
    """So a kill leaves nothing, and no listing shows it."""
    spool = Spool(SpoolRoom((tmp_path,), 100))
    assert spool.put(b"x" * 60)
    assert list(tmp_path.iterdir()) == []
    status = os.fstat(spool._file)
    assert (status.st_nlink, stat.S_IMODE(status.st_mode), status.st_size) == (0, 0o600, 60)
    spool.close()
    assert (spool.put(b"x"), spool.take(1)) == (False, b"")


def test_the_first_folder_that_can_be_used_is_taken(tmp_path: Path) -> None:
    """One that is missing, as a mount may be, is passed over; without any there is none."""
    spool = Spool(SpoolRoom((tmp_path / "missing", tmp_path), 100))
    assert spool.put(b"x")
    spool.close()
    assert not Spool(SpoolRoom((tmp_path / "missing",), 100)).put(b"x")
    assert not Spool(SpoolRoom((tmp_path,), 0)).put(b"x")


def test_it_takes_no_more_of_a_disk_than_the_copies_on_it_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that is being made there needs its own room."""
    monkeypatch.setattr("daemon.copies.spool.spare", lambda _: 100)
    room = SpoolRoom((tmp_path,), 1000)
    spool = Spool(room.beside([tmp_path], 70))
    assert (spool.put(b"x" * 31), spool.put(b"x" * 30), spool.put(b"x")) == (False, True, False)
    spool.close()
    spool = Spool(room.beside([], 70).parted(20))
    assert (spool.put(b"x" * 51), spool.put(b"x" * 50)) == (False, True)
    spool.close()


def test_a_disk_that_fails_takes_nothing_more_and_what_is_there_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the download waits for the store, as without a spool."""
    spool = Spool(SpoolRoom((tmp_path,), 100))
    assert spool.put(b"abc")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert not spool.put(b"d")
    monkeypatch.undo()
    assert (spool.put(b"d"), spool.usable, spool.take(9)) == (False, False, b"abc")
    spool.close()


# A store's share of a stream ------------------------------------------------------------------------------------------


async def test_a_piece_that_has_room_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for the loop either, which does not run meanwhile; nor does one for a store that has ended."""
    monkeypatch.setattr("daemon.copies.channel.MOST_WAITING", 3)
    channel = Channel(stall_seconds=0.0)
    for piece in (b"a", b"b", b"c"):
        channel.send(piece)
    await channel.end()
    assert [piece async for piece in channel.pieces()] == [b"a", b"b", b"c"]
    await channel.close()
    for _ in range(5):
        channel.send(b"x")


async def test_a_spool_that_is_full_holds_up_the_stream_and_nothing_is_lost(tmp_path: Path) -> None:
    """In order, and no piece twice."""
    channel = Channel(stall_seconds=5.0, room=SpoolRoom((tmp_path,), 25))
    pieces = [bytes([number]) * 10 for number in range(30)]

    def send() -> None:
        for piece in pieces:
            channel.send(piece)

    sending = asyncio.create_task(asyncio.to_thread(send))
    while channel.waiting < 20:  # noqa: ASYNC110 — it has no other way to say so
        await asyncio.sleep(0)  # noqa: TID251 — lets the thread run, waits for nothing
    assert not sending.done()
    come: deque[bytes] = deque()
    async for piece in channel.pieces():
        come.append(piece)
        if sum(map(len, come)) == 300:
            await sending
            await channel.end()
    assert b"".join(come) == b"".join(pieces)
    await channel.close()


async def test_what_was_spooled_and_cannot_be_read_ends_that_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says so."""
    channel = Channel(stall_seconds=5.0, room=SpoolRoom((tmp_path,), 100))
    for _ in range(3):
        await asyncio.to_thread(channel.send, b"x")
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    pieces = channel.pieces()
    assert await anext(pieces) == b"x"
    with pytest.raises(CopyError, match="what was spooled cannot be read"):
        await anext(pieces)
    await channel.close()


# One pass -------------------------------------------------------------------------------------------------------------


class Slow(DirectoryStore):
    """A folder that takes one piece of each backup, and the rest only once it may."""

    def __init__(self, rig: Rig) -> None:
        (rig.folder / "slow").mkdir()
        super().__init__("slow", rig.folder / "slow", RateLimit(None, rig.clock))
        self.may = asyncio.Event()

    async def put(self, key: str, content: AsyncIterable[bytes], **options: Any) -> Entry:
        async def held() -> AsyncIterable[bytes]:
            async for piece in content:
                yield piece
                await self.may.wait()

        return await super().put(key, held(), **options)


class Fast(DirectoryStore):
    """A folder that tells when it has a copy's manifest."""

    def __init__(self, rig: Rig) -> None:
        (rig.folder / "nas").mkdir()
        super().__init__("nas", rig.folder / "nas", RateLimit(None, rig.clock))
        self.done = asyncio.Event()

    async def put(self, key: str, content: AsyncIterable[bytes], **options: Any) -> Entry:
        entry = await super().put(key, content, **options)
        if key.endswith(".json"):
            self.done.set()
        return entry


async def begun(rig: Rig, slow: Slow, *recipients: str) -> asyncio.Task[Made]:
    """A copy to that store and to a fast one, which has it already."""
    rig.room = SpoolRoom((rig.folder,), 64 * 2**20)
    fast = Fast(rig)
    copying = asyncio.create_task(rig.copy(Target("slow", slow, recipients), Target("nas", fast)))
    await fast.done.wait()
    assert not copying.done()
    return copying


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_a_slow_store_holds_up_neither_the_node_nor_a_fast_one(
    rig: Rig, tmp_path: Path, *, encrypted: bool
) -> None:
    """The fast one's copy is whole before the slow one has more than a piece; then that gets its own."""
    recipients = []
    if encrypted:
        run("age-keygen", "-o", tmp_path / "key.txt")
        recipients = [run("age-keygen", "-y", tmp_path / "key.txt").decode().strip()]
    slow = Slow(rig)
    copying = await begun(rig, slow, *recipients)
    slow.may.set()
    made = await copying
    assert made.errors == {}
    assert set(made.manifests) == {"nas", "slow"}
    stored = made.manifests["slow"].stored
    content = (rig.folder / "slow" / stored.key).read_bytes()
    assert (len(content), rig.sandbox.app.requests("download")) == (stored.bytes, 1)
    opened = run("age", "-d", "-i", tmp_path / "key.txt", rig.folder / "slow" / stored.key) if encrypted else content
    assert opened == rig.data
    assert encrypted or "yet to take" in rig.listener.text


async def test_what_is_broken_off_while_a_slow_store_takes_the_rest_leaves_the_fast_one_s_copy(rig: Rig) -> None:
    """It is whole; of the other nothing is left."""
    slow = Slow(rig)
    copying = await begun(rig, slow)
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert (len(rig.files("nas")), rig.files("slow")) == (2, [])


async def test_a_store_that_takes_nothing_of_what_waits_drops_out(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the same time as one that holds up a download."""
    monkeypatch.setattr("daemon.copies.branch.STALL_SECONDS", 1.0)
    monkeypatch.setattr("daemon.copies.branch.FORWARD_SECONDS", 0.1)
    made = await (await begun(rig, Slow(rig)))
    assert set(made.manifests) == {"nas"}
    assert isinstance(made.errors["slow"], StoreUnreachableError)
    assert rig.files("slow") == []
