"""What a Pelican does otherwise than a Pterodactyl, and what a rotation makes of it."""

from dataclasses import replace

import pytest

from daemon.core.model import Completeness
from daemon.panel.errors import NoBackupHostError
from daemon.rotation.outcome import Outcome, Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change, NodeState
from daemon.sandbox.settings import Digest, Kind
from tests.whole.rig import Rig

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", [Kind.PELICAN])]


def problem(outcome: Outcome) -> str:
    """The code of an outcome's last problem."""
    return outcome.problems[-1].code


@pytest.mark.parametrize("error", [403, 404, 429, 500, None])
async def test_a_node_in_trouble_is_told_at_once_and_called_the_nodes(rig: Rig, error: int | None) -> None:
    """The panel says 500 in each case, and took back what it had begun: nobody looks for it during two minutes."""
    history = rig.fill(5)
    if error is None:
        rig.server.node.state = NodeState.DOWN
    rig.server.node.error = error
    began = rig.clock.monotonic()
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)) == (Result.FAILED, "node-call")
    assert rig.clock.monotonic() - began < 5
    assert rig.requests(Call.CREATE) == 1
    assert rig.names() == history


async def test_a_node_without_a_backup_host_is_not_taken_for_a_server_that_is_gone(rig: Rig) -> None:
    """An administrator of the panel has to see to it."""
    rig.server.node.backup_host = False
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)) == (Result.FAILED, "no-backup-host")
    assert outcome.problems[-1].hint == NoBackupHostError.default_hint


async def test_a_deletion_frees_the_throttle_that_we_remember(rig: Rig) -> None:
    """Two young ones hold it. Once one of them is gone the panel lets another be made, and is asked."""
    rig.world.settings.creation_limit = 2
    made = [(await rig.rotate()).created for _ in range(2)]
    assert problem(await rig.rotate()) == "creation-throttled"
    asked = rig.requests(Call.CREATE)
    assert problem(await rig.rotate()) == "creation-throttled"
    assert rig.requests(Call.CREATE) == asked
    assert made[0] is not None
    await rig.client.delete(rig.config.id, made[0].uuid)
    assert (await rig.rotate()).result is Result.DONE


async def test_an_id_is_asked_for_as_the_panel_writes_it(rig: Rig) -> None:
    """A configuration in capitals is right on a Pterodactyl; SQLite knows no such server."""
    rig.config = replace(rig.config, id=rig.config.id.upper())
    assert (await rig.rotate()).result is Result.DONE
    listing = await rig.client.backups(rig.server.uuid.upper())
    assert listing.completeness is Completeness.COMPLETE


async def test_a_backup_whose_name_somebody_changed_is_no_longer_ours(rig: Rig) -> None:
    """So a person takes one out of retention on purpose."""
    rig.fill(5)
    oldest = next(iter(rig.server.backups.values()))
    rig.world.rename(rig.server, oldest, "before the war", by="somebody")
    assert (await rig.rotate()).result is Result.DONE
    assert "before the war" in rig.names()


async def test_sums_by_sha256_and_refusals_in_german_make_no_difference(rig: Rig) -> None:
    """Words are matched nowhere."""
    rig.world.settings.checksum, rig.world.settings.locale = Digest.SHA256, "de"
    rig.fill(5)
    assert (await rig.rotate()).result is Result.DONE
    rig.server.status = "suspended"
    outcome = await rig.rotate()
    assert (outcome.result, outcome.passing) == (Result.SKIPPED, False)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_deletion_that_lost_its_row_alone_is_asked_for_again(rig: Rig, times: int) -> None:
    """SQLite is locked once the node has removed the file: the row stands for nothing until the same DELETE is done."""
    history = rig.fill(5)
    rig.world.faults.order(faults.database_locked(), on=Call.DELETE, times=times)
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert [backup.name for backup in outcome.deleted] == history[:3]
    assert [name for name in rig.names() if name in history] == history[3:]
    emptied = [entry.name for entry in rig.world.ledger if entry.change is Change.FILE_DELETED]
    assert emptied == history[:1] * times
    assert not any(backup.file_gone for backup in rig.server.backups.values())
