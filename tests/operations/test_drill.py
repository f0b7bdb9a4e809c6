"""What a drill shows, what it records, and what is done after one that was killed."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.core.drills import DrillRecord, DrillResult
from daemon.core.model import Backup
from daemon.core.proof import Level
from daemon.errors import ProblemCode, ServerBusyError, StateError
from daemon.operations import drill as drills
from daemon.operations.drill import Drilled, DrillOptions, drill, end_interrupted, proof_of_drill
from daemon.operations.drill import _undone as undone
from daemon.operations.restore_errors import NotEmptiedError, NotSpareError, NotStartedError
from daemon.operations.target import TargetFiles
from daemon.operations.ways import PullWay
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Power
from daemon.sandbox.settings import Kind
from daemon.sandbox.world import World
from daemon.transfer.verify import Complaint
from tests.operations.conftest import Hand
from tests.operations.onto import FILES, Onto, tree, unwatched

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 4, 1, tzinfo=UTC)


def backup(uuid: str) -> Backup:
    """A backup of yesterday."""
    return Backup(uuid, uuid, True, False, 5, NOW - timedelta(days=1), NOW)


def test_a_drill_shows_as_much_as_it_did() -> None:
    """Restored where the server ran; nothing beyond its own reading where it failed, or was only unpacked."""
    names = "spare", "b", "u-b", "a", "u-a", "b", "b"
    ran = DrillRecord(*names, NOW, starts=True, ended_at=NOW, result=DrillResult.DONE, seconds=5.0)
    shown = proof_of_drill(ran, backup("b"))
    assert shown is not None
    assert (shown.server, shown.server_uuid) == ("a", "u-a")
    assert (shown.proof.asked, shown.proof.reached, shown.proof.at) == (Level.RESTORED, Level.RESTORED, NOW)
    assert proof_of_drill(replace(ran, starts=False), backup("b")) is None
    assert proof_of_drill(replace(ran, result=DrillResult.FAILED), backup("b")) is None


# What is recorded, and what is left after a kill ---------------------------------------------------------------------


@pytest.fixture(params=Kind)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Both kinds of panel."""
    found: Kind = request.param
    return found


@pytest.fixture
async def onto(hand: Hand, tmp_path: Path) -> Onto:
    """A with a backup of its files; B empty, stopped and marked, but for a file of an earlier drill."""
    made = await Onto.made(hand, tmp_path)
    made.b.description = "for drills: #drill"
    made.b.files.write("earlier", b"1")
    return made


async def drilled(onto: Onto, **options: Any) -> Drilled:
    """A drill of A's backup on B."""
    spare = onto.operation()
    told = DrillOptions("spare", "survival", onto.a.uuid, (PullWay(spare, unwatched),), **options)
    return await drill(spare, onto.archive, told)


async def killed_at(onto: Onto, call: Call, **options: Any) -> DrillRecord:
    """A drill that ends in the middle of that call, as its record stays."""
    task = asyncio.create_task(drilled(onto, **options))

    def kill(_world: World) -> None:
        task.cancel()

    onto.hand.before(call, kill)
    await asyncio.wait([task])
    assert task.cancelled()
    (record,) = await recorded(onto)
    assert record.ended_at is None
    return record


async def recorded(onto: Onto) -> list[DrillRecord]:
    """What the journal has, newest first."""
    return await onto.hand.rig.context.journal.drills()


async def test_a_drill_is_recorded_with_what_it_put_there(onto: Onto) -> None:
    """What it puts there is recorded before it is there, and how it ended in the end."""
    done = await drilled(onto, start=True, watch=timedelta(minutes=1))
    (record,) = await recorded(onto)
    assert record == done.record
    assert (record.drill, record.spare, record.server) == ("spare", "b", "survival")
    assert (record.spare_uuid, record.server_uuid) == (onto.b.uuid, onto.a.uuid)
    assert (record.backup, record.name) == (onto.archive.backup.uuid, "of a")
    assert (record.put, record.starts) == (("plugins", "server.properties", "world"), True)
    assert (record.result, record.text, record.seconds) == (DrillResult.DONE, "", done.seconds)
    assert tree(onto.b) == {}


async def test_a_server_that_is_taken_into_use_while_it_is_watched_is_let_run(onto: Onto) -> None:
    """It lost the mark: nothing of it is stopped or deleted."""
    began = False

    def used(_world: World) -> None:
        nonlocal began
        onto.b.description, began = "in use", True

    onto.hand.before(Call.POWER, used)
    done = await drilled(onto, start=True, watch=timedelta(minutes=1))
    assert (began, done.brought.outcome.result) == (True, Result.FAILED)
    assert (tree(onto.b), onto.b.power) == (FILES, Power.RUNNING)


