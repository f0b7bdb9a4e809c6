"""A store's pruning, over a store that locks what it has, or answers as a test says."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest

from daemon.copies.jobs import PruneInputs
from daemon.copies.prune import Pruner, PruneResult
from daemon.copies.workers import AskLeave, always, unheard
from daemon.core.copy import Copy
from daemon.core.keep import Keep
from daemon.core.store_rules import StoreRules
from daemon.state.memory import MemoryLocks
from daemon.stores.base import Details, Entry
from daemon.stores.errors import (
    ObjectLockedError,
    StoreError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
)
from tests.core.build import OURS, good, retention
from tests.core.test_copies_prune import US, copy
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio

LOCKED_FOR = timedelta(days=29)


class LockingStore:
    """A store that locks each object for 29 days from its making."""

    lacks: Mapping[str, str] = MappingProxyType({})

    def __init__(self, copies: list[Copy]) -> None:
        self.made = {key: one.name.created_at for one in copies for key in (one.name.data, one.name.manifest)}
        self.looks = 0
        self.deleted: list[str] = []
        self.refuses: dict[str, StoreError] = {}

    async def head(self, key: str) -> Details:
        """Say until when it is locked."""
        self.looks += 1
        return Details(Entry(key, 1, self.made[key]), self.made[key] + LOCKED_FOR)

    async def delete(self, key: str) -> None:
        """Note it, unless it is refused."""
        if key in self.refuses:
            raise self.refuses[key]
        self.deleted.append(key)


async def pruned(  # noqa: PLR0917 — the first five are what each test is about
    clock: FakeClock,
    store: LockingStore,
    copies: list[Copy],
    keep: str,
    inputs: PruneInputs | None = None,
    leave: AskLeave = always,
) -> PruneResult:
    """What comes of that store, which has these copies."""

    async def look(*where: object) -> Any:
        return SimpleNamespace(copies=lambda: copies, loose={}, begun={})

    pruner = Pruner(
        cast("Any", SimpleNamespace(look=look, mark_going=unheard)), US, clock, locks=MemoryLocks(), leave=leave
    )
    policy = SimpleNamespace(retention=retention("last=1"))
    server = SimpleNamespace(policy=policy, ownership=OURS, panel=SimpleNamespace(name="main"))
    config = SimpleNamespace(
        name="vault", rules=StoreRules("vault", Keep.parse(keep)), max_deletions=10, object_lock=None
    )
    return await pruner.prune(
        cast("Any", server), "uuid", cast("Any", config), cast("Any", store), inputs or PruneInputs()
    )


async def test_what_is_locked_does_not_count_for_the_brake(clock: FakeClock) -> None:
    """Of 31 copies, 17 are beyond the rule, and 15 of these are locked: the other two go."""
    copies = [copy(good(clock.now() - timedelta(days=days))) for days in range(31)]
    store = LockingStore(copies)
    result = await pruned(clock, store, copies, "last=14")
    assert result.error is None
    assert result.decided is not None
    assert result.decided.refused is None
    assert [one.name for one in result.deleted] == [copies[30].name, copies[29].name]
    assert store.looks == 2 * 17


async def test_what_went_beyond_the_rules_while_it_was_locked_is_not_counted_again(clock: FakeClock) -> None:
    """All were copied on one day, so their locks end on one day: it would be the brake's last otherwise."""
    copies = [copy(good(clock.now() - timedelta(days=days))) for days in range(31)]
    store = LockingStore(copies)
    store.made = dict.fromkeys(store.made, clock.now())
    locked = await pruned(clock, store, copies, "last=14")
    assert locked.decided is not None
    assert (locked.decided.refused, locked.deleted) == (None, [])
    assert locked.applied is not None
    clock.elapsed += LOCKED_FOR.total_seconds()
    ended = await pruned(clock, store, copies, "last=14", PruneInputs(applied=locked.applied))
    assert len(ended.deleted) == 17
    narrowed = await pruned(clock, store, copies, "last=1", PruneInputs(applied=locked.applied))
    assert narrowed.decided is not None
    assert "would delete 30 good backups" in (narrowed.decided.refused or "")


async def test_what_changed_rules_let_go_goes_a_day_after_it_was_told(clock: FakeClock) -> None:
    """The day begins once; the brake that holds all the same begins it too."""
    copies = [copy(good(clock.now() - timedelta(days=40 + days))) for days in range(6)]
    applied = (await pruned(clock, LockingStore(copies), copies, "last=6")).applied
    assert applied is not None
    told = await pruned(clock, LockingStore(copies), copies, "last=5", PruneInputs(applied=applied))
    assert told.applied is not None
    assert (told.deleted, told.applied.retention, told.applied.told_at) == ([], applied.retention, clock.now())
    assert told.decided is not None
    assert "a backup that the retention last applied keeps is held" in (told.decided.waits or "")
    refused = await pruned(clock, LockingStore(copies), copies, "last=1", PruneInputs(applied=applied))
    assert (refused.applied and refused.applied.told_at) == clock.now()
    clock.elapsed += timedelta(hours=23).total_seconds()
    assert told.applied is not None
    assert (
        await pruned(clock, LockingStore(copies), copies, "last=5", PruneInputs(applied=told.applied))
    ).deleted == []
    clock.elapsed += timedelta(hours=1).total_seconds()
    gone = await pruned(clock, LockingStore(copies), copies, "last=5", PruneInputs(applied=told.applied))
    assert [one.name for one in gone.deleted] == [copies[5].name]
    assert gone.applied is not None
    assert (gone.applied.coming, gone.applied.told_at) == (None, None)


