"""One place makes exit codes: each kind of end, its code and its line."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon import __version__
from daemon.cli import by_typer
from daemon.cli import main as cli_main
from daemon.cli.ui.output import printable, say, say_error
from daemon.errors import BackupdError, StateError, UsageError
from daemon.log import REDACTED
from tests.cli.conftest import Cli

ROOT = Path(__file__).parents[2]
KEY = "ptlc_EXAMPLEa1B2c3D4e5F6"


def outside(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line, or some code, in a process of its own."""
    program = ["-c", code] if code else ["-m", "daemon", *words]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PTERO_BACKUPD_")}
    return subprocess.run(  # noqa: S603 — our own interpreter
        [sys.executable, *program], capture_output=True, text=True, check=False, cwd=ROOT, env=environ
    )


def test_the_version_is_answered_by_the_package_alone() -> None:
    """Nothing but the standard library is loaded for it."""
    code = (
        "import sys; from daemon.__main__ import main; code = main(['--version'])\n"
        "print(code, sorted({name.partition('.')[0] for name in sys.modules} & {'typer', 'rich', 'pydantic'}))"
    )
    assert outside(code=code).stdout == f"ptero-backupd {__version__}\n0 []\n"


def test_the_version_is_answered_among_other_options_too(cli: Cli) -> None:
    """`--quiet --version`."""
    assert cli("--quiet", "--version").out == f"ptero-backupd {__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["plan", "--help"], ["backups", "list", "-h"], ["config", "--help"]])
def test_help_loads_nothing_that_a_command_needs(words: list[str]) -> None:
    """Neither the panel client nor the configuration nor the scheduler, and no tables. (pydantic is typer's own.)"""
    heavy = "{'httpx', 'pydantic_settings', 'apscheduler', 'structlog', 'starlette', 'rich'}"
    code = (
        f"import sys; from daemon.__main__ import main; code = main({words!r})\n"
        f"print(code, sorted({{name.partition('.')[0] for name in sys.modules}} & {heavy}))"
    )
    assert outside(code=code).stdout.endswith("\n0 []\n")


def test_a_listing_is_judged_without_panel_configuration_or_scheduler(tmp_path: Path) -> None:
    """`plan --listing --json` loads none of them. (pydantic is typer's own doing: it reads options by it.)"""
    file = tmp_path / "list.json"
    file.write_text('{"object":"list","data":[],"meta":{"pagination":{"total":0}}}')
    heavy = "{'httpx', 'pydantic_settings', 'apscheduler', 'structlog', 'starlette', 'rich', 'stamina'}"
    code = (
        "import sys; from daemon.__main__ import main\n"
        f"code = main(['plan', '--listing', {str(file)!r}, '--keep', 'last=1', '--json'])\n"
        f"ours = sorted(name for name in sys.modules if name.startswith(('daemon.config', 'daemon.rotation')))\n"
        f"print(code, ours, sorted({{name.partition('.')[0] for name in sys.modules}} & {heavy}))"
    )
    assert outside(code=code).stdout.endswith("\n0 [] []\n")


