"""Confirmation before something is lost. Without a terminal nothing is asked: then `--yes` is required."""

import signal
import sys
from collections.abc import Iterable

import typer

from daemon.cli.ui.output import printable, say
from daemon.errors import UsageError


def must_be_able_to_ask(*, yes: bool) -> None:
    """Raise UsageError if an answer is needed, was not given, and cannot be asked for."""
    if not yes and not sys.stdin.isatty():
        raise UsageError("an answer is needed, and there is no terminal to ask at", hint="give --yes")


def confirm(facts: Iterable[str], question: str, *, yes: bool) -> None:
    """Print what would happen, and ask; raises typer.Abort if the answer is no."""
    if yes:
        return
    for fact in facts:
        say(fact)
    sys.stderr.write(printable(f"{question} [y/N] "))  # where it cannot be asked, nothing is done
    sys.stderr.flush()
    if _answer() not in {"y", "yes"}:
        say("nothing was changed")
        raise typer.Abort


def _answer() -> str:
    """Return what is typed. Ctrl-C ends the question at once, even on an event loop, which would wait for it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline().strip().lower()
    finally:
        signal.signal(signal.SIGINT, before)
