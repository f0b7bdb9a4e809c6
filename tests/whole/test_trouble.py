"""Everything that a panel can answer at the wrong moment: the right result, a clear line, nothing lost."""

import asyncio
import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.core.model import Obstacle
from daemon.errors import Exit, JournalBusyError, StateError
from daemon.panel.errors import ServerStateError
from daemon.rotation.outcome import Outcome, Result, Retry, exit_code
from daemon.rotation.rotate import halted_by
from daemon.rotation.setup import keep_state
from daemon.sandbox import faults
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import BackupEnding, Change, State, Work
from daemon.sandbox.scenes import own_name
from daemon.sandbox.settings import Kind
from daemon.state import StepName
from daemon.state.local.journal import SqliteJournal
from tests.whole.rig import Rig

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", Kind)]


@pytest.fixture
async def history(rig: Rig) -> list[str]:
    """Five good backups of the last five days, of which keep = { last = 3 } lets two go."""
    return rig.fill(5)


def deleted(rig: Rig) -> list[str]:
    """What the panel's own ledger says was deleted."""
    return [entry.name for entry in rig.world.ledger if entry.change is Change.DELETED]


def problem(outcome: Outcome) -> tuple[str, str]:
    """The code and text of an outcome's last problem."""
    return outcome.problems[-1].code, outcome.problems[-1].text


def named(value: object) -> str:
    """A fault's name, for the title of a test."""
    return str(getattr(value, "name", value))


SLOW = faults.slow(90.0)
"""An answer that comes after the client's patience, 60 s, is at its end."""

ON_CREATE = [
    (faults.refused(401, "AuthenticationException", "Unauthenticated."), "key-refused", 4),
    (faults.refused(403, "AccessDeniedHttpException", "This action is unauthorized."), "permission-lacking", 4),
    (faults.refused(404, "NotFoundHttpException", "no such backup host"), "no-backup-host", 4),
    (
        faults.refused(422, "ValidationException", "The name may not be greater than 191 characters."),
        "invalid-request",
        4,
    ),
    (faults.creation_throttle("599"), "creation-throttled", 4),
    (faults.creation_throttle(None), "creation-throttled", 4),
    (faults.node_error(500), "node", 4),
    (faults.node_error(504), "node", 4),
    (faults.job(), "foreign-panel", 4),
    (faults.redirected(), "strange-answer", 4),
]


async def test_the_newest_good_backup_that_was_seen_is_reported_whatever_failed(rig: Rig, history: list[str]) -> None:
    """Alerts tell how far back one could go, also at the first failure of a daemon that remembers nothing."""
    newest = max(row.created_at for row in rig.server.backups.values() if row.name in history)
    rig.world.faults.order(faults.node_error(500), on=Call.CREATE)
    refused = await rig.rotate()
    rig.server.coming.append(Work(outcome=BackupEnding.FAILED))
    failed = await rig.rotate()
    for outcome in (refused, failed):
        assert outcome.result is Result.FAILED
        assert outcome.good_seen_at == newest.replace(microsecond=0)


@pytest.mark.parametrize(("fault", "code", "exit_"), ON_CREATE, ids=named)
async def test_trouble_on_create_is_reported_and_deletes_nothing(
    rig: Rig, history: list[str], fault: Fault, code: str, exit_: int
) -> None:
    """No new backup, so no deletion; the create is asked for once."""
    rig.world.faults.order(fault, on=Call.CREATE)
    outcome = await rig.rotate()
    assert outcome.result is Result.FAILED
    assert problem(outcome)[0] == code
    assert outcome.problems[-1].hint
    assert exit_code([outcome]) == exit_
    assert deleted(rig) == []
    assert set(history) <= set(rig.names())
    assert rig.requests(Call.CREATE) == 1


LEFT_OPEN = [faults.refused(500, "QueryException"), faults.refused(503), faults.lost_before()]
LEFT_OPEN += map(faults.web_page, (500, 502, 503, 504))


