"""Restoring by hand: only what is good, only once what is there is safe, only once, and no more said than is known."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from daemon.core.model import Backup as Model
from daemon.core.model import State
from daemon.core.proof import Level, Proof, archive_of
from daemon.core.restores import RestoreEnd
from daemon.errors import BackupdError, ProblemCode
from daemon.operations.fit import unfit
from daemon.operations.pick import pick
from daemon.operations.restore import Restored, RestoreOptions, restore
from daemon.operations.result import exit_of
from daemon.panel.client import PanelClient
from daemon.panel.download import HostError
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.answers import json_answer
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import Backup, BackupEnding, Change, NodeState, Work
from daemon.sandbox.records import State as Panel
from daemon.sandbox.settings import Kind
from daemon.state import ProofRecord
from daemon.state.local.locks import is_locked, server_lock
from daemon.transfer.verify import Complaint, VerifyResult
from tests.operations.conftest import Hand
from tests.whole.rig import InProcess

pytestmark = pytest.mark.anyio

BARE = RestoreOptions(safety=False)


async def restored(hand: Hand, row: Backup, options: RestoreOptions | None = None) -> Restored:
    """Restore that one, chosen while it was as it is now."""
    return await restore(hand.operation(), await hand.backup(row), options or RestoreOptions())


def codes(what: Restored) -> list[str]:
    """The codes of what was said."""
    return [problem.code for problem in what.outcome.problems]


def exit_code(hand: Hand, what: Restored) -> int:
    """The exit code of a command that did this."""
    return exit_of(hand.rig.config, [what.outcome])


@pytest.fixture
async def row(hand: Hand) -> Backup:
    """A good backup of yesterday."""
    return hand.add()


async def test_what_is_there_is_safe_before_it_is_overwritten(hand: Hand, row: Backup) -> None:
    """The panel's own ledger: made, completed, and only then the restore; and it is locked."""
    hand.rig.server.restore_seconds = 900
    what = await restored(hand, row)
    assert (what.outcome.result, what.ended, exit_code(hand, what)) == (Result.DONE, True, 0)
    changes = [entry.change for entry in hand.rig.world.ledger if entry.by != "history"]
    assert changes == [Change.CREATED, Change.COMPLETED, Change.RESTORING, Change.RESTORED]
    assert hand.did(Change.RESTORING) == [row.name]
    (safety,) = hand.rows("before restore 2026-04-01 03:59:00")
    assert (safety.locked, safety.successful) == (True, True)
    assert what.safety is not None
    assert what.safety.backup is not None
    assert (what.safety.backup.uuid, what.safety.state) == (safety.uuid, State.GOOD)


async def test_the_safety_backup_leaves_nothing_out(hand: Hand, row: Backup) -> None:
    """Whatever the policy leaves out: with --truncate all files go."""
    hand.rig.configure(ignored=["world/"])
    await restored(hand, row)
    (safety,) = hand.rows("before restore 2026-04-01 03:59:00")
    assert safety.ignored == ()


async def test_that_it_went_well_is_read_from_the_activity_log(hand: Hand, row: Backup) -> None:
    """The server's state clears either way; exit 0 is said to be known."""
    what = await restored(hand, row, BARE)
    assert (codes(what), what.log_says, exit_code(hand, what)) == ([], RestoreEnd.COMPLETED, 0)
    assert hand.rig.requests(Call.ACTIVITY) == 2


@pytest.mark.parametrize("options", [BARE, RestoreOptions()], ids=["bare", "with a safety backup"])
async def test_one_that_the_node_fails_is_told_as_failed(hand: Hand, row: Backup, options: RestoreOptions) -> None:
    """Exit 3: the server's files may be overwritten in part; the safety backup is named."""
    hand.rig.server.restores_fail = True
    what = await restored(hand, row, options)
    assert (what.outcome.result, what.ended, what.log_says, exit_code(hand, what)) == (
        Result.FAILED,
        True,
        RestoreEnd.FAILED,
        3,
    )
    assert codes(what) == (["safety-backup"] if options.safety else []) + ["restore-failed"]
    assert what.outcome.problems[-1].text == (
        f"the node could not restore {row.name}: the server's activity log says so"
    )