def test_without_a_command_the_help_is_shown_and_it_is_a_usage_error(cli: Cli) -> None:
    """On stderr, since it is not what was asked for."""
    ran = cli()
    assert (ran.code, ran.out) == (2, "")
    assert "Commands:" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["schedul"], "error: no such command 'schedul'. Did you mean 'schedule'?\nhint: `ptero-backupd --help`"),
        (["plan", "--lisitng", "x"], "error: no such option: --lisitng"),
        (["schedule", "--count", "x"], "error: invalid value for '--count'"),
        (["backups", "list"], "error: missing argument 'SERVER'\nhint: `ptero-backupd backups list --help`"),
        (["backups", "list", "a", "--only", "x"], "error: invalid value for '--only': 'x' is not one of 'good'"),
        (["backups"], "error: missing command\nhint: `ptero-backupd backups --help`"),
        (["--config"], "error: option '--config' requires an argument\nhint: `ptero-backupd --help`"),
        (["--verbose", "--quiet", "plan"], "error: --verbose and --quiet contradict each other"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_a_usage_error(cli: Cli, words: list[str], said: str) -> None:
    """Exit 2, what is wrong, and where the help is; nothing on stdout."""
    ran = cli(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(said)


@pytest.mark.parametrize(
    ("words", "option", "right"),
    [
        (["backups", "create", "creative", "--quiet"], "--quiet", "ptero-backupd --quiet backups create …"),
        (["plan", "lobby", "--config", "x"], "--config", "ptero-backupd --config FILE plan …"),
        (["backups", "-v", "list"], "-v", "ptero-backupd -v backups …"),
    ],
)
def test_an_option_that_belongs_before_the_command_is_sent_there(
    cli: Cli, words: list[str], option: str, right: str
) -> None:
    """And no other is suggested that merely looks like it."""
    ran = cli(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"error: no such option here: {option}\nhint: write it before the command: `{right}`\n"


def raising(error: BaseException) -> object:
    """A command line that ends so."""

    def app(**_: object) -> int:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("no"), 2, "error: no\n"),
        (StateError("full", hint="make room"), 4, "error: full\nhint: make room\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_every_error_of_ours_has_its_exit_code_and_its_hint(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    """No traceback, no half of anything on stdout."""
    monkeypatch.setattr(by_typer, "app", raising(error))
    ran = cli("plan")
    assert (ran.code, ran.out, ran.err) == (code, "", said)


def test_ctrl_c_within_a_command_is_one_clean_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """typer turns it into an exit of its own; the line is ours."""

    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("daemon.cli.commands.sandbox.serve", interrupted)
    ran = cli("sandbox")
    assert (ran.code, ran.err) == (130, "interrupted\n")


def test_a_bug_is_short_and_asks_to_be_reported(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The traceback comes only when it is asked for, and neither shows a key."""
    monkeypatch.setattr(by_typer, "app", raising(RuntimeError(f"cannot use {KEY}")))
    ran = cli("plan")
    assert ran.code == 1
    assert ran.err.startswith(f"error: this is a bug in ptero-backupd: RuntimeError: cannot use {REDACTED}\nhint: ")
    assert "please report it" in ran.err
    assert "Traceback" not in ran.err
    loud = cli("--verbose", "plan")
    assert "Traceback" in loud.err
    assert KEY not in loud.err


def test_a_reader_that_went_away_is_no_error() -> None:
    """`… | head` ends without a word, also when the interpreter flushes at its end."""
    code = (
        "import os, sys\n"
        "from daemon.cli.ui.output import write\n"
        "ours, theirs = os.pipe(); os.close(ours); os.dup2(theirs, 1)\n"
        "write('x' * 100_000); write('more')"
    )
    ran = outside(code=code)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_reader_of_the_help_that_went_away_is_no_error() -> None:
    """typer prints it by itself."""
    code = (
        "import os, sys; from daemon.__main__ import main\n"
        "ours, theirs = os.pipe(); os.close(ours); os.dup2(theirs, 1); sys.exit(main(['--help']))"
    )
    ran = outside(code=code)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_nobody_reading_stderr_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be said is not said."""

    class Gone:
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Gone())
    say("hello")


def test_a_name_from_the_panel_cannot_play_with_the_terminal() -> None:
    """Control characters, and what turns text around, are replaced; a line feed is ours."""
    assert printable("a\x1b[2Jb\r\u202e\nc ä") == "a\ufffd[2Jb\ufffd\ufffd\nc ä"


def test_a_stream_that_cannot_be_reconfigured_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a program that calls `main`."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    assert cli_main.run(["config", "schema"]) == 0
    assert stream.getvalue().startswith("{")


def test_an_error_about_a_server_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Of several servers each line says whose it is."""
    say_error(BackupdError("broken"), about="lobby")
    assert capsys.readouterr().err == "error: lobby: broken\n"
