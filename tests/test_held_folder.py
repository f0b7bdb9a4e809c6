"""Folders that live as long as their process: what a killed one left goes, and what is used stays."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from daemon import files as folders
from daemon.cli.onto import temporary_folder
from daemon.drilling.left import remove_left
from daemon.files import RESTORE, held_folder

MAKES = """
import os, sys
from pathlib import Path
from daemon.cli.onto import temporary_folder
with temporary_folder(Path(sys.argv[1])) as folder:
    (folder / "archive.tar.gz").write_bytes(b"large")
    print(folder, flush=True)
    os.kill(os.getpid(), 9)
"""


def killed(state: Path) -> Path:
    """The folder of a command that was killed."""
    ran = subprocess.run([sys.executable, "-c", MAKES, str(state)], capture_output=True, text=True, check=False)  # noqa: S603 — our own
    assert ran.returncode == -9, ran.stderr
    return Path(ran.stdout.strip())


@pytest.mark.parametrize("by", ["the next command", "the daemon"])
def test_what_a_killed_command_left_is_removed(tmp_path: Path, by: str) -> None:
    """It may be a world's size."""
    left = killed(tmp_path)
    assert left.parent == tmp_path
    assert (left / "archive.tar.gz").exists()
    if by == "the daemon":
        remove_left(tmp_path)
    else:
        with temporary_folder(tmp_path) as folder:
            assert folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_what_another_command_uses_stays(tmp_path: Path) -> None:
    """Until that ends."""
    with temporary_folder(tmp_path) as mine:
        with temporary_folder(tmp_path) as another:
            remove_left(tmp_path)
            assert mine.exists()
            assert another.exists()
        assert list(tmp_path.iterdir()) == [mine]
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    """Neither files nor links of such a name, nor what these lead to."""
    (tmp_path / "other").mkdir()
    (tmp_path / "restore-file").write_bytes(b"1")
    (tmp_path / "restore-link").symlink_to(tmp_path / "other")
    folders.remove_left(tmp_path, RESTORE)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other", "restore-file", "restore-link"]


def test_one_that_was_taken_for_left_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command looked in that very moment."""
    made: list[str] = []
    really = tempfile.mkdtemp

    def make(**how: object) -> str:
        made.append(str(really(**how)))  # type: ignore[call-overload]  # as it is called
        if len(made) == 1:
            folders.remove_left(tmp_path, RESTORE)
        return made[-1]

    monkeypatch.setattr(folders, "mkdtemp", make)
    with held_folder(tmp_path, RESTORE) as folder:
        assert folder.exists()
    assert len(made) == 2