@pytest.mark.parametrize("fault", LEFT_OPEN, ids=named)
async def test_a_create_that_may_have_been_done_is_settled_by_looking_for_two_minutes(rig: Rig, fault: Fault) -> None:
    """It was not done, so its name never appears: the rotation fails, and asked only once."""
    rig.world.faults.order(fault, on=Call.CREATE)
    began = rig.clock.now()
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.FAILED, "create-unknown")
    assert rig.clock.now() - began >= timedelta(seconds=120)
    assert rig.requests(Call.CREATE) == 1
    assert rig.names() == []


DONE = [faults.lost_after(), faults.cut(), faults.reset()]
DONE += [faults.error_after(status, page=page) for status in (500, 503) for page in (False, True)]


@pytest.mark.parametrize("fault", [*DONE, SLOW], ids=named)
async def test_a_lost_answer_to_a_create_that_was_done_costs_nothing(
    rig: Rig, history: list[str], fault: Fault
) -> None:
    """The backup is found by its name and the rotation goes on to its end."""
    rig.world.faults.order(fault, on=Call.CREATE)
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    await rig.clock.sleep(60)  # by then the slowest answer has come
    assert rig.requests(Call.CREATE) == 1
    assert deleted(rig) == history[:3]


@pytest.mark.parametrize("retry_after", ["60", None, "soon"])
async def test_a_create_that_the_api_limit_turned_away_is_asked_again_after_it(
    rig: Rig, history: list[str], retry_after: str | None
) -> None:
    """That 429 comes before anything is done, so asking again after the pause repeats nothing."""
    rig.world.faults.order(faults.api_limit(retry_after), on=Call.CREATE)
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert rig.requests(Call.CREATE) == 2
    assert deleted(rig) == history[:3]


async def test_at_the_limit_room_is_made_by_exactly_one_deletion(rig: Rig) -> None:
    """The oldest that the plan deletes anyhow goes first; the rest only after the new one is good."""
    names = rig.fill(6)
    rig.server.limit = 6
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    entries = [entry for entry in rig.world.ledger if entry.by != "history"]
    changes = [entry.change for entry in entries]
    assert changes == [Change.DELETED, Change.CREATED, Change.COMPLETED, *[Change.DELETED] * 3]
    assert deleted(rig) == names[:4]


async def test_at_the_limit_with_all_locked_nothing_is_deleted_and_it_says_why(rig: Rig) -> None:
    """Locked ones are the operator's; the limit is his to raise."""
    names = rig.fill(4, locked=True)
    rig.server.limit = 4
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.REFUSED, "limit")
    assert "all 4 locked" in problem(outcome)[1]
    assert exit_code([outcome]) is Exit.REFUSED
    assert rig.names() == names


def another_takes_the_room(rig: Rig) -> None:
    """At a limit of 5 somebody makes a backup between the deletion and the create that it was for."""
    rig.server.limit = 5

    def take(_world: object, _server: object) -> None:
        rig.world.add_backup(rig.server, "taken", created_at=rig.world.now(), by="somebody")

    rig.world.faults.order(faults.meanwhile(take), on=Call.CREATE, skip=1)


async def test_room_that_somebody_else_takes_is_not_made_again(rig: Rig) -> None:
    """One deletion is one deletion; the panel's limit is then still reached, and it is said."""
    names = rig.fill(5)
    another_takes_the_room(rig)
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.REFUSED, "limit")
    assert "somebody else took it" in problem(outcome)[1]
    assert deleted(rig) == names[:1]


async def test_room_that_somebody_else_took_is_made_again_a_day_later(rig: Rig) -> None:
    """Nothing bad came of it, so the server need not wait for its operator; no earlier than that, and it says when."""
    names = rig.fill(5)
    another_takes_the_room(rig)
    await rig.rotate()
    await rig.clock.sleep(23 * 3600)
    again = problem(await rig.rotate())[1]
    assert "no backup came of it; it is made again from 2" in again
    assert deleted(rig) == names[:1]
    await rig.clock.sleep(3600)
    third = await rig.rotate()
    assert third.result is Result.DONE, third.problems
    assert deleted(rig)[:2] == names[:2]


