"""File names from backup names."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.model import Backup
from daemon.transfer.names import file_names

NOW = datetime(2026, 4, 1, tzinfo=UTC)
UUID = "9f2f9b87-86fa-4ba7-9810-0062696ca805"


def backup(name: str, uuid: str = UUID) -> Backup:
    """A backup of that name."""
    return Backup(uuid, name, successful=True, locked=False, bytes=1, created_at=NOW, completed_at=NOW)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("auto-survival-20260401T040000Z-0011aabb", "auto-survival-20260401T040000Z-0011aabb"),
        ("before update 1.21", "before update 1.21"),
        ("Karte zurücksetzen 地図", "Karte zurücksetzen 地図"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("C:\\world", "C__world"),
        ("..", UUID),
        (".", UUID),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("~root", "root"),
        ("", UUID),
        (" \n\t ", UUID),
        ("a\x00b\x1b[2Jc\nd\u202egpj", "a b [2Jc d gpj"),
        ("world.tar.gz", "world"),
        ("ends.. ", "ends"),
        ("x" * 300, "x" * 200),
        ("ü" * 150, "ü" * 100),
        ("\ud800lone", "lone"),
    ],
)
def test_a_name_becomes_one_component(name: str, file: str) -> None:
    """Readable, never hidden, never an option, never elsewhere."""
    assert file_names([backup(name)]) == {UUID: f"{file}.tar.gz"}


def test_equal_names_get_the_beginning_of_the_uuid() -> None:
    """All of them, also where only the letters' case differs, so that the names do not hang on the order."""
    names = file_names([backup("a", "11111111-x"), backup("A", "22222222-x"), backup("b", "33333333-x")])
    assert names == {
        "11111111-x": "a-11111111.tar.gz",
        "22222222-x": "A-22222222.tar.gz",
        "33333333-x": "b.tar.gz",
    }


@settings(deadline=None)
@given(st.lists(st.text(max_size=300), max_size=5))
def test_whatever_the_names_the_files_stay_in_the_folder(names: list[str]) -> None:
    """And each backup has its own."""
    files = file_names([backup(name, f"{number:08}-x") for number, name in enumerate(names)]).values()
    assert len(set(files)) == len(names)
    for file in files:
        assert file.isprintable()
        assert "/" not in file
        assert not file.startswith((".", "-"))
        assert len(f"{file}.part".encode()) <= 255
