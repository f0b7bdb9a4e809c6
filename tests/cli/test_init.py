"""`init`: a first configuration from what a key can see; nothing replaced, no key shown."""

import os
import stat
import tomllib
from pathlib import Path

import pytest

from daemon.__main__ import main
from daemon.config.first import write_new
from daemon.errors import UsageError
from daemon.sandbox.records import User
from daemon.sandbox.scenes import KEY
from tests.cli.conftest import Cli, Panel, Ran, Terminal


@pytest.fixture
def target(environment: Path) -> Path:
    """Where the configuration is to be."""
    return environment / "etc" / "config.toml"


def written(target: Path) -> dict[str, dict[str, dict[str, object]]]:
    """The configuration as TOML."""
    return tomllib.loads(target.read_text())


def test_the_key_goes_to_a_file_of_its_own(cli: Cli, panel: Panel, target: Path) -> None:
    """Both can be read by their owner alone, and the configuration names the file beside it."""
    ran = cli("init", "--url", panel.url + "/", "--api-key-file", "-", "--output", target, stdin=f"{KEY}\n")
    assert (ran.code, ran.out) == (0, "")
    key_file = target.with_name("main.key")
    assert key_file.read_text().strip() == KEY
    assert {stat.S_IMODE(file.stat().st_mode) for file in (target, key_file)} == {0o600}
    assert written(target)["panels"] == {"main": {"url": panel.url, "api_key_file": "main.key"}}
    assert KEY not in target.read_text() + ran.err


