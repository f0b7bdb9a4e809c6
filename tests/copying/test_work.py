"""The jobs of the daemon's copying, done in this very process: by which clock, and what a doubted one may do."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from daemon.copies.clear import LEFTOVER
from daemon.copies.jobs import Job, PruneInputs
from daemon.copies.results import Cleared
from daemon.copies.spool_room import SpoolRoom
from daemon.copies.work import OwnProcess
from daemon.core.copies_layout import MANIFEST, CopyName
from daemon.core.keep import Keep
from daemon.core.store_rules import StoreRules
from daemon.core.units import rfc3339
from daemon.errors import ProblemCode
from daemon.state import ShelfRecord
from daemon.stores.base import Entry, Store
from daemon.stores.directory.store import DirectoryStore
from daemon.stores.errors import PartRoomError, StorePermissionError
from daemon.stores.open import open_store
from daemon.stores.streams import RateLimit
from daemon.stores.values import StoreSettings
from tests.copying.conftest import Listener, Rig
from tests.copying.test_process import link

pytestmark = pytest.mark.anyio

PATIENCE = 15.0  # seconds
DOUBT = "the panel's clock is 2 h behind ours"


LEFT = b"half of a backup"


def left_in(rig: Rig, key: str = "") -> str:
    """Leave data without a manifest in a store, as a crash does; return its key."""
    key = key or f"main/{rig.server.uuid}/20260101T000000Z_{UUID(int=1)}.tar.gz"
    file = rig.place("nas") / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(LEFT)
    return key


async def filled(rig: Rig, worker: OwnProcess, job: Job) -> Job:
    """Copy what is wanted; return the job with what is remembered then."""
    for one in (await worker.look(job)).wanted:
        done = await worker.copy(job, one.backup, partial(link, rig, one.backup), Listener())
        assert [copy.failure for copy in done.copies] == [None] * len(one.stores)
    return replace(job, remembered=(await worker.look(job)).remembered)


async def test_what_is_wanted_goes_by_the_later_of_two_clocks(rig: Rig) -> None:
    """Pruning goes by ours. If the panel's was set back, the copies that it has not come to yet would count for
    nothing: an older backup would be copied, pruned, and copied again.
    """
    worker = OwnProcess(rig.clock)
    job = await filled(rig, worker, await rig.job(rig.config({"nas": "keep = { last = 2 }"})))
    newest = max(one.created_at for one in job.listing.backups if one.created_at)
    behind = replace(job, listing=replace(job.listing, taken_at=newest - timedelta(hours=1)))
    assert (await worker.look(behind)).wanted == ()
    assert (await worker.prune(behind, "nas", PruneInputs())).deleted == ()


async def test_by_a_doubted_clock_a_copy_is_made_without_its_lock_and_that_is_told(rig: Rig) -> None:
    """A clock that is years ahead would set a lock that nobody can end. This store cannot lock: it tells who tried."""
    worker, job = OwnProcess(rig.clock), await rig.job(rig.config({"nas": ""}))
    locking = replace(job, stores={"nas": replace(job.stores["nas"], object_lock=timedelta(days=30))})
    doubted = replace(locking, listing=replace(job.listing, doubt=DOUBT))
    assert (await worker.look(locking)).problems == ()
    newest = (await worker.look(locking)).wanted[0].backup
    refused = await worker.copy(locking, newest, partial(link, rig, newest), Listener())
    assert [one.bytes for one in refused.copies] == [None]
    assert rig.files("nas") == []
    ((store, problem),) = (await worker.look(doubted)).problems
    assert (store, problem.text) == ("nas", f"copied without a lock: {DOUBT}")
    assert (await filled(rig, worker, doubted)).remembered
    assert len(rig.files("nas")) == 6


async def test_by_a_doubted_clock_nothing_is_cleared_away(rig: Rig) -> None:
    """A clock that jumps ahead takes what another writes at this moment for two days old."""
    worker = OwnProcess(rig.clock)
    job = await filled(rig, worker, await rig.job(rig.config({"nas": ""})))
    key = left_in(rig)
    job = replace(job, remembered=(await worker.look(job)).remembered)
    rig.clock.elapsed += timedelta(hours=49).total_seconds()
    doubted = replace(job, listing=replace(job.listing, doubt=DOUBT))
    await worker.look(doubted)
    said = await worker.prune(doubted, "nas", PruneInputs(doubt=DOUBT))
    assert (said.cleared, said.refused) == ((), f"{DOUBT}, so nothing is deleted")
    assert len(rig.files("nas")) == 7
    assert [one.key for one in (await worker.prune(job, "nas", PruneInputs())).cleared] == [key]


async def test_a_look_clears_away_only_what_it_has_leave_for(rig: Rig) -> None:
    """The daemon's leave, and that of the process which looks; what went is told with why and since when."""
    refused, reasons = [""], ["a proof has failed", "", ""]

    async def mine() -> str:
        return refused[0]

    async def leave() -> str:
        return reasons.pop(0)

    worker = OwnProcess(rig.clock, leave=mine)
    job = await filled(rig, worker, await rig.job(rig.config({"nas": ""})))
    key, since = left_in(rig), rig.clock.now()
    job = replace(job, remembered=(await worker.look(job)).remembered)
    rig.clock.elapsed += timedelta(hours=49).total_seconds()
    assert (await worker.look(job, leave)).cleared == ()
    refused[0] = "the lease is lost"
    assert (await worker.look(job, leave)).cleared == ()
    assert len(rig.files("nas")) == 7
    refused[0] = ""
    looked = await worker.look(job, leave)
    assert looked.cleared == (("nas", Cleared(key, len(LEFT), "data without a manifest", since)),)
    assert (looked.problems, len(rig.files("nas"))) == ((), 6)


