"""One rotation at a time per server, across tasks and processes."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.errors import Exit, ServerBusyError, StateError
from daemon.files import make_folder, open_private, opened_folder
from daemon.state.local.locks import is_locked, server_lock

UUID = "1a7ce997-259b-452e-8b4e-cecc464142ca"

HOLD = f"""
import sys
from pathlib import Path
from daemon.state.local.locks import server_lock
with server_lock(Path(sys.argv[1]), "{UUID}"):
    print("held", flush=True)
    input()
"""


@contextmanager
def held_by_another_process(state_dir: Path, hold: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    """A real second process that holds the lock until it is told to go, or killed."""
    command = [sys.executable, "-c", hold, str(state_dir)]
    with subprocess.Popen(  # noqa: S603 — our own interpreter
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state folder that is not there yet."""
    return tmp_path / "state"


def test_a_second_holder_in_this_process_is_refused_at_once(state_dir: Path) -> None:
    """Two tasks of the daemon exclude each other."""
    with server_lock(state_dir, UUID):
        with pytest.raises(ServerBusyError, match=f"server {UUID} is being rotated already") as caught:
            server_lock(state_dir, UUID).__enter__()
        assert caught.value.exit_code is Exit.SOME_FAILED
        with server_lock(state_dir, "another-server"):
            pass
    with server_lock(state_dir, UUID):
        pass


def test_a_lock_ends_with_an_error_too(state_dir: Path) -> None:
    """A rotation that fails leaves the server free."""
    with pytest.raises(RuntimeError), server_lock(state_dir, UUID):
        raise RuntimeError
    assert not is_locked(state_dir, UUID)


def test_a_refused_holder_does_not_free_the_lock(state_dir: Path) -> None:
    """POSIX locks would be lost when any descriptor of the file closes; these are not."""
    with server_lock(state_dir, UUID):
        for _ in range(2):
            with pytest.raises(ServerBusyError):
                server_lock(state_dir, UUID).__enter__()


def test_another_process_holds_it_and_is_named(tmp_path: Path) -> None:
    """A `rotate` in another terminal excludes the daemon, and its death frees the lock."""
    with held_by_another_process(tmp_path) as process:
        assert is_locked(tmp_path, UUID)
        with pytest.raises(ServerBusyError, match=f"already by process {process.pid}$"):
            server_lock(tmp_path, UUID).__enter__()
        process.kill()
        process.wait()
        assert not is_locked(tmp_path, UUID)
        with server_lock(tmp_path, UUID):
            pass


def test_asking_never_takes_the_lock(state_dir: Path) -> None:
    """`status` may ask at any moment, before the first rotation too, and leaves no file behind."""
    assert not is_locked(state_dir, UUID)
    assert not state_dir.exists()
    with server_lock(state_dir, UUID):
        assert is_locked(state_dir, UUID)
        assert not is_locked(state_dir, "another-server")
    assert not is_locked(state_dir, UUID)


def test_the_file_is_private_and_stays(tmp_path: Path) -> None:
    """Deleting it would leave two holders of two files with one name."""
    path = tmp_path / "state" / "locks" / f"{UUID}.lock"
    old = os.umask(0)
    try:
        with server_lock(tmp_path / "state", UUID):
            path.write_text("a longer number than ours: 12345678901234567890")
        with server_lock(tmp_path / "state", UUID):
            pass
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("odd", ["../../etc/passwd", "", "a/b", "x" * 300, "ü", "\ud800"])
def test_an_odd_uuid_stays_within_the_folder(tmp_path: Path, odd: str) -> None:
    """What a panel calls a uuid never chooses the path."""
    with server_lock(tmp_path, odd):
        assert is_locked(tmp_path, odd)
        (path,) = (tmp_path / "locks").iterdir()
    assert len(path.name) == 64 + len(".lock")


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    """Root, rotating by hand, does not write through what the service's user put there."""
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / f"{UUID}.lock").symlink_to(target)
    with pytest.raises(StateError, match="cannot be opened"):
        server_lock(tmp_path, UUID).__enter__()
    assert not is_locked(tmp_path, UUID)
    assert target.read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_an_error_of_state(tmp_path: Path) -> None:
    """It is not mistaken for a busy server."""
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="Not a directory") as caught:
        server_lock(tmp_path / "file", UUID).__enter__()
    assert not isinstance(caught.value, ServerBusyError)


def test_a_file_system_without_locks_is_an_error_of_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locking is not possible nothing is rotated."""

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    with server_lock(tmp_path, UUID):
        pass
    monkeypatch.setattr("daemon.state.local.locks.fcntl.fcntl", refuse)
    with pytest.raises(StateError, match="cannot be taken: No locks available"):
        server_lock(tmp_path, UUID).__enter__()
    assert not is_locked(tmp_path, UUID)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    """After `sudo ptero-backupd rotate` the daemon's own user can still lock."""
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 4711, 4712)
    with server_lock(state, UUID):
        pass
    for path in (state / "locks", state / "locks" / f"{UUID}.lock"):
        assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)


def test_what_should_not_be_there_is_not_left_open(tmp_path: Path) -> None:
    """The descriptor is closed before the error passes."""
    (tmp_path / "file").touch()
    (tmp_path / "other").hardlink_to(tmp_path / "file")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with opened_folder(tmp_path) as folder, pytest.raises(OSError, match="second name"):
        open_private(folder, "file")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_folder_that_another_made_meanwhile_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two first starts at once do not trip over each other."""
    mkdir = os.mkdir

    def somebody_is_quicker(path: str, mode: int, dir_fd: int) -> None:
        mkdir(path, mode, dir_fd=dir_fd)
        mkdir(path, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", somebody_is_quicker)
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
