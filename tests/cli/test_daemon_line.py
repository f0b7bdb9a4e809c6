"""The daemon's command line is read without typer, and just as typer reads it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.cli import by_typer, daemon_line
from daemon.cli import main as cli_main
from daemon.cli.settings import Settings
from daemon.errors import Exit

USUAL = [
    ["run"],
    ["run", "--log-to-stdout"],
    ["--config", "/etc/a b.toml", "run"],
    ["--config", "", "run"],
    ["--config", "run", "run"],
    ["--config", "x.toml", "run", "--log-to-stdout"],
]
OTHERS = [
    *([], ["--config"], ["--config", "run"], ["--config", "--quiet", "run"], ["--config=x.toml", "run"]),
    *(["--verbose", "run"], ["run", "--help"], ["run", "run"], ["--log-to-stdout", "run"], ["rotate"]),
    ["run", "--log-to-stdout", "--log-to-stdout"],
]


@pytest.mark.parametrize("words", USUAL)
def test_both_readers_call_the_daemon_alike(monkeypatch: pytest.MonkeyPatch, words: Sequence[str]) -> None:
    """The line of a unit, of an image and of a person: with and without a file, to either stream."""
    calls = []

    def called(settings: Settings, *, log_to_stdout: bool) -> int:
        calls.append((settings, log_to_stdout))
        return Exit.DONE

    monkeypatch.setattr("daemon.cli.commands.run.run_daemon", called)
    assert cli_main.run(words) == by_typer.obey(words) == Exit.DONE
    assert calls == [daemon_line.read(words)] * 2


@pytest.mark.parametrize("words", OTHERS)
def test_what_is_written_otherwise_is_left_to_typer(words: Sequence[str]) -> None:
    """It knows every option, and what to say about a mistake."""
    assert daemon_line.read(words) is None


def test_a_file_in_the_usual_line_is_the_configuration() -> None:
    """Taken as it is written."""
    assert daemon_line.read(["--config", "x.toml", "run"]) == (Settings(Path("x.toml")), False)
