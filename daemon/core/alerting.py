"""When an operator is told: of each trouble once, and then that it is over; of suspicious backups each time.

An `AlertState` is what was told of one server; each function returns the next one and the alerts that follow.
Nothing here knows what a rotation is made of, who is told, or by what means.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from daemon.core.calendar import Starts

GRACE = timedelta(minutes=30)


class Event(StrEnum):
    """What can be told of a server."""

    FAILED = "failed"
    LIMIT = "limit"
    SUSPICIOUS = "suspicious"
    OVERDUE = "overdue"
    NEW_NORMAL = "new_normal"
    RECOVERED = "recovered"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class AlertState:
    """Which troubles of one server were told since its last good backup. `beside` are those that were told beside a
    good backup, and go on: that no backup comes is another trouble, of whatever kind. `backup` is the uuid of the last
    one that was told as made.
    """

    told: frozenset[Event] = frozenset()
    beside: frozenset[Event] = frozenset()
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class RotationReport:
    """What came of a rotation: whether there is a new good backup, what is wrong, or that there was nothing to do.

    `shrunk` says that the backup is good only because several before it were as small. `lasting` is a trouble that need
    not be told yet, and that is not over where it was told before. `backup` is the uuid of the good backup, if it is
    known; a retry may report the one that an earlier attempt made.
    """

    good: bool = False
    shrunk: bool = False
    trouble: Event | None = None
    lasting: Event | None = None
    excused: bool = False
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """Something to tell. `after` are the troubles that were told before: at an end, those that are over now; where
    a backup is overdue, those by which it had to be expected.
    """

    event: Event
    after: tuple[Event, ...] = ()


def reported(state: AlertState, report: RotationReport) -> tuple[AlertState, tuple[Alert, ...]]:
    """Take in what came of a rotation: a trouble that was told is not told again before a good backup ended it.

    Suspicious backups are told each: the third of them is not the first again. That they are believed in the end is no
    recovery, since nobody has seen a whole one.
    """
    news = []
    if report.good:
        going_on = state.beside & {report.trouble, report.lasting}
        over = state.told | (state.beside - going_on)
        if over:
            believed = report.shrunk and Event.SUSPICIOUS in over
            news.append(Alert(Event.NEW_NORMAL if believed else Event.RECOVERED, tuple(sorted(over))))
        state = AlertState(beside=going_on, backup=state.backup)
    known = state.beside if report.good else state.told
    if report.trouble is not None and (report.trouble not in known or report.trouble is Event.SUSPICIOUS):
        known |= {report.trouble}
        state = replace(state, beside=known) if report.good else replace(state, told=known)
        news.append(Alert(report.trouble))
    if report.good and report.trouble is None and (report.backup is None or report.backup != state.backup):
        state = replace(state, backup=report.backup or state.backup)
        news.append(Alert(Event.DONE))
    return state, tuple(news)


def due_by(fine_at: datetime, starts: Starts, timeout: timedelta) -> datetime:
    """Return when the next good backup is overdue. `fine_at` is when there was last nothing to complain of.

    It is one interval after that, but not before there was a start since; then what a backup may take, and some grace.
    """
    first = starts.after(fine_at)
    interval = starts.after(first) - first
    return max(first, fine_at + interval) + timeout + GRACE


def looked(state: AlertState, due: datetime, now: datetime) -> tuple[AlertState, tuple[Alert, ...]]:
    """Look at the clock; a machine that slept through the moment tells as soon as it is awake."""
    if now < due or Event.OVERDUE in state.told:
        return state, ()
    return replace(state, told=state.told | {Event.OVERDUE}), (Alert(Event.OVERDUE, tuple(sorted(state.told))),)


def wanted(news: Alert, events: Collection[Event]) -> bool:
    """Return whether somebody who asked for these events is told: of an end only who was told of what ended, and that a
    backup is overdue only who was not told already why there is none. A new normal is told in place of a recovery, and
    to those who ask for suspicious backups.
    """
    knows = not set(news.after).isdisjoint(events)
    if news.event is Event.NEW_NORMAL:
        return knows and not {Event.SUSPICIOUS, Event.RECOVERED}.isdisjoint(events)
    return news.event in events and knows == (news.event is Event.RECOVERED)