async def test_a_worker_asks_for_its_own_leave_last(rig: Rig) -> None:
    """A member's lease may end while the other answer is waited for."""
    refused = [""]

    async def mine() -> str:
        return refused[0]

    async def leave() -> str:
        refused[0] = "the lease is lost"
        return ""

    worker = OwnProcess(rig.clock, leave=mine)
    job = await filled(rig, worker, await rig.job(rig.config({"nas": ""})))
    left_in(rig)
    job = replace(job, remembered=(await worker.look(job)).remembered)
    rig.clock.elapsed += timedelta(hours=49).total_seconds()
    assert ((await worker.look(job, leave)).cleared, len(rig.files("nas"))) == ((), 7)


async def test_what_is_in_the_way_of_a_copy_is_told_with_since_when(rig: Rig) -> None:
    """Nobody else knows that it goes by itself."""
    worker, job = OwnProcess(rig.clock), await rig.job(rig.config({"nas": ""}))
    newest = (await worker.look(job)).wanted[0].backup
    name = CopyName.of("main", job.server.uuid, next(one for one in job.listing.backups if one.uuid == newest))
    left_in(rig, name.data)
    job = replace(job, remembered=(await worker.look(job)).remembered)
    (done,) = (await worker.copy(job, newest, partial(link, rig, newest), Listener())).copies
    assert done.failure is not None
    assert done.failure.code is ProblemCode.OBJECT_EXISTS
    assert done.failure.hint == (
        "data without a manifest, as a crash leaves it, is cleared away once it was seen unchanged for 48 hours; "
        f"it was first seen at {rfc3339(rig.clock.now())}"
    )
    unseen = replace(job, remembered=())
    (done,) = (await worker.copy(unseen, newest, partial(link, rig, newest), Listener())).copies
    assert done.failure is not None
    assert done.failure.hint.endswith("for 48 hours")


class Locks(DirectoryStore):
    """A folder that notes until when each object was to be locked."""

    locked: dict[str, datetime | None]

    async def put(self, key: str, content: AsyncIterable[bytes], **options: Any) -> Entry:
        self.locked[key] = options.pop("lock_until", None)
        return await super().put(key, content, **options)


