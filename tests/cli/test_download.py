"""`backups download` as a person and a script use it, against a panel over real HTTP."""

import os
from pathlib import Path

import pytest

from daemon.__main__ import main
from daemon.cli.ui.progress import watching
from daemon.sandbox import faults
from daemon.sandbox.records import Backup, Key, State, Storage, User
from daemon.sandbox.settings import Digest
from daemon.sandbox.world import World
from tests.cli.conftest import Cli, Panel, Ran, screen_for

Capture = pytest.CaptureFixture[bytes]
GET = ("backups", "download", "survival")
ONLY_READ = "ptlc_EXAMPLE_only_read"


@pytest.fixture(autouse=True)
def _here(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in a folder of their own."""
    here = environment / "here"
    here.mkdir()
    monkeypatch.chdir(here)


def of(panel: Panel, name: str) -> Backup:
    """The backup of that name."""
    return next(backup for backup in panel.survival.backups.values() if backup.name == name)


def data(backup: Backup) -> bytes:
    """Its true bytes."""
    return b"".join(backup.archive.pieces())


def get(cli: Cli, panel: Panel, *words: str | Path) -> Ran:
    """Run the command; whatever it does, the panel's key goes to no other host and is not shown, nor is a link."""
    ran = cli("--config", panel.config, *GET, *words)
    for secret in ("ptlc_", "token=", "eyJ", "Signature="):
        assert secret not in ran.out + ran.err
    return ran


def test_one_backup_lands_here_under_its_name(cli: Cli, panel: Panel) -> None:
    """Its path is the data on stdout, all else is on stderr, one line a step."""
    ran = get(cli, panel, "by hand")
    assert (ran.code, ran.out) == (0, "by hand.tar.gz\n")
    assert Path("by hand.tar.gz").read_bytes() == data(of(panel, "by hand"))
    assert ran.err.splitlines() == [
        "by hand: 19.5 KiB to by hand.tar.gz",
        "by hand: done, size and sha1 are right",
    ]


def test_the_second_time_nothing_is_fetched(cli: Cli, panel: Panel) -> None:
    """What is there and right is passed over."""
    get(cli, panel, "by hand")
    used = len(panel.world.used_tokens)
    ran = get(cli, panel, "by hand", "--json")
    assert ran.json["backups"][0]["result"] == "there"
    assert len(panel.world.used_tokens) == used


def test_the_json_has_these_keys(cli: Cli, panel: Panel) -> None:
    """Scripts rely on them."""
    backup = of(panel, "by hand")
    assert get(cli, panel, "by hand", "--json", "-o", "x.tgz").json == {
        "server": "survival",
        "panel": "main",
        "id": panel.survival.identifier,
        "backups": [
            {
                "uuid": backup.uuid,
                "name": "by hand",
                "bytes": 20_000,
                "result": "done",
                "file": "x.tgz",
                "error": None,
            }
        ],
    }


def test_all_go_into_a_folder(cli: Cli, panel: Panel) -> None:
    """Which is made; failed ones have no file, and that is said."""
    panel.world.add_backup(panel.survival, "running", state=State.PENDING)
    ran = get(cli, panel, "--all", "-o", "copies/")
    assert ran.code == 0
    assert "left out: 1 pending, 1 failed" in ran.err
    good = [backup for backup in panel.survival.backups.values() if backup.successful]
    assert {path.read_bytes() for path in Path("copies").iterdir()} == {data(backup) for backup in good}
    assert len(ran.out.splitlines()) == len(good) == 7


def test_several_are_named_and_equal_names_kept_apart(cli: Cli, panel: Panel) -> None:
    """By the beginning of the uuid; a backup named twice is fetched once."""
    other = panel.world.add_backup(panel.survival, "by hand")
    first = of(panel, "by hand")
    ran = get(cli, panel, first.uuid, other.uuid, other.uuid[:12])
    assert ran.code == 0
    assert {path.name for path in Path().iterdir()} == {
        f"by hand-{first.uuid[:8]}.tar.gz",
        f"by hand-{other.uuid[:8]}.tar.gz",
    }


def test_a_name_from_the_panel_leads_nowhere_else(cli: Cli, panel: Panel) -> None:
    """Nor moves a terminal's cursor."""
    backup = panel.world.add_backup(panel.survival, "../../x\x1b[2J\ny")
    ran = get(cli, panel, backup.uuid)
    assert ran.out == "_.._x [2J y.tar.gz\n"
    assert "\x1b" not in ran.err
    assert len(ran.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "name the backups, or write --all"),
        (("latest", "--all"), "name the backups, or write --all"),
        (("nonsense",), 'no backup "nonsense"'),
        (("latest", "-o", "-", "--json"), "both want stdout"),
        (("--all", "-o", "-"), "only one backup can go to stdout"),
        (("latest", "by hand", "-o", "-"), "only one backup can go to stdout"),
        (("latest", "by hand", "-o", "file"), "file is no folder"),
    ],
)
def test_what_cannot_be_meant_is_refused(cli: Cli, panel: Panel, words: tuple[str, ...], why: str) -> None:
    """Exit 2, with what would be right."""
    Path("file").touch()
    ran = get(cli, panel, *words)
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err
    assert "hint: " in ran.err or "both want" in why


