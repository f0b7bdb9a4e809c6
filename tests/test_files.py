"""The state folder belongs to a user who is less trusted than root: nothing that it holds leads elsewhere."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from daemon.cli.onto import temporary_folder
from daemon.errors import StateError
from daemon.files import as_owner, make_folder, open_private, opened_folder
from daemon.state.local.journal import SqliteJournal
from daemon.state.local.locks import check_locks, server_lock
from daemon.state.local.presence import daemon_present
from daemon.transfer.errors import DiskError, TargetError
from daemon.transfer.files import PartFile

UUID = "1a7ce997-259b-452e-8b4e-cecc464142ca"
OWNER = 4711
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can work in somebody else's folder")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody can reach, with one of root's in it; pytest's own are for one user alone."""
    folder = Path(tempfile.mkdtemp(prefix="backupd-"))
    folder.chmod(0o755)
    (folder / "roots").mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def state(place: Path) -> Path:
    """The state folder; where we are root it is somebody else's."""
    folder = place / "state"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(folder, OWNER, OWNER)
    return folder


def lead(state: Path, name: str, target: Path, *, hard: bool = False) -> None:
    """Let the owner of the state folder put a link there."""
    (state / name).hardlink_to(target) if hard else (state / name).symlink_to(target)


FILES = ["history.sqlite3", "history.sqlite3-wal", "history.sqlite3-shm", "history.sqlite3-journal", "history.lock"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["dangling", "symbolic", "hard"])
def test_a_journal_that_leads_elsewhere_is_refused(place: Path, state: Path, name: str, kind: str) -> None:
    """Root's `rotate` neither makes nor writes nor gives away a file that is not the journal's."""
    target = place / "roots" / "precious"
    if kind != "dangling":
        with sqlite3.connect(target) as database:
            database.execute("CREATE TABLE users (name)")
        database.close()
    before = target.read_bytes() if target.exists() else None
    lead(state, name, target, hard=kind == "hard")
    with pytest.raises(StateError, match="cannot be opened"):
        SqliteJournal.open(state)
    assert (target.read_bytes() if target.exists() else None) == before
    if target.exists():
        assert target.stat().st_uid == os.geteuid()
    assert sorted(path.name for path in (place / "roots").iterdir()) == (["precious"] if before else [])


@pytest.mark.parametrize("hold", [lambda state: server_lock(state, UUID), check_locks], ids=["taken", "checked"])
def test_a_folder_of_locks_that_is_a_link_is_refused(
    place: Path, state: Path, hold: Callable[[Path], AbstractContextManager[object]]
) -> None:
    """Nothing is made where it leads to."""
    lead(state, "locks", place / "roots")
    with pytest.raises(StateError):
        hold(state).__enter__()
    assert list((place / "roots").iterdir()) == []


@pytest.mark.parametrize("name", ["daemon.lock", f"locks/{UUID}.lock"])
@pytest.mark.parametrize("hard", [True, False])
def test_a_lock_that_leads_elsewhere_is_refused(place: Path, state: Path, name: str, hard: bool) -> None:
    """It is neither written nor given away; and no daemon fails for want of being known."""
    target = place / "roots" / "precious"
    target.write_text("precious")
    (state / "locks").mkdir()
    lead(state, name, target, hard=hard)
    if name == "daemon.lock":
        with daemon_present(state) as other:
            assert other is None
    else:
        with pytest.raises(StateError):
            server_lock(state, UUID).__enter__()
    assert (target.read_text(), target.stat().st_uid) == ("precious", os.geteuid())


@as_root
def test_all_that_root_makes_belongs_to_the_folders_owner(place: Path, state: Path) -> None:
    """After `sudo ptero-backupd rotate` the daemon's own user can go on; a folder that is missing is made as well."""
    inner = state / "more"
    with SqliteJournal.open(inner) as journal, server_lock(inner, UUID), daemon_present(inner):
        journal.probe()
        made = [inner, *inner.rglob("*")]
    assert len(made) == 8
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in made if path.exists()} == {(OWNER, OWNER)}
    with SqliteJournal.open(inner) as journal:
        assert journal.recent() == []


@as_root
def test_what_root_sends_from_here_is_not_kept_where_somebody_else_could_put_a_link(place: Path, state: Path) -> None:
    """The owner of a folder may give another name to whatever is in it."""
    with temporary_folder(state) as folder:
        assert folder.parent != state
    with temporary_folder(place / "roots") as folder:
        assert folder.parent == place / "roots"


@as_root
def test_root_has_no_more_rights_there_than_the_owner(place: Path, state: Path) -> None:
    """Whatever is swapped between the look and the act; afterwards, and for all else, root is root."""
    (place / "roots").chmod(0o700)
    with opened_folder(state) as folder:
        with as_owner(folder), as_owner(folder):
            pass
        with as_owner(folder):
            with opened_folder(state), pytest.raises(PermissionError):
                (place / "roots" / "file").touch()
            with pytest.raises(PermissionError):
                (place / "roots" / "file").touch()
    (place / "roots" / "file").touch()
    assert (place / "roots" / "file").stat().st_uid == 0


@as_root
def test_a_file_of_somebody_else_is_refused(place: Path, state: Path) -> None:
    """Neither the folder's owner nor we have made it."""
    (state / "file").touch()
    os.chown(state / "file", OWNER + 1, OWNER)
    (state / "file").chmod(0o666)
    with opened_folder(state) as folder, pytest.raises(OSError, match="somebody else"):
        open_private(folder, "file")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.mkdir()], ids=["pipe", "folder"])
def test_what_is_no_file_is_refused_at_once(state: Path, make: Callable[[Path], object]) -> None:
    """A pipe without a reader keeps nobody waiting."""
    make(state / "history.sqlite3")
    with pytest.raises(StateError, match="cannot be opened"):
        SqliteJournal.open(state)


@pytest.mark.parametrize("folder", ["roots", "state"])
def test_a_part_with_a_second_name_is_not_written(place: Path, state: Path, folder: str) -> None:
    """Whoever shares the folder for downloads linked it to a file of ours."""
    target = place / "precious"
    target.write_text("precious")
    target.chmod(0o640)
    lead(place / folder, "a.tar.gz.part", target, hard=True)
    with pytest.raises((TargetError, DiskError), match=r"second name|Permission denied"):
        PartFile(place / folder / "a.tar.gz").__enter__()
    found = target.stat()
    assert (target.read_text(), found.st_uid, found.st_mode & 0o777) == ("precious", os.geteuid(), 0o640)


def test_a_folder_is_made_with_all_that_is_missing_above_it(tmp_path: Path) -> None:
    """For its owner alone."""
    make_folder(tmp_path / "a" / "b")
    assert {(tmp_path / part).stat().st_mode & 0o777 for part in ("a", "a/b")} == {0o700}
