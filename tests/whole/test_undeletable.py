"""Deletions that the panel does not do, or half: the others go on, and what was not done is tried again."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from daemon.config.values import Config
from daemon.core.model import Server as Seen
from daemon.rotation.delete import MOST_UNDELETED
from daemon.rotation.outcome import Outcome, Result
from daemon.rotation.preview import Preview, preview
from daemon.rotation.report import newest_good_at
from daemon.sandbox import faults
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import Backup, Change, NodeState, Server, State
from daemon.sandbox.scenes import own_name
from daemon.sandbox.settings import Kind
from daemon.status.coverage import Cover, cover_of
from daemon.status.snapshot import Snapshot
from tests.whole.fleet import Daemons, at, rows, until
from tests.whole.rig import Rig, start_with_the_clock_set

pytestmark = pytest.mark.anyio


def named(fault: Fault) -> str:
    return fault.name


def deleted(rig: Rig) -> list[str]:
    """What the panel's own ledger says was deleted."""
    return [entry.name for entry in rig.world.ledger if entry.change is Change.DELETED]


def oldest(rig: Rig) -> Backup:
    return next(iter(rig.server.backups.values()))


def undeletable(rig: Rig, fault: Fault, *, on: Call | None = Call.DELETE, times: int | None = None) -> str:
    """Let every call for the oldest backup meet that; return its name."""
    rig.world.faults.order(fault, on=on, backup=oldest(rig).uuid, times=times)
    return oldest(rig).name


def said(outcome: Outcome) -> list[str]:
    return [problem.code for problem in outcome.problems]


REFUSED = [
    faults.refused(500, "Exception"),
    faults.refused(500, "QueryException"),
    faults.refused(400),
    faults.refused(403, "AccessDeniedHttpException"),
    faults.refused(409, "ServerStateConflictException"),
    faults.refused(422, "ValidationException"),
    faults.node_error(500),
    faults.node_error(404),
    faults.web_page(404),
    faults.redirected(),
]
"""What says that it was not done."""
OPEN = [faults.web_page(502), faults.web_page(504), faults.lost_before()]
"""What leaves open whether it was done, or still will be."""


@pytest.mark.parametrize("fault", REFUSED + OPEN, ids=named)
async def test_one_that_cannot_be_deleted_is_told_and_the_others_go(rig: Rig, fault: Fault) -> None:
    """Its object in S3 is gone, say. One backup more is there than there should be, and not one more each day."""
    names = rig.fill(5)
    stays = undeletable(rig, fault)
    outcome = await rig.rotate()
    assert (outcome.result, said(outcome)) == (Result.FAILED, ["undeletable"])
    assert stays in outcome.problems[0].text
    assert deleted(rig) == names[1:3]
    assert [backup.name for backup in outcome.undeleted] == [stays]
    assert outcome.kept == len(rig.names()) == 4
    rig.world.faults.clear()
    again = await rig.rotate()
    assert (again.result, again.problems) == (Result.DONE, ())
    assert deleted(rig) == [*names[1:4], stays]


async def test_one_that_cannot_even_be_looked_at_hinders_nothing(rig: Rig) -> None:
    """A failed one is looked at before its deletion; the panel answers 500 to that, and to everything of it."""
    made = rig.world.now() - timedelta(days=10)
    name = own_name("survival", made, 99)
    rig.world.add_backup(rig.server, name, created_at=made, state=State.FAILED, by="history")
    names = rig.fill(5)
    undeletable(rig, faults.refused(500, "Exception"), on=None)
    outcome = await rig.rotate()
    assert (outcome.result, said(outcome)) == (Result.FAILED, ["undeletable"])
    assert deleted(rig) == names[:3]


async def test_many_that_can_never_be_deleted_do_not_hide_the_others_from_the_next_rotation(rig: Rig) -> None:
    """Twenty end a rotation. The next one asks for them last, so that what can go goes."""
    names = rig.fill(26)
    for backup in list(rig.server.backups)[:MOST_UNDELETED]:
        rig.world.faults.order(faults.refused(400), on=Call.DELETE, backup=backup, times=None)
    assert len((await rig.rotate()).undeleted) == MOST_UNDELETED
    assert deleted(rig) == []
    await rig.clock.sleep(600)
    outcome = await rig.rotate()
    assert deleted(rig) == names[MOST_UNDELETED:-1]
    assert (outcome.result, len(outcome.undeleted)) == (Result.FAILED, MOST_UNDELETED)