async def test_a_bad_backup_after_the_room_that_was_taken_makes_no_room_a_day_later(rig: Rig) -> None:
    """Its create was accepted, by whatever way the place came free: that is a server that makes bad backups."""
    names = rig.fill(5)
    another_takes_the_room(rig)
    await rig.rotate()
    rig.server.limit = 6
    rig.server.coming.append(Work(outcome=BackupEnding.FAILED))
    assert problem(await rig.rotate())[0] == "backup-failed"
    rig.server.limit = 5
    await rig.clock.sleep(25 * 3600)
    assert "no backup has turned good since" in problem(await rig.rotate())[1]
    assert deleted(rig) == names[:1]


def take_state_away(rig: Rig) -> None:
    """Leave no state folder, and none that could be made."""
    shutil.rmtree(rig.folder / "state")
    (rig.folder / "state").write_text("a file where the folder should be")


async def test_no_room_is_made_without_a_journal(rig: Rig) -> None:
    """A kill in between could not be picked up: the next start might make room again."""
    names = rig.fill(5)
    rig.server.limit = 5
    take_state_away(rig)
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.REFUSED, "limit")
    assert rig.names() == names


async def test_a_new_backup_that_vanishes_during_the_wait_deletes_nothing(rig: Rig, history: list[str]) -> None:
    """The look that should find it completed finds it gone."""
    rig.server.work = Work(seconds=30)

    def vanish(_world: object, _server: object) -> None:
        rig.world.remove(rig.server, next(reversed(rig.server.backups.values())), by="somebody")

    rig.world.faults.order(faults.web_page(502), on=Call.LIST, skip=1, times=8)  # so that views find it completed
    rig.world.faults.order(faults.meanwhile(vanish), on=Call.LIST, skip=1)
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.FAILED, "vanished")
    assert set(history) <= set(rig.names())


async def test_a_backup_that_came_after_all_is_known_by_its_name_though_the_panel_s_clock_was_set(rig: Rig) -> None:
    """It was taken for not done, and its date says nothing any more (seed 699756527)."""
    start = rig.world.now()
    rig.world.faults.order(faults.late(300), on=Call.CREATE)
    assert problem(await rig.rotate("schedule", start))[0] == "create-unknown"
    await rig.clock.sleep(600)
    rig.world.settings.skew = timedelta(days=180)
    again = await rig.rotate("retry", start)
    assert [again.created and again.created.name] == rig.names()


async def test_what_a_killed_rotation_of_an_earlier_start_asked_for_is_not_taken_for_this_one_s(rig: Rig) -> None:
    """Its row was left open, and so is found with those of this start (seed 818628)."""
    start, day = rig.world.now(), timedelta(days=1)
    (old,) = rig.fill(1)
    about = {"server_uuid": rig.server.uuid, "server": "survival", "panel": "main", "policy": "standard"}
    killed = rig.journal.begin(**about, trigger="schedule", start_at=start - day, at=start - day)
    rig.journal.step(killed, StepName.CREATE, start - day, backup=old)
    rig.journal.step(killed, StepName.CREATE_REFUSED, start - day, backup=old)
    rig.world.faults.order(faults.node_error(502), on=Call.CREATE)
    assert problem(await rig.rotate("schedule", start))[0] == "node"
    again = await rig.rotate("retry", start)
    assert again.created is not None
    assert again.created.name != old


def unwritable(*_: object, **__: object) -> None:
    """What a step meets while the disk is in trouble."""
    raise StateError("the disk is full")


