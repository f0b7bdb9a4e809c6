"""How a restore ended, told by the command line over real HTTP: exit 0 says how that is known, a failure exits 3."""

from pathlib import Path

import pytest

from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Backup, Change, Pulls
from tests.cli.conftest import Cli, Panel, Ran
from tests.cli.test_onto import made
from tests.cli.test_writes import may_only
from tests.operations.onto import FILES, tree

__all__ = ["made"]

FAILED = "the node could not restore with files: the server's activity log says so"
ONTO = ("--onto", "lobby", "--truncate")


def restore(cli: Cli, panel: Panel, *words: str) -> Ran:
    """Restore the backup."""
    return cli("--config", panel.config, "backups", "restore", "survival", "with files", "--yes", *words)


def test_one_that_went_well_exits_0_and_says_how_that_is_known(cli: Cli, panel: Panel, made: Backup) -> None:
    """The activity log says so, and the server has the files of the backup again."""
    panel.survival.files.write("server.properties", b"motd=changed\n")
    ran = restore(cli, panel, "--no-safety-backup")
    known = "restored with files onto survival; the server's activity log says that it completed\n"
    assert (ran.code, ran.out) == (0, known)
    assert tree(panel.survival) == FILES
    assert restore(cli, panel, "--no-safety-backup", "--json").json["activity_log"] == "completed"


@pytest.mark.parametrize("truncate", [False, True])
def test_one_that_the_node_fails_exits_3_and_says_so(cli: Cli, panel: Panel, made: Backup, truncate: bool) -> None:
    """With what to look at, and where what was there before is; with --truncate the node had deleted it by then."""
    panel.survival.restores_fail = True
    ran = restore(cli, panel, *(["--truncate"] if truncate else []))
    (safety,) = (row for row in panel.survival.backups.values() if row is not made)
    assert (ran.code, safety.locked, tree(panel.survival)) == (3, True, {} if truncate else FILES)
    assert f"error: {FAILED}\nhint: look at the server's files and the node's log before starting the server" in ran.err
    assert safety.name in ran.err
    assert "completed" not in ran.out + ran.err


def test_the_document_says_that_the_node_failed_it(cli: Cli, panel: Panel, made: Backup) -> None:
    """It ended, and not well."""
    panel.survival.restores_fail = True
    ran = restore(cli, panel, "--no-safety-backup", "--json")
    document = ran.json
    assert (ran.code, document["result"], document["ended"], document["activity_log"]) == (3, "failed", True, "failed")
    assert [(one["code"], one["text"]) for one in document["problems"]] == [("restore-failed", FAILED)]


def test_one_whose_file_the_node_lost_exits_4_and_changes_nothing(cli: Cli, panel: Panel, made: Backup) -> None:
    """It never began: the panel says at once that the node does not take it."""
    made.file_gone = True
    ran = restore(cli, panel, "--no-safety-backup")
    assert (ran.code, ran.out, tree(panel.survival)) == (4, "", FILES)
    assert "the panel answers 500" in ran.err


def test_where_nobody_may_read_the_log_it_is_said_that_the_end_is_not_known(
    cli: Cli, panel: Panel, made: Backup
) -> None:
    """Exit 0, since it ended; but nothing claims that it went well, even where it did not."""
    may_only(panel, "backup.read", "backup.restore")
    panel.survival.restores_fail = True
    ran = restore(cli, panel, "--no-safety-backup")
    assert ran.code == 0
    assert ran.out == "the panel ended the restore of with files onto survival; whether it went well is not known\n"
    assert "whether it went well is not known: the key's user lacks activity.read" in ran.err


def test_a_server_that_cannot_be_used_afterwards_is_not_told_as_restored_alone(
    cli: Cli, panel: Panel, made: Backup
) -> None:
    """It was suspended meanwhile."""
    suspended = faults.meanwhile(lambda *_: setattr(panel.survival, "status", "suspended"))
    panel.world.faults.order(suspended, on=Call.SERVER, skip=2, times=None)
    ran = restore(cli, panel, "--no-safety-backup")
    assert ran.out.endswith("; the server cannot be used now\n")
    assert "the server is suspended now that the restore has ended" in ran.err


# Onto another server --------------------------------------------------------------------------------------------------


def test_one_onto_another_server_says_what_was_compared(cli: Cli, panel: Panel, made: Backup) -> None:
    """No log tells of it; the files are looked at instead."""
    ran = restore(cli, panel, *ONTO)
    assert (ran.code, ran.out) == (0, "restored with files onto lobby by pull, 4 files are there as in the archive\n")
    assert tree(panel.lobby) == FILES


def spoil_the_archive(panel: Panel) -> None:
    """The node's disk damages what has come whole."""
    (archive,) = (row.name for row in panel.lobby.files.rows("") if row.name.startswith("ptero-backupd-"))
    panel.lobby.files.write(archive, b"rubbish")


@pytest.mark.parametrize("lost", [True, False], ids=["the answer is lost", "the node says that it cannot"])
def test_one_that_the_other_node_does_not_unpack_exits_3(cli: Cli, panel: Panel, made: Backup, lost: bool) -> None:
    """By then the server is empty: how to go on is said, and where its files are."""
    panel.lobby.files.write("mine", b"1")
    fault = faults.lost_before() if lost else faults.meanwhile(lambda *_: spoil_the_archive(panel))
    panel.world.faults.order(fault, on=Call.DECOMPRESS)
    ran = restore(cli, panel, *ONTO)
    (safety,) = panel.lobby.backups.values()
    assert (ran.code, safety.locked) == (3, True), ran.err
    assert "restored with files" not in ran.out
    assert ("the answer was lost (RemoteProtocolError), and nothing says whether it was done; " in ran.err) is lost
    how = "lobby has half of the archive; the same command with --truncate begins again; what was there is in"
    assert f"{how} {safety.name}, locked\n" in ran.err


def test_one_that_left_another_file_there_exits_3(cli: Cli, panel: Panel, made: Backup) -> None:
    """The panel says that the node unpacked it, and one of the files is not as in the archive."""
    unpacked = [False]

    def spoil(_world: object, _server: object) -> None:
        unpacked[0] = unpacked[0] or Change.UNPACKED in [entry.change for entry in panel.world.ledger]
        if unpacked[0]:
            panel.lobby.files.write("server.properties", b"?")

    panel.world.faults.order(faults.meanwhile(spoil), on=Call.FILES, times=None)
    ran = restore(cli, panel, *ONTO)
    assert ran.code == 3
    assert "server.properties has 1 bytes instead of 10" in ran.err


def test_one_of_a_copy_that_no_node_takes_exits_4_and_changes_nothing(
    cli: Cli, panel: Panel, made: Backup, tmp_path: Path
) -> None:
    """A copy too: the node neither fetches it nor takes an upload."""
    (tmp_path / "nas").mkdir()
    config = panel.configure(scope="all", extra=f'copies = ["nas"]\n[stores.nas]\nurl = "file://{tmp_path}/nas"')
    assert cli("--config", config, "copies", "run", "survival").code == 0
    panel.lobby.files.write("mine", b"1")
    panel.lobby.node.pulls, panel.lobby.node.upload_limit = Pulls.REFUSED, 1
    ran = cli("--config", config, "copies", "restore", "survival", "latest", *ONTO, "--no-safety-backup", "--yes")
    assert (ran.code, ran.out, tree(panel.lobby)) == (4, "", {"mine": b"1"})
    assert "upload: " in ran.err