@pytest.mark.parametrize("fault", REFUSED, ids=named)
async def test_at_the_limit_room_is_made_by_the_next_that_the_plan_deletes(rig: Rig, fault: Fault) -> None:
    """Five of five, and the oldest cannot be deleted: no start may be lost to that, and one room is one deletion."""
    names = rig.fill(5)
    rig.server.limit = 5
    stays = undeletable(rig, fault)
    outcome = await rig.rotate()
    assert outcome.created is not None
    assert (outcome.result, said(outcome)) == (Result.FAILED, ["undeletable"])
    changes = [(entry.change, entry.name) for entry in rig.world.ledger if entry.by != "history"]
    assert changes[0] == (Change.DELETED, names[1])
    assert changes[1][0] is Change.CREATED
    assert deleted(rig) == names[1:3]
    assert stays in rig.names()


@pytest.mark.parametrize("fault", OPEN, ids=named)
async def test_at_the_limit_no_second_one_goes_while_the_first_may_still_be_done(rig: Rig, fault: Fault) -> None:
    """A proxy lost the answer: the daemon's next try finds it still there, and takes the next one."""
    names = rig.fill(5)
    rig.server.limit = 5
    undeletable(rig, fault)
    start = rig.clock.now()
    first = await rig.rotate("schedule", start)
    assert (first.result, first.created, deleted(rig)) == (Result.FAILED, None, [])
    assert first.retry_at is not None
    at_once = await rig.rotate()
    assert (at_once.created, deleted(rig)) == (None, [])
    await rig.clock.sleep(600)
    second = await rig.rotate("retry", start)
    assert second.created is not None
    assert deleted(rig) == names[1:3]


async def test_a_first_one_that_was_asked_for_by_a_clock_that_was_set_back_since_is_not_on_its_way(rig: Rig) -> None:
    """Seed 113: for two months no other would have gone for room, and no backup been made."""
    names = rig.fill(5)
    rig.server.limit = 5
    start_with_the_clock_set(rig, timedelta(days=60))
    undeletable(rig, faults.web_page(502))
    assert (await rig.rotate()).created is None
    start_with_the_clock_set(rig, timedelta(days=-60))
    second = await rig.rotate()
    assert second.created is not None
    assert deleted(rig) == names[1:3]


async def test_at_the_limit_one_that_failed_once_is_tried_again_after_one_that_always_does(rig: Rig) -> None:
    """Both were asked for before; the older one can never be deleted, and must not hide the other."""
    names = rig.fill(4)
    rig.server.limit = 4
    undeletable(rig, faults.refused(500))
    second = list(rig.server.backups)[1]
    rig.world.faults.order(faults.refused(500), on=Call.DELETE, backup=second, times=3)
    assert (await rig.rotate()).created is None
    await rig.clock.sleep(600)
    outcome = await rig.rotate()
    assert outcome.created is not None
    assert deleted(rig) == [names[1]]


async def test_at_the_limit_where_nothing_else_is_to_go_nothing_else_goes(rig: Rig) -> None:
    """The plan deletes one, and that cannot be deleted: what is to be kept is no room."""
    rig.fill(3)
    rig.server.limit = 3
    stays = undeletable(rig, faults.refused(500))
    outcome = await rig.rotate()
    assert (outcome.result, deleted(rig)) == (Result.REFUSED, [])
    assert stays in outcome.problems[-1].text


EVERYWHERE = [
    (faults.refused(401, "AuthenticationException"), "key-refused"),
    (faults.api_limit("120"), "api-limit"),
    (replace(faults.job(), processed=False), "foreign-panel"),
]


@pytest.mark.parametrize(("fault", "code"), EVERYWHERE, ids=lambda value: getattr(value, "name", value))
async def test_what_concerns_every_deletion_ends_them(rig: Rig, fault: Fault, code: str) -> None:
    """The key, the panel and its API limit are not one backup's."""
    rig.fill(6)
    rig.world.faults.order(fault, on=Call.DELETE, times=None)
    outcome = await rig.rotate()
    assert (outcome.result, said(outcome)) == (Result.FAILED, [code])
    assert rig.requests(Call.DELETE) <= 1