@pytest.mark.parametrize(("state", "why"), [(State.PENDING, "not completed"), (State.FAILED, "it failed")])
def test_what_has_no_file_is_refused_though_the_panel_has_a_link(
    cli: Cli, panel: Panel, state: State, why: str
) -> None:
    """Exit 4 for it alone, 3 beside one that is good; no link is asked for."""
    backup = panel.world.add_backup(panel.survival, "bad", state=state)
    ran = get(cli, panel, backup.uuid)
    assert ran.code == 4
    assert why in ran.err
    assert panel.world.used_tokens == set()
    assert get(cli, panel, backup.uuid, "by hand").code == 3
    assert Path("by hand.tar.gz").exists()


def test_a_suspicious_one_is_fetched_with_a_warning(cli: Cli, panel: Panel) -> None:
    """It may be all that there is."""
    small = panel.world.add_backup(panel.survival, panel_name(panel), size=3000)
    ran = get(cli, panel, small.uuid)
    assert ran.code == 0
    assert "warning: it is suspicious" in ran.err


def panel_name(panel: Panel) -> str:
    """The name of one of our own, for another day."""
    name = next(backup.name for backup in panel.survival.backups.values() if backup.name.startswith("auto-"))
    return f"{name[:-8]}99999999"


@pytest.mark.parametrize(
    ("values", "why"), [({"checksum": None}, "gives no checksum"), ({"checksum": "crc32:1"}, 'unknown kind "crc32"')]
)
def test_what_cannot_be_checked_is_said(cli: Cli, panel: Panel, values: dict[str, object], why: str) -> None:
    """It is no failure."""
    panel.world.faults.order(faults.with_values(values), on="list", times=None)
    ran = get(cli, panel, "by hand")
    assert ran.code == 0
    assert f"warning: the {'panel' if why.startswith('gives') else 'checksum is of the'} {why}" in ran.err
    assert "done, of the right size" in ran.err


def test_stdout_gets_the_bytes_and_nothing_else(panel: Panel, capsysbinary: Capture) -> None:
    """The end is told on stderr."""
    assert raw(panel, capsysbinary) == (
        0,
        data(of(panel, "by hand")),
        b"by hand: 19.5 KiB written to stdout, size and sha1 are right\n",
    )
    assert list(Path().iterdir()) == []


def test_on_stdout_the_exit_code_tells_that_the_checksum_was_wrong(panel: Panel, capsysbinary: Capture) -> None:
    """The bytes are written by then."""
    of(panel, "by hand").claimed_checksum = "sha1:" + "0" * 40
    code, out, err = raw(panel, capsysbinary)
    assert (code, out) == (4, data(of(panel, "by hand")))
    assert b"its sha1 is" in err


def raw(panel: Panel, capture: Capture) -> tuple[int, bytes, bytes]:
    """Run the command for its bytes."""
    capture.readouterr()
    code = main(["--config", str(panel.config), *GET, "by hand", "-o", "-"])
    written = capture.readouterr()
    return code, written.out, written.err