async def test_an_earlier_restore_of_the_same_backup_says_nothing_of_this_one(hand: Hand, row: Backup) -> None:
    """The first went well, and the log still says so; the second fails."""
    await restored(hand, row, BARE)
    hand.rig.server.restores_fail = True
    assert (await restored(hand, row, BARE)).log_says is RestoreEnd.FAILED
    hand.rig.server.restores_fail = False
    assert (await restored(hand, row, BARE)).log_says is RestoreEnd.COMPLETED


async def test_a_log_that_lags_behind_the_servers_state_is_looked_at_again(hand: Hand, row: Backup) -> None:
    """The panel clears the state first."""
    hand.rig.world.faults.order(lagging(), on=Call.ACTIVITY, skip=1, times=3)
    what = await restored(hand, row, BARE)
    assert (what.log_says, hand.rig.requests(Call.ACTIVITY)) == (RestoreEnd.COMPLETED, 5)


async def test_a_log_that_never_tells_leaves_the_end_unknown(hand: Hand, row: Backup) -> None:
    """It is looked at for some twenty seconds."""
    hand.rig.world.faults.order(lagging(), on=Call.ACTIVITY, skip=1, times=None)
    what = await restored(hand, row, BARE)
    assert (what.outcome.result, what.log_says, codes(what), exit_code(hand, what)) == (
        Result.DONE,
        None,
        ["outcome-not-told"],
        0,
    )
    assert what.outcome.problems[0].text == (
        "the restore has ended; whether it went well is not known: the server's activity log does not mention it"
    )
    assert hand.rig.requests(Call.ACTIVITY) < 8


async def test_without_the_permission_the_log_is_not_asked(hand: Hand, row: Backup) -> None:
    """What is lacking is said."""
    hand.as_user("backup.read", "backup.restore")
    what = await restored(hand, row, BARE)
    assert (codes(what), hand.rig.requests(Call.ACTIVITY)) == (["outcome-not-told"], 0)
    assert "the key's user lacks activity.read" in what.outcome.problems[0].text


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faults.refused(403, "AccessDeniedHttpException", "No."), "the key's user lacks activity.read"),
        (faults.refused(404, "NotFoundHttpException", ""), "this panel keeps no activity log"),
        (faults.refused(422, "ValidationException", "No."), "the server's activity log cannot be read: panel"),
    ],
    ids=["403", "404", "422"],
)
async def test_trouble_with_the_log_fails_no_restore(hand: Hand, row: Backup, fault: Fault, words: str) -> None:
    """It only stays unknown how it ended, be it before the restore or after."""
    for skip in (0, 1):
        hand.rig.world.faults.order(fault, on=Call.ACTIVITY, skip=skip)
        what = await restored(hand, row, BARE)
        assert (what.outcome.result, codes(what), what.ended) == (Result.DONE, ["outcome-not-told"], True)
        assert words in what.outcome.problems[0].text


def lagging() -> Fault:
    """The log of a panel that has not noted anything yet."""
    return Fault("a log that lags", answer=json_answer({"object": "list", "data": [], "meta": {}}))


async def test_without_a_safety_backup_where_it_is_waived(hand: Hand, row: Backup) -> None:
    """Nothing is made."""
    what = await restored(hand, row, BARE)
    assert (what.outcome.result, what.safety, hand.rig.requests(Call.CREATE)) == (Result.DONE, None, 0)


async def test_without_waiting_it_only_begins(hand: Hand, row: Backup) -> None:
    """What goes on is known, and that nothing stops it."""
    operation = hand.operation()
    what = await restore(operation, await hand.backup(row), RestoreOptions(safety=False, wait=False))
    assert (what.outcome.result, what.outcome.changed, what.ended) == (Result.DONE, True, False)
    assert operation.going_on == f"the restore of {row.name} goes on at the panel, and nothing stops it"


@pytest.mark.parametrize("truncate", [True, False])
async def test_truncate_is_told_to_the_panel_as_it_was_asked_for(hand: Hand, row: Backup, truncate: bool) -> None:
    """It is required, and decides whether all files are deleted."""
    bodies: list[object] = []

    class Spy(InProcess):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/restore"):
                bodies.append(json.loads(request.content))
            return await super().handle_async_request(request)

    panel = hand.rig.config.panel
    hand.client = PanelClient(panel.name, panel.url, panel.api_key, clock=hand.rig.clock, transport=Spy(hand.rig.app))
    await restored(hand, row, RestoreOptions(truncate=truncate, safety=False))
    assert bodies == [{"truncate": truncate}]