@pytest.mark.parametrize("journalled", [True, False])
async def test_a_start_that_took_over_another_backup_does_not_miss_the_one_that_it_asked_for(
    rig: Rig, journalled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing came of its create; a backup by hand serves it. What cannot be deleted brings it back (seed 786935), and
    so does a journal that failed while it was taken over (seed 835956).
    """
    rig.fill(5)
    start = rig.world.now()

    def hides(_world: object, _server: object) -> None:
        rig.world.faults.order(faults.web_page(502), on=Call.LIST, times=None)

    rig.world.faults.order(replace(faults.refused(500), meanwhile=hides), on=Call.CREATE)
    assert problem(await rig.rotate("schedule", start))[0] == "create-unknown"
    rig.world.faults.clear()
    await rig.clock.sleep(600)
    rig.world.faults.order(faults.refused(500), on=Call.DELETE, times=None)
    by_hand = await rig.rotate()
    with monkeypatch.context() as patch:
        if not journalled:
            patch.setattr(type(rig.journal), "step", unwritable)
        taken_over = await rig.rotate("retry", start)
    assert by_hand.created is not None
    assert problem(taken_over)[0] == ("undeletable" if journalled else "journal")
    rig.world.faults.clear()
    last = await rig.rotate("retry", start)
    assert last.result is Result.DONE, last.problems
    assert last.created == taken_over.created == by_hand.created


async def test_no_room_is_made_a_second_time_before_a_backup_turned_good(rig: Rig) -> None:
    """A node that fails every backup must not eat the good ones, one a night."""
    names = rig.fill(5)
    rig.server.limit = 5
    rig.server.coming.extend([Work(outcome=BackupEnding.FAILED)] * 3)
    first = await rig.rotate()
    assert (first.result, problem(first)[0]) == (Result.FAILED, "backup-failed")
    assert deleted(rig) == names[:1]
    rig.server.limit = 4
    second = await rig.rotate()
    assert (second.result, problem(second)[0]) == (Result.REFUSED, "limit")
    assert "room was made once already" in problem(second)[1]
    assert deleted(rig) == names[:1]


async def test_making_room_spares_what_the_rules_keep(rig: Rig) -> None:
    """At a limit that equals what is kept, the one that the coming one supersedes goes, and never the newest."""
    names = rig.fill(3)
    rig.server.limit = 3
    rig.server.coming.append(Work(outcome=BackupEnding.FAILED))
    await rig.rotate()
    assert deleted(rig) == names[:1]
    rig.configure(keep={"last": 1})
    rig.server.limit = 1
    rig.server.coming.append(Work(outcome=BackupEnding.FAILED))
    await rig.rotate()
    assert names[-1] in rig.names()


@pytest.mark.parametrize("call", [Call.SERVER, Call.LIST])
@pytest.mark.parametrize(
    "fault",
    [faults.web_page(502), faults.api_limit("5"), faults.api_limit(None), faults.cut(), faults.reset()],
    ids=str,
)
async def test_passing_trouble_on_a_read_is_waited_out(rig: Rig, history: list[str], fault: Fault, call: Call) -> None:
    """Reads are repeated with back-off; the rotation does not notice."""
    rig.world.faults.order(fault, on=call)
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems) == (Result.DONE, ())
    assert deleted(rig) == history[:3]


async def test_a_list_that_shifts_while_it_is_read_is_read_again(rig: Rig) -> None:
    """Another client deletes one between two pages; nothing is skipped, and nothing wrong is deleted."""
    rig.fill(60)
    rig.world.faults.order(faults.vanishes(0), on=Call.LIST, skip=1)
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert len(rig.names()) == 3


async def test_a_list_that_keeps_changing_lets_nothing_be_deleted(rig: Rig) -> None:
    """The new backup stands; the rest waits for a list that holds still."""
    names = rig.fill(60)
    unsteady = replace(faults.appears("by somebody else"), change=faults.wrong_total(1).change)
    rig.world.faults.order(unsteady, on=Call.LIST, times=None)
    outcome = await rig.rotate()
    assert outcome.created is not None
    assert (outcome.result, problem(outcome)[0]) == (Result.REFUSED, "partial-listing")
    assert set(names) <= set(rig.names())


async def test_a_creation_that_fails_displaces_no_good_one(rig: Rig, history: list[str]) -> None:
    """The failed one is reported, and nothing is deleted after it."""
    rig.server.coming.append(Work(outcome=BackupEnding.FAILED))
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.FAILED, "backup-failed")
    assert deleted(rig) == []
    assert set(history) < set(rig.names())


async def test_a_creation_that_never_ends_is_given_up_after_its_timeout(rig: Rig, history: list[str]) -> None:
    """After six hours it is reported and left alone: deleting it would leave the node writing an orphan."""
    rig.server.coming.append(Work(outcome=BackupEnding.STUCK))
    began = rig.clock.now()
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.FAILED, "timeout")
    assert timedelta(hours=6) <= rig.clock.now() - began < timedelta(hours=6, minutes=6)
    assert deleted(rig) == []
    assert len(rig.names()) == len(history) + 1


async def test_a_suspicious_new_backup_deletes_nothing(rig: Rig, history: list[str]) -> None:
    """A world that shrank to a tenth overnight may be an empty one."""
    rig.server.coming.append(Work(size=2_000))
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.FAILED, "backup-suspicious")
    assert outcome.problems[0].hint == "look into it; if it is good after all, run `ptero-backupd backups accept`"
    assert deleted(rig) == []
    assert set(history) < set(rig.names())


@pytest.mark.parametrize("state", ["suspended", "installing", "restoring_backup"])
async def test_a_server_that_cannot_be_backed_up_now_is_skipped_and_said(rig: Rig, state: str) -> None:
    """Suspended is no failure; the passing states are worth a second look."""
    rig.server.status = state
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.SKIPPED, "server-state")
    assert exit_code([outcome]) == (Exit.DONE if state == "suspended" else Exit.SOME_FAILED)
    assert rig.requests(Call.CREATE) == 0


async def test_a_server_whose_reinstallation_failed_is_backed_up_where_the_panel_lets_it(rig: Rig, kind: Kind) -> None:
    """A Pterodactyl does, as often as asked; a Pelican calls it installing for ever."""
    rig.server.status = "reinstall_failed"
    outcome = await rig.rotate()
    if kind is Kind.PTERODACTYL:
        assert (outcome.result, rig.server.status) == (Result.DONE, "reinstall_failed")
        assert outcome.problems == ()
    else:
        assert (outcome.result, problem(outcome)[0]) == (Result.FAILED, "server-state")


async def test_a_server_whose_installation_failed_needs_somebody_and_is_told_as_such(rig: Rig) -> None:
    """Its state does not end by itself, so that nobody waits for it: it is a failure, and not tried before its time."""
    rig.server.status = "install_failed"
    outcome = await rig.rotate()
    assert (outcome.result, outcome.passing, outcome.problems[-1].hint) == (
        Result.FAILED,
        False,
        ServerStateError.installed_hint,
    )
    assert problem(outcome) == ("server-state", "the server is not installed (install_failed)")
    assert exit_code([outcome]) is Exit.FAILED
    assert halted_by(ServerStateError("x", obstacle=Obstacle.INSTALL_FAILED)).retry is Retry.NO


async def test_a_server_on_a_node_under_maintenance_is_skipped_and_said(rig: Rig) -> None:
    """The panel would answer every backup call with 409."""
    rig.server.node.maintenance = True
    outcome = await rig.rotate()
    assert outcome.result is Result.SKIPPED
    assert "maintenance" in problem(outcome)[1]
    assert "maintenance" in outcome.problems[-1].hint


@pytest.mark.parametrize("locale", ["en", "de"])
async def test_a_server_suspended_in_the_middle_is_skipped(rig: Rig, locale: str) -> None:
    """The 409 comes on create, after the view said that all was well; it is in the panel's own language."""
    rig.world.settings.locale = locale
    rig.world.faults.order(
        faults.meanwhile(lambda _world, _server: setattr(rig.server, "status", "suspended")), on=Call.CREATE
    )
    outcome = await rig.rotate()
    assert (outcome.result, outcome.passing) == (Result.SKIPPED, False)
    assert outcome.problems[-1].hint == ServerStateError.suspended_hint


async def test_a_server_without_any_backup_limit_is_refused(rig: Rig) -> None:
    """A limit of 0 means that the panel allows none."""
    rig.server.limit = 0
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.REFUSED, "limit")


