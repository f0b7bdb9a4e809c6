"""Copies that nobody can delete: over SeaweedFS with a bucket that locks."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from daemon.config.values import StoreConfig
from daemon.copies.branch import Target
from daemon.copies.feed import node_feed
from daemon.copies.jobs import PruneInputs
from daemon.copies.make import Made, Targets, copy_backup
from daemon.copies.manifest import Manifest
from daemon.copies.probe import probe
from daemon.copies.prune import Pruner, PruneResult
from daemon.copies.shelves import Shelves
from daemon.core.copies_layout import MANIFEST
from daemon.core.keep import Keep
from daemon.core.store_rules import StoreRules
from daemon.state import MemoryEngine
from daemon.state.memory import MemoryLocks
from daemon.stores.base import Store
from daemon.stores.errors import ObjectLockedError, StoreError, StoreTroubleError
from daemon.stores.open import open_store
from daemon.stores.values import StoreSettings
from tests.copies.conftest import Rig
from tests.core.build import OURS, retention
from tests.fakes import FakeClock
from tests.stores.places import keys, now
from tests.stores.services import S3Service, make_bucket

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
MONTH = 30 * DAY
INSTALLATION = "installation-1"
SERVER = SimpleNamespace(
    policy=SimpleNamespace(retention=retention("last=1")), ownership=OURS, panel=SimpleNamespace(name="main")
)
"""As much of a server's configuration as is looked at."""


@pytest.fixture
def vault(s3_service: S3Service) -> StoreConfig:
    """A store in a bucket that locks: each copy for 30 days."""
    return config(s3_service.settings("lockable", f"copies/{uuid4().hex}"))


@pytest.fixture
async def store(vault: StoreConfig) -> AsyncIterator[Store]:
    """The same, open."""
    async with open_store(vault.settings) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    """The service's own time: it refuses a lock that ends in its past."""
    return FakeClock(now())


def config(settings: StoreSettings, keep: str = "all") -> StoreConfig:
    """A store that keeps so."""
    return StoreConfig(settings, StoreRules("vault", Keep.parse(keep)), object_lock=MONTH)


async def copied(rig: Rig, store: Store) -> Made:
    """The copy of the backup."""
    return await rig.copy(Target("vault", store, object_lock=MONTH))


async def made(rig: Rig, store: Store) -> Manifest:
    """The same, as it must be."""
    done = await copied(rig, store)
    assert done.errors == {}
    return done.manifests["vault"]


async def pruned(rig: Rig, vault: StoreConfig, store: Store, shelves: Shelves, **inputs: Any) -> PruneResult:
    """What comes of the store."""
    pruner = Pruner(shelves, INSTALLATION, rig.clock, locks=MemoryLocks(), dry_run=False)
    return await pruner.prune(cast("Any", SERVER), rig.server.uuid, vault, store, PruneInputs(**inputs))


async def locks(store: Store, key: str) -> list[timedelta]:
    """For how long the data and the manifest of that key are locked from now on, to the day."""
    found = [(await store.head(one)).locked_until for one in (key, key + MANIFEST)]
    return [timedelta(days=round((until - now()) / DAY)) if until else timedelta() for until in found]


async def test_data_and_manifest_of_a_copy_are_locked(rig: Rig, store: Store) -> None:
    """In compliance mode, which the bucket itself enforces: a version of either is not deleted."""
    key = (await made(rig, store)).stored.key
    assert await locks(store, key) == [MONTH, MONTH]
    for one in (key, key + MANIFEST):
        with pytest.raises(ObjectLockedError):
            await store.delete(one)
        mode = (await cast("Any", store)._client.call("", "HEAD", cast("Any", store)._prefix + one)).headers
        assert mode["x-amz-object-lock-mode"] == "COMPLIANCE"