async def test_more_names_than_are_recorded_are_told(onto: Onto, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill the others would stay."""
    await drilled(onto)
    told = "it has more than {} names at its top; after a kill the others would stay"
    assert told.format(1000) not in onto.hand.steps
    monkeypatch.setattr(drills, "MOST_NAMES", 2)
    await drilled(onto)
    assert told.format(2) in onto.hand.steps
    assert (await recorded(onto))[0].put == ("plugins", "server.properties")


async def test_a_drill_that_failed_is_recorded_with_the_reason(onto: Onto) -> None:
    """One that did not begin since the server is busy is recorded nowhere."""
    onto.b.crashes = 20.0
    await drilled(onto, start=True)
    (record,) = await recorded(onto)
    assert record.result is DrillResult.FAILED
    assert "b is offline" in record.text
    async with onto.hand.rig.context.engine.locks.held(onto.b.uuid):
        busy = await drilled(onto)
    assert (busy.record, busy.brought.outcome.passing) == (None, True)
    assert len(await recorded(onto)) == 1


@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("hangs", [False, True])
async def test_one_that_failed_does_not_run_on(
    onto: Onto, monkeypatch: pytest.MonkeyPatch, hangs: bool, stays: bool
) -> None:
    """It has the configuration of the real server, with its databases and bots. One that hangs is killed, and one that
    cannot be is told.
    """

    async def fails(_target: TargetFiles, _span: timedelta) -> None:
        onto.b.hangs = hangs or stays
        if stays:
            onto.hand.rig.world.faults.order(faults.lost_before(), on=Call.POWER, skip=1, times=None)
        raise NotStartedError("b has not shown what it must")

    monkeypatch.setattr(TargetFiles, "runs_for", fails)
    done = await drilled(onto, start=True, watch=timedelta(minutes=5))
    left, failed = (problem.text for problem in done.brought.outcome.problems)
    assert (done.brought.outcome.result, failed) == (Result.FAILED, "b has not shown what it must")
    assert (tree(onto.b), onto.b.power) == (FILES, Power.STOPPING if stays else Power.OFFLINE)
    still = "; it may still run: b is still stopping after 180 s" if stays else ""
    assert left == f"b has the files of the drill; the next drill deletes them{still}"


async def interrupted(onto: Onto, monkeypatch: pytest.MonkeyPatch) -> str:
    """A drill that is interrupted while its server is watched; what its operator is told."""

    async def interrupt(_target: TargetFiles, _span: timedelta) -> None:
        task.cancel()
        await onto.hand.rig.clock.sleep(1)

    monkeypatch.setattr(TargetFiles, "runs_for", interrupt)
    task = asyncio.create_task(drilled(onto, start=True, watch=timedelta(minutes=5)))
    await asyncio.wait([task])
    assert task.cancelled()
    return onto.operations[-1].going_on


@pytest.mark.parametrize("hangs", [False, True])
async def test_one_that_is_interrupted_stops_its_server(
    onto: Onto, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    """Within some seconds; its record stays open, so that the daemon deletes the files."""
    onto.b.hangs = hangs
    began = onto.hand.rig.clock.monotonic()
    told = await interrupted(onto, monkeypatch)
    assert told == "b has the files of the drill; the daemon, or the next drill, deletes them; it was stopped"
    assert (onto.b.power, tree(onto.b)) == (Power.OFFLINE, FILES)
    assert onto.hand.rig.clock.monotonic() - began < 60
    assert (await recorded(onto))[0].ended_at is None


async def test_one_that_is_interrupted_and_cannot_stop_its_server_says_so(
    onto: Onto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is to be done."""
    onto.hand.before(
        Call.POWER,
        lambda world: world.faults.order(faults.lost_before(), on=Call.POWER, times=None),
    )
    told = await interrupted(onto, monkeypatch)
    assert "; it may still run: stop it in the panel (" in told
    assert onto.b.power is Power.RUNNING


async def test_a_crash_between_two_looks_is_seen(onto: Onto) -> None:
    """The node starts the server anew: only how long it has run tells."""
    spare = onto.operation()

    def crash(world: World) -> None:
        onto.b.started_at = world.agenda.seconds()

    onto.b.power, onto.b.started_at = Power.RUNNING, 0.0
    onto.hand.before(Call.RESOURCES, crash, skip=3)
    with pytest.raises(
        NotStartedError, match="b ended by itself, and was restarted 0 s ago, 45 s after it began to run"
    ):
        await TargetFiles(spare).runs_for(timedelta(minutes=5))


@pytest.mark.parametrize("told", [{"uptime": None}, {}])
async def test_a_node_that_does_not_tell_how_long_it_runs_is_no_trouble(onto: Onto, told: dict[str, object]) -> None:
    """Then a crash between two looks is not seen."""
    onto.b.power = Power.RUNNING
    odd = faults.odd({"attributes": {"current_state": "running", "resources": told}})
    onto.hand.rig.world.faults.order(odd, on=Call.RESOURCES, times=None)
    await TargetFiles(onto.operation()).runs_for(timedelta(minutes=1))


async def test_what_the_key_may_not_is_known_before_anything_is_unpacked(onto: Onto) -> None:
    """Or the files would lie on a server that cannot be started, or not be watched."""
    onto.hand.as_user("*")
    onto.b.subusers["reader"] = ("file.read", "file.create", "file.delete", "backup.read", "control.stop")
    done = await drilled(onto, start=True, console="Done (")
    (problem,) = done.brought.outcome.problems
    assert problem.text.endswith("lacks control.start, websocket.connect on server b")
    assert tree(onto.b) == {"earlier": b"1"}


async def test_what_cannot_be_recorded_is_not_done(onto: Onto, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill nobody would know of it."""
    journal = onto.hand.rig.context.journal

    async def fails(*_: object) -> int:
        raise StateError("the disk is full")

    for call in ("begin_drill", "drill_puts"):
        with monkeypatch.context() as patched:
            patched.setattr(journal, call, fails)
            done = await drilled(onto)
        assert done.brought.outcome.result is Result.FAILED
        assert "world" not in {path.partition("/")[0] for path in tree(onto.b)}


@pytest.mark.parametrize("call", ["end_drill", "record_proof"])
async def test_a_drill_whose_end_cannot_be_recorded_is_partly_done(
    onto: Onto, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The server is cleared all the same, and one problem says why nobody will know of it."""

    async def fails(*_: object, **__: object) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(onto.hand.rig.context.journal, call, fails)
    done = await drilled(onto, start=True, watch=timedelta(minutes=1))
    (problem,) = done.brought.outcome.problems
    assert (problem.code, problem.text) == (ProblemCode.JOURNAL, "the drill is not recorded: the disk is full")
    assert (onto.code(done.brought), tree(onto.b), onto.b.power) == (3, {}, Power.OFFLINE)


async def test_why_a_drill_failed_is_told_before_that_it_is_not_recorded(
    onto: Onto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last problem is the one that ended it."""

    async def fails(*_: object, **__: object) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(onto.hand.rig.context.journal, "end_drill", fails)
    onto.b.crashes = 20.0
    done = await drilled(onto, start=True)
    texts = [problem.text for problem in done.brought.outcome.problems]
    assert "the drill is not recorded: the disk is full" in texts
    assert texts[-1].startswith("b is offline")


async def test_a_backup_that_lacks_what_the_one_before_has_is_not_tried(onto: Onto) -> None:
    """Restored and started, it would count for proven, and end the freeze; nothing is touched."""
    onto.archive.lacks = ("world_nether: this world was in auto-1",)
    done = await drilled(onto, start=True)
    (problem,) = done.brought.outcome.problems
    assert (problem.code, onto.code(done.brought)) == (ProblemCode.NOT_SANE, 5)
    assert "this world was in auto-1" in problem.text
    assert tree(onto.b) == {"earlier": b"1"}


async def test_that_a_reading_is_not_recorded_is_told(onto: Onto) -> None:
    """What was to be done with the backup is done all the same."""
    onto.archive.unrecorded = StateError("the disk is full")
    done = await drilled(onto)
    (problem,) = done.brought.outcome.problems
    assert problem.text == "what was read of of a is not recorded: the disk is full"
    assert done.brought.outcome.result is Result.DONE


async def test_after_a_kill_the_server_is_cleared_of_what_the_drill_put_there(onto: Onto) -> None:
    """What somebody else put there since stays, and is told."""
    record = await killed_at(onto, Call.POWER, start=True)
    assert tree(onto.b) == FILES
    onto.b.files.write("mine", b"1")
    onto.b.power = Power.RUNNING
    ended = await end_interrupted(onto.operation(), record)
    assert (tree(onto.b), onto.b.power) == ({"mine": b"1"}, Power.OFFLINE)
    (found,) = await recorded(onto)
    assert (found, found.result) == (ended, DrillResult.INTERRUPTED)
    assert found.text == ("it was killed; b was stopped, and cleared of what it had put there, and not of it: mine")
    assert await end_interrupted(onto.operation(), record) is None


async def test_a_kill_before_anything_was_unpacked_leaves_what_was_there(onto: Onto) -> None:
    """But for the archive, which is ours by its name."""
    record = await killed_at(onto, Call.PULL)
    await onto.hand.rig.clock.sleep(60)  # the node goes on fetching it
    assert (record.put, len(tree(onto.b))) == (None, 2)
    await end_interrupted(onto.operation(), record)
    assert tree(onto.b) == {"earlier": b"1"}


async def test_an_unpacking_that_outlives_the_kill_is_waited_for(onto: Onto) -> None:
    """The node goes on with it: what comes after the first look is deleted as well."""
    record = await killed_at(onto, Call.POWER, start=True)
    came = False

    def unpacked(_world: World) -> None:
        nonlocal came
        came = True
        onto.b.files.write("world/late", b"1")

    onto.hand.before(Call.FILES, unpacked, skip=8)
    await end_interrupted(onto.operation(), record)
    assert (came, tree(onto.b)) == (True, {})


async def test_what_comes_again_for_hours_leaves_the_record_open(onto: Onto) -> None:
    """Something else makes it."""
    record = await killed_at(onto, Call.POWER, start=True)
    onto.hand.before(Call.DELETE_FILES, lambda _: onto.b.files.write("plugins/made", b"1"), times=None)
    onto.hand.before(Call.FILES, lambda _: onto.b.files.write("world/made", b"1"), skip=3, times=None)
    with pytest.raises(NotEmptiedError):
        await end_interrupted(onto.operation(), record)
    assert (await recorded(onto))[0].ended_at is None


async def test_without_the_mark_nothing_is_touched_after_a_kill(onto: Onto) -> None:
    """Somebody took the server into use, or it is another one; nor is it stopped."""
    record = await killed_at(onto, Call.POWER, start=True)
    onto.b.description = "in use"
    onto.b.power = Power.RUNNING
    before = onto.changes()
    ended = await end_interrupted(onto.operation(), record)
    assert ended is not None
    assert ended.text == "it was killed; b does not carry #drill any more, and was not touched"
    other = replace(record, spare_uuid=onto.a.uuid)
    onto.b.description = "#drill"
    assert "another server" in await undone(onto.operation(), other)
    assert (tree(onto.b), onto.b.power, onto.changes()) == (FILES, Power.RUNNING, before)


async def test_the_mark_is_looked_for_again_before_what_a_killed_drill_left_is_deleted(onto: Onto) -> None:
    """It took a minute to stop the server."""
    record = await killed_at(onto, Call.POWER, start=True)
    onto.b.power = Power.RUNNING

    def used(_world: World) -> None:
        onto.b.description = "in use"

    onto.hand.before(Call.POWER, used)
    with pytest.raises(NotSpareError):
        await end_interrupted(onto.operation(), record)
    assert tree(onto.b) == FILES
    assert (await recorded(onto))[0].ended_at is None


async def test_a_server_that_no_drill_started_is_not_stopped(onto: Onto) -> None:
    """Somebody looks at it."""
    record = await killed_at(onto, Call.DECOMPRESS)
    assert record.put is not None
    onto.b.power = Power.RUNNING
    ended = await end_interrupted(onto.operation(), record)
    assert ended is not None
    assert ended.text == "it was killed; b runs, though no drill started it, and was not touched"
    assert onto.b.power is Power.RUNNING


async def test_a_drill_that_runs_in_another_process_is_not_ended(onto: Onto) -> None:
    """It holds the server's lock."""
    record = await killed_at(onto, Call.POWER, start=True)
    async with onto.hand.rig.context.engine.locks.held(onto.b.uuid):
        with pytest.raises(ServerBusyError):
            await end_interrupted(onto.operation(), record)
    assert tree(onto.b) == FILES


async def test_the_next_drill_takes_over_from_one_that_was_killed(onto: Onto) -> None:
    """It deletes everything anyhow."""
    await killed_at(onto, Call.POWER, start=True)
    await drilled(onto)
    assert [one.result for one in await recorded(onto)] == [DrillResult.DONE, DrillResult.INTERRUPTED]


async def test_one_that_was_killed_stays_open_until_the_next_drill_has_emptied_the_server(onto: Onto) -> None:
    """The next one ends before that: then the daemon still clears what the killed one left."""
    killed = await killed_at(onto, Call.POWER, start=True)
    onto.archive.problems = (Complaint(ProblemCode.NOT_SANE, "world/region/r.0.0.mca is torn"),)
    await drilled(onto)
    assert tree(onto.b) == FILES
    assert [one.result for one in await recorded(onto)] == [DrillResult.FAILED, None]
    await end_interrupted(onto.operation(), killed)
    assert tree(onto.b) == {}
