"""How far a transfer or a count is, for people: a bar on a terminal, else a line for each step; on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon.cli.ui.output import printable, say
from daemon.transfer.progress import ProgressListener

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


@contextmanager
def watching(name: str, size: int) -> Iterator[ProgressListener]:
    """Return a listener for one transfer of `size` bytes."""
    if not sys.stderr.isatty():
        yield Lines(" ".join(name.split()))
        return
    from rich.progress import (  # noqa: PLC0415 — only where there is somebody to see it
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_stderr(), transient=True) as progress:
        yield Bar(" ".join(name.split()), progress, progress.add_task(printable(name), total=size))


@contextmanager
def counting(name: str) -> Iterator[Callable[[int, int], None]]:
    """Return what shows on a terminal how many of how many are done, once it hears of them."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    from rich.progress import (  # noqa: PLC0415 — only where there is somebody to see it
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=_stderr(), transient=True) as progress:
        task = progress.add_task(printable(name), total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def _stderr() -> "Console":
    from rich.console import Console  # noqa: PLC0415 — as above

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


class Lines:
    """One line for each step, and none for mere progress."""

    def __init__(self, name: str) -> None:
        self._name = name

    def moved(self, size: int) -> None:
        """Print nothing: the step is not over."""

    def said(self, text: str) -> None:
        """Write the line."""
        say(f"{self._name}: {text}")


class Bar:
    """A bar with rate and remaining time; messages stand above it."""

    def __init__(self, name: str, progress: "Progress", task: "TaskID") -> None:
        self._name = name
        self._progress = progress
        self._task = task

    def moved(self, size: int) -> None:
        """Move the bar, forward or back."""
        self._progress.update(self._task, completed=size)

    def said(self, text: str) -> None:
        """Print the line above the bar."""
        self._progress.console.print(printable(f"{self._name}: {text}"))
