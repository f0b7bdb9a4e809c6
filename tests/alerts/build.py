"""Values that the tests of alerts are made of."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from daemon.alerts.message import Made, Message
from daemon.clock import Clock
from daemon.config.values import AlertConfig, Config, ServerConfig
from daemon.core.alerting import Alert, Event
from daemon.core.model import Action, Backup, Reason, State, Verdict
from daemon.errors import ProblemCode
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome, Problem, Result
from daemon.rotation.run import RotationContext
from daemon.rotation.slots import NodeSlots
from daemon.state import Engine, Journal, engine_for
from daemon.state.local.journal import SqliteJournal
from daemon.status.tracker import StatusTracker
from tests.at_once import at_once, awaited
from tests.closed import closed_in_the_end
from tests.config.support import loaded

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
BACKUP = Backup(
    uuid="22222222-2222-2222-2222-222222222222",
    name="auto-survival-20260401T115500Z-00000001",
    successful=True,
    locked=False,
    bytes=800 << 20,
    created_at=NOON - timedelta(minutes=5),
    completed_at=NOON,
)
MADE = Made(BACKUP.uuid, BACKUP.name, BACKUP.bytes)
TROUBLE = frozenset(Event) - {
    Event.DONE,
    Event.NEW_NORMAL,
    Event.COPIED,
    Event.PRUNED,
    Event.PROVEN,
    Event.DRILLED,
}  # the last five are not asked for by name


def server(folder: Path) -> ServerConfig:
    """The server called survival, daily at four, panel main, policy standard."""
    return loaded(folder).servers["survival"]


def alert(url: str, type_: Any = "webhook", events: frozenset[Event] = TROUBLE, name: str = "ops") -> AlertConfig:
    """A receiver at that address."""
    return AlertConfig(name, type_, SecretStr(url), events)


def message(of: ServerConfig, event: Event = Event.FAILED, text: str = "the panel is on fire", **more: Any) -> Message:
    """A message about that server."""
    news = Alert(event, more.pop("after", ()))
    return Message(news, of.name, of.panel.name, of.policy.name, more.pop("at", NOON), text, **more)


def order(of: ServerConfig, attempt: int = 0) -> Order:
    """A scheduled rotation of that server."""
    return Order(of, "schedule", NOON, attempt)


def outcome(result: Result, *codes: str, good: bool = False, **more: Any) -> Outcome:
    """What came of it, with a problem for each code."""
    problems = tuple(Problem(ProblemCode(code), f"about {code}", f"do something about {code}") for code in codes)
    state = State.GOOD if good else State.FAILED
    verdicts = (Verdict(BACKUP, state, own=True, action=Action.KEEP, reasons=(Reason("last", "1", "newest"),)),)
    return Outcome("survival", "main", "standard", result, created=BACKUP, problems=problems, verdicts=verdicts, **more)


def tracking(config: Config, clock: Clock, journal: SqliteJournal | None = None) -> StatusTracker:
    """What tells alerts how those servers stand."""
    tracker = tracking_in(
        config, clock, engine_for(None), awaited(journal or closed_in_the_end(SqliteJournal.memory()))
    )
    at_once(tracker.read_journal())
    return tracker


def tracking_in(config: Config, clock: Clock, engine: Engine, journal: Journal) -> StatusTracker:
    """The same by an engine and its journal."""
    context = RotationContext(clock, engine, journal, NodeSlots(clock), config.servers.get, random.Random(1))
    tracker = StatusTracker(context)
    tracker.follow(config)
    return tracker
