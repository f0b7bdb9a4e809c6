"""An archive brought onto another server: what happened there while it was backed up, and the archive on its way."""

from collections.abc import AsyncGenerator
from pathlib import Path
from random import Random

import pytest

from daemon.errors import ProblemCode
from daemon.operations.archive import Archive
from daemon.operations.target import TargetFiles, archive_name
from daemon.operations.ways import WayName
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change, Power
from daemon.sandbox.settings import Kind
from daemon.sandbox.world import World
from daemon.transfer.split import split
from tests.operations.conftest import Hand
from tests.operations.onto import FILES, FakeArchive, Onto, said, tree

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", Kind)]


@pytest.fixture
async def onto(hand: Hand, tmp_path: Path) -> Onto:
    """A with a backup of its files; B empty and stopped."""
    return await Onto.made(hand, tmp_path)


async def of_new_files(onto: Onto) -> FakeArchive:
    """A backup of A as it is now."""
    row = onto.hand.add("new")
    return FakeArchive(onto.hand, row, await onto.hand.backup(row))


# What happened there meanwhile ---------------------------------------------------------------------------------------


async def test_a_server_that_was_started_meanwhile_is_not_emptied(onto: Onto) -> None:
    """Though it was stopped before: what was played since is in no backup. The archive does not stay there."""
    onto.b.files.write("mine", b"1")
    onto.b.power = Power.RUNNING

    def play(_world: World) -> None:
        onto.b.power = Power.RUNNING
        onto.b.files.write("played", b"hours")

    onto.hand.before(Call.PULL, play)
    what = await onto.bring(truncate=True, stop=True)
    assert (said(what), onto.code(what)) == ([ProblemCode.SAFETY_BACKUP, ProblemCode.RUNNING], 5)
    assert tree(onto.b) == {"mine": b"1", "played": b"hours"}
    assert what.outcome.problems[-1].text == ("b was started meanwhile, and what changed on it since is in no backup")
    assert (what.outcome.changed, Change.UNPACKED in onto.changes()) == (True, False)


@pytest.mark.parametrize("truncate", [True, False])
async def test_files_that_came_meanwhile_are_neither_deleted_nor_written_over(onto: Onto, truncate: bool) -> None:
    """Nobody was asked about them, and they are in no backup."""
    before = {"mine": b"1"} if truncate else {}
    for name, data in before.items():
        onto.b.files.write(name, data)
    onto.hand.before(Call.PULL, lambda _: onto.b.files.write("server.properties", b"another's"))
    what = await onto.bring(truncate=truncate)
    assert (said(what)[-1], onto.code(what)) == (ProblemCode.NOT_EMPTY, 5)
    assert tree(onto.b) == before | {"server.properties": b"another's"}
    assert "other files are on b than before: server.properties" in what.outcome.problems[-1].text


async def test_a_folder_of_its_own_that_was_filled_meanwhile_is_left_alone(onto: Onto) -> None:
    """The server may run then."""
    onto.b.power = Power.RUNNING
    onto.hand.before(Call.PULL, lambda _: onto.b.files.write("old/mine", b"1"))
    what = await onto.bring(into="/old")
    assert (said(what), onto.code(what), tree(onto.b)) == ([ProblemCode.NOT_EMPTY], 5, {"old/mine": b"1"})


async def test_a_spare_server_that_was_started_meanwhile_is_stopped_again(onto: Onto) -> None:
    """Everything on it may be deleted, and nobody plays on it."""
    onto.b.description = "#drill"

    def start(_world: World) -> None:
        onto.b.power = Power.RUNNING
        onto.b.files.write("played", b"hours")

    onto.hand.before(Call.PULL, start)
    what = await onto.bring(truncate=True, stop=True, spare_only=True, safety=False)
    assert (said(what), tree(onto.b), onto.b.power) == ([], FILES, Power.OFFLINE)