# Before all files are deleted -----------------------------------------------------------------------------------------


def reads(*problems: Complaint, error: BackupdError | None = None) -> tuple[RestoreOptions, list[str]]:
    """Options to delete all files first; what reading the backup finds, and the names of what was read."""
    read: list[str] = []

    async def whole(backup: Model) -> VerifyResult:
        read.append(backup.name)
        if error is not None:
            raise error
        return VerifyResult(backup.bytes, "sha1:0", None, problems)

    return RestoreOptions(truncate=True, safety=False, read=whole), read


async def test_before_all_files_are_deleted_the_backup_is_read_whole(hand: Hand, row: Backup) -> None:
    """Only then the panel is asked; a node may empty the server before it looks for the file."""
    options, read = reads()
    what = await restored(hand, row, options)
    assert (what.outcome.result, read, hand.did(Change.RESTORING)) == (Result.DONE, [row.name], [row.name])


@pytest.mark.parametrize(("minutes", "changed", "again"), [(59, False, False), (61, False, True), (59, True, True)])
async def test_a_proof_of_the_last_hour_counts_for_the_very_file_that_was_read(
    hand: Hand, row: Backup, minutes: int, changed: bool, again: bool
) -> None:
    """Before all files are deleted; otherwise it is read now."""
    seen = await hand.operation().look()
    backup, at = await hand.backup(row), hand.rig.clock.now() - timedelta(minutes=minutes)
    assert backup.created_at is not None
    of_it = archive_of(replace(backup, bytes=1) if changed else backup)
    level = Level.SANE
    proof = Proof(backup.uuid, backup.name, backup.created_at, at, level, level, archive=of_it)
    await hand.rig.context.journal.record_proof(ProofRecord("survival", seen.server.uuid, proof))
    options, read = reads()
    what = await restored(hand, row, options)
    assert (what.outcome.result, read) == (Result.DONE, [row.name] if again else [])
    assert (f"{row.name} was read to its end 59 min ago, and is right" in hand.steps) is not again


async def test_a_damaged_one_deletes_nothing(hand: Hand, row: Backup) -> None:
    """Exit 5, without a safety backup too, since nothing is touched."""
    torn = Complaint(ProblemCode.NOT_SANE, "world/region/r.0.0.mca: chunk 0,0 is past the end of the file")
    options, _ = reads(torn)
    what = await restored(hand, row, replace(options, safety=True))
    assert (codes(what), exit_code(hand, what)) == (["not-sane"], 5)
    assert what.outcome.problems[0].text == f"nothing was restored, since {row.name} is damaged: {torn.text}"
    assert "--unproven" in what.outcome.problems[0].hint
    assert (hand.rig.requests(Call.RESTORE), hand.rig.requests(Call.CREATE)) == (0, 0)


async def test_one_that_cannot_be_had_deletes_nothing(hand: Hand, row: Backup) -> None:
    """The node may have lost it."""
    options, _ = reads(error=HostError("the node answers 404", hint="look at the node"))
    what = await restored(hand, row, options)
    assert (codes(what), exit_code(hand, what), hand.rig.requests(Call.RESTORE)) == (["host"], 5, 0)
    assert what.outcome.problems[0].hint == "look at the node; with --unproven it is not read first"


async def test_one_that_is_deleted_while_it_is_read_deletes_nothing(hand: Hand, row: Backup) -> None:
    """The server and its backups are looked at again afterwards."""

    async def whole(backup: Model) -> VerifyResult:
        hand.rig.world.remove(hand.rig.server, row, by="somebody")
        return VerifyResult(backup.bytes, "sha1:0", None)

    what = await restored(hand, row, RestoreOptions(truncate=True, read=whole))
    assert (codes(what), hand.rig.requests(Call.RESTORE), hand.rig.requests(Call.CREATE)) == (["gone"], 0, 0)


async def test_without_truncate_nothing_is_read(hand: Hand, row: Backup) -> None:
    """What is not in the backup stays, and a safety backup is made."""
    options, read = reads()
    await restored(hand, row, replace(options, truncate=False))
    assert read == []


