"""The catalogue of copies: small private files, each replaced as a whole, and the installation's id."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from daemon.errors import StateError
from daemon.state.local.catalogue import Catalogue

SERVER = "1a7ce997-259b-452e-8b4e-cecc464142ca"


def test_what_is_written_is_read_back_and_listed(tmp_path: Path) -> None:
    """By store, panel and server."""
    catalogue = Catalogue(tmp_path / "state")
    assert catalogue.read("nas", "main", SERVER) is None
    assert catalogue.known() == []
    catalogue.write("nas", "main", SERVER, "one")
    catalogue.write("nas", "main", SERVER, "two")
    catalogue.write("off-site", "main", SERVER, "three")
    assert catalogue.read("nas", "main", SERVER) == "two"
    assert catalogue.known() == [("nas", "main", SERVER), ("off-site", "main", SERVER)]
    catalogue.forget("nas", "main", SERVER)
    catalogue.forget("nas", "main", SERVER)
    assert catalogue.known() == [("off-site", "main", SERVER)]


def test_the_files_are_private(tmp_path: Path) -> None:
    """As all of the state."""
    catalogue = Catalogue(tmp_path)
    catalogue.write("nas", "main", SERVER, "one")
    (file,) = (tmp_path / "copies").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_installation_keeps_its_id(tmp_path: Path) -> None:
    """Which every manifest names."""
    first = Catalogue(tmp_path).installation()
    assert Catalogue(tmp_path).installation() == first
    assert UUID(first).version == 4


def test_two_first_runs_agree_on_one_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is second takes what the first one made, though it had found none."""
    quicker: list[str] = []

    def meanwhile() -> UUID:
        monkeypatch.undo()
        quicker.append(Catalogue(tmp_path).installation())
        return uuid4()

    monkeypatch.setattr("daemon.state.local.catalogue.uuid4", meanwhile)
    assert [Catalogue(tmp_path).installation()] == quicker == [Catalogue(tmp_path).installation()]
    assert [file.name for file in tmp_path.iterdir()] == ["installation"]


def test_a_link_is_not_followed_and_what_is_damaged_is_as_if_absent(tmp_path: Path) -> None:
    """It is a cache."""
    catalogue = Catalogue(tmp_path)
    catalogue.write("nas", "main", SERVER, "one")
    (file,) = (tmp_path / "copies").iterdir()
    file.write_bytes(b"\xff\xfe")
    assert catalogue.read("nas", "main", SERVER) is None
    file.unlink()
    file.symlink_to("/etc/passwd")
    assert catalogue.read("nas", "main", SERVER) is None


def test_a_folder_that_cannot_be_written_is_an_error_of_the_state(tmp_path: Path) -> None:
    """A file stands in the way."""
    (tmp_path / "state").write_text("")
    for call in (
        Catalogue(tmp_path / "state").installation,
        lambda: Catalogue(tmp_path / "state").write("a", "b", SERVER, ""),
    ):
        with pytest.raises(StateError, match="the catalogue of copies cannot be used"):
            call()