async def test_an_archive_that_cannot_be_removed_hides_no_refusal(onto: Onto) -> None:
    """It is in nobody's way: the next command takes it for what it is."""
    onto.hand.before(Call.PULL, lambda _: onto.b.files.write("mine", b"1"))
    onto.hand.rig.world.faults.order(faults.refused(403, "AccessDeniedHttpException", "No."), on=Call.DELETE_FILES)
    what = await onto.bring()
    assert (said(what), onto.code(what)) == ([ProblemCode.NOT_EMPTY], 5)
    assert len(tree(onto.b)) == 2
    again = await onto.bring(truncate=True, safety=False)
    assert (said(again), tree(onto.b)) == ([], FILES)


async def test_a_server_that_is_started_between_two_parts_is_not_unpacked_into(onto: Onto, tmp_path: Path) -> None:
    """It has half of the archive, which is told."""
    onto.archive = await of_large_files(onto)
    onto.ways = (Parts(onto, tmp_path),)

    def start(_world: World) -> None:
        onto.b.power = Power.RUNNING

    onto.hand.before(Call.DELETE_FILES, start)
    what = await onto.bring()
    assert (said(what), onto.code(what)) == ([ProblemCode.HALF_RESTORED, ProblemCode.RUNNING], 5)
    assert onto.changes().count(Change.UNPACKED) == 1


# Whose a file is -----------------------------------------------------------------------------------------------------


async def test_a_file_of_another_name_than_the_archives_own_is_a_strangers(onto: Onto) -> None:
    """Whatever it begins with: a server that has one is not empty, and it stays."""
    onto.b.files.write("ptero-backupd-1.0.tar.gz", b"mine")
    what = await onto.bring()
    assert (said(what), onto.code(what)) == ([ProblemCode.NOT_EMPTY], 5)
    assert tree(onto.b) == {"ptero-backupd-1.0.tar.gz": b"mine"}


async def test_such_a_file_in_a_backup_is_restored_as_any_other(onto: Onto) -> None:
    """It is in the archive, so it is to be there."""
    onto.a.files.write("ptero-backupd-1.0.tar.gz", b"mine")
    onto.archive = await of_new_files(onto)
    what = await onto.bring()
    assert (said(what), tree(onto.b)) == ([], tree(onto.a))


async def test_what_an_earlier_command_left_of_the_same_backup_is_in_nobodys_way(onto: Onto) -> None:
    """It was killed while the node fetched it."""
    onto.b.files.write(f"ptero-backupd-{onto.archive.backup.uuid}-upload.tar.gz", b"half")
    what = await onto.bring()
    assert (said(what), tree(onto.b)) == ([], FILES)


async def test_the_mark_of_drills_is_a_word(onto: Onto) -> None:
    """Whoever writes of something else has marked nothing."""
    onto.b.files.write("mine", b"1")
    for description in ("see #drills-notes", "no#drill", "#drill-notes", "##drill", "#drilling"):
        onto.b.description = description
        what = await onto.bring(truncate=True, spare_only=True, safety=False)
        assert (said(what), tree(onto.b)) == ([ProblemCode.NOT_A_DRILL], {"mine": b"1"})
    onto.b.description = "for drills (#drill), nothing else"
    assert onto.code(await onto.bring(truncate=True, spare_only=True, safety=False)) == 0


# What it lacks -------------------------------------------------------------------------------------------------------


async def test_a_backup_that_lacks_what_the_one_before_has_is_not_brought_unasked(onto: Onto) -> None:
    """Nothing is touched, and the refusal says what is lacking."""
    onto.b.files.write("mine", b"1")
    onto.archive.lacks = ("world_nether: this world was in the one before",)
    what = await onto.bring(truncate=True)
    assert (said(what), onto.code(what), tree(onto.b)) == ([ProblemCode.NOT_SANE], 5, {"mine": b"1"})
    assert "world_nether: this world was in the one before" in what.outcome.problems[0].text


# What was changed ----------------------------------------------------------------------------------------------------