# What is not restored ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [Panel.FAILED, Panel.PENDING])
async def test_a_failed_or_pending_one_is_not_restored(hand: Hand, state: Panel) -> None:
    """The panel would restore the failed one; nothing is asked of it, no safety backup either."""
    row = hand.add(state=state)
    what = await restored(hand, row)
    assert (what.outcome.result, codes(what), exit_code(hand, what)) == (Result.REFUSED, [f"backup-{state}"], 5)
    assert (hand.rig.requests(Call.RESTORE), hand.rig.requests(Call.CREATE)) == (0, 0)
    assert "only a good backup is restored" in what.outcome.problems[0].text


@pytest.mark.parametrize("row", [{"name": "by hand"}, {"locked": True}], ids=["foreign", "locked"])
async def test_a_failed_one_is_refused_for_that_alone(hand: Hand, row: dict[str, Any]) -> None:
    """That it is locked, or foreign, is no reason."""
    hindered = unfit(await hand.verdict(hand.add(state=Panel.FAILED, **row)))
    assert hindered is not None
    assert hindered.problems[0].text.endswith(" is failed, and only a good backup is restored")


async def test_a_pending_one_is_refused_with_the_reason(hand: Hand) -> None:
    """What it lacks."""
    hindered = unfit(await hand.verdict(hand.add(state=Panel.PENDING)))
    assert hindered is not None
    assert hindered.problems[0].text.endswith(" is pending, and only a good backup is restored: not completed yet")


async def test_a_suspicious_one_is_restored_only_once_it_is_accepted(hand: Hand) -> None:
    """The refusal says how."""
    for days in range(2, 5):
        hand.add(days=days)
    small = hand.add(days=1, size=2_000)
    what = await restored(hand, small)
    assert (codes(what), exit_code(hand, what)) == (["backup-suspicious"], 5)
    assert what.outcome.problems[0].hint == "look into it; if it is good after all, run `ptero-backupd backups accept`"
    hand.rig.journal.accept(hand.rig.server.uuid, small.uuid, hand.rig.clock.now())
    assert (await restored(hand, small)).outcome.result is Result.DONE


async def test_one_that_may_have_no_file_is_restored_only_once_it_is_known_to_have_it(hand: Hand) -> None:
    """With `truncate` the server's own files would be gone by then; and it is not what `latest` means."""
    older, half = hand.add(days=2), hand.add(days=1)
    journal, uuid = hand.rig.journal, hand.rig.server.uuid
    journal.ask(uuid, half.uuid, hand.rig.clock.now())
    what = await restored(hand, half, RestoreOptions(truncate=True))
    assert (codes(what), exit_code(hand, what)) == (["half-deleted"], 5)
    assert "`ptero-backupd backups accept`" in what.outcome.problems[0].hint
    assert [verdict.backup.uuid for verdict in pick(await hand.operation().look(), ["latest"])] == [older.uuid]
    journal.asked_no_more(uuid, half.uuid)
    assert (await restored(hand, half)).outcome.result is Result.DONE


async def test_a_strange_one_is_not_restored(hand: Hand) -> None:
    """Dated in a week by the panel's own clock."""
    row = hand.add(days=-7)
    hindered = unfit(await hand.verdict(row))
    assert hindered is not None
    assert [problem.code for problem in hindered.problems] == ["backup-strange"]


async def test_one_that_is_gone_by_the_time_of_the_answer_is_not_restored(hand: Hand, row: Backup) -> None:
    """Somebody deleted it while the operator thought."""
    backup = await hand.backup(row)
    hand.rig.world.remove(hand.rig.server, row, by="somebody else")
    what = await restore(hand.operation(), backup, RestoreOptions())
    assert (codes(what), exit_code(hand, what), hand.rig.requests(Call.CREATE)) == (["gone"], 5, 0)


async def test_one_that_is_not_good_any_more_after_the_safety_backup_is_not_restored(hand: Hand, row: Backup) -> None:
    """It is read again right before."""
    hand.rig.server.work = Work(seconds=600)
    restoring = asyncio.create_task(restored(hand, row))
    await hand.rig.clock.sleep(300)
    row.successful = False
    what = await restoring
    assert (codes(what), exit_code(hand, what)) == (["safety-backup", "changed"], 5)
    assert hand.rig.requests(Call.RESTORE) == 0


