"""An archive brought onto another server: nothing is touched before all is known, and the end is looked at."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from pydantic import SecretStr

from daemon.errors import ProblemCode
from daemon.operations.restore_errors import NotSpareError
from daemon.operations.target import TargetFiles
from daemon.operations.ways import PullWay, WayName
from daemon.panel.errors import PanelError
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change, Power
from daemon.sandbox.settings import Kind
from daemon.transfer.verify import Complaint
from tests.operations.conftest import Hand
from tests.operations.onto import FILES, FakeArchive, Onto, said, tree, unwatched

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", Kind)]


@pytest.fixture
async def onto(hand: Hand, tmp_path: Path) -> Onto:
    """A with a backup of its files; B empty and stopped."""
    return await Onto.made(hand, tmp_path)


async def test_a_backup_of_a_comes_onto_b_file_for_file(onto: Onto) -> None:
    """By pull; nothing else is left there, and no safety backup is made of nothing."""
    what = await onto.bring()
    assert (what.outcome.result, said(what), onto.code(what)) == (Result.DONE, [], 0)
    assert tree(onto.b) == tree(onto.a) == FILES
    assert what.compared is not None
    assert (what.way, what.compared.right, what.compared.unseen, what.safety) == (WayName.PULL, len(FILES), 0, None)
    assert onto.changes() == [Change.PULLING, Change.UNPACKED, Change.FILES_DELETED]
    assert onto.operations[0].going_on == ""
    assert onto.archive.reads == 1


async def test_it_is_not_brought_into_a_server_that_is_not_empty(onto: Onto) -> None:
    """Nothing happened there, and the archive was not even read."""
    onto.b.files.write("mine", b"1")
    what = await onto.bring()
    assert (said(what), onto.code(what), onto.changes()) == ([ProblemCode.NOT_EMPTY], 5, [])
    assert tree(onto.b) == {"mine": b"1"}
    assert onto.archive.reads == 0


async def test_into_a_folder_leaves_all_else(onto: Onto) -> None:
    """A running server too; but it is backed up before, and the folder must be a new one."""
    onto.b.files.write("mine", b"1")
    onto.b.power = Power.RUNNING
    what = await onto.bring(into="/old world")
    assert (said(what), onto.code(what)) == ([], 0)
    assert tree(onto.b) == {"mine": b"1"} | {f"old world/{path}": data for path, data in FILES.items()}
    assert onto.changes()[:2] == [Change.CREATED, Change.COMPLETED]
    again = await onto.bring(into="/old world")
    assert (said(again), onto.code(again)) == ([ProblemCode.NOT_EMPTY], 5)


async def test_what_has_no_room_on_the_server_is_refused_before_anything_is_done_to_it(onto: Onto) -> None:
    """The panel says how much it may hold, the archive what it unpacks to; what is deleted first does not count."""
    onto.b.disk = 1
    onto.a.files.write("large", bytes(2**20))
    row = onto.hand.add("large")
    onto.archive = FakeArchive(onto.hand, row, await onto.hand.backup(row))
    onto.b.power = Power.RUNNING
    refused = await onto.bring(stop=True)
    assert (said(refused), onto.code(refused), onto.changes()) == ([ProblemCode.DISK_FULL], 5, [])
    (problem,) = refused.outcome.problems
    assert problem.text.startswith("large does not fit on b, which lacks ")
    assert problem.text.endswith(". Its files are 1 MiB, and b may hold 1 MiB")
    onto.b.disk = 0  # no limit
    assert onto.code(await onto.bring(stop=True)) == 0
    onto.b.disk = 3
    onto.b.files.write("mine", bytes(2**20))
    again = await onto.bring(into="/again")
    assert said(again) == [ProblemCode.DISK_FULL]
    assert "and b may hold 3 MiB, of which 2 MiB are taken now" in again.outcome.problems[0].text
    assert onto.code(await onto.bring(truncate=True)) == 0


async def test_a_way_that_needs_more_room_than_there_is_is_left_out(onto: Onto) -> None:
    """What comes in parts needs less."""

    class Parts(PullWay):
        name = WayName.UPLOAD

        def largest(self, size: int) -> int:
            return min(size, 1000)

    onto.b.disk = 1
    onto.a.files.write("large", Random(1).randbytes(900 * 2**10))
    row = onto.hand.add("large")
    onto.archive = FakeArchive(onto.hand, row, await onto.hand.backup(row))
    operation = onto.operation()
    onto.ways = (PullWay(operation, unwatched), Parts(operation, unwatched))
    what = await onto.bring()
    assert (what.way, onto.code(what)) == (WayName.UPLOAD, 0)
    assert "not by pull: b has no room for the whole archive beside its files" in onto.hand.steps


async def test_where_the_panel_does_not_say_what_is_taken_nothing_is_refused(onto: Onto) -> None:
    """It may fit."""
    onto.b.disk = 1
    onto.b.files.write("mine", bytes(2**21))
    odd = faults.odd({"attributes": {"current_state": "offline", "resources": {}}})
    onto.hand.rig.world.faults.order(odd, on=Call.RESOURCES, times=None)
    assert onto.code(await onto.bring(truncate=True)) == 0


async def test_truncate_deletes_what_was_there_once_that_is_safe(onto: Onto) -> None:
    """The order: read, stopped, backed up and locked; the archive is there before anything is deleted."""
    onto.b.files.write("mine", b"1")
    onto.b.power = Power.RUNNING
    what = await onto.bring(truncate=True, stop=True)
    assert (said(what), onto.code(what)) == ([], 0)
    assert tree(onto.b) == FILES
    assert onto.changes() == [
        *(Change.POWER, Change.CREATED, Change.COMPLETED, Change.PULLING),
        *(Change.FILES_DELETED, Change.UNPACKED, Change.FILES_DELETED),
    ]
    (safety,) = onto.b.backups.values()
    assert (safety.name.startswith("before restore"), safety.locked) == (True, True)
    assert onto.b.power is Power.OFFLINE


async def test_without_a_safety_backup_nothing_is_deleted(onto: Onto) -> None:
    """At the limit there is none, so nothing is restored; what was stopped is told."""
    onto.b.files.write("mine", b"1")
    onto.b.power, onto.b.limit = Power.RUNNING, 0
    what = await onto.bring(truncate=True, stop=True)
    assert (said(what), onto.code(what)) == ([ProblemCode.HALF_RESTORED, ProblemCode.LIMIT], 5)
    assert "was asked to stop" in what.outcome.problems[0].text
    assert tree(onto.b) == {"mine": b"1"}


async def test_a_running_server_is_refused_unless_it_is_to_be_stopped(onto: Onto) -> None:
    """It would write over what is restored."""
    onto.b.power = Power.RUNNING
    what = await onto.bring()
    assert (said(what), onto.code(what), onto.changes()) == ([ProblemCode.RUNNING], 5, [])


async def test_one_that_does_not_stop_is_left_alone(onto: Onto) -> None:
    """Nothing was deleted."""
    onto.b.files.write("mine", b"1")
    onto.b.power, onto.b.hangs = Power.RUNNING, True
    what = await onto.bring(truncate=True, stop=True)
    assert (said(what)[-1], onto.code(what), onto.changes()) == (ProblemCode.RUNNING, 3, [Change.POWER])


async def test_a_damaged_archive_touches_nothing(onto: Onto) -> None:
    """It is read whole before the server is even stopped."""
    onto.b.files.write("mine", b"1")
    onto.b.power = Power.RUNNING
    onto.archive.problems = (Complaint(ProblemCode.NOT_SANE, "world/region/r.0.0.mca is torn"),)
    what = await onto.bring(truncate=True, stop=True)
    assert (said(what), onto.code(what), onto.changes()) == ([ProblemCode.NOT_SANE], 5, [])


async def test_unread_it_is_told_that_nothing_was_compared(onto: Onto) -> None:
    """It was waived."""
    what = await onto.bring(read=False)
    assert (said(what), onto.code(what), onto.archive.reads) == ([ProblemCode.NOT_LOOKED_AT], 0, 0)
    assert tree(onto.b) == FILES


@pytest.mark.parametrize("call", [Call.PULL, Call.DECOMPRESS, Call.DELETE_FILES])
async def test_a_lost_answer_is_settled_by_looking(onto: Onto, call: Call) -> None:
    """Nothing is asked for twice."""
    onto.b.files.write("mine", b"1")
    onto.hand.rig.world.faults.order(faults.lost_after(), on=call)
    what = await onto.bring(truncate=True)
    assert (said(what), onto.code(what), tree(onto.b)) == ([], 0, FILES)
    assert onto.hand.rig.requests(call) == (2 if call is Call.DELETE_FILES else 1)


async def test_an_unpacking_that_outlives_the_panels_patience_is_waited_for(onto: Onto) -> None:
    """The panel gives up after a quarter of an hour."""
    onto.b.node.unpack_seconds = 1000.0
    what = await onto.bring()
    assert (said(what), onto.code(what), tree(onto.b)) == ([], 0, FILES)


async def test_a_folder_of_its_own_is_never_said_to_be_begun_again_by_emptying_the_server(onto: Onto) -> None:
    """What lies beside it is to stay: the folder is deleted by hand."""
    onto.b.files.write("mine", b"1")
    onto.hand.rig.world.faults.order(faults.lost_before(), on=Call.DECOMPRESS)
    what = await onto.bring(into="/restored")
    assert onto.code(what) == 3
    (half,) = [problem.text for problem in what.outcome.problems if problem.code == ProblemCode.HALF_RESTORED]
    assert "delete /restored there; then the same command begins again" in half
    assert "--truncate" not in half


async def test_one_that_was_never_begun_is_told_with_how_to_go_on(onto: Onto) -> None:
    """By then the server is empty, and what was there is in the safety backup."""
    onto.b.files.write("mine", b"1")
    onto.hand.rig.world.faults.order(faults.lost_before(), on=Call.DECOMPRESS)
    what = await onto.bring(truncate=True)
    assert onto.code(what) == 3
    assert said(what) == [ProblemCode.SAFETY_BACKUP, ProblemCode.HALF_RESTORED, ProblemCode.FILES_DIFFER]
    assert "the same command with --truncate begins again; what was there is in before restore" in (
        what.outcome.problems[1].text
    )
    again = await onto.bring(truncate=True, safety=False)
    assert (onto.code(again), tree(onto.b)) == (0, FILES)


async def test_files_that_are_not_as_in_the_archive_are_told(onto: Onto) -> None:
    """The panel says that it was unpacked, and one of the files is another."""
    onto.hand.before(Call.DELETE_FILES, lambda _: onto.b.files.write("server.properties", b"?"))
    what = await onto.bring()
    assert (said(what)[-1], onto.code(what)) == (ProblemCode.FILES_DIFFER, 3)
    assert "server.properties has 1 bytes instead of 10" in what.outcome.problems[-1].text


async def test_half_of_an_archive_is_not_unpacked(onto: Onto) -> None:
    """What came is not as large as the backup: the way is closed, and nothing of it stays."""
    onto.archive.backup = replace(onto.archive.backup, bytes=onto.archive.backup.bytes + 1)
    what = await onto.bring()
    assert (said(what), onto.code(what)) == ([ProblemCode.WAY_CLOSED], 4)
    assert tree(onto.b) == {}
    assert Change.UNPACKED not in onto.changes()


async def test_the_panels_throttle_of_pulls_is_waited_out(onto: Onto) -> None:
    """Once, with a new link."""
    settings, rig = onto.hand.rig.world.settings, onto.hand.rig
    for _ in range(settings.pull_limit):
        with pytest.raises(PanelError):
            await rig.client.files.pull(onto.config.id, SecretStr(""), "/", "x")
    began = rig.clock.monotonic()
    what = await onto.bring()
    assert (said(what), onto.code(what), tree(onto.b)) == ([], 0, FILES)
    assert rig.clock.monotonic() - began >= settings.pull_seconds - 5


async def test_a_key_without_the_rights_is_refused_before_anything(onto: Onto) -> None:
    """With what is lacking."""
    onto.b.subusers["reader"] = ("backup.read", "file.read")
    onto.hand.as_user("backup.read")
    what = await onto.bring()
    assert (said(what), onto.changes(), onto.archive.reads) == ([ProblemCode.PERMISSION_LACKING], [], 0)
    assert "file.create, file.delete" in what.outcome.problems[0].text


async def test_a_drill_touches_only_a_server_that_is_marked(onto: Onto) -> None:
    """By its description, which is looked at again before anything is deleted."""
    onto.b.files.write("mine", b"1")
    what = await onto.bring(truncate=True, spare_only=True, safety=False)
    assert (said(what), onto.changes()) == ([ProblemCode.NOT_A_DRILL], [])
    onto.b.description = "a spare one #drill"

    def unmarked(_: object) -> None:
        onto.b.description = "somebody's"

    onto.hand.before(Call.PULL, unmarked)
    what = await onto.bring(truncate=True, spare_only=True, safety=False)
    assert (said(what)[-1], tree(onto.b)["mine"]) == (ProblemCode.NOT_A_DRILL, b"1")
    onto.b.description = "#drill"
    assert onto.code(await onto.bring(truncate=True, spare_only=True, safety=False)) == 0


@pytest.mark.parametrize(
    ("call", "done"),
    [
        (Call.FILES, []),
        (Call.DELETE_FILES, [Change.POWER, Change.PULLING, Change.FILES_DELETED]),
        (Call.DECOMPRESS, [Change.POWER, Change.PULLING, Change.FILES_DELETED, Change.UNPACKED]),
    ],
)
async def test_the_mark_of_drills_is_looked_for_before_each_change(onto: Onto, call: Call, done: list[str]) -> None:
    """Nothing is stopped, unpacked or deleted once it is gone."""
    onto.b.files.write("mine", b"1")
    onto.b.description, onto.b.power = "#drill", Power.RUNNING

    def unmarked(_: object) -> None:
        onto.b.description = "somebody's"

    onto.hand.before(call, unmarked)
    what = await onto.bring(truncate=True, stop=True, spare_only=True, safety=False)
    assert (said(what)[-1], onto.changes()) == (ProblemCode.NOT_A_DRILL, done)


async def test_another_server_than_the_spare_one_is_not_changed(onto: Onto) -> None:
    """Though it carries the mark as well."""
    onto.b.files.write("mine", b"1")
    onto.b.description = "#drill"
    with pytest.raises(NotSpareError):
        await TargetFiles(onto.operation(), spare=onto.a.uuid).delete(["mine"])
    await TargetFiles(onto.operation(), spare=onto.b.uuid).delete(["mine"])
    assert tree(onto.b) == {}