async def test_one_rotation_at_a_time_per_server(rig: Rig) -> None:
    """The second is skipped at once and makes no backup."""
    rig.server.work = Work(seconds=60)
    other = rig.open_context()
    first, second = await asyncio.gather(rig.rotate(), rig.rotate(with_tools=other))
    assert (first.result, second.result) == (Result.DONE, Result.SKIPPED)
    assert problem(second)[0] == "busy"
    assert rig.requests(Call.CREATE) == 1
    await other.journal.close()


async def test_a_backup_locked_meanwhile_is_spared_though_the_listing_is_older(rig: Rig, history: list[str]) -> None:
    """The panel refuses to delete a locked one; the listing is taken and judged anew."""

    def lock(_world: object, _server: object) -> None:
        next(backup for backup in rig.server.backups.values() if backup.name == history[0]).locked = True

    rig.world.faults.order(faults.meanwhile(lock), on=Call.DELETE)
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert history[0] in rig.names()
    assert deleted(rig) == history[1:3]
    assert rig.journal.asked(rig.server.uuid) == frozenset(), "nothing of it can be half deleted"


async def test_a_locked_failed_one_is_spared_though_the_panel_would_delete_it(rig: Rig, history: list[str]) -> None:
    """Before each deletion of a failed one it is read again: a lock set meanwhile is honoured."""
    made = rig.world.now() - timedelta(days=10)
    name = own_name("survival", made, 99)
    failed = rig.world.add_backup(rig.server, name, created_at=made, state=State.FAILED, by="history")

    def lock(_world: object, _server: object) -> None:
        failed.locked = True

    rig.world.faults.order(faults.meanwhile(lock), on=Call.VIEW)
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert failed.name in rig.names()
    assert deleted(rig) == history[:3]