async def test_a_safety_backup_is_a_change(onto: Onto) -> None:
    """It was made and is locked, whatever came of the rest."""
    onto.b.files.write("mine", b"1")
    onto.hand.rig.world.faults.order(faults.refused(403, "AccessDeniedHttpException", "No."), on=Call.PULL)
    what = await onto.bring(truncate=True)
    assert (what.outcome.result, what.outcome.changed, onto.code(what)) == (Result.FAILED, True, 3)
    assert said(what) == [ProblemCode.SAFETY_BACKUP, ProblemCode.WAY_CLOSED]


async def test_that_it_was_stopped_is_told_after_the_safety_backup_as_well(onto: Onto) -> None:
    """Nothing came, and the server is down."""
    onto.b.files.write("mine", b"1")
    onto.b.power = Power.RUNNING
    onto.hand.rig.world.faults.order(faults.refused(403, "AccessDeniedHttpException", "No."), on=Call.PULL)
    what = await onto.bring(truncate=True, stop=True)
    (stopped,) = [problem.text for problem in what.outcome.problems if problem.code == ProblemCode.HALF_RESTORED]
    assert stopped.startswith("b was asked to stop; start it in the panel; what was there is in before restore")


# In parts ------------------------------------------------------------------------------------------------------------


class Parts:
    """Sends an archive in parts, past the node's upload."""

    name = WayName.UPLOAD
    most = 250_000

    def __init__(self, onto: Onto, folder: Path) -> None:
        self.onto = onto
        self.folder = folder

    def largest(self, size: int) -> int:
        """One part."""
        return min(size, self.most)

    async def pieces(self, archive: Archive, target: TargetFiles) -> AsyncGenerator[str, None]:
        """Put each there."""
        whole, parts = self.folder / "whole.tar.gz", self.folder / "parts"
        await archive.fetch(whole)
        parts.mkdir()
        name = archive_name(archive.backup.uuid, self.name)
        for part in split(whole, parts, self.most):
            self.onto.b.files.write(name, part.read_bytes())
            yield name


async def of_large_files(onto: Onto) -> FakeArchive:
    """A backup of A that takes several parts."""
    for number in range(3):
        onto.a.files.write(f"large {number}", Random(number).randbytes(150_000))
    return await of_new_files(onto)


@pytest.mark.parametrize("skip", [0, 1])
async def test_a_lost_answer_to_unpacking_a_part_is_settled_by_what_comes(
    onto: Onto, tmp_path: Path, skip: int
) -> None:
    """The others are still to come, so that not all is there yet says nothing."""
    onto.archive = await of_large_files(onto)
    onto.ways = (Parts(onto, tmp_path),)
    onto.hand.rig.world.faults.order(faults.lost_after(), on=Call.DECOMPRESS, skip=skip)
    what = await onto.bring()
    assert (said(what), onto.code(what), tree(onto.b)) == ([], 0, tree(onto.a))
    assert onto.changes().count(Change.UNPACKED) > 2


@pytest.mark.parametrize("skip", [0, 1])
async def test_a_part_that_was_never_unpacked_is_missed(onto: Onto, tmp_path: Path, skip: int) -> None:
    """At once where nothing came at all, else once all of them are there."""
    onto.archive = await of_large_files(onto)
    onto.ways = (Parts(onto, tmp_path),)
    onto.hand.rig.world.faults.order(faults.lost_before(), on=Call.DECOMPRESS, skip=skip)
    what = await onto.bring()
    assert (said(what)[-1], onto.code(what)) == (ProblemCode.FILES_DIFFER, 3)
    assert "is missing" in what.outcome.problems[-1].text


async def test_where_not_all_can_be_looked_at_a_lost_answer_stays_open(
    onto: Onto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody looked at may be what that part had."""
    onto.archive = await of_large_files(onto)
    onto.ways = (Parts(onto, tmp_path),)
    monkeypatch.setattr("daemon.core.files.MOST_FOLDERS", 1)
    onto.hand.rig.world.faults.order(faults.lost_after(), on=Call.DECOMPRESS, skip=1)
    what = await onto.bring()
    assert (said(what)[-1], onto.code(what)) == (ProblemCode.FILES_DIFFER, 3)
    assert "3 of 7 files were not looked at, and the panel did not say of a part" in what.outcome.problems[-1].text
