"""Restoring by hand: what is known of the backup before, what became of a lost answer, and what was changed."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.cli.ui.which import line
from daemon.core.model import Backup as Model
from daemon.core.proof import Level, Proof, archive_of
from daemon.core.proof_due import ProofRules
from daemon.core.restores import RestoreEnd
from daemon.errors import UsageError
from daemon.operations.pick import pick
from daemon.operations.restore import RestoreOptions
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Backup, Change, Work
from daemon.state import ProofRecord
from daemon.transfer.verify import VerifyResult
from tests.operations.conftest import Hand
from tests.operations.test_restore import BARE, codes, exit_code, lagging, restored

pytestmark = pytest.mark.anyio


@pytest.fixture
async def row(hand: Hand) -> Backup:
    """A good backup of yesterday."""
    return hand.add()


async def found_torn(hand: Hand, row: Backup) -> Proof:
    """A proof of it failed."""
    backup = await hand.backup(row)
    assert backup.created_at is not None
    now = hand.rig.clock.now()
    torn = "world/region/r.0.0.mca is torn"
    proof = Proof(backup.uuid, backup.name, backup.created_at, now, Level.SANE, None, problems=(torn,))
    await hand.rig.context.journal.record_proof(ProofRecord("survival", hand.rig.server.uuid, proof))
    return proof


# One that is known to be damaged -------------------------------------------------------------------------------------


async def test_latest_is_none_that_is_known_to_be_damaged(hand: Hand) -> None:
    """But the newest good one that no proof found so, or an operator accepted."""
    older, newer = hand.add(days=2), hand.add(days=1)
    await found_torn(hand, newer)
    (chosen,) = pick(await hand.operation().look(), ["latest"])
    assert chosen.backup.uuid == older.uuid
    await found_torn(hand, older)
    with pytest.raises(UsageError, match="there is no good backup"):
        pick(await hand.operation().look(), ["latest"])
    await hand.rig.context.journal.accept_proof(hand.rig.server.uuid, newer.uuid, hand.rig.clock.now())
    (chosen,) = pick(await hand.operation().look(), ["latest"])
    assert chosen.backup.uuid == newer.uuid


async def test_one_that_is_known_to_be_damaged_is_restored_only_if_that_is_waived(hand: Hand, row: Backup) -> None:
    """Nothing is made or asked before; the refusal says what is wrong and how to go on, and the question does too."""
    await found_torn(hand, row)
    what = await restored(hand, row)
    assert (what.outcome.result, codes(what), exit_code(hand, what)) == (Result.REFUSED, ["not-sane"], 5)
    (problem,) = what.outcome.problems
    assert problem.text == f"nothing was restored, since {row.name} is not sound: world/region/r.0.0.mca is torn"
    assert "--unproven" in problem.hint
    assert "prove accept" in problem.hint
    assert (hand.rig.requests(Call.CREATE), hand.rig.requests(Call.RESTORE)) == (0, 0)
    assert "; WARNING: " in line(await hand.operation().look(), await hand.verdict(row))
    assert (await restored(hand, row, replace(BARE, unproven=True))).outcome.result is Result.DONE


async def test_one_that_an_operator_accepted_is_restored(hand: Hand, row: Backup) -> None:
    """As any other."""
    await found_torn(hand, row)
    await hand.rig.context.journal.accept_proof(hand.rig.server.uuid, row.uuid, hand.rig.clock.now())
    assert (await restored(hand, row, BARE)).outcome.result is Result.DONE


# The hour ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "times"), [(50, 1), (70, 2)])
async def test_a_reading_that_the_safety_backup_has_made_old_is_done_again(
    hand: Hand, row: Backup, minutes: int, times: int
) -> None:
    """The node's disk may have lost the file meanwhile."""
    read: list[str] = []

    async def whole(backup: Model) -> VerifyResult:
        read.append(backup.name)
        return VerifyResult(backup.bytes, "sha1:0", None, ())

    hand.rig.server.work = Work(seconds=minutes * 60)
    what = await restored(hand, row, RestoreOptions(truncate=True, read=whole))
    assert (what.outcome.result, read) == (Result.DONE, [row.name] * times)


async def test_a_proof_that_counted_counts_until_its_hour_is_over(hand: Hand, row: Backup) -> None:
    """It was 50 minutes old before a safety backup of a quarter of an hour."""
    read: list[str] = []

    async def whole(backup: Model) -> VerifyResult:
        read.append(backup.name)
        return VerifyResult(backup.bytes, "sha1:0", None, ())

    backup, at = await hand.backup(row), hand.rig.clock.now() - timedelta(minutes=50)
    assert backup.created_at is not None
    proof = Proof(backup.uuid, backup.name, backup.created_at, at, Level.SANE, Level.SANE, archive=archive_of(backup))
    await hand.rig.context.journal.record_proof(ProofRecord("survival", hand.rig.server.uuid, proof))
    hand.rig.server.work = Work(seconds=900)
    what = await restored(hand, row, RestoreOptions(truncate=True, read=whole))
    assert (what.outcome.result, read) == (Result.DONE, [row.name])


