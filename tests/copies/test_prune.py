"""A store's pruning, over a store that locks what it has, or answers as a test says."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest

from daemon.copies.prune import Pruner, PruneResult
from daemon.core.copy import Copy
from daemon.core.keep import Keep
from daemon.core.store_rules import StoreRules
from daemon.state.memory import MemoryLocks
from daemon.stores.base import Details, Entry
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

    async def head(self, key: str) -> Details:
        """Say until when it is locked."""
        self.looks += 1
        return Details(Entry(key, 1, self.made[key]), self.made[key] + LOCKED_FOR)

    async def delete(self, key: str) -> None:
        """Note it."""
        self.deleted.append(key)


async def pruned(clock: FakeClock, store: LockingStore, copies: list[Copy], keep: str) -> PruneResult:
    """What comes of that store, which has these copies."""

    async def look(*where: object) -> Any:
        return SimpleNamespace(copies=lambda: copies, loose={})

    pruner = Pruner(cast("Any", SimpleNamespace(look=look)), US, clock, locks=MemoryLocks(), dry_run=False)
    policy = SimpleNamespace(retention=retention("last=1"))
    server = SimpleNamespace(policy=policy, ownership=OURS, panel=SimpleNamespace(name="main"))
    config = SimpleNamespace(
        name="vault", rules=StoreRules("vault", Keep.parse(keep)), max_deletions=10, object_lock=None
    )
    return await pruner.prune(cast("Any", server), "uuid", cast("Any", config), cast("Any", store), frozenset())


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