def test_an_archive_is_not_written_to_a_terminal(cli: Cli, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would only be noise."""
    monkeypatch.setattr("daemon.cli.backups.download.sys.stdout.isatty", lambda: True, raising=False)
    ran = get(cli, panel, "latest", "-o", "-")
    assert (ran.code, "to the terminal" in ran.err) == (2, True)


def test_another_file_stays_unless_forced(cli: Cli, panel: Panel) -> None:
    """And a folder of that name is used as one."""
    Path("by hand.tar.gz").write_text("mine")
    ran = get(cli, panel, "by hand")
    assert (ran.code, Path("by hand.tar.gz").read_text()) == (4, "mine")
    assert "--force" in ran.err
    assert get(cli, panel, "by hand", "--force").code == 0
    assert Path("by hand.tar.gz").read_bytes() == data(of(panel, "by hand"))
    Path("folder").mkdir()
    assert get(cli, panel, "by hand", "-o", "folder").out == "folder/by hand.tar.gz\n"


def test_a_folder_that_cannot_be_made_is_told(cli: Cli, panel: Panel) -> None:
    """With the system's words."""
    Path("file").touch()
    ran = get(cli, panel, "by hand", "-o", "file/below/")
    assert (ran.code, "cannot be used" in ran.err) == (4, True)


def test_a_name_that_no_file_system_takes_is_told(cli: Cli, panel: Panel) -> None:
    """For a file as for a folder."""
    for words in (("latest",), ("--all",)):
        ran = get(cli, panel, *words, "-o", "n" * 300)
        assert (ran.code, "cannot be used: File name too long" in ran.err) == (4, True)


def test_one_bad_does_not_stop_the_others(cli: Cli, panel: Panel) -> None:
    """Exit 3, and the JSON says which."""
    of(panel, "by hand").claimed_checksum = "sha1:" + "0" * 40
    ran = get(cli, panel, "--all", "--json")
    results = {one["name"]: one for one in ran.json["backups"]}
    assert ran.code == 3
    assert results.pop("by hand")["error"]["code"] == "wrong-file"
    assert {one["result"] for one in results.values()} == {"done"}


def test_a_key_that_may_only_read_is_told_so_once(cli: Cli, panel: Panel) -> None:
    """403 for the link; the rest is not tried, since it would be the same."""
    reader = User("reader")
    panel.world.keys[ONLY_READ] = Key(ONLY_READ, reader)
    panel.survival.subusers["reader"] = ("backup.read",)
    panel.config.with_name("main.key").write_text(ONLY_READ)
    panel.world.faults.order(faults.slow(1), on="download", times=None)
    ran = get(cli, panel, "--all", "--json")
    assert ran.code == 4
    assert {one["error"]["code"] for one in ran.json["backups"]} == {"permission-lacking"}
    assert ran.err.count("error: ") == 1
    assert panel.world.faults.happened["slow"] <= 1
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(("status", "code"), [("suspended", 4), ("install_failed", 4), ("restoring_backup", 3)])
def test_a_server_that_is_in_the_way_is_told(cli: Cli, panel: Panel, status: str, code: int) -> None:
    """409 for every backup call; what passes is no failure, also where it comes in the middle."""
    panel.survival.status = status
    assert get(cli, panel, "latest").code == code
    panel.survival.status = None

    def change(_world: World, _server: str | None) -> None:
        panel.survival.status = status

    panel.world.faults.order(faults.meanwhile(change), on="download")
    assert get(cli, panel, "latest").code == code


def test_a_sha256_is_checked_as_a_sha1_is(cli: Cli, panel: Panel) -> None:
    """Also of a file that was put together from several streams, and of one that is there already."""
    panel.survival.storage, panel.world.settings.checksum = Storage.S3, Digest.SHA256
    panel.world.faults.order(faults.cut(), on="file")
    assert get(cli, panel, "by hand").err.splitlines()[-1] == "by hand: done, size and sha256 are right"
    assert get(cli, panel, "by hand").err.splitlines()[-1] == "by hand: already there, size and sha256 are right"
    of(panel, "by hand").claimed_checksum = "sha256:" + "ab" * 32
    ran = get(cli, panel, "by hand", "--force")
    assert (ran.code, "its sha256 is" in ran.err) == (4, True)


def test_a_broken_transfer_is_told_as_it_goes_on(cli: Cli, panel: Panel) -> None:
    """A line for each step."""
    panel.survival.storage = Storage.S3
    panel.world.faults.order(faults.cut(), on="file")
    ran = get(cli, panel, "by hand")
    assert ran.code == 0
    assert [line.removeprefix("by hand: ") for line in ran.err.splitlines()][1:] == [
        "the connection to 127.0.0.1 broke (RemoteProtocolError) after 9.8 KiB; trying again with a new link",
        "going on after 9.8 KiB",
        "done, size and sha1 are right",
    ]


@pytest.mark.parametrize("storage", [Storage.NODE, Storage.S3])
def test_ctrl_c_ends_it_at_once(cli: Cli, panel: Panel, monkeypatch: pytest.MonkeyPatch, storage: Storage) -> None:
    """Exit 130, and it says what is left; the same command goes on."""
    panel.survival.storage = storage

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("daemon.cli.ui.progress.Lines.moved", press)
    ran = get(cli, panel, "by hand")
    assert ran.code == 130
    left = "nothing is left of what came" if storage is Storage.NODE else "keeps the first 19.5 KiB"
    assert left in ran.err
    assert ran.err.endswith("interrupted\n")
    assert not Path("by hand.tar.gz").exists()
    monkeypatch.undo()
    os.chdir(panel.config.parent / "here")
    assert get(cli, panel, "by hand").code == 0


def test_a_terminal_gets_a_bar(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """With name, rate and remaining time; what is said stands above it."""
    screen = screen_for(monkeypatch)
    with watching("a [bold]\nname", 1000) as listener:
        listener.moved(500)
        listener.said("broke\x1b")
        listener.moved(100)
    drawn = screen.getvalue()
    assert "a [bold] name: broke\ufffd" in drawn
    for part in ("a [bold] name", "10%", "100/1,000 bytes"):
        assert part in drawn
