"""What is put in place of the real machine: its clock, its disk, and a capture of everything that is logged on it."""

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any
from unittest import mock

import apscheduler.schedulers.base
import structlog
from structlog.testing import ReturnLoggerFactory

import daemon.alerts.dispatcher
import daemon.fleet.timekeeper
import daemon.sandbox.shapes
import daemon.state.local.engine
import daemon.state.memory
from tests.leaks import known, stored
from tests.simulation.checker import Checker
from tests.simulation.configuration import HOOK, KEYS
from tests.simulation.disk import DiskJournal, WatchedCatalogue
from tests.simulation.scenario import Scenario
from tests.simulation.shortcuts import shortened

SECRETS = (*KEYS, HOOK)


class LogCapture:
    """Hear what is logged and told anywhere, and look for secrets in it and for bugs."""

    def __init__(self, checker: Callable[[], Checker]) -> None:
        self._checker = checker
        self._said: list[str] = []

    def search(self, text: str, where: str) -> None:
        """Look for a secret as it is, at the moment that the text is said; other codes are looked for at the end."""
        self._said.append(text)
        self._checker().hold("10", not any(secret in text for secret in SECRETS), f"a secret is in {where}")

    def look_back(self, state: Path) -> None:
        """Look in all that was said and stored for secrets in any code."""
        for place, written in (("what was said", "\n".join(self._said)), ("the state", stored(state))):
            found = known(written, *SECRETS)
            self._checker().hold("10", not found, f"in {place} there is {', '.join(found)}")

    def event(self, _: Any, __: str, event: MutableMapping[str, Any]) -> str:
        """Every event of the daemon's log, before anything is taken out of it."""
        text = repr(event)
        self.search(text, f"a line of the log: {event.get('event')}")
        if event.get("exc_info"):
            self._checker().hold("calm", False, f"a bug is logged: {text}")
        return text

    def record(self, record: logging.LogRecord) -> None:
        """What libraries log; APScheduler and asyncio warn only where something is wrong."""
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return  # a killed process was at work in a callback
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        self.search(text, f"a line of {record.name}")
        self._checker().hold("calm", False, f"{record.name} says: {text}")


@contextmanager
def in_place(scenario: Scenario, machine_now: Callable[[], datetime], log_capture: LogCapture) -> Iterator[None]:
    """Virtual time for APScheduler, a disk that can be full, small pages, and a capture of what is logged."""

    class Moment(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # which is to return Moment
            return machine_now().astimezone(tz)

    with (
        _heard_by(log_capture),
        _no_garbage_collected(),
        shortened(),
        mock.patch.object(apscheduler.schedulers.base, "datetime", Moment),
        mock.patch.object(daemon.state.local.engine, "SqliteJournal", DiskJournal),
        mock.patch.object(daemon.state.local.engine, "LocalCatalogue", WatchedCatalogue),
        mock.patch.object(daemon.state.memory, "SqliteJournal", DiskJournal),
        mock.patch.object(daemon.fleet.timekeeper, "TICK_SECONDS", scenario.tick),
        mock.patch.object(daemon.alerts.dispatcher, "LOOK_SECONDS", scenario.tick),
        mock.patch.object(daemon.sandbox.shapes, "MOST_BACKUPS_PER_PAGE", scenario.page_cap),
    ):
        yield


@contextmanager
def _heard_by(log_capture: LogCapture) -> Iterator[None]:
    configured = structlog.get_config()
    root, handler = logging.getLogger(), _Handler(log_capture.record)
    level, handlers = root.level, root.handlers[:]
    root.handlers[:], root.level = [handler], logging.WARNING
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, log_capture.event],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
        logger_factory=ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.configure(**configured)


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """When garbage is collected must not matter, and a run makes little."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


class _Handler(logging.Handler):
    """Hands records on."""

    def __init__(self, hear: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        self._hear(record)


def open_files() -> int:
    """How many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