def test_the_key_may_come_from_the_environment(
    cli: Cli, panel: Panel, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept in a file all the same, since the environment ends."""
    monkeypatch.setenv("PTERO_BACKUPD_PANELS__MY_PANEL__API_KEY", KEY)
    ran = cli("--config", target, "init", "--url", panel.url, "--panel", "my-panel")
    assert ran.code == 0
    assert target.with_name("my-panel.key").read_text().strip() == KEY


def test_a_key_file_that_is_named_stays_where_it_is(cli: Cli, panel: Panel, target: Path, environment: Path) -> None:
    """The configuration names it by its whole path; relative to the terminal it would mean nothing later."""
    file = environment / "somewhere.key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    ran = cli("init", "--url", panel.url, "--api-key-file", os.path.relpath(file), "-o", target)
    assert ran.code == 0
    assert written(target)["panels"]["main"]["api_key_file"] == str(file)
    assert list(target.parent.iterdir()) == [target]


def test_a_named_key_file_of_several_lines_is_refused(cli: Cli, panel: Panel, target: Path, environment: Path) -> None:
    """The configuration would name it, and be refused for it."""
    file = environment / "somewhere.key"
    file.write_text(f"{KEY}\nthe key of the sandbox\n")
    ran = cli("init", "--url", panel.url, "--api-key-file", file, "-o", target)
    assert (ran.code, target.exists()) == (2, False)
    assert "write the key alone" in ran.err
    assert KEY not in ran.err


def test_a_store_is_written_and_every_good_backup_copied_to_it(
    cli: Cli, panel: Panel, target: Path, environment: Path
) -> None:
    """As it stands, if it is a folder; of another it is said that it needs more."""
    (environment / "nas").mkdir()
    base = ("init", "--url", panel.url, "--api-key-file", "-", "--allow-http", "--store", f"file://{environment}/nas")
    ran = cli(*base, "-o", target, stdin=KEY)
    assert (ran.code, "needs more" in ran.err) == (0, False)
    assert written(target)["policies"]["standard"]["copies"] == ["nas"]
    assert cli("--config", target, "copies", "rescan").code == 0
    more = cli(*base, "--store", "offsite=s3://bucket", "-o", environment / "b" / "b.toml", stdin=KEY)
    assert "store offsite needs more before it can be used: see [stores.offsite]" in more.err
    wrong = cli(*base, "--store", "ftp://x", "-o", target.with_name("c.toml"), stdin=KEY)
    assert (wrong.code, target.with_name("c.toml").exists()) == (2, False)


def test_some_of_the_servers_can_be_chosen(cli: Cli, panel: Panel, target: Path) -> None:
    """By identifier, uuid or name."""
    base = ("init", "--url", panel.url, "--api-key-file", "-")
    ran = cli(*base, "-o", target, "--server", "Lobby", "--server", panel.lobby.uuid, stdin=KEY)
    assert ran.code == 0
    assert list(written(target)["servers"]) == ["lobby"]
    ran = cli(*base, "-o", target.with_name("b.toml"), "--server", "loby", stdin=KEY)
    assert ran.code == 2
    assert "hint: did you mean lobby?" in ran.err
    ran = cli(*base, "-o", target.with_name("b.toml"), "--server", "xyz", stdin=KEY)
    assert f"{panel.lobby.identifier} (lobby)" in ran.err


def test_for_the_whole_system_the_state_folder_is_named(
    cli: Cli, panel: Panel, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotation by hand must find the daemon's own locks."""
    monkeypatch.setattr("daemon.cli.commands.init.DEFAULT_FILE", target)
    ran = cli("init", "--url", panel.url, "--api-key-file", "-", stdin=KEY)
    assert ran.code == 0
    assert tomllib.loads(target.read_text())["state_dir"] == "/var/lib/ptero-backupd"
    assert "  ptero-backupd check" in ran.err


def test_the_file_may_be_named_by_the_environment(
    cli: Cli, panel: Panel, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for every other command."""
    monkeypatch.setenv("PTERO_BACKUPD_CONFIG", str(target))
    assert cli("init", "--url", panel.url, "--api-key-file", "-", stdin=KEY).code == 0
    assert target.exists()


def test_servers_that_are_written_as_comments_are_not_counted_as_written(cli: Cli, panel: Panel, target: Path) -> None:
    """A limit of one leaves no room for the next backup, so that nothing can rotate there."""
    panel.lobby.limit = 1
    ran = cli("init", "--url", panel.url, "--api-key-file", "-", "-o", target, stdin=KEY)
    assert list(tomllib.loads(target.read_text())["servers"]) == ["survival"]
    assert "with 1 server, and 1 more as a comment; look at it, then:" in ran.err


def test_nothing_that_exists_is_replaced(cli: Cli, panel: Panel, target: Path) -> None:
    """Not the configuration, and not a key file; nor is one left alone without the other."""
    target.parent.mkdir()
    target.write_text("precious")
    ran = cli("init", "--output", target)
    assert (ran.code, target.read_text()) == (2, "precious")
    assert "exists already" in ran.err
    target.unlink()
    target.with_name("main.key").write_text("precious")
    ran = cli("init", "--url", panel.url, "--api-key-file", "-", "-o", target, stdin=KEY)
    assert (ran.code, target.with_name("main.key").read_text()) == (2, "precious")
    assert not target.exists()


def test_a_key_file_of_ours_does_not_stay_behind_alone(
    cli: Cli, panel: Panel, target: Path, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the configuration cannot be written; one that was named stays."""

    def refuse(path: Path, text: str) -> None:
        if path == target:
            raise UsageError("cannot be written")
        write_new(path, text)

    monkeypatch.setattr("daemon.cli.commands.init.write_new", refuse)
    assert cli("init", "--url", panel.url, "--api-key-file", "-", "-o", target, stdin=KEY).code == 2
    assert not target.with_name("main.key").exists()
    file = environment / "somewhere.key"
    file.write_text(KEY)
    assert cli("init", "--url", panel.url, "--api-key-file", file, "-o", target).code == 2
    assert file.exists()


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("{}/admin/", "url is the panel's own address, without /admin, /api or any other path"),
        ("https{}", "the other end speaks no TLS: does the panel's url need http"),
    ],
)
def test_a_wrong_address_is_told_as_such(cli: Cli, panel: Panel, target: Path, wrong: str, hint: str) -> None:
    """No hint speaks of ids, where nobody has given one."""
    url = wrong.format(panel.url.removeprefix("http") if wrong.startswith("https") else panel.url)
    ran = cli("init", "--url", url, "--api-key-file", "-", "-o", target, stdin=KEY)
    assert (ran.code, ran.out) == (4, "")
    assert hint in ran.err.partition("\nhint: ")[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "there is no terminal to ask at\nhint: give --url"),
        (["--url", "https://panel.example.com"], "hint: give --api-key-file FILE, or $PTERO_BACKUPD_PANELS__MAIN"),
        (["--url", "nonsense", "--api-key-file", "-"], "panels.main.url"),
        (["--url", "http://panel.example.com", "--api-key-file", "-"], "would send the key in the clear"),
        (["--url", "https://panel.example.com", "--api-key-file", "-"], "the key is empty"),
        (["--url", "https://panel.example.com", "--api-key-file", "nowhere"], "nowhere cannot be read: No such file"),
        (["--url", "https://panel.example.com", "--panel", "Main!"], '--panel: "Main!" is no name'),
    ],
)
def test_what_is_missing_or_wrong_is_a_usage_error(cli: Cli, target: Path, words: list[str], said: str) -> None:
    """Without a terminal nothing is asked; exit 2 and what to give."""
    ran = cli("init", "--output", target, *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert not target.parent.exists()


def test_a_key_file_that_holds_no_text_is_refused(cli: Cli, target: Path, environment: Path) -> None:
    """And its bytes are not shown."""
    file = environment / "binary.key"
    file.write_bytes(b"\xff\xfe")
    ran = cli("init", "-o", target, "--url", "https://panel.example.com", "--api-key-file", file)
    assert ran.code == 2
    assert "does not hold UTF-8 text" in ran.err


def test_a_panel_that_refuses_ends_it_before_anything_is_written(cli: Cli, panel: Panel, target: Path) -> None:
    """Exit 4; a key that looks cut is warned of."""
    ran = cli("init", "--url", panel.url, "--api-key-file", "-", "-o", target, stdin="EXAMPLE_cut")
    assert ran.code == 4
    assert "warning: panels.main.api_key: the key begins with neither" in ran.err
    assert not target.parent.exists()


def test_a_key_that_sees_no_server_is_said(cli: Cli, panel: Panel, target: Path) -> None:
    """There would be nothing to configure."""
    panel.world.servers.clear()
    ran = cli("init", "--url", panel.url, "--api-key-file", "-", "-o", target, stdin=KEY)
    assert ran.code == 2
    assert "the key sees no server" in ran.err


def test_all_servers_of_the_panel_can_be_asked_for(cli: Cli, panel: Panel, target: Path) -> None:
    """By an administrator, whose customers' they are; the configuration says so."""
    panel.lobby.owner = User("a customer")
    words = ("init", "--url", panel.url, "--api-key-file", "-", "-o", target)
    assert cli(*words, "--all-servers", stdin=KEY).code == 0
    assert list(written(target)["servers"]) == ["survival", "lobby"]
    assert written(target)["panels"]["main"]["servers"] == "all"


def test_an_administrator_without_a_terminal_is_told_that_there_are_more(cli: Cli, panel: Panel, target: Path) -> None:
    """Nothing is taken that was not asked for."""
    panel.lobby.owner = User("a customer")
    ran = cli("init", "--url", panel.url, "--api-key-file", "-", "-o", target, stdin=KEY)
    assert (ran.code, list(written(target)["servers"])) == (0, ["survival"])
    assert "it can see 2 servers, 1 without his rights; with --all-servers all of them are taken" in ran.err
    assert "servers" not in written(target)["panels"]["main"]


def test_all_servers_are_refused_to_whoever_is_no_administrator(cli: Cli, panel: Panel, target: Path) -> None:
    """Exit 4 with a hint, and nothing written."""
    panel.world.add_key("ptlc_EXAMPLE_customer", User("a customer"))
    words = ("init", "--url", panel.url, "--api-key-file", "-", "-o", target, "--all-servers")
    ran = cli(*words, stdin="ptlc_EXAMPLE_customer")
    assert (ran.code, target.exists()) == (4, False)
    assert "no administrator's" in ran.err


def at_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object, typed: str) -> Ran:
    """Run with somebody typing; what is asked hidden is read the same way."""
    stdin = Terminal(typed)
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: stdin.readline().rstrip("\n") or _end())
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return Ran(code, out, err)