@pytest.mark.parametrize("doubt", ["", DOUBT])
async def test_a_manifest_is_written_back_with_a_new_lock_unless_the_clock_is_in_doubt(rig: Rig, doubt: str) -> None:
    """As that of a new copy is; the next prune by a clock that can be trusted locks it."""
    job = await filled(rig, OwnProcess(rig.clock), await rig.job(rig.config({"nas": ""})))
    manifest = next(rig.place("nas").rglob("*.json"))
    manifest.unlink()
    store = Locks("nas", rig.place("nas"), RateLimit(None, rig.clock))
    store.locked = {}

    @asynccontextmanager
    async def opens(_settings: StoreSettings, **_more: Any) -> AsyncIterator[Store]:
        yield store

    span = timedelta(days=30)
    locking = {"nas": replace(job.stores["nas"], object_lock=span)}
    job = replace(job, listing=replace(job.listing, doubt=doubt), stores=locking)
    looked = await OwnProcess(rig.clock, opens).look(job)
    assert [(one, mended.key + MANIFEST) for one, mended in looked.mended] == [("nas", *store.locked)]
    assert (looked.problems, looked.wanted, manifest.exists()) == ((), (), True)
    assert list(store.locked.values()) == [None if doubt else rig.clock.now() + span]


class Dies(DirectoryStore):
    """A folder whose process is killed once it has deleted one object."""

    async def delete(self, key: str) -> None:
        await super().delete(key)
        raise asyncio.CancelledError


async def test_what_a_killed_prune_left_is_no_copy_that_somebody_damaged(rig: Rig) -> None:
    """The daemon has heard what was going before the first manifest went; the data is cleared away like a crash's."""
    worker = OwnProcess(rig.clock)
    job = await filled(rig, worker, await rig.job(rig.config({"nas": ""})))
    rules = StoreRules("nas", Keep.parse("last=2"))
    narrowed = replace(job, stores={"nas": replace(job.stores["nas"], rules=rules, max_deletions=-1)})
    heard: list[ShelfRecord] = []

    async def hear(seen: ShelfRecord) -> None:
        assert len(rig.files("nas")) == 6, "nothing has gone yet"
        heard.append(seen)

    @asynccontextmanager
    async def opens(_settings: StoreSettings, **_more: Any) -> AsyncIterator[Store]:
        yield Dies("nas", rig.place("nas"), RateLimit(None, rig.clock))

    with pytest.raises(asyncio.CancelledError):
        await OwnProcess(rig.clock, opens).prune(narrowed, "nas", PruneInputs(), going=hear)
    assert len(rig.files("nas")) == 5
    job = replace(narrowed, remembered=tuple(heard[-1:]) or job.remembered)
    looked = await worker.look(job)
    assert (looked.mended, looked.problems, len(rig.files("nas"))) == ((), (), 5)
    rig.clock.elapsed += timedelta(hours=49).total_seconds()
    assert len((await worker.look(replace(job, remembered=looked.remembered))).cleared) == 1
    assert len(rig.files("nas")) == 4


class KeepsAll(DirectoryStore):
    """A folder from which nothing may be deleted."""

    async def delete(self, key: str) -> None:
        raise StorePermissionError(f"{key} may not be deleted")


async def test_what_cannot_be_cleared_away_is_told_beside_what_the_brake_holds(rig: Rig) -> None:
    """It would hide it otherwise, for as long as it lies there."""
    job = await filled(rig, OwnProcess(rig.clock), await rig.job(rig.config({"nas": ""})))
    left_in(rig)

    @asynccontextmanager
    async def opens(_settings: StoreSettings, **_more: Any) -> AsyncIterator[Store]:
        yield KeepsAll("nas", rig.place("nas"), RateLimit(None, rig.clock))

    worker = OwnProcess(rig.clock, opens)
    rules = StoreRules("nas", Keep.parse("last=1"))
    narrowed = replace(job, stores={"nas": replace(job.stores["nas"], rules=rules, max_deletions=0)})
    narrowed = replace(narrowed, remembered=(await worker.look(narrowed)).remembered)
    rig.clock.elapsed += timedelta(hours=49).total_seconds()
    said = await worker.prune(narrowed, "nas", PruneInputs())
    assert (said.failure, said.deleted, said.cleared) == (None, (), ())
    assert "would delete" in said.refused
    (problem,) = said.problems
    assert problem.text.startswith(f"{LEFTOVER} could not be deleted: ")


