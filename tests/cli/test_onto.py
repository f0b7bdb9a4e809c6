"""`backups restore --onto` over real HTTP: asked about, done, and told; the wrong arguments are refused."""

from pathlib import Path

import pytest

from daemon.__main__ import main
from daemon.core.units import format_size
from daemon.sandbox.records import Backup, Change, Power
from tests.cli.conftest import Cli, Panel, interrupt
from tests.cli.test_writes import Terminal
from tests.operations.onto import FILES, tree


@pytest.fixture
def made(panel: Panel, tmp_path: Path) -> Backup:
    """A backup of the files of `survival`; `lobby` is stopped and empty."""
    for server in (panel.survival, panel.lobby):
        server.folder = tmp_path / server.name
        server.folder.mkdir()
    for path, data in FILES.items():
        panel.survival.files.write(path, data)
    panel.lobby.power = Power.OFFLINE
    panel.survival.backups.clear()  # beside the larger ones this one would be suspicious
    return panel.world.add_backup(panel.survival, "with files")


def test_a_backup_is_restored_onto_another_server(cli: Cli, panel: Panel, made: Backup) -> None:
    """What will happen is said before, what happened afterwards."""
    words = ("--config", panel.config, "backups", "restore", "survival", "with files", "--onto", "lobby")
    assert cli(*words).code == 2  # nobody can be asked
    ran = cli(*words, "--yes")
    assert (ran.code, tree(panel.lobby)) == (0, FILES)
    assert ran.out == "restored with files onto lobby by pull, 4 files are there as in the archive\n"
    refused = cli(*words, "--yes")
    assert refused.code == 5
    assert "error: lobby is not empty: plugins, server.properties, world" in refused.err


def test_what_will_happen_is_asked_about(
    panel: Panel, made: Backup, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which backup, of which server, onto which, and what is lost; a no changes nothing."""
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    words = ["backups", "restore", "survival", "latest", "--onto", "lobby", "--truncate", "--stop"]
    assert main(["--config", str(panel.config), *words]) == 130
    size = format_size(made.bytes)
    assert capsys.readouterr().err == (
        f"the backup: with files, made 2026-04-01 12:00, {size}, good, foreign, of survival\n"
        f'onto: lobby is "lobby" ({panel.lobby.identifier}) on node1, panel main\n'
        f"first, the backup is read to its end and checked: {size} are downloaded\n"
        "then the server is stopped\n"
        "what is there now is backed up, and that backup is locked\n"
        "ALL files of the server are deleted\n"
        "restore with files of survival onto lobby? [y/N] nothing was changed\n"
        "interrupted\n"
    )


def test_the_document_tells_how_it_came_and_what_is_there(cli: Cli, panel: Panel, made: Backup) -> None:
    """Into a folder of a server that has files."""
    panel.lobby.files.write("mine", b"1")
    words = ("backups", "restore", "survival", "with files", "--onto", "lobby", "--into", "old", "--yes", "--json")
    document = cli("--config", panel.config, *words).json
    assert document["safety_backup"]["locked"] is True
    del document["safety_backup"], document["backup"]
    assert document == {
        "server": "lobby",
        "panel": "main",
        "id": panel.lobby.identifier,
        "result": "done",
        "changed": True,
        "problems": [],
        "source": "survival",
        "truncate": False,
        "into": "/old",
        "way": "pull",
        "files": 4,
        "files_unseen": 0,
    }
    assert tree(panel.lobby, "old") == FILES


@pytest.mark.parametrize(
    "options",
    [
        ("--stop",),
        ("--into", "old"),
        ("--onto", "lobby", "--into", "a/../b"),
        ("--onto", "lobby", "--into", "/"),
        ("--onto", "lobby", "--into", "old", "--truncate"),
        ("--onto", "nowhere"),
    ],
    ids=str,
)
def test_arguments_that_make_no_sense_are_refused(
    cli: Cli, panel: Panel, made: Backup, options: tuple[str, ...]
) -> None:
    """Before anything is asked of the panel."""
    ran = cli("--config", panel.config, "backups", "restore", "survival", "with files", *options, "--yes")
    assert (ran.code, ran.out) == (2, "")
    assert not [entry for entry in panel.world.ledger if entry.change is Change.PULLING]


@pytest.mark.usefixtures("no_ctrl_c")
def test_ctrl_c_in_the_middle_says_how_to_go_on(cli: Cli, panel: Panel, made: Backup) -> None:
    """What was there is in the safety backup, and the same command begins again."""
    panel.lobby.files.write("mine", b"1")
    interrupt(panel, "decompress")
    words = ("backups", "restore", "survival", "with files", "--onto", "lobby", "--truncate", "--yes")
    ran = cli("--config", panel.config, *words)
    assert ran.code == 130
    assert (
        "lobby has half of the archive; the same command with --truncate begins again; what was there is in" in ran.err
    )
    assert cli("--config", panel.config, *words, "--no-safety-backup").code == 0
    assert tree(panel.lobby) == FILES