def _end() -> str:
    raise EOFError


def test_at_a_terminal_what_is_missing_is_asked_for(
    panel: Panel, target: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr, and the key is not shown."""
    ran = at_terminal(capsys, monkeypatch, "init", "-o", target, typed=f"{panel.url}\n{KEY}\n")
    assert (ran.code, ran.out) == (0, "")
    assert KEY not in ran.err
    assert list(written(target)["servers"]) == ["survival", "lobby"]


def test_at_a_terminal_an_administrator_is_asked_whether_he_means_all(
    panel: Panel, target: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only yes means yes."""
    panel.lobby.owner = User("a customer")
    for number, (answer, names) in enumerate((("", ["survival"]), ("no", ["survival"]), ("y", ["survival", "lobby"]))):
        file = target.with_name(f"{number}.toml")
        words = ("init", "-o", file, "--panel", f"p{number}")
        ran = at_terminal(capsys, monkeypatch, *words, typed=f"{panel.url}\n{KEY}\n{answer}\n")
        assert (ran.code, list(written(file)["servers"])) == (0, names)
        assert ran.err.count("Take all of them?") == 1


def test_at_a_terminal_nothing_typed_interrupts(
    environment: Path, target: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-D is one clean line."""
    ran = at_terminal(capsys, monkeypatch, "init", "-o", target, typed="")
    assert ran.code == 130
    assert ran.err.endswith("interrupted\n")