@pytest.mark.parametrize("fault", DONE, ids=named)
async def test_a_lost_answer_to_a_delete_is_settled_by_reading(rig: Rig, history: list[str], fault: Fault) -> None:
    """It was done; it is not asked for again."""
    rig.world.faults.order(fault, on=Call.DELETE)
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert deleted(rig) == history[:3]
    assert rig.requests(Call.DELETE) == 3


async def test_deletions_that_the_node_refuses_are_left_for_the_next_try(rig: Rig, history: list[str]) -> None:
    """The new backup is good; what could not be deleted is said, and the daemon comes back to it in ten minutes."""
    rig.world.faults.order(faults.node_error(500), on=Call.DELETE, times=None)
    outcome = await rig.rotate("schedule", rig.clock.now())
    assert (outcome.result, problem(outcome)[0]) == (Result.FAILED, "undeletable")
    assert outcome.retry_at == rig.clock.now() + timedelta(minutes=10)
    assert set(history) < set(rig.names())


async def test_the_ignore_list_is_asked_line_by_line_and_looked_at(rig: Rig) -> None:
    """What the panel understood is compared with what was asked."""
    rig.configure(ignored=["logs/", "*.tmp"])
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems) == (Result.DONE, ())
    assert outcome.created is not None
    assert outcome.created.ignored == ("logs/", "*.tmp")
    rig.world.faults.order(faults.with_values({"ignored_files": ["logs/,*.tmp"]}), on=Call.LIST, times=None)
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.DONE, "ignored")


async def test_without_a_usable_state_folder_backups_are_made_and_none_is_deleted(rig: Rig, history: list[str]) -> None:
    """Where nothing can be journalled a kill could not be picked up, so deleting waits."""
    take_state_away(rig)
    outcome = await rig.rotate()
    assert outcome.created is not None
    assert outcome.result is Result.FAILED
    assert {found.code for found in outcome.problems} == {"journal"}
    assert set(history) < set(rig.names())


