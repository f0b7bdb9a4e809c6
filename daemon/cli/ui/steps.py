"""An operation's progress, for people: a spinner with the step and its time on a terminal, else a line per step."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.cli.settings import Settings
from daemon.cli.ui.output import printable, say
from daemon.rotation.setup import Tell


@contextmanager
def steps(settings: Settings) -> Iterator[Tell]:
    """Return a callback for each step as it begins; it shows nothing with --quiet."""
    if settings.level == "error":
        yield lambda _: None
    elif not sys.stderr.isatty():
        yield say
    else:
        with _spinner() as tell:
            yield tell


@contextmanager
def _spinner() -> Iterator[Tell]:
    """Show a spinner from the first step on, so that nothing turns beside a question."""
    from rich.console import Console  # noqa: PLC0415 — only where there is somebody to see it
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task("", total=None)

    def tell(text: str) -> None:
        progress.start()
        progress.reset(task, description=printable(text), total=None)

    try:
        yield tell
    finally:
        progress.stop()
