"""Calls of a state whose runner works at once, made from code that awaits nothing."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from daemon.state import Journal
from daemon.state.local.engine import AwaitedJournal
from daemon.state.local.journal import SqliteJournal
from daemon.state.runner import Inline

Result = TypeVar("Result")


def at_once(call: Coroutine[Any, Any, Result]) -> Result:
    """What a coroutine returns that never waits; raises what it raises."""
    try:
        call.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    call.close()
    raise AssertionError("it waits")


def awaited(sqlite: SqliteJournal) -> Journal:
    """The same journal, as everything but a test has it."""
    return AwaitedJournal(sqlite, Inline())


def sqlite(journal: Journal) -> SqliteJournal:
    """The journal's database, past what is awaited."""
    assert isinstance(journal, AwaitedJournal)
    return journal.sqlite