async def test_one_that_is_deleted_during_the_safety_backup_is_not_restored(hand: Hand, row: Backup) -> None:
    """404 to the last look; the safety backup stays, and is named."""
    hand.rig.server.work = Work(seconds=600)
    restoring = asyncio.create_task(restored(hand, row))
    await hand.rig.clock.sleep(300)
    hand.rig.world.remove(hand.rig.server, row, by="somebody")
    assert codes(await restoring) == ["safety-backup", "not-found"]


# No safety backup, no restore ----------------------------------------------------------------------------------------


def refused_without_safety(hand: Hand, what: Restored) -> str:
    """Check that nothing was restored, exit 5, and return the words."""
    assert (what.outcome.result, exit_code(hand, what)) == (Result.REFUSED, 5)
    assert (hand.rig.requests(Call.RESTORE), hand.did(Change.RESTORING)) == (0, [])
    problem = what.outcome.problems[-1]
    assert problem.text.startswith("nothing was restored, since there is no safety backup: ")
    assert "--no-safety-backup" in problem.hint
    return problem.text


async def test_at_the_limit_nothing_is_restored(hand: Hand, row: Backup) -> None:
    """Said why, and how to go on all the same."""
    hand.rig.server.limit = 1
    assert "limit of 1 backups" in refused_without_safety(hand, await restored(hand, row))
    assert (await restored(hand, row, BARE)).outcome.result is Result.DONE


async def test_throttled_nothing_is_restored(hand: Hand, row: Backup) -> None:
    """Said for how long."""
    hand.rig.world.faults.order(faults.creation_throttle("298"), on=Call.CREATE)
    assert "the next one in 5 min" in refused_without_safety(hand, await restored(hand, row))


async def test_with_a_key_that_may_not_create_nothing_is_restored(hand: Hand, row: Backup) -> None:
    """403 to the create."""
    hand.as_user("backup.read", "backup.restore")
    assert "unauthorized" in refused_without_safety(hand, await restored(hand, row))


async def test_a_safety_backup_that_cannot_be_locked_is_none(hand: Hand, row: Backup) -> None:
    """The panel drops the lock in silence where the key lacks backup.delete: anybody could delete it then."""
    hand.as_user("backup.read", "backup.restore", "backup.create")
    assert "is not locked" in refused_without_safety(hand, await restored(hand, row))


async def test_a_safety_backup_that_fails_is_none(hand: Hand, row: Backup) -> None:
    """The failed one stays for retention to clear away."""
    hand.rig.server.coming.append(Work(outcome=BackupEnding.FAILED))
    words = refused_without_safety(hand, await restored(hand, row))
    assert "lock" in words or "failed" in words


async def test_a_suspicious_safety_backup_stays_and_nothing_is_restored(hand: Hand, row: Backup) -> None:
    """It may be all that is there: the operator looks, and then needs no second one."""
    for days in range(2, 5):
        hand.add(f"mine {days}", days=days, size=1_000_000)
    what = await restored(hand, row)
    assert "is suspicious" in refused_without_safety(hand, what)
    assert "before restore 2026-04-01 03:59:00, which stays" in what.outcome.problems[-1].hint
    (safety,) = hand.rows("before restore 2026-04-01 03:59:00")
    assert safety.locked


async def test_a_safety_backup_whose_answer_is_lost_is_settled_first(hand: Hand, row: Backup) -> None:
    """By its name, as any other."""
    hand.rig.world.faults.order(faults.lost_after(), on=Call.CREATE)
    what = await restored(hand, row)
    assert (what.outcome.result, hand.rig.requests(Call.CREATE)) == (Result.DONE, 1)


async def test_left_during_the_safety_backup_nothing_was_restored(hand: Hand, row: Backup) -> None:
    """What goes on is the backup."""
    hand.rig.server.work = Work(seconds=600)
    operation = hand.operation()
    restoring = asyncio.create_task(restore(operation, await hand.backup(row), RestoreOptions()))
    await hand.rig.clock.sleep(300)
    assert operation.going_on.startswith("before restore 2026-04-01 03:59:00 goes on at the panel")
    restoring.cancel()
    await asyncio.gather(restoring, return_exceptions=True)
    assert hand.rig.requests(Call.RESTORE) == 0