class Waits(DirectoryStore):
    """Takes all of a backup, and gives it its name once it `may`."""

    def __init__(self, rig: Rig, may: asyncio.Event) -> None:
        super().__init__("usb", rig.place("usb"), RateLimit(None, rig.clock))
        self._may = may

    async def put(self, key: str, content: AsyncIterable[bytes], **options: Any) -> Entry:
        async def held() -> AsyncIterable[bytes]:
            async for piece in content:
                yield piece
            with suppress(TimeoutError):  # nobody hears of the other copy: the test says so
                async with asyncio.timeout(PATIENCE):
                    await self._may.wait()

        return await super().put(key, held(), **options)


async def test_a_copy_that_stands_is_told_before_a_slow_store_has_its_own(rig: Rig) -> None:
    """The slow one waits until that has been heard, and nobody would hear of it otherwise."""
    may = asyncio.Event()

    @asynccontextmanager
    async def opens(settings: StoreSettings, **more: Any) -> AsyncIterator[Store]:
        if settings.name == "usb":
            yield Waits(rig, may)
            return
        async with open_store(settings, **more) as opened:
            yield opened

    worker, job = OwnProcess(rig.clock, opens), await rig.job()
    newest = (await worker.look(job)).wanted[0].backup
    listener = Listener(at_copy=lambda _: may.set())
    copied = await worker.copy(job, newest, partial(link, rig, newest), listener)
    assert [one.store for one in listener.done] == ["nas", "usb"]
    assert {one.failure for one in copied.copies} == {None}
    assert [(one.holding.store, one.holding.copies) for one in listener.seen] == [("nas", 1), ("usb", 1)]


async def test_a_store_keeps_what_has_left_the_panel(rig: Rig) -> None:
    """Its own rules alone say what goes: the panel may be lost, which is what copies are for."""
    worker = OwnProcess(rig.clock)
    job = await filled(rig, worker, await rig.job())
    stored = rig.files("nas")
    rig.server.backups.clear()
    emptied = replace(await rig.job(), remembered=job.remembered)
    pruned = await worker.prune(emptied, "nas", PruneInputs())
    assert (pruned.deleted, pruned.failure, rig.files("nas")) == ((), None, stored)


class HoldsNoPart(DirectoryStore):
    """Cannot hold the parts of a backup, since the disk of the state folder is full."""

    async def put(self, key: str, content: AsyncIterable[bytes], **options: Any) -> Entry:
        if not key.endswith(MANIFEST):
            raise PartRoomError("this machine cannot hold a part of the copy in /state: No space left on device")
        return await super().put(key, content, **options)


async def test_a_disk_of_this_machine_that_is_full_is_no_trouble_of_the_store(rig: Rig) -> None:
    """The copy fails and is tried again; the store is not put off for all other servers."""

    @asynccontextmanager
    async def opens(settings: StoreSettings, **more: Any) -> AsyncIterator[Store]:
        if settings.name == "usb":
            yield HoldsNoPart("usb", rig.place("usb"), RateLimit(None, rig.clock))
            return
        async with open_store(settings, **more) as opened:
            yield opened

    worker, job = OwnProcess(rig.clock, opens), await rig.job()
    newest = (await worker.look(job)).wanted[0].backup
    copied = await worker.copy(job, newest, partial(link, rig, newest), Listener())
    assert copied.troubles == {}
    told = {one.store: one.failure for one in copied.copies}
    assert told["nas"] is None
    assert told["usb"] is not None
    assert told["usb"].code is ProblemCode.DISK_FULL
    assert "/state" in told["usb"].text
    assert "state_dir" in told["usb"].hint


@pytest.mark.parametrize("spool", ["off", "1GiB"])
async def test_a_store_may_hold_large_parts_in_the_state_folder(rig: Rig, spool: str) -> None:
    """Where the operator lets copies use this machine's disk, and nowhere else."""
    opened: list[Path | None] = []

    @asynccontextmanager
    async def opens(settings: StoreSettings, **more: Any) -> AsyncIterator[Store]:
        opened.append(settings.parts_in)
        async with open_store(settings, **more) as store:
            yield store

    room = SpoolRoom((rig.folder / "state",), 2**30 if spool == "1GiB" else 0)
    worker, job = OwnProcess(rig.clock, opens), replace(await rig.job(), room=room)
    newest = (await worker.look(job)).wanted[0].backup
    await worker.copy(job, newest, partial(link, rig, newest), Listener())
    assert set(opened) == {rig.folder / "state" if spool == "1GiB" else None}
