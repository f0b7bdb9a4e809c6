"""Tables for people: as wide as the terminal, or, where there is none, as wide as they need to be.

Nothing that decides is ever cut: on a narrow terminal it goes on in the next line, in a pipe each row is one line. rich
is loaded with the first table, since a script that asks for JSON shows none.
"""
# ruff: noqa: PLC0415 — as above

import sys
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from daemon.cli.ui.output import printable, write

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

WIDE = 120
"""This many columns leave room for a sentence beside the rest."""

_PIPE_WIDTH = 100_000

STYLES = {
    "delete": "red",
    "ignore": "dim",
    "good": "green",
    "failed": "red",
    "pending": "yellow",
    "suspicious": "yellow",
    "strange": "yellow",
    "ok": "green",
    "done": "green",
    "warning": "yellow",
    "skipped": "yellow",
    "error": "red",
    "refused": "red",
}
"""How a word is coloured, wherever it stands."""


def is_wide() -> bool:
    """Return whether a sentence has room in a column of its own."""
    return _console().width >= WIDE


def cell(text: object, style: str | None = None) -> "Text":
    """Text as it is, since what comes from a panel may look like markup; known words have their colour."""
    from rich.text import Text

    plain = printable("" if text is None else str(text))
    return Text(plain, style=STYLES.get(plain, "") if style is None else style, overflow="fold")


def led(lead: str, text: object, style: str | None = None) -> "Table":
    """Return a text after its lead, such as "lobby: "; where it goes on in the next line it is indented as far."""
    from rich.table import Table

    made = Table.grid()
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    made.add_row(cell(lead, style), cell(text, style))
    return made


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> "Table":
    """Return a table of plain text; the columns of `right` hold numbers."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(value if isinstance(value, Text) else cell(value) for value in row))
    return made


def facts(rows: Iterable[tuple[str, object]]) -> "Table":
    """Return what is known of one thing, a line each."""
    made = table(("", ""), rows)
    made.show_header = False
    return made


def show(*parts: "RenderableType") -> None:
    """Write tables and lines to stdout; in colour only where there is a terminal that wants it."""
    sheet = _Sheet()
    console = _console(sheet)
    for part in parts:
        console.print(part)
    text = sheet.getvalue()
    write(text if console.is_terminal else "".join(line.rstrip() + "\n" for line in text.splitlines()))


class _Sheet(StringIO):
    """Where a table is drawn for stdout, and written from in one piece: a terminal where stdout is one."""

    def isatty(self) -> bool:
        return sys.stdout.isatty()


def _console(sheet: _Sheet | None = None) -> "Console":
    from rich.console import Console

    console = Console(file=sheet or _Sheet(), highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console
