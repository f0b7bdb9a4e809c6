"""Confirmation before something is lost. Without a terminal nothing is asked: then `--yes` is required."""

import asyncio
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
    _show(facts, question)
    _must_agree(_answer())


async def confirm_meanwhile(facts: Iterable[str], question: str) -> None:
    """As `confirm`, while other tasks go on: a lock of a server is held, which may have to be renewed."""
    _show(facts, question)
    await _typed()
    _must_agree(_answer())


def _show(facts: Iterable[str], question: str) -> None:
    for fact in facts:
        say(fact)
    sys.stderr.write(printable(f"{question} [y/N] "))  # where it cannot be asked, nothing is done
    sys.stderr.flush()


def _must_agree(answer: str) -> None:
    if answer not in {"y", "yes"}:
        say("nothing was changed")
        raise typer.Abort


async def _typed() -> None:
    """Wait until a line was typed at the terminal."""
    try:
        terminal = sys.stdin.fileno()
    except OSError:  # what stands for one has its lines already
        return
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    loop.add_reader(terminal, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(terminal)


def _answer() -> str:
    """Return what is typed. Ctrl-C ends the question at once, even on an event loop, which would wait for it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline().strip().lower()
    finally:
        signal.signal(signal.SIGINT, before)
