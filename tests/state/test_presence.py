"""Which daemons run on a state folder is known, and nothing hinders one by that."""

import os
from pathlib import Path

import pytest

from daemon.state.local.presence import daemon_of, daemon_present
from tests.state.test_locks import held_by_another_process

PRESENT = """
import sys
from pathlib import Path
from daemon.state.local.presence import daemon_present
with daemon_present(Path(sys.argv[1])) as others:
    print("held", flush=True)
    input()
"""


def test_a_daemon_finds_the_one_that_is_there_and_is_found_itself(tmp_path: Path) -> None:
    """Each by its process; whichever ends first, the other is still known, and nobody is kept from starting."""
    assert daemon_of(tmp_path) is None
    with held_by_another_process(tmp_path, PRESENT) as first:
        assert daemon_of(tmp_path) == first.pid
        with daemon_present(tmp_path) as other:
            assert other == first.pid
            first.kill()
            first.wait()
            assert daemon_of(tmp_path) == os.getpid()
    assert daemon_of(tmp_path) is None
    with daemon_present(tmp_path) as other:
        assert other is None


def test_daemons_of_one_number_in_containers_of_their_own_know_of_each_other(tmp_path: Path) -> None:
    """All are process 1 there; whichever end, those that are left are still known."""
    assert daemon_of(tmp_path) is None
    daemons = [daemon_present(tmp_path) for _ in range(3)]
    assert [daemon.__enter__() for daemon in daemons] == [None, os.getpid(), os.getpid()]
    for daemon in daemons:
        assert daemon_of(tmp_path) == os.getpid()
        daemon.__exit__(None, None, None)
    assert daemon_of(tmp_path) is None


@pytest.mark.parametrize("place", ["state", "state/daemon.lock/x"])
def test_a_folder_that_cannot_be_used_keeps_no_daemon_from_starting(tmp_path: Path, place: str) -> None:
    """It just is not known, and who looks finds none."""
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with daemon_present(tmp_path / "state") as other:
        assert (other, daemon_of(tmp_path / "state")) == (None, None)


def test_where_the_file_system_knows_no_locks_no_daemon_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts all the same."""

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("daemon.state.local.locks.fcntl.fcntl", refuse)
    with daemon_present(tmp_path) as other:
        assert (other, daemon_of(tmp_path)) == (None, None)
