"""`backups restore --onto` over real HTTP: asked about, done, and told; the wrong arguments are refused."""

import getpass
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from daemon.__main__ import main
from daemon.config.load import load
from daemon.core.proof import Level, Proof
from daemon.core.units import format_size
from daemon.errors import StateError
from daemon.operations import console, sent
from daemon.panel.upload import upload
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Backup, Change, Power, Pulls
from daemon.state import ProofRecord
from daemon.state.alone import Alone
from daemon.state.local.journal import SqliteJournal
from tests.cli.conftest import Cli, Panel, Terminal, interrupt
from tests.cli.test_copies import STORES
from tests.copies.support import run
from tests.operations.onto import FILES, tree
from tests.stores.conftest import sftp_service
from tests.stores.services import SftpService

__all__ = ["sftp_service"]


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


def test_where_the_node_may_not_fetch_it_is_uploaded(cli: Cli, panel: Panel, made: Backup) -> None:
    """The node says so, or nothing comes: either way the next way is taken, and nothing was deleted before."""
    for pulls, said in ((Pulls.REFUSED, "An error occurred on the remote host"), (Pulls.SILENT, "0 of ")):
        panel.lobby.node.pulls = pulls
        panel.lobby.files.write("mine", b"1")
        words = ("survival", "with files", "--onto", "lobby", "--truncate", "--no-safety-backup", "--yes")
        ran = cli("--config", panel.config, "backups", "restore", *words)
        assert (ran.code, tree(panel.lobby)) == (0, FILES)
        assert ran.out == "restored with files onto lobby by upload, 4 files are there as in the archive\n"
        assert f"not by pull: {said}" in ran.err or said in ran.err


def a_large_one(panel: Panel) -> tuple[str, ...]:
    """Make a backup of some 700 kB that no gzip makes smaller; return the command that brings it onto the other one."""
    noise = Random(1)
    for number in range(7):
        panel.survival.files.write(f"world/region/{number}.bin", noise.randbytes(100_000))
    panel.world.add_backup(panel.survival, "large")
    words = ("backups", "restore", "survival", "large", "--onto", "lobby", "--via", "upload", "--yes")
    return ("--config", str(panel.config), *words)


def upload_a_large_one(cli: Cli, panel: Panel) -> tuple[str, ...]:
    """Bring such a backup onto the other server, and see it there; return the command."""
    command = a_large_one(panel)
    ran = cli(*command)
    assert (ran.code, ran.out) == (0, "restored large onto lobby by upload, 11 files are there as in the archive\n")
    assert tree(panel.lobby) == tree(panel.survival)
    return command


