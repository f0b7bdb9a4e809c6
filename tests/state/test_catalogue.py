"""What only the catalogue in a folder can be asked: private files, damage, and two first runs at once."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from daemon.errors import StateError
from daemon.state import Catalogue, Holding, ShelfRecord
from daemon.state.local.catalogue import FILE_NAME, LocalCatalogue
from daemon.state.runner import Inline

SERVER = "1a7ce997-259b-452e-8b4e-cecc464142ca"
RECORD = ShelfRecord(Holding("nas", "main", SERVER, datetime(2026, 4, 1, tzinfo=UTC), 0, 0, None), "…")

pytestmark = pytest.mark.anyio


def modes(folder: Path) -> dict[str, str]:
    """The files in a folder, each with who may do what."""
    return {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()}


def catalogue(folder: Path) -> Catalogue:
    """The catalogue of a folder."""
    return LocalCatalogue(folder, Inline())


async def test_the_files_are_private_and_nothing_is_left_beside_them(tmp_path: Path) -> None:
    """As all of the state."""
    await catalogue(tmp_path).remember(RECORD)
    await catalogue(tmp_path).installation()
    assert modes(tmp_path) == {FILE_NAME: "0o600", "installation": "0o600"}


async def test_an_id_of_an_installation_is_a_random_uuid(tmp_path: Path) -> None:
    """So no two installations have the same."""
    assert UUID(await catalogue(tmp_path).installation()).version == 4


async def test_two_first_runs_agree_on_one_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second takes what the first one made, though it had found none."""
    quicker: list[str] = []

    def meanwhile() -> UUID:
        monkeypatch.undo()
        (tmp_path / "installation").write_text("the-quicker-one\n")
        quicker.append("the-quicker-one")
        return uuid4()

    monkeypatch.setattr("daemon.state.local.installation.fcntl.flock", lambda *_: meanwhile())
    assert [await catalogue(tmp_path).installation()] == quicker == [await catalogue(tmp_path).installation()]
    assert list(modes(tmp_path)) == ["installation"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"this is no database at all " * 100),
        lambda file: sqlite3.connect(file).execute("PRAGMA user_version = 99").connection.close(),
        lambda file: sqlite3.connect(file, isolation_level=None).execute("UPDATE shelf SET seen_at = 'never'"),
    ],
    ids=["no database", "another version", "a row that we did not write so"],
)
async def test_what_is_damaged_is_as_if_absent_and_is_made_anew_by_the_next_write(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    """It is a cache."""
    there = catalogue(tmp_path)
    await there.remember(RECORD)
    damage(tmp_path / FILE_NAME)
    assert (await there.shelves("main", SERVER), await there.holdings()) == ([], [])
    await there.remember(RECORD)
    assert await there.shelves("main", SERVER) == [RECORD]


async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Root would write through it."""
    (tmp_path / "elsewhere").write_text("precious")
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    for call in (catalogue(tmp_path).holdings(), catalogue(tmp_path).remember(RECORD)):
        with pytest.raises(StateError, match="not followed"):
            await call
    assert (tmp_path / "elsewhere").read_text() == "precious"


async def test_a_folder_that_cannot_be_used_is_an_error_of_the_state(tmp_path: Path) -> None:
    """A file stands in the way."""
    (tmp_path / "state").write_text("")
    there = catalogue(tmp_path / "state")
    for call in (there.installation(), there.remember(RECORD)):
        with pytest.raises(StateError, match="the catalogue of copies cannot be used"):
            await call


async def test_one_that_is_locked_is_waited_for_and_then_told(tmp_path: Path) -> None:
    """By a backup tool, or a shell."""
    runner = Inline()
    runner.patience = 0
    there = LocalCatalogue(tmp_path, runner)
    await there.remember(RECORD)
    with sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StateError, match="locked"):
            await there.holdings()
    other.close()
    assert await there.holdings() == [RECORD.holding]