async def test_a_permission_that_was_withdrawn_meanwhile_ends_them(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """403 to one would be 403 to each."""
    rig.fill(6)
    rig.world.faults.order(faults.refused(403, "AccessDeniedHttpException"), on=Call.DELETE)
    seen = rig.client.server

    async def withdrawn(server_id: str, **options: bool) -> Seen:
        return replace(await seen(server_id, **options), permissions=frozenset({"backup.read", "backup.create"}))

    monkeypatch.setattr(rig.client, "server", withdrawn)
    outcome = await rig.rotate()
    assert said(outcome) == ["permission-lacking"]
    assert rig.requests(Call.DELETE) == 1


async def test_a_server_that_is_suspended_amid_its_deletions_ends_them(rig: Rig) -> None:
    """409 to one is 409 to each."""
    rig.fill(6)
    rig.world.faults.order(
        faults.meanwhile(lambda _world, _server: setattr(rig.server, "status", "suspended")), on=Call.DELETE, skip=1
    )
    outcome = await rig.rotate()
    assert said(outcome) == ["server-state"]
    assert rig.requests(Call.DELETE) == 2


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("code", ["QueryException", "Exception"])
async def test_a_deletion_that_the_panel_half_did_is_asked_for_again(rig: Rig, code: str, times: int) -> None:
    """Pelican's SQLite was locked after the node had removed the file: the same DELETE again answers 204."""
    names = rig.fill(5)

    def half(_world: object, _server: object) -> None:
        oldest(rig).file_gone = True

    fault = Fault("half", processed=False, answer=faults.refused(500, code).answer, meanwhile=half)
    undeletable(rig, fault, times=times)
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems) == (Result.DONE, ())
    assert deleted(rig) == names[:3]
    assert rig.requests(Call.DELETE) == 3 + times


async def test_a_deletion_is_not_asked_for_again_once_it_was_locked(rig: Rig) -> None:
    """It is looked at before each DELETE that is a repetition."""
    names = rig.fill(5)

    def lock(_world: object, _server: object) -> None:
        rig.world.later(1, lambda: setattr(oldest(rig), "locked", True))

    fault = Fault("locked", processed=False, answer=faults.refused(500).answer, meanwhile=lock)
    undeletable(rig, fault, times=1)
    stays = oldest(rig).uuid
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert deleted(rig) == names[1:3]
    assert rig.journal.asked(rig.server.uuid) == {stays}, "the first DELETE may have removed its file"


async def test_a_lock_takes_back_no_doubt_that_is_older(rig: Rig) -> None:
    """The DELETE of an earlier rotation may have removed its file; that this one's is refused proves nothing."""
    rig.fill(4)
    stays = oldest(rig)
    rig.journal.ask(rig.server.uuid, stays.uuid, rig.clock.now())

    def lock(_world: object, _server: object) -> None:
        stays.locked = True

    rig.world.faults.order(faults.meanwhile(lock), on=Call.DELETE, backup=stays.uuid)
    assert (await rig.rotate()).result is Result.DONE
    assert stays.name in rig.names()
    assert rig.journal.asked(rig.server.uuid) == {stays.uuid}


async def test_a_deletion_that_fails_is_asked_for_three_times_at_growing_distances(rig: Rig) -> None:
    """Bounded, and no hammering."""
    rig.fill(4)
    moments: list[float] = []
    counted = Fault(
        "500",
        processed=False,
        answer=faults.refused(500).answer,
        meanwhile=lambda *_: moments.append(rig.clock.monotonic()),
    )
    undeletable(rig, counted)
    await rig.rotate()
    pauses = [late - early for early, late in pairwise(moments)]
    assert pauses == pytest.approx([2, 8], abs=1)


async def test_a_deletion_whose_answer_a_proxy_lost_is_looked_for(rig: Rig) -> None:
    """The node needed two seconds more than the proxy had: one look at once would still show it."""
    names = rig.fill(5)

    def answered(_world: object, _server: object) -> None:
        rig.world.later(3, lambda: rig.world.remove(rig.server, oldest(rig), by="backupd"))

    slow = Fault("504", processed=False, answer=faults.web_page(504).answer, meanwhile=answered)
    undeletable(rig, slow, times=1)
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems) == (Result.DONE, ())
    assert deleted(rig) == names[:3]
    assert rig.requests(Call.DELETE) == 3