async def test_a_clock_in_doubt_deletes_nothing_and_changes_no_record(clock: FakeClock) -> None:
    """A clock that is years ahead sees every lock ended."""
    copies = [copy(good(clock.now() - timedelta(days=40 + days))) for days in range(3)]
    store = LockingStore(copies)
    said = await pruned(clock, store, copies, "last=2", PruneInputs(doubt="the panel's clock is 2 h behind ours"))
    assert said.decided is not None
    assert said.decided.refused == "the panel's clock is 2 h behind ours, so nothing is deleted"
    assert (said.deleted, said.applied, store.deleted) == ([], None, [])
    clock.start += timedelta(hours=2)
    jumped = await pruned(clock, store, copies, "last=2")
    assert jumped.decided is not None
    assert jumped.decided.code == "clock"
    assert store.deleted == []


class SetMeanwhile(LockingStore):
    """A store that is asked for a lock while this machine's clock is set to months ahead."""

    clock: FakeClock

    async def head(self, key: str) -> Details:
        """The first look takes so long."""
        if not self.looks:
            self.clock.start += timedelta(days=90)
        return await super().head(key)


async def test_a_clock_that_is_set_while_locks_are_looked_at_deletes_nothing(clock: FakeClock) -> None:
    """It would see all of them ended."""
    copies = [copy(good(clock.now() - timedelta(days=days))) for days in range(6)]
    store = SetMeanwhile(copies)
    store.clock = clock
    result = await pruned(clock, store, copies, "last=3")
    assert (result.deleted, store.deleted) == ([], [])
    assert result.decided is not None
    assert result.decided.code == "clock"


class LooksTakeTime(LockingStore):
    """Each look at a lock takes a second."""

    clock: FakeClock

    async def head(self, key: str) -> Details:
        """Let it pass."""
        self.clock.elapsed += 1.0
        return await super().head(key)


async def test_a_copy_that_goes_only_once_locks_were_looked_at_is_looked_at_too(clock: FakeClock) -> None:
    """Seed 812286: the newest came to count meanwhile, and so another one was to go, whose lock nobody had read."""
    ahead = timedelta(minutes=5, seconds=1)
    copies = [copy(good(clock.now() + ahead)), *(copy(good(clock.now() - timedelta(days=days))) for days in (1, 2))]
    store = LooksTakeTime(copies)
    store.clock = clock
    result = await pruned(clock, store, copies, "last=1")
    assert result.decided is not None
    assert [one.reasons[-1].rule for one in result.decided.verdicts] == ["last", "locked", "locked"]
    assert store.deleted == []


async def test_a_member_that_has_lost_its_lease_prunes_nothing_more(clock: FakeClock) -> None:
    """It may lose it between one deletion and the next; the copy that it was at goes whole."""
    copies = [copy(good(clock.now() - timedelta(days=60 + days))) for days in range(6)]
    store, answers = LockingStore(copies), ["", "", "another member has taken over"]

    async def leave() -> str:
        return answers.pop(0)

    result = await pruned(clock, store, copies, "last=3", leave=leave)
    assert [one.name for one in result.deleted] == [copies[5].name, copies[4].name]
    assert result.error is not None
    assert "another member has taken over; nothing more is deleted" in result.error.text
    assert len(store.deleted) == 4


@pytest.mark.parametrize("kind", [ObjectLockedError, StorePermissionError, StoreRefusedError, StoreTroubleError])
async def test_a_copy_that_the_store_does_not_delete_hinders_no_other(clock: FakeClock, kind: type[StoreError]) -> None:
    """A legal hold that the key may not see, a folder that is write-protected: for ever, and the store would fill."""
    copies = [copy(good(clock.now() - timedelta(days=60 + days))) for days in range(6)]
    store = LockingStore(copies)
    store.refuses[copies[5].name.manifest] = kind("it stays")
    result = await pruned(clock, store, copies, "last=3")
    assert [one.name for one in result.deleted] == [copies[4].name, copies[3].name]
    assert result.error is None  # it is of this copy, and not the store's trouble
    assert [one.text for one in result.problems] == ["a copy could not be deleted: it stays"]


@pytest.mark.parametrize("kind", [StoreTroubleError, StoreUnreachableError])
async def test_a_store_in_trouble_is_not_asked_for_each_copy(clock: FakeClock, kind: type[StoreError]) -> None:
    """It is tried again as other trouble is."""
    copies = [copy(good(clock.now() - timedelta(days=60 + days))) for days in range(6)]
    store = LockingStore(copies)
    store.refuses.update((one.name.manifest, kind("503")) for one in copies)
    result = await pruned(clock, store, copies, "last=3")
    assert (result.deleted, type(result.error)) == ([], kind)
