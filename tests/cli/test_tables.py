"""Tables: for a terminal, for a pipe, in colour or not."""

import io
import sys
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from daemon.cli.ui.tables import cell, facts, led, show, table
from daemon.cli.ui.verdicts import verdict_table
from daemon.core.model import Action, Backup, Reason, State, Verdict
from tests.cli.conftest import Terminal

LONG = "a reason that says in so many words why this backup, of all backups, has to go now"
MADE = datetime(2026, 4, 1, 4, tzinfo=UTC)
NAME = "auto-survival-20260401T040000Z-0a1b2c3d"


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, columns: int, *parts: Any) -> str:
    """What is written to that stream when it is so wide."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", stream)
    show(*(part() if callable(part) else part for part in parts))
    return stream.getvalue()


def verdicts() -> object:
    """A table with one verdict."""
    backup = Backup("u", NAME, successful=True, locked=True, bytes=2048, created_at=MADE, completed_at=MADE)
    verdict = Verdict(backup, State.GOOD, own=True, action=Action.DELETE, reasons=(Reason("last", None, LONG),))
    return verdict_table([verdict], ZoneInfo("Europe/Berlin"))


def test_a_pipe_gets_full_lines_whatever_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is a line, without colour and without blanks at its end."""
    written = shown(monkeypatch, io.StringIO(), 40, verdicts)
    assert written.splitlines()[1] == f"2026-04-01 06:00  {NAME}  good   2 KiB  own, locked  delete   {LONG}"


def test_a_text_after_its_lead_goes_on_below_its_own_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that one can see which line belongs to which server; in a pipe it is one line."""
    narrow = shown(monkeypatch, Terminal(), 40, lambda: led("lobby: ", LONG), lambda: led("  hint: ", "look"))
    first, *rest, hint = narrow.splitlines()
    assert first.startswith("lobby: a reason that says")
    assert rest
    assert all(line.startswith(" " * 7) and line[7] != " " for line in rest)
    assert hint.rstrip() == "  hint: look"
    assert shown(monkeypatch, io.StringIO(), 40, lambda: led("lobby: ", LONG)) == f"lobby: {LONG}\n"


def test_a_wide_terminal_has_a_column_for_the_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colour says what is to go."""
    written = shown(monkeypatch, Terminal(), 220, verdicts)
    assert LONG in written
    assert "\x1b[31mdelete" in written


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_a_narrow_terminal_loses_nothing(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Names stay whole, reasons go on in the next line, and no line is too long."""
    monkeypatch.setenv("NO_COLOR", "1")
    written = shown(monkeypatch, Terminal(), columns, verdicts)
    plain = written.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert NAME in plain
    assert "".join(LONG.split()) in "".join(plain.split())
    assert all(len(line) <= columns for line in plain.splitlines())


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """https://no-color.org."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in shown(monkeypatch, Terminal(), 220, verdicts)


def test_what_looks_like_markup_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup may be called [red], and may hold an escape sequence."""
    written = shown(monkeypatch, io.StringIO(), 80, table(("name",), [("[red]:smile:\x1b[2J",)]), facts([("a", None)]))
    assert written == "name\n[red]:smile:\ufffd[2J\na\n"


def test_a_cell_may_have_a_style_of_its_own() -> None:
    """Otherwise known words have theirs."""
    assert (cell("failed").style, cell("failed", "dim").style, cell("other").style) == ("red", "dim", "")