async def test_the_node_s_trouble_is_settled_by_one_look(rig: Rig) -> None:
    """The panel itself spoke: no minute is spent on it, and the node is not asked for the same again at once."""
    rig.fill(5)
    undeletable(rig, faults.node_error(500))
    began = rig.clock.now()
    await rig.rotate()
    assert (rig.clock.now() - began).total_seconds() < 70  # of which a minute is the backup's
    assert rig.requests(Call.DELETE) == 3


async def test_room_that_may_still_be_made_is_not_made_twice_whatever_a_second_try_met(rig: Rig) -> None:
    """The proxy lost the first answer, and the panel said 500 to the second: the first may still be done."""
    rig.fill(5)
    rig.server.limit = 5
    undeletable(rig, faults.web_page(504), times=1)
    undeletable(rig, faults.refused(500), times=None)
    outcome = await rig.rotate()
    assert (outcome.result, said(outcome)) == (Result.FAILED, ["outcome-unknown"])
    assert deleted(rig) == []


async def test_room_that_was_made_is_not_made_twice_though_no_answer_says_so(rig: Rig) -> None:
    """The panel deleted it and said 500; one look finds it gone, and the next ones get no answer (seed 707422)."""
    names = rig.fill(5)
    rig.server.limit = 5
    failed = faults.refused(500, "QueryException", "An unexpected error was encountered.")
    rig.world.faults.order(Fault("500 after it was done", answer=failed.answer), on=Call.DELETE)
    rig.world.faults.order(faults.lost_before(), on=Call.VIEW)
    rig.world.faults.order(faults.lost_before(), on=Call.VIEW, skip=1, times=None)
    outcome = await rig.rotate()
    assert (outcome.result, said(outcome)) == (Result.FAILED, ["outcome-unknown"])
    assert deleted(rig) == names[:1]


# The daemon comes back to it ------------------------------------------------------------------------------------------


def filled(daemons: Daemons, survival: Server, count: int = 5) -> Config:
    """A configuration of that server alone, and good backups of its policy, one a day."""
    for day in range(count, 0, -1):
        moment = daemons.world.now() - timedelta(days=day, minutes=-2)
        name = own_name("survival", moment, day)
        daemons.world.add_backup(survival, name, created_at=moment, by="history")
    return daemons.configure({"survival": survival})


def ended(daemons: Daemons) -> list[tuple[str, str | None]]:
    """What became of the rotations; at the daemon's start there was one to see that no start was missed."""
    return [row for row in rows(daemons) if row != ("catch-up", "skipped")]


@pytest.mark.parametrize("restarted", [False, True])
async def test_the_daemon_comes_back_to_a_deletion_in_ten_minutes_and_makes_no_second_backup(
    daemons: Daemons, survival: Server, restarted: bool
) -> None:
    """Not a day later, though the new backup is good; a restart forgets nothing of it."""
    config, stays = filled(daemons, survival), next(iter(survival.backups))
    daemons.world.faults.order(faults.refused(500), on=Call.DELETE, backup=stays, times=6)
    async with daemons.running(config):
        await until(daemons.clock, at(1, 4, 5))
        assert stays in survival.backups
        if not restarted:
            await until(daemons.clock, at(1, 4, 50))
    if restarted:
        async with daemons.running(config):
            await until(daemons.clock, at(1, 4, 50))
    assert ended(daemons) == [("schedule", "failed"), ("retry", "failed"), ("retry", "done")]
    assert stays not in survival.backups
    assert daemons.app.requests(Call.CREATE) == 1


async def test_whoever_comes_back_to_a_deletion_makes_no_backup_though_the_first_is_gone(
    daemons: Daemons, survival: Server
) -> None:
    """The start had its backup, and somebody deleted it: nothing is deleted after it, and nothing made."""
    config, stays = filled(daemons, survival), next(iter(survival.backups))
    daemons.world.faults.order(faults.refused(500), on=Call.DELETE, backup=stays, times=3)
    async with daemons.running(config):
        await until(daemons.clock, at(1, 4, 5))
        daemons.world.remove(survival, list(survival.backups.values())[-1], by="somebody")
        await until(daemons.clock, at(1, 6))
    assert ended(daemons) == [("schedule", "failed"), ("retry", "failed")]
    assert stays in survival.backups
    assert daemons.app.requests(Call.CREATE) == 1


