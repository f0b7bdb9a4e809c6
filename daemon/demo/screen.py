"""What the audience sees: lines with columns, as wide as the terminal; colour only if it has any."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TextIO

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 100_000

STYLES = {
    "created": "cyan",
    "adopted": "cyan",
    "good": "green",
    "copied": "green",
    "done": "green",
    "kept": "green",
    "holds": "green",
    "deleted": "red",
    "failed": "bold red",
    "refused": "bold yellow",
    "broken": "bold red",
    "skipped": "yellow",
    "stuck": "yellow",
    "trouble": "yellow",
    "left alone": "yellow",
    "you": "bold magenta",
    "drill": "cyan",
}
"""How a word is coloured, wherever it stands."""


class Screen:
    """Writes to one stream; a reader that went away is no error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        if not self._console.is_terminal:
            self._console.width = PIPE_WIDTH

    def say(self, text: str = "", style: str = "") -> None:
        """Print one paragraph."""
        self._show(Text(text, style=style))

    def line(self, seconds: float, who: str, word: str, text: str) -> None:
        """Print an event, that many seconds after the beginning."""
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_column(min_width=7, justify="right")
        row.add_column(min_width=8)
        row.add_column(min_width=7)
        row.add_column(overflow="fold")
        row.add_row(*map(_cell, (f"{seconds:.1f} s", who, word, text)))
        self._show(row)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table of plain text; without a head if no column has a name."""
        made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=any(columns))
        for column in columns:
            made.add_column(column, overflow="fold")
        for row in rows:
            made.add_row(*map(_cell, row))
        self._show(made)

    def _show(self, part: RenderableType) -> None:
        with self._console.capture() as captured:
            self._console.print(part)
        with suppress(OSError, ValueError):
            self._stream.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))
            self._stream.flush()


def _cell(text: str) -> Text:
    return Text(text, style=STYLES.get(text, ""), overflow="fold")