def test_a_large_archive_is_uploaded_in_parts(
    cli: Cli, panel: Panel, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each an archive of its own, unpacked before the next comes."""
    monkeypatch.setattr(sent, "PART_BYTES", 256 * 2**10)
    panel.lobby.node.upload_limit = 256 * 2**10
    upload_a_large_one(cli, panel)
    changes = [entry.change for entry in panel.world.ledger if entry.server == panel.lobby.uuid]
    assert changes == [Change.UPLOADED, Change.UNPACKED, Change.FILES_DELETED] * 4


TAKEN_OVER = "another member has taken over"


def test_no_part_is_sent_after_another_member_may_have_taken_over(
    cli: Cli, panel: Panel, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link to send it to is read, which is let; the upload itself is held to the lease as any other write."""
    monkeypatch.setattr(sent, "PART_BYTES", 256 * 2**10)
    first = [Change.UPLOADED, Change.UNPACKED, Change.FILES_DELETED]

    def changes() -> list[str]:
        return [entry.change for entry in panel.world.ledger if entry.server == panel.lobby.uuid]

    monkeypatch.setattr(Alone, "hindrance", lambda _, *, creates: TAKEN_OVER if changes() == first else "")
    words = a_large_one(panel)
    ran = cli(*words)
    assert (ran.code, changes()) == (3, first)
    assert f"sending a part to lobby: {TAKEN_OVER}; nothing was sent" in ran.err


def test_a_part_under_way_ends_once_another_member_may_have_taken_over(
    cli: Cli, panel: Panel, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process may stand still in the middle of it: what the node has by then is no file."""
    lost = [""]

    def stand_still(*link_and_file: Any, moved: Callable[[int], None], **options: Any) -> None:
        def after_a_piece(size: int) -> None:
            lost[0] = TAKEN_OVER
            moved(size)

        upload(*link_and_file, moved=after_a_piece, **options)

    monkeypatch.setattr(sent, "upload", stand_still)
    monkeypatch.setattr(Alone, "hindrance", lambda _, *, creates: "" if creates else lost[0])
    ran = cli(*a_large_one(panel))
    assert (ran.code, tree(panel.lobby)) == (4, {})
    assert f"upload: sending a part to lobby: {TAKEN_OVER}; not all of it was sent" in ran.err


def test_where_the_node_takes_less_the_parts_are_made_smaller(
    cli: Cli, panel: Panel, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No panel tells its limit: what the node refuses at first is sent in halves, down to a bound."""
    monkeypatch.setattr(sent, "PART_BYTES", 1024 * 2**10)
    monkeypatch.setattr(sent, "LEAST_BYTES", 200 * 2**10)
    panel.lobby.node.upload_limit = 400 * 2**10
    command = upload_a_large_one(cli, panel)
    panel.lobby.node.upload_limit = 1
    ran = cli(*command, "--truncate", "--no-safety-backup")
    assert ran.code == 4
    assert "upload: host 127.0.0.1 answers 4" in ran.err
    assert tree(panel.lobby) == tree(panel.survival)


def test_what_no_way_takes_leaves_the_server_as_it_was(
    cli: Cli, panel: Panel, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is larger than a part, and a node that does not fetch: each way says why it is closed."""
    monkeypatch.setattr(sent, "PART_BYTES", 80_000)
    panel.survival.files.write("plugins/dynmap.db", Random(1).randbytes(100_000))
    panel.world.add_backup(panel.survival, "large")
    panel.lobby.node.pulls = Pulls.REFUSED
    panel.lobby.files.write("mine", b"1")
    words = ("survival", "large", "--onto", "lobby", "--truncate", "--no-safety-backup", "--yes")
    ran = cli("--config", panel.config, "backups", "restore", *words)
    assert (ran.code, tree(panel.lobby)) == (4, {"mine": b"1"})
    assert "upload: plugins/dynmap.db alone has 100000 bytes, and a part 80000 at most" in ran.err


def test_it_comes_by_sftp_to_a_real_sshd(
    cli: Cli, panel: Panel, made: Backup, sftp_service: SftpService, tmp_path: Path
) -> None:
    """The server's folder is the host's, as it is on a node."""
    (tmp_path / "key").write_text(sftp_service.private_keys["all"])
    (tmp_path / "hosts").write_text(f"[127.0.0.1]:{sftp_service.port} {sftp_service.host_key}\n")
    url = f"sftp://{getpass.getuser()}@127.0.0.1:{sftp_service.port}{panel.lobby.folder}"
    words = ("backups", "restore", "survival", "with files", "--onto", "lobby", "--via", "sftp", "--yes", "--sftp", url)
    ran = cli(
        "--config", panel.config, *words, "--sftp-key", tmp_path / "key", "--sftp-known-hosts", tmp_path / "hosts"
    )
    assert (ran.code, tree(panel.lobby)) == (0, FILES)
    assert ran.out == "restored with files onto lobby by sftp, 4 files are there as in the archive\n"
    changes = [entry.change for entry in panel.world.ledger if entry.server == panel.lobby.uuid]
    assert changes == [Change.UNPACKED, Change.FILES_DELETED]


def test_it_is_left_to_the_operators_hands(
    cli: Cli, panel: Panel, made: Backup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, checked, and what to do with it; the server was not touched."""
    monkeypatch.chdir(tmp_path)
    words = ("survival", "with files", "--onto", "lobby", "--via", "hand", "--yes")
    ran = cli("--config", panel.config, "backups", "restore", *words)
    file = tmp_path / f"ptero-backupd-{made.uuid}-hand.tar.gz"
    assert (ran.code, tree(panel.lobby)) == (3, {})
    assert file.read_bytes() == b"".join(made.archive.pieces())
    assert f"error: {file} is the archive, checked\nhint: upload it into / of lobby" in ran.err


@pytest.mark.parametrize("store", ["nas", "offsite"])
def test_a_copy_is_restored_onto_a_server(cli: Cli, panel: Panel, made: Backup, tmp_path: Path, store: str) -> None:
    """From a store without links, so by upload; an encrypted one is decrypted here."""
    run("age-keygen", "-o", tmp_path / "key.txt")
    for name in ("nas", "offsite"):
        (tmp_path / name).mkdir()
    public = run("age-keygen", "-y", tmp_path / "key.txt").decode().strip()
    config = panel.configure(scope="all", extra=STORES.format(folder=tmp_path, public=public))
    assert cli("--config", config, "copies", "run", "survival").code == 0
    copy = ("--config", config, "copies", "restore", "survival", "latest", "--store", store, "--onto", "lobby", "--yes")
    if store == "offsite":
        sealed = cli(*copy)
        assert (sealed.code, tree(panel.lobby)) == (4, {})
        assert "--identity" in sealed.err
    ran = cli(*copy, "--identity", tmp_path / "key.txt")
    assert (ran.code, tree(panel.lobby)) == (0, FILES)
    assert ran.out == "restored with files onto lobby by upload, 4 files are there as in the archive\n"
    assert "not by pull: there is no link to it that a node could follow" in ran.err
    told = last_proof(cli, config, store)
    assert (told["level"], told["reached"], told["problems"]) == ("sane", "walked", [])


def test_a_copy_that_is_damaged_touches_nothing(cli: Cli, panel: Panel, made: Backup, tmp_path: Path) -> None:
    """It is read whole before."""
    (tmp_path / "nas").mkdir()
    config = panel.configure(scope="all", extra=f'copies = ["nas"]\n[stores.nas]\nurl = "file://{tmp_path}/nas"')
    assert cli("--config", config, "copies", "run", "survival").code == 0
    (data,) = (tmp_path / "nas").rglob("*.tar.gz")
    data.write_bytes(data.read_bytes()[:-1] + b"!")
    panel.lobby.files.write("mine", b"1")
    words = ("copies", "restore", "survival", "latest", "--onto", "lobby", "--truncate", "--yes")
    ran = cli("--config", config, *words)
    assert (ran.code, tree(panel.lobby)) == (5, {"mine": b"1"})
    assert "nothing was restored, since with files is damaged" in ran.err
    told = last_proof(cli, config, "nas")
    assert (told["level"], told["reached"], told["problems"] != []) == ("sane", None, True)
    assert "survival: with files in nas is not sound: " in cli("--config", config, "status").out


def test_a_copy_that_lacks_what_the_one_before_has_is_not_restored_unasked_and_recorded_as_bad(
    cli: Cli, panel: Panel, made: Backup, tmp_path: Path
) -> None:
    """As a scheduled proof of it would be: an older copy must not go for it. Nobody could be asked here."""
    (tmp_path / "nas").mkdir()
    config = panel.configure(scope="all", extra=f'copies = ["nas"]\n[stores.nas]\nurl = "file://{tmp_path}/nas"')
    assert cli("--config", config, "copies", "run", "survival").code == 0
    before = made.created_at - timedelta(days=1)
    proof = Proof("b", "auto-b", before, before, Level.SANE, Level.SANE, "nas", (), 100, 10_000)
    with SqliteJournal.open(load(config, os.environ).state_dir or Path()) as journal:
        journal.record_proof(ProofRecord("survival", panel.survival.uuid, proof))
    words = ("copies", "restore", "survival", "latest", "--onto", "lobby", "--yes")
    ran = cli("--config", config, *words)
    assert (ran.code, tree(panel.lobby)) == (5, {})
    assert "lacks what the one before it has: 4 files, and 100 in auto-b" in ran.err
    assert last_proof(cli, config, "nas")["problems"][0] == "4 files, and 100 in auto-b"


def last_proof(cli: Cli, config: Path, store: str) -> dict[str, Any]:
    """How the one copy in a store was proven last."""
    listed = cli("--config", config, "copies", "list", "survival", "--store", store, "--json").json
    (copy,) = listed["servers"][0]["stores"][0]["copies"]
    proof: dict[str, Any] = copy["last_proof"]
    return proof


def test_what_will_happen_is_asked_about(
    panel: Panel, made: Backup, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which backup, of which server, onto which, and what is lost; a no changes nothing."""
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    panel.lobby.files.write("mine", bytes(3 * 2**20))
    words = ["backups", "restore", "survival", "latest", "--onto", "lobby", "--truncate", "--stop"]
    assert main(["--config", str(panel.config), *words]) == 130
    size = format_size(made.bytes)
    assert capsys.readouterr().err == (
        f"the backup: with files, made 2026-04-01 12:00, {size}, good, foreign, of survival\n"
        f'onto: lobby is "lobby" ({panel.lobby.identifier}) on node1, panel main\n'
        f"first, the backup is read to its end and checked: {size} are downloaded\n"
        "then the server is stopped\n"
        "what is there now (3 MiB, before it is packed) is backed up, and that backup is locked\n"
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
        ("--via", "pull"),
        ("--onto", "lobby", "--via", "sftp"),
        ("--onto", "lobby", "--sftp-key", "key"),
        ("--onto", "lobby", "--sftp", "s3://bucket"),
        ("--onto", "lobby", "--sftp", "sftp://host"),
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


# drill ---------------------------------------------------------------------------------------------------------------

DRILL = '[drills.spare]\nserver = "lobby"\nfrom = ["survival"]\n{}'


def test_a_drill_restores_starts_watches_and_deletes(cli: Cli, panel: Panel, made: Backup) -> None:
    """The spare server is left empty and stopped; what was shown is recorded of the backup."""
    panel.lobby.description = "for drills #drill"
    panel.lobby.files.write("of the last one", b"1")
    config = panel.configure(extra=DRILL.format('start = true\nwatch = "1m"'))
    ran = cli("--config", config, "drill", "spare", "--yes")
    assert (ran.code, tree(panel.lobby), panel.lobby.power) == (0, {}, Power.OFFLINE), ran.err
    assert ran.out.startswith("with files of survival was restored onto lobby within ")
    assert ran.out.endswith(" s, and ran for 1 min\n")
    powers = [one.name for one in panel.world.ledger if one.change is Change.POWER]
    assert powers == ["start", "stop"]
    document = cli("--config", config, "drill", "spare", "--yes", "--json").json
    assert (document["source"], document["result"], document["files"]) == ("survival", "done", 4)
    assert document["seconds"] > 0
    told = cli("--config", config, "prove", "--plan", "survival", "--json")
    assert told.code == 0, told.err
    later, earlier = cli("--config", config, "history", "survival", "--json").json["drills"]
    assert (later["drill"], later["onto"], later["result"], later["started"]) == ("spare", "lobby", "done", True)
    assert (later["seconds"], later["backup"]["name"]) == (document["seconds"], "with files")
    assert earlier["ended_at"] <= later["began_at"]
    status = cli("--config", config, "status").out
    assert "survival: proven by a drill " in status
    history = cli("--config", config, "history", "survival").out
    assert "with files; ran after " in history


def test_a_drill_reads_as_deep_as_the_policy_proves(cli: Cli, panel: Panel, made: Backup) -> None:
    """Its reading is a proof at that level; a file that the policy expects, and that is missing, is a failed one."""
    panel.lobby.description = "#drill"
    rules = 'prove = {{level = "walked", expect = ["{}"], keep_proven = 0}}\n'
    config = panel.configure(extra=rules.format("world/*.mca") + DRILL.format(""))
    ran = cli("--config", config, "drill", "spare", "--yes")
    said = "nothing was restored, since with files is damaged: world/*.mca: expected, and no such file is in it"
    assert (ran.code, ran.out, ran.err.count(said), tree(panel.lobby)) == (5, "", 1, {}), ran.err
    (bad,) = cli("--config", config, "prove", "accept", "survival", "latest", "--json").json["accepted"]
    assert (bad["level"], bad["problems"]) == ("walked", ["world/*.mca: expected, and no such file is in it"])
    config = panel.configure(extra=rules.format("world/data/*.dat") + DRILL.format(""))
    document = cli("--config", config, "drill", "spare", "--yes", "--json").json
    assert (document["result"], document["files"], document["problems"]) == ("done", 4, [])
    (server,) = (
        one for one in cli("--config", config, "status", "--json").json["servers"] if one["server"] == "survival"
    )
    assert (server["proof"]["newest"]["reached"], server["proof"]["frozen"]) == ("walked", None)


def test_a_drill_that_is_not_recorded_is_partly_done(
    cli: Cli, panel: Panel, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3 and one error; the spare server is cleared all the same."""
    panel.lobby.description = "#drill"

    def fails(*_: object) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(SqliteJournal, "record_proof", fails)
    config = panel.configure(extra=DRILL.format('start = true\nwatch = "1m"'))
    ran = cli("--config", config, "drill", "spare", "--yes")
    assert (ran.code, tree(panel.lobby), panel.lobby.power) == (3, {}, Power.OFFLINE)
    assert ran.err.count("error: ") == ran.err.count("error: the drill is not recorded: the disk is full\n") == 1
    assert "note: what was read of with files is not recorded: the disk is full" in ran.err
    assert "with files of survival was restored onto lobby within" in ran.out


def test_a_drill_starts_nothing_unless_asked(cli: Cli, panel: Panel, made: Backup) -> None:
    """Its plugins may reach what the real server uses."""
    panel.lobby.description = "#drill"
    ran = cli("--config", panel.configure(extra=DRILL.format("")), "drill", "spare", "survival", "--yes")
    assert (ran.code, tree(panel.lobby)) == (0, {}), ran.err
    assert not [one for one in panel.world.ledger if one.change is Change.POWER]


def test_a_drill_refuses_a_server_that_is_not_marked(cli: Cli, panel: Panel, made: Backup) -> None:
    """Exit 5, and nothing was touched."""
    panel.lobby.files.write("mine", b"1")
    ran = cli("--config", panel.configure(extra=DRILL.format("start = true")), "drill", "spare", "--yes")
    assert (ran.code, tree(panel.lobby)) == (5, {"mine": b"1"})
    assert "the description of lobby does not carry #drill, so nothing on it is touched" in ran.err


def test_a_drill_whose_server_ends_by_itself_has_failed(cli: Cli, panel: Panel, made: Backup) -> None:
    """Its files stay for a look; it counts for no proof."""
    panel.lobby.description, panel.lobby.crashes = "#drill", 20.0
    config = panel.configure(extra=DRILL.format("start = true"))
    ran = cli("--config", config, "drill", "spare", "--yes")
    assert (ran.code, tree(panel.lobby)) == (3, FILES)
    assert "lobby is offline" in ran.err
    assert "lobby has the files of the drill; the next drill deletes them" in ran.err
    assert "survival: The drill of with files on lobby, begun at " in cli("--config", config, "status").out


@pytest.mark.parametrize("suspended", ["survival", "lobby"])
def test_which_of_the_two_servers_is_suspended_is_said(
    cli: Cli, panel: Panel, made: Backup, tmp_path: Path, suspended: str
) -> None:
    """The one that the backup is of, or the one that it is to go onto."""
    (tmp_path / "nas").mkdir()
    stores = f'copies = ["nas"]\n[stores.nas]\nurl = "file://{tmp_path}/nas"'
    config = panel.configure(scope="all", extra=f"{stores}\n{DRILL.format('')}")
    assert cli("--config", config, "copies", "run", "survival").code == 0
    panel.lobby.description = "#drill"
    getattr(panel, suspended).status = "suspended"
    said = f"error: {suspended}: the server is suspended\nhint: only an administrator can end that\n"
    for words in (
        ("drill", "spare", "--yes"),
        ("backups", "restore", "survival", "latest", "--onto", "lobby", "--yes"),
        ("copies", "restore", "survival", "latest", "--onto", "lobby", "--yes"),
    )[: 3 if suspended == "lobby" else 2]:
        ran = cli("--config", config, *words)
        assert (ran.code, ran.err) == (4, said)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time for a line of the console."""
    monkeypatch.setattr(console, "QUIET_SECONDS", 3.0)


@pytest.mark.usefixtures("patient")
def test_a_drill_watches_the_console(cli: Cli, panel: Panel, made: Backup) -> None:
    """It is open before the server is started, and the time until the text came is what counts."""
    pytest.importorskip("websockets")
    panel.lobby.description, panel.lobby.says = "#drill", ("Loading", "\x1b[32mDone (1.2s)!")
    config = panel.configure(extra=DRILL.format('start = true\nconsole = "Done ("'))
    ran = cli("--config", config, "drill", "spare", "--yes")
    assert (ran.code, tree(panel.lobby), panel.lobby.power) == (0, {}, Power.OFFLINE), ran.err
    assert ran.out.endswith(" s, and ran for 5 min, and showed “Done (”\n")
    (record,) = cli("--config", config, "history", "survival", "--json").json["drills"]
    assert (record["result"], record["seconds"] > 0) == ("done", True)


@pytest.mark.usefixtures("patient")
def test_a_drill_whose_console_does_not_show_what_it_must_has_failed(cli: Cli, panel: Panel, made: Backup) -> None:
    """It is told, and recorded, with the last lines; the server is stopped, and its files are left for a look."""
    pytest.importorskip("websockets")
    panel.lobby.description, panel.lobby.says = "#drill", ("Loading", "\x1b[31mMissing datapack\x1b[0m: terralith")
    config = panel.configure(extra=DRILL.format('start = true\nconsole = "Done ("'))
    ran = cli("--config", config, "drill", "spare", "--yes")
    told = "lobby has not shown “Done (” in its console; its console ended with: Loading | Missing datapack: terralith"
    assert (ran.code, tree(panel.lobby), panel.lobby.power) == (3, FILES, Power.OFFLINE)
    assert f"error: {told}\n" in ran.err
    assert ran.out == "lobby was changed, and with files of survival is on it\n"
    (record,) = cli("--config", config, "history", "survival", "--json").json["drills"]
    assert (record["result"], record["text"], record["seconds"]) == ("failed", told, None)


def test_without_its_console_a_drill_starts_nothing(cli: Cli, panel: Panel, made: Backup) -> None:
    """What nobody can watch does not run."""
    pytest.importorskip("websockets")
    panel.lobby.description = "#drill"
    panel.world.faults.order(faults.token_refused(), on=Call.CONSOLE)
    config = panel.configure(extra=DRILL.format('start = true\nconsole = "Done ("'))
    ran = cli("--config", config, "drill", "spare", "--yes")
    assert (ran.code, panel.lobby.power) == (3, Power.OFFLINE)
    assert "does not accept the panel's token" in ran.err
    assert not [one for one in panel.world.ledger if one.change is Change.POWER]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (DRILL.format("").replace('"lobby"', '"nowhere"'), "there is no such server"),
        (DRILL.format("").replace('["survival"]', "[]"), "no server is named"),
        (DRILL.format('console = "Done ("'), "the server is not started, so its console shows nothing"),
        (DRILL.format('start = true\nconsole = " x"'), "must be one line, without control characters, and without"),
        (DRILL.format('every = "30m"'), "must be at least 1h, since everything is read and unpacked each time"),
        (DRILL.format("").replace('["survival"]', '["survival", "lobby"]'), "its own backups cannot be tried"),
    ],
)
def test_a_drill_that_cannot_be_is_refused_by_the_configuration(
    cli: Cli, panel: Panel, written: str, said: str
) -> None:
    """With the key."""
    ran = cli("--config", panel.configure(extra=written), "drill", "spare", "--yes")
    assert ran.code == 2
    assert said in ran.err
    assert "drills.spare" in ran.err


def test_a_drill_that_is_not_there_is_refused(cli: Cli, panel: Panel) -> None:
    """Or a server that it does not have."""
    config = panel.configure(extra=DRILL.format(""))
    assert cli("--config", config, "drill", "other", "--yes").code == 2
    assert cli("--config", config, "drill", "spare", "lobby", "--yes").code == 2