@pytest.mark.parametrize(("expected", "times"), [(("level.dat",), 0), ((), 1), (("another",), 1)])
async def test_a_proof_counts_for_the_files_that_it_looked_for(
    hand: Hand, row: Backup, expected: tuple[str, ...], times: int
) -> None:
    """An operator may have written `expect` anew since."""
    policy = replace(hand.rig.config.policy, prove=ProofRules(expect=("level.dat",)))
    hand.rig.config = replace(hand.rig.config, policy=policy)
    backup, at = await hand.backup(row), hand.rig.clock.now() - timedelta(minutes=5)
    assert backup.created_at is not None
    archive = archive_of(backup, expected)
    proof = Proof(backup.uuid, backup.name, backup.created_at, at, Level.SANE, Level.SANE, archive=archive)
    await hand.rig.context.journal.record_proof(ProofRecord("survival", hand.rig.server.uuid, proof))
    read: list[str] = []

    async def whole(backup: Model) -> VerifyResult:
        read.append(backup.name)
        return VerifyResult(backup.bytes, "sha1:0", None, ())

    await restored(hand, row, RestoreOptions(truncate=True, safety=False, read=whole))
    assert len(read) == times


async def test_one_that_is_found_damaged_the_second_time_empties_nothing(hand: Hand, row: Backup) -> None:
    """The safety backup stays, and is told as a change."""
    hand.rig.server.work = Work(seconds=7200)
    read: list[str] = []

    async def whole(backup: Model) -> VerifyResult:
        read.append(backup.name)
        row.successful = len(read) == 1
        return VerifyResult(backup.bytes, "sha1:0", None, ())

    what = await restored(hand, row, RestoreOptions(truncate=True, read=whole))
    assert (codes(what), what.outcome.changed) == (["safety-backup", "backup-failed"], True)
    assert (len(read), hand.rig.requests(Call.RESTORE)) == (2, 0)


# A lost answer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fails", "result", "says", "code"),
    [(False, Result.DONE, RestoreEnd.COMPLETED, 0), (True, Result.FAILED, RestoreEnd.FAILED, 3)],
)
async def test_a_quick_restore_after_a_lost_answer_is_known_by_the_log(
    hand: Hand, row: Backup, *, fails: bool, result: Result, says: RestoreEnd, code: int
) -> None:
    """It is over before the server is seen being restored."""
    hand.rig.server.restores_fail = fails
    hand.rig.server.restore_seconds = 0
    hand.rig.world.faults.order(faults.lost_after(), on=Call.RESTORE)
    what = await restored(hand, row, BARE)
    assert (what.outcome.result, what.log_says, exit_code(hand, what)) == (result, says, code)
    assert (what.outcome.changed, what.ended, hand.rig.requests(Call.RESTORE)) == (True, True, 1)
    assert hand.did(Change.RESTORING) == [row.name]


async def test_where_the_log_shows_nothing_either_none_began(hand: Hand, row: Backup) -> None:
    """The panel notes a restore as it begins, so that this is known."""
    hand.rig.world.faults.order(faults.lost_before(), on=Call.RESTORE)
    what = await restored(hand, row, BARE)
    assert (codes(what), what.outcome.changed, exit_code(hand, what)) == (["restore-unknown"], False, 4)
    assert what.outcome.problems[0].text.endswith(
        "neither the server's state nor its activity log shows a restore, so none began"
    )


async def test_where_the_log_cannot_be_read_it_is_not_said_that_nothing_was_done(hand: Hand, row: Backup) -> None:
    """It may have been over at once: exit 3."""
    hand.as_user("backup.read", "backup.restore")
    hand.rig.server.restore_seconds = 0
    hand.rig.world.faults.order(faults.lost_after(), on=Call.RESTORE)
    what = await restored(hand, row, BARE)
    assert (codes(what), what.outcome.changed, exit_code(hand, what)) == (["restore-unknown"], True, 3)
    assert "or was over at once: the key's user lacks activity.read" in what.outcome.problems[0].text


async def test_an_earlier_restore_in_the_log_is_not_taken_for_this_one(hand: Hand, row: Backup) -> None:
    """What it showed before is known."""
    await restored(hand, row, BARE)
    hand.rig.world.faults.order(faults.lost_before(), on=Call.RESTORE)
    assert codes(await restored(hand, row, BARE)) == ["restore-unknown"]


async def test_a_log_that_lags_is_looked_at_for_a_minute(hand: Hand, row: Backup) -> None:
    """The panel may be slow to note."""
    hand.rig.server.restore_seconds = 0
    hand.rig.world.faults.order(faults.lost_after(), on=Call.RESTORE)
    hand.rig.world.faults.order(lagging(), on=Call.ACTIVITY, skip=1, times=5)
    assert (await restored(hand, row, BARE)).log_says is RestoreEnd.COMPLETED


# What was changed ----------------------------------------------------------------------------------------------------


async def test_a_safety_backup_is_a_change_though_the_restore_was_throttled(hand: Hand, row: Backup) -> None:
    """It was made and is locked: exit 3."""
    hand.rig.world.settings.restore_limit = 1
    await restored(hand, row, BARE)
    what = await restored(hand, row)
    assert (codes(what), what.outcome.changed, exit_code(hand, what)) == (["safety-backup", "api-limit"], True, 3)


async def test_and_though_the_backup_vanished_meanwhile(hand: Hand, row: Backup) -> None:
    """The same."""
    hand.rig.server.work = Work(seconds=600)
    restoring = asyncio.create_task(restored(hand, row))
    await hand.rig.clock.sleep(300)
    hand.rig.world.remove(hand.rig.server, row, by="somebody")
    assert (await restoring).outcome.changed