async def test_a_lock_that_is_refused_makes_no_copy_and_leaves_nothing(
    rig: Rig, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data is not locked before the manifest is about to come."""

    async def refused(*_: object) -> None:
        raise StoreTroubleError("no")

    monkeypatch.setattr(store, "lock", refused)
    assert (await copied(rig, store)).errors.keys() == {"vault"}
    assert await keys(store) == []


async def test_what_the_rules_keep_is_locked_for_longer_when_half_is_over(
    rig: Rig, vault: StoreConfig, store: Store
) -> None:
    """And asked for no more until then."""
    key, shelves = (await made(rig, store)).stored.key, Shelves(MemoryEngine().catalogue, rig.clock)
    first = await pruned(rig, vault, store, shelves)
    assert [one.name.data for one in first.renewed] == [key]  # nothing was remembered of its lock
    rig.clock.elapsed += (14 * DAY).total_seconds()
    assert (await pruned(rig, vault, store, shelves)).renewed == []
    rig.clock.elapsed += (2 * DAY).total_seconds()
    assert [one.name.data for one in (await pruned(rig, vault, store, shelves)).renewed] == [key]
    assert await locks(store, key) == [46 * DAY, 46 * DAY]


async def test_locks_are_renewed_while_a_bad_proof_freezes_all_deletion(
    rig: Rig, vault: StoreConfig, store: Store
) -> None:
    """These copies may be the last good ones; one that the rules let go is neither deleted nor locked anew."""
    key, shelves = (await made(rig, store)).stored.key, Shelves(MemoryEngine().catalogue, rig.clock)
    older = await another(rig, store)
    rules = replace(vault, rules=StoreRules("vault", Keep.parse("last=1")))
    rig.clock.elapsed += (16 * DAY).total_seconds()
    result = await pruned(rig, rules, store, shelves, frozen=True)
    assert (result.error, result.decided, result.applied, result.deleted) == (None, None, None, [])
    assert [one.name.data for one in result.renewed] == [key]
    assert await locks(store, key) == [46 * DAY, 46 * DAY]
    assert await locks(store, older.stored.key) == [MONTH, MONTH]


async def test_a_clock_that_was_set_locks_nothing_until_it_is_trusted_again(
    rig: Rig, vault: StoreConfig, store: Store
) -> None:
    """The copy is made all the same, since it is off the node then; the first prune after that locks it."""
    start = rig.clock.start
    rig.clock.start += 400 * DAY
    key, shelves = (await made(rig, store)).stored.key, Shelves(MemoryEngine().catalogue, rig.clock)
    assert (await pruned(rig, vault, store, shelves)).renewed == []
    rig.clock.start = start
    assert (await pruned(rig, vault, store, shelves, doubt="the panel's clock is 2 h behind ours")).renewed == []
    assert await locks(store, key) == [timedelta(), timedelta()]
    assert [one.name.data for one in (await pruned(rig, vault, store, shelves)).renewed] == [key]
    assert await locks(store, key) == [MONTH, MONTH]


async def test_a_copy_beyond_the_rules_stays_until_its_lock_ends_and_is_told_so(
    rig: Rig, vault: StoreConfig, store: Store
) -> None:
    """Neither data nor manifest goes, and neither is locked anew."""
    await made(rig, store)
    shelves = Shelves(MemoryEngine().catalogue, rig.clock)
    older = await another(rig, store)
    rules = replace(vault, rules=StoreRules("vault", Keep.parse("last=1")))
    result = await pruned(rig, rules, store, shelves)
    assert result.error is None
    assert (result.deleted, len(result.renewed), len(await keys(store))) == ([], 1, 4)
    assert result.decided is not None
    kept = next(one for one in result.decided.verdicts if one.copy.name.data == older.stored.key)
    assert "locked in the store until " in kept.reasons[-1].text
    assert await locks(store, older.stored.key) == [MONTH, MONTH]


async def another(rig: Rig, store: Store) -> Manifest:
    """The copy of an older backup of the same bytes."""
    backup = await rig.backup()
    assert backup.created_at is not None
    older = replace(backup, uuid=str(uuid4()), created_at=backup.created_at - DAY)
    target = Target("vault", store, object_lock=MONTH)
    return (
        await copy_backup(node_feed(rig.source(backup)), older, rig.origin, Targets([target]), rig.clock)
    ).manifests["vault"]


async def test_a_lock_that_is_refused_hinders_neither_the_others_nor_the_pruning(
    rig: Rig, vault: StoreConfig, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told."""
    await made(rig, store)

    async def refused(*_: object) -> None:
        raise StoreTroubleError("no")

    monkeypatch.setattr(store, "lock", refused)
    result = await pruned(rig, vault, store, Shelves(MemoryEngine().catalogue, rig.clock))
    assert isinstance(result.error, StoreError)
    assert result.decided is not None


async def test_check_says_whether_the_bucket_locks_and_what_deletes_leave(
    vault: StoreConfig, store: Store, s3_service: S3Service
) -> None:
    """Its own little object lies there as an older version."""
    found = await probe(vault)
    assert found.error is None
    assert "lock objects" in found.could
    assert any("it keeps versions" in note and "1 older versions" in note for note in found.notes)
    plain = await probe(config(s3_service.settings("plain", f"copies/{uuid4().hex}")))
    assert (plain.failed, plain.notes) == ("lock objects", ())
    assert plain.error is not None
    assert "cannot lock objects" in plain.error.text


async def test_check_says_that_a_bucket_locks_each_new_object_by_itself(s3_service: S3Service) -> None:
    """Its own little object stays: that is no failure. One that an earlier check left goes when its lock has ended."""
    bucket = f"default-{uuid4().hex}"
    await make_bucket(s3_service, bucket, lockable=True)
    settings = s3_service.settings(bucket)
    async with open_store(settings) as store:
        rule = b"<DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention>"
        body = (
            b'<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            b"<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>" + rule + b"</Rule></ObjectLockConfiguration>"
        )
        client = cast("Any", store)._client
        await client.call("", "PUT", query={"object-lock": ""}, body=body, checked=True)
        found = await probe(StoreConfig(settings, StoreRules("vault", Keep.parse("all"))))
        assert found.error is None
        assert (found.failed, found.could) == (None, ("write", "list", "read"))
        (left,) = await keys(store)
        assert found.notes[0].startswith("the bucket locks each new object for 1 d by itself (its default retention)")
        assert left in found.notes[0]