async def test_what_is_refused_for_good_waits_for_the_next_start(daemons: Daemons, survival: Server) -> None:
    """A 422 is the same in ten minutes."""
    config, stays = filled(daemons, survival), next(iter(survival.backups))
    daemons.world.faults.order(faults.refused(422), on=Call.DELETE, backup=stays, times=None)
    async with daemons.running(config):
        await until(daemons.clock, at(2, 5))
    assert ended(daemons) == [("schedule", "failed"), ("schedule", "failed")]


# What may have no file ------------------------------------------------------------------------------------------------


async def test_a_row_that_may_have_no_file_costs_no_backup_that_has_one(rig: Rig) -> None:
    """Half deleted, and then the newest row: the policy keeps two now, and one of the two must have its file."""
    names = rig.fill(3)
    rig.configure(keep={"last": 2})
    undeletable(rig, faults.refused(500))
    await rig.rotate()
    first = oldest(rig)
    first.file_gone = True
    for backup in list(rig.server.backups.values())[1:]:
        rig.world.remove(rig.server, backup, by="somebody")
    older = rig.world.now() - timedelta(days=30)
    spare = rig.world.add_backup(rig.server, own_name("survival", older, 9), created_at=older, by="history")
    rig.world.faults.clear()
    await rig.rotate()
    assert first.name == names[0]
    assert spare.name in rig.names()
    assert first.name in rig.names()
    await rig.clock.sleep(3600)
    await rig.rotate()
    assert first.name not in rig.names()
    assert rig.journal.asked(rig.server.uuid) == frozenset()


async def test_what_was_asked_for_is_remembered_before_it_leaves(rig: Rig) -> None:
    """A kill in between may have left half of it done."""
    rig.fill(4)
    undeletable(rig, Fault("killed", before=1000))
    killed = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(100)
    killed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killed
    assert rig.journal.asked(rig.server.uuid) == {oldest(rig).uuid}


async def test_what_may_have_no_file_is_not_told_as_the_newest_good_one(rig: Rig) -> None:
    """Page, status, metric and alert say when the last good one was made; a row without a file is none."""
    names = rig.fill(2)
    older, newest = list(rig.server.backups.values())
    rig.journal.ask(rig.server.uuid, newest.uuid, rig.clock.now())
    seen = Snapshot.of(rig.clock.now(), rig.server.uuid, "", 9, (await survey_of(rig)).plan.verdicts)
    assert seen.newest_good is not None
    assert seen.newest_good.backup.name == names[0]
    assert newest_good_at((await survey_of(rig)).plan.verdicts, besides=None) == older.created_at
    assert [cover_of(one) for one in seen.verdicts] == [Cover.BAD, Cover.KEPT]


async def survey_of(rig: Rig) -> Preview:
    return await preview(rig.config, rig.client, rig.context.journal, rig.clock)


# A node in trouble ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_dead_node_costs_its_servers_seconds_and_not_minutes(rig: Rig, kind: Kind) -> None:
    """The panel itself says so; from the third server on the node is asked with pauses, and each is tried again."""
    await rig.clock.sleep(120)  # past the start at four
    rig.server.node.state = NodeState.DOWN
    servers = [rig.config, *(rig.neighbour(name) for name in ("creative", "lobby", "skyblock"))]
    moments = []
    for server in servers:
        began = rig.clock.now()
        outcome = await rig.rotate("schedule", rig.clock.now(), of=server)
        assert outcome.result is Result.FAILED
        assert outcome.retry_at is not None
        moments.append((rig.clock.now() - began).total_seconds())
    assert rig.requests(Call.CREATE) == 4
    assert moments == pytest.approx([0, 0, 5, 10], abs=2)


async def test_the_next_one_for_room_is_decided_by_what_is_there_by_then(rig: Rig) -> None:
    """Somebody locked the oldest when it was to go; that was seen, and the next one cannot be deleted either."""
    names = rig.fill(6)
    rig.server.limit = 6
    first, second = list(rig.server.backups.values())[:2]
    lock = faults.meanwhile(lambda _world, _server: setattr(first, "locked", True))
    rig.world.faults.order(lock, on=Call.DELETE, backup=first.uuid)
    rig.world.faults.order(faults.node_error(500), on=Call.DELETE, backup=second.uuid)
    outcome = await rig.rotate()
    assert outcome.created is not None
    assert deleted(rig)[0] == names[2]
    assert first.name in rig.names()
    assert sum(call.call is Call.DELETE and call.status == 400 for call in rig.app.calls) == 1