# The panel refuses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [("suspended", 4), ("installing", 3), ("restoring_backup", 3)])
async def test_a_server_in_another_state_is_not_restored(hand: Hand, row: Backup, status: str, code: int) -> None:
    """409: a suspended one needs an administrator, the others pass."""
    backup = await hand.backup(row)
    hand.rig.server.status = status
    what = await restore(hand.operation(), backup, RestoreOptions())
    assert (codes(what), exit_code(hand, what)) == (["server-state"], code)
    assert (hand.did(Change.RESTORING), hand.rig.requests(Call.CREATE)) == ([], 0)


async def test_a_server_that_is_suspended_at_the_last_moment_is_not_restored(hand: Hand, row: Backup) -> None:
    """Between the safety backup and the restore."""

    def suspend(world: object) -> None:
        hand.rig.server.status = "suspended"

    hand.before(Call.RESTORE, suspend)
    what = await restored(hand, row)
    assert (codes(what), exit_code(hand, what)) == (["safety-backup", "server-state"], 3)
    assert what.outcome.problems[0].text == "before restore 2026-04-01 03:59:00, the safety backup, stays, locked"
    assert hand.did(Change.RESTORING) == []


async def test_a_key_that_may_not_restore_is_told_before_a_safety_backup_is_made(hand: Hand, row: Backup) -> None:
    """Exit 4, and nothing was made."""
    hand.as_user("backup.read", "backup.create", "backup.delete")
    what = await restored(hand, row)
    assert (codes(what), exit_code(hand, what)) == (["permission-lacking"], 4)
    assert (hand.rig.requests(Call.CREATE), hand.rig.requests(Call.RESTORE)) == (0, 0)


async def test_a_403_of_the_panel_itself_is_told(hand: Hand, row: Backup) -> None:
    """Where the permissions were not told, or were changed since."""
    hand.rig.world.faults.order(faults.refused(403, "AccessDeniedHttpException", "No."), on=Call.RESTORE)
    operation = hand.operation()
    what = await restore(operation, await hand.backup(row), BARE)
    assert (codes(what), exit_code(hand, what), operation.going_on) == (["permission-lacking"], 4, "")


async def test_the_panels_restore_throttle_is_respected(hand: Hand, row: Backup) -> None:
    """The fourth in 15 minutes: said for how long, not waited for, since the safety backup would grow old."""
    hand.rig.world.settings.restore_limit = 3
    for _ in range(3):
        assert (await restored(hand, row, BARE)).outcome.result is Result.DONE
    began = hand.rig.clock.monotonic()
    what = await restored(hand, row, BARE)
    assert (codes(what), exit_code(hand, what)) == (["api-limit"], 4)
    assert "it allows the next one in 14 min" in what.outcome.problems[0].text
    assert "3 restores of a server in 15 minutes" in what.outcome.problems[0].hint
    assert hand.rig.clock.monotonic() - began < 60
    assert len(hand.did(Change.RESTORING)) == 3


async def test_a_rotation_under_way_keeps_the_hand_off(hand: Hand, row: Backup) -> None:
    """It might back up a half-restored server."""
    with server_lock(hand.rig.folder / "state", hand.rig.server.uuid):
        what = await restored(hand, row)
    assert (codes(what), exit_code(hand, what), hand.did(Change.CREATED)) == (["busy"], 3, [])


async def test_the_servers_lock_is_held_to_the_end(hand: Hand, row: Backup) -> None:
    """And given back then."""
    hand.rig.server.restore_seconds = 900
    restoring = asyncio.create_task(restored(hand, row))
    await hand.rig.clock.sleep(600)
    assert is_locked(hand.rig.folder / "state", hand.rig.server.uuid)
    await restoring
    assert not is_locked(hand.rig.folder / "state", hand.rig.server.uuid)


# Lost answers, and the end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [faults.lost_after(), faults.slow(90), replace(faults.web_page(502), processed=True)],
    ids=lambda fault: fault.name,
)
async def test_a_lost_answer_is_settled_by_the_servers_status(hand: Hand, row: Backup, fault: Fault) -> None:
    """Seen to be restored, so it began; it is never asked for a second time."""
    hand.rig.server.restore_seconds = 900
    hand.rig.world.faults.order(fault, on=Call.RESTORE)
    what = await restored(hand, row)
    assert (what.outcome.result, what.ended, hand.rig.requests(Call.RESTORE)) == (Result.DONE, True, 1)


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_dead_node_ends_a_restore_at_once(hand: Hand, row: Backup) -> None:
    """The panel itself says so, after it rolled back what it had begun: that is no lost answer to look for."""
    hand.rig.server.node.state = NodeState.DOWN
    began = hand.rig.clock.now()
    what = await restored(hand, row, BARE)
    assert what.outcome.result is Result.FAILED
    assert what.outcome.problems[0].code in {ProblemCode.NODE, ProblemCode.NODE_CALL}
    assert hand.rig.clock.now() - began < timedelta(seconds=5)
    assert hand.rig.requests(Call.RESTORE) == 1


