"""What is known to be wrong with a backup is told and asked about on the command line, and refused unasked."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.__main__ import main
from daemon.config.load import load
from daemon.core.proof import Level, Proof
from daemon.sandbox.records import Backup
from daemon.state import ProofRecord
from daemon.state.local.journal import SqliteJournal
from tests.cli.conftest import Cli, Panel, Terminal
from tests.cli.test_onto import made
from tests.cli.test_restore_ends import restore
from tests.operations.onto import FILES, tree

__all__ = ["made"]

LACKS = "4 files, and 100 in auto-b"
WAYS = [("--truncate",), ("--onto", "lobby", "--truncate")]


@pytest.fixture
def shrunk(panel: Panel, made: Backup) -> Backup:
    """A backup that has few of the files that the one before it had."""
    before = made.created_at - timedelta(days=1)
    record(panel, Proof("b", "auto-b", before, before, Level.SANE, Level.SANE, "", (), 100, 20))
    return made


def record(panel: Panel, proof: Proof) -> None:
    """Record it of survival."""
    with SqliteJournal.open(load(panel.config, os.environ).state_dir or Path()) as journal:
        journal.record_proof(ProofRecord("survival", panel.survival.uuid, proof))


@pytest.mark.parametrize("way", WAYS, ids=["truncate", "onto"])
def test_what_it_lacks_is_refused_where_nobody_is_asked(cli: Cli, panel: Panel, shrunk: Backup, way: list[str]) -> None:
    """Nothing is touched; once an operator accepted just that, it is restored."""
    panel.survival.files.write("mine", b"1")
    ran = restore(cli, panel, *way)
    assert (ran.code, tree(panel.survival)) == (5, FILES | {"mine": b"1"})
    assert f"nothing was restored, since the backup lacks what the one before it has: {LACKS}" in ran.err
    again = restore(cli, panel, *way)
    assert (again.code, f"with files is not sound: {LACKS}" in again.err) == (5, True)
    assert cli("--config", panel.config, "prove", "accept", "survival", "with files").code == 0
    assert restore(cli, panel, *way).code == 0


@pytest.mark.parametrize("way", WAYS, ids=["truncate", "onto"])
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130)])
def test_what_it_lacks_is_asked_about(
    panel: Panel,
    shrunk: Backup,
    *,
    way: list[str],
    answer: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Once the backup was read; a no touches nothing."""
    panel.survival.files.write("mine", b"1")
    monkeypatch.setattr("sys.stdin", Terminal(f"y\n{answer}\n"))
    assert main(["--config", str(panel.config), "backups", "restore", "survival", "with files", *way]) == code
    told = f"WARNING: it lacks what the one before it has: {LACKS}\nrestore it all the same? [y/N] "
    assert told in capsys.readouterr().err
    restored = panel.lobby if "lobby" in way else panel.survival
    assert tree(restored) == (FILES if code == 0 else {} if "lobby" in way else FILES | {"mine": b"1"})


@pytest.mark.parametrize("way", [(), *WAYS], ids=["plain", "truncate", "onto"])
def test_one_that_a_proof_found_damaged_is_restored_only_unproven(
    cli: Cli, panel: Panel, made: Backup, way: list[str]
) -> None:
    """It is refused before anything is read, and `latest` is another one, or none."""
    torn = Proof(made.uuid, made.name, made.created_at, made.created_at, Level.SANE, None, problems=("it is torn",))
    record(panel, torn)
    ran = restore(cli, panel, *way)
    assert ran.code == 5
    assert "nothing was restored, since with files is not sound: it is torn" in ran.err
    latest = cli("--config", panel.config, "backups", "restore", "survival", "latest", "--yes", *way)
    assert "with files" not in latest.out + latest.err
    assert restore(cli, panel, *way, "--unproven").code == 0


def test_a_copy_that_a_proof_found_damaged_is_restored_only_unproven(
    cli: Cli, panel: Panel, made: Backup, tmp_path: Path
) -> None:
    """The copy in another store is chosen where there is one."""
    for name in ("nas", "usb"):
        (tmp_path / name).mkdir()
    stores = "\n".join(f'[stores.{name}]\nurl = "file://{tmp_path}/{name}"' for name in ("nas", "usb"))
    config = panel.configure(scope="all", extra=f'copies = ["nas", "usb"]\n{stores}')
    assert cli("--config", config, "copies", "run", "survival").code == 0
    bad = Proof(made.uuid, made.name, made.created_at, made.created_at, Level.SANE, None, "nas", ("it is torn",))
    with SqliteJournal.open(load(config, os.environ).state_dir or Path()) as journal:
        journal.record_proof(ProofRecord("survival", panel.survival.uuid, bad))
    words = ("--config", config, "copies", "restore", "survival", "with files", "--onto", "lobby", "--yes")
    ran = cli(*words, "--store", "nas")
    assert ran.code == 5
    assert "nothing was restored, since with files in nas is not sound: it is torn" in ran.err
    assert cli(*words).code == 0
    again = cli(*words, "--store", "nas", "--unproven", "--truncate")
    assert (again.code, tree(panel.lobby)) == (0, FILES)
    assert "whether all files are there is not known, since it was not read" in again.out