async def test_a_state_that_cannot_be_opened_again_costs_nothing_of_what_is_remembered_without_it(rig: Rig) -> None:
    """Each rotation tries to open it; until that succeeds, the others read and write the journal in memory."""
    take_state_away(rig)
    names = [(await rig.rotate()).created for _ in range(2)]
    assert None not in names
    rows = await rig.context.journal.recent()
    assert [row.ended_at is None for row in rows] == [False, False]


async def test_without_any_state_configured_rotation_rests_on_the_listing_alone(rig: Rig, history: list[str]) -> None:
    """A sidecar without a volume deletes as well."""
    rig.state = False
    rig.configure()
    rig.journal.close()
    rig.context = rig.open_context()
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert deleted(rig) == history[:3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scope": "all"}, "scope"),
        ({"name": "nightly-{time}"}, "name"),
        (None, "gone from the configuration"),
    ],
)
async def test_nothing_is_deleted_when_the_configuration_now_speaks_of_other_backups(
    rig: Rig, history: list[str], change: dict[str, str] | None, words: str
) -> None:
    """A reload while the rotation waits may not turn its deletions against backups that were never meant."""
    rig.server.work = Work(seconds=600)
    rotation = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(300)
    if change is None:
        rig.context.current_config = lambda _: None
    else:
        rig.configure(**change)
    outcome = await rotation
    assert (outcome.result, problem(outcome)[0]) == (Result.REFUSED, "configuration-changed")
    assert words in problem(outcome)[1]
    assert deleted(rig) == []
    assert set(history) < set(rig.names())


async def test_a_state_folder_that_comes_back_is_used_again(rig: Rig, history: list[str]) -> None:
    """Deleting waits only as long as the journal is away."""
    state = rig.folder / "state"
    rig.journal.close()
    state.rename(rig.folder / "aside")
    state.write_text("a file where the folder should be")
    rig.context = rig.open_context()
    without = await rig.rotate()
    assert without.created is not None
    assert deleted(rig) == []
    assert {found.code for found in without.problems} == {"journal"}
    state.unlink()
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert deleted(rig) == [*history[:4]]


@pytest.mark.parametrize("how", ["removed", "replaced"])
@pytest.mark.parametrize("noticed", [True, False])
async def test_a_state_that_fails_meanwhile_is_opened_anew(
    rig: Rig, history: list[str], how: str, noticed: bool
) -> None:
    """Somebody removed the folder, or put another database into its place: it heals by itself, at the latest when the
    next rotation begins.
    """
    state = rig.folder / "state"
    assert (await rig.rotate()).result is Result.DONE
    if how == "removed":
        shutil.rmtree(state)
    else:
        (state / "history.sqlite3").rename(state / "before")
        shutil.copy(state / "before", state / "history.sqlite3")
    if noticed:
        await keep_state(rig.context)
        assert rig.context.state_trouble is None
    rig.fill(5)
    outcome = await rig.rotate()
    assert (outcome.result, len(outcome.deleted) > 0, outcome.problems) == (Result.DONE, True, ())
    with SqliteJournal.open(state) as journal:
        assert [row.result for row in journal.recent(limit=1)] == ["done"]


@pytest.mark.parametrize("part", ["-wal", "-shm"])
async def test_a_journal_that_lost_a_part_is_opened_anew(rig: Rig, part: str) -> None:
    """Somebody deleted a file beside the database: after a kill, what is written there would be found by nobody."""
    assert (await rig.rotate()).result is Result.DONE
    lost = rig.folder / "state" / f"history.sqlite3{part}"
    lost.unlink()
    await keep_state(rig.context)
    assert rig.context.state_trouble is None
    rig.fill(5)
    outcome = await rig.rotate()
    assert (outcome.result, len(outcome.deleted) > 0, outcome.problems) == (Result.DONE, True, ())
    assert lost.exists()
    assert [row.result for row in await rig.context.journal.recent()] == ["done", "done"]