async def test_where_nothing_shows_that_it_began_that_is_said(hand: Hand, row: Backup) -> None:
    """It may have been over at once; it is not repeated, and the words stay for whoever leaves."""
    hand.rig.world.faults.order(faults.lost_before(), on=Call.RESTORE)
    operation = hand.operation()
    what = await restore(operation, await hand.backup(row), BARE)
    assert (what.outcome.result, codes(what), exit_code(hand, what)) == (Result.FAILED, ["restore-unknown"], 4)
    assert "not asked for a second time" in what.outcome.problems[0].hint
    assert hand.rig.requests(Call.RESTORE) == 1


async def test_trouble_while_it_looks_whether_it_began_is_no_answer(hand: Hand, row: Backup) -> None:
    """It looks for a minute."""
    hand.rig.server.restore_seconds = 900
    hand.rig.world.faults.order(faults.lost_after(), on=Call.RESTORE)
    hand.rig.world.faults.order(faults.refused(403, "AccessDeniedHttpException", "No."), on=Call.SERVER, skip=2)
    what = await restored(hand, row, BARE)
    assert what.outcome.result is Result.DONE


async def test_the_panels_trouble_while_the_node_restores_is_waited_out(hand: Hand, row: Backup) -> None:
    """The node goes on meanwhile."""
    hand.rig.server.restore_seconds = 3600
    restoring = asyncio.create_task(restored(hand, row, BARE))
    await hand.rig.clock.sleep(60)
    hand.rig.world.settings.maintenance = True
    await hand.rig.clock.sleep(1200)
    hand.rig.world.settings.maintenance = False
    what = await restoring
    assert (what.outcome.result, what.ended) == (Result.DONE, True)


async def test_the_end_is_looked_for_less_and_less_often(hand: Hand, row: Backup) -> None:
    """Once a minute in the end, so an hour costs about seventy requests, and a short restore is seen soon."""
    hand.rig.server.restore_seconds = 3600
    await restored(hand, row, BARE)
    assert hand.rig.requests(Call.SERVER) < 75
    hand.rig.server.restore_seconds = 5
    began = hand.rig.clock.monotonic()
    await restored(hand, row, BARE)
    assert hand.rig.clock.monotonic() - began < 15


async def test_a_key_withdrawn_while_it_waits_ends_the_waiting(hand: Hand, row: Backup) -> None:
    """The restore itself was begun, so not all failed."""
    hand.rig.server.restore_seconds = 3600
    restoring = asyncio.create_task(restored(hand, row, BARE))
    await hand.rig.clock.sleep(60)
    hand.rig.world.faults.order(faults.refused(401, "AuthenticationException", "Unauthenticated."), times=None)
    what = await restoring
    assert (codes(what), what.ended, what.outcome.changed, exit_code(hand, what)) == (["key-refused"], False, True, 3)


async def test_a_restore_that_never_ends_is_left_after_six_hours(hand: Hand, row: Backup) -> None:
    """It goes on at the panel."""
    hand.rig.server.restore_seconds = 86_400
    operation = hand.operation()
    began = hand.rig.clock.now()
    what = await restore(operation, await hand.backup(row), BARE)
    assert timedelta(hours=6) <= hand.rig.clock.now() - began < timedelta(hours=6, minutes=2)
    assert (codes(what), exit_code(hand, what)) == (["timeout"], 3)
    assert operation.going_on


async def test_a_server_that_is_in_another_state_afterwards_is_told(hand: Hand, row: Backup) -> None:
    """Such as suspended meanwhile."""
    hand.rig.server.restore_seconds = 3600
    restoring = asyncio.create_task(restored(hand, row, BARE))
    await hand.rig.clock.sleep(60)
    hand.rig.server.status = "suspended"
    what = await restoring
    assert what.outcome.problems[0].text == "the server is suspended now that the restore has ended"
