"""An archive brought onto another server: nothing is touched before all is known, and the end is looked at."""

from pathlib import Path

import pytest

from daemon.errors import ProblemCode
from daemon.operations.ways import WayName
from daemon.rotation.outcome import Result
from daemon.sandbox.records import Change, Kind, Power
from daemon.transfer.verify import Complaint
from tests.operations.conftest import Hand
from tests.operations.onto import FILES, Onto, said, tree

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
