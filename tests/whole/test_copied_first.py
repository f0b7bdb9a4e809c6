"""What is known of a store's copies is looked at again right before each DELETE (invariant 14)."""

from datetime import UTC
from pathlib import Path

import pytest

from daemon.copies.manifest import BackupPart, Manifest, ServerPart, StoredPart
from daemon.copies.shelf import Shelf
from daemon.copies.shelves import Shelves
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.settings import Digest
from tests.copies.support import SHA256, Told
from tests.whole.rig import Rig

pytestmark = pytest.mark.anyio

STORES = """
[stores.nas]
url = "file:///mnt/nas"
[stores.weekly]
url = "file:///mnt/weekly"
keep = { last = 1 }
"""
FIRST = {"copies": ["nas"], "copy_before_delete": ["nas"]}


@pytest.fixture
async def first(rig: Rig) -> Rig:
    """A server with six backups, of which a rotation deletes four once the store has them."""
    (rig.folder / "conf.d").mkdir()
    (rig.folder / "conf.d/stores.toml").write_text(STORES)
    rig.fill(6)
    rig.configure(**FIRST)
    return rig


def manifest(rig: Rig, name: str) -> Manifest:
    """That of the copy of a backup."""
    (row,) = (row for row in rig.server.backups.values() if row.name == name)
    made = row.created_at.astimezone(UTC)
    backup = BackupPart(
        uuid=row.uuid,
        name=name,
        created_at=made,
        completed_at=row.completed_at or made,
        bytes=row.bytes,
        checksum=row.checksum(Digest.SHA1),
        sha256=SHA256,
    )
    server = ServerPart(panel="main", uuid=rig.server.uuid, name="survival", title="Survival")
    key = f"main/{rig.server.uuid}/{made:%Y%m%dT%H%M%SZ}_{row.uuid}.tar.gz"
    return Told().manifest(server=server, backup=backup, stored=StoredPart(key=key, bytes=row.bytes, sha256=SHA256))


async def remember(rig: Rig, names: list[str], store: str = "nas") -> None:
    """Let the store have been seen to have these."""
    copies = {copy.stored.key: copy for copy in (manifest(rig, name) for name in names)}
    shelf = Shelf(rig.clock.now(), copies)
    await Shelves(rig.context.engine.catalogue, rig.clock).remember(store, "main", rig.server.uuid, shelf)


async def test_a_rotation_deletes_what_was_seen_in_the_store_and_no_other(first: Rig) -> None:
    """The two others stay, and the rotation is done."""
    names = first.names()
    await remember(first, [names[1], names[3]])
    outcome = await first.rotate()
    assert (outcome.result, outcome.problems) == (Result.DONE, ())
    assert [backup.name for backup in outcome.deleted] == [names[1], names[3]]


async def test_one_store_s_copies_do_not_speak_for_another(first: Rig) -> None:
    """The NAS has all of them, and the other one was looked into and has none."""
    first.configure(copies=["nas", "weekly"], copy_before_delete=["weekly"])
    await remember(first, first.names())
    await remember(first, [], "weekly")
    assert (await first.rotate()).deleted == ()


async def test_what_a_store_refuses_waits_for_its_first_copy(first: Rig) -> None:
    """It keeps one: the older ones go once it has a newer one, and not before."""
    first.configure(copies=["weekly"], copy_before_delete=["weekly"])
    names = first.names()
    await remember(first, [], "weekly")
    assert (await first.rotate()).deleted == ()
    await remember(first, names[2:3], "weekly")
    assert [backup.name for backup in (await first.rotate()).deleted] == names[:3]


async def test_a_copy_that_is_gone_after_the_first_deletion_saves_the_backups_that_are_left(first: Rig) -> None:
    """The store was pruned meanwhile, or the catalogue is lost."""
    names, file = first.names(), first.folder / "state/copies.sqlite3"
    await remember(first, names)
    first.world.faults.order(faults.meanwhile(lambda _world, _server: Path(file).unlink()), on=Call.DELETE)
    outcome = await first.rotate()
    assert outcome.result is Result.DONE, outcome.problems
    assert [backup.name for backup in outcome.deleted] == names[:1]


async def test_what_waited_is_not_counted_again_by_the_brake_once_it_is_copied(first: Rig) -> None:
    """A store that was away for a week is no mistake of the policy."""
    first.configure(**FIRST, keep={"last": 5}, max_deletions=2)
    for _ in range(5):
        assert (await first.rotate()).result is Result.DONE
    names = first.names()
    assert len(names) == 11
    await remember(first, names)
    outcome = await first.rotate()
    assert outcome.result is Result.DONE, outcome.problems
    assert [backup.name for backup in outcome.deleted] == names[:7]


async def test_a_store_that_is_not_asked_any_more_lets_go_after_a_day(first: Rig) -> None:
    """As any change that deletes more."""
    first.configure(**FIRST, max_deletions=10, max_share=1)
    assert (await first.rotate()).result is Result.DONE
    first.configure(copies=["nas"], max_deletions=10, max_share=1)
    outcome = await first.rotate()
    assert (outcome.result, outcome.deleted) == (Result.REFUSED, ())
    assert "held until" in outcome.problems[-1].text