async def test_while_the_state_fails_it_is_known_and_mended_at_the_next_rotation(rig: Rig, history: list[str]) -> None:
    """A failed write, and a lock that cannot be made, are both trouble with the state."""
    locks = rig.folder / "state" / "locks"
    locks.write_text("a file where the folder should be")
    outcome = await rig.rotate()
    assert (problem(outcome)[0], outcome.deleted) == ("journal", ())
    await keep_state(rig.context)
    trouble = rig.context.state_trouble
    assert trouble is not None
    assert "locks" in trouble.text
    locks.unlink()
    assert (await rig.rotate()).result is Result.DONE
    assert rig.context.state_trouble is None
    assert deleted(rig) == [*history[:4]]


async def test_a_journal_that_another_holds_is_waited_for(rig: Rig, history: list[str]) -> None:
    """A backup tool has it locked for half a minute: the rotation begins after it, and nothing is missing."""
    shell = sqlite3.connect(rig.folder / "state" / "history.sqlite3", isolation_level=None)
    shell.execute("BEGIN EXCLUSIVE")
    began = rig.clock.monotonic()
    rotation = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(20)
    before = rig.context.state_trouble
    await keep_state(rig.context)
    after = rig.context.state_trouble
    assert isinstance(before, JournalBusyError)
    assert isinstance(after, JournalBusyError)
    assert rig.requests(Call.CREATE) == 0
    shell.execute("ROLLBACK")
    outcome = await rotation
    assert (outcome.result, rig.context.state_trouble) == (Result.DONE, None)
    assert deleted(rig) == [*history[:3]]
    assert rig.clock.monotonic() - began > 20
    shell.execute("BEGIN EXCLUSIVE")
    without = await rig.rotate()
    assert (without.created is not None, without.deleted) == (True, ())
    shell.close()


async def test_a_damaged_journal_is_set_aside_and_the_daemon_goes_on(rig: Rig) -> None:
    """A new one is begun; the old one is kept for whoever wants to look."""
    rig.journal.close()
    (rig.folder / "state" / "history.sqlite3").write_bytes(b"this is no database, and never was one" * 100)
    rig.context = rig.open_context()
    assert rig.context.state_trouble is None
    assert (await rig.rotate()).result is Result.DONE
    assert (rig.folder / "state" / "history.sqlite3.damaged-1").exists()


async def test_a_rotation_that_cannot_even_see_its_server_is_in_the_journal(rig: Rig) -> None:
    """The attempt is known, so a restart does not take the start for missed."""
    rig.world.faults.order(faults.web_page(502), times=None)
    outcome = await rig.rotate("schedule", rig.clock.now())
    assert (outcome.result, problem(outcome)[0]) == (Result.FAILED, "panel-trouble")
    (row,) = rig.journal.recent("survival")
    assert (row.result, row.retry_at) == ("failed", outcome.retry_at)


async def test_deletion_waits_when_the_backups_change_each_time_they_are_looked_at(
    rig: Rig, history: list[str]
) -> None:
    """Three listings, then the next rotation may try."""
    rig.world.faults.order(
        faults.refused(400, "BackupLockedException", "Cannot delete a backup that is marked as locked."),
        on=Call.DELETE,
        times=None,
    )
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.DONE, "changing")
    assert "before a backup was deleted, the last time: " in outcome.problems[0].text
    assert rig.requests(Call.DELETE) == 3
    assert set(history) < set(rig.names())


async def test_an_outcome_has_its_steps_whether_they_could_be_journalled_or_not(rig: Rig, history: list[str]) -> None:
    """As the journal has them; a rotation without one took the same steps, but for the deletions."""
    outcome = await rig.rotate()
    (row,) = rig.journal.recent("survival")
    assert [(step.name, step.detail) for step in outcome.steps] == [(step.name, step.detail) for step in row.steps]
    shutil.rmtree(rig.folder / "state" / "locks")
    (rig.folder / "state" / "locks").write_text("a file where the folder should be")
    without = await rig.rotate()
    assert {"create", "created", "turned_good", "planned"} <= {step.name for step in without.steps}
    assert not [step for step in without.steps if step.name == "delete_done"]
