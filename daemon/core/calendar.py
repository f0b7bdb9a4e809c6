"""When a policy starts: cron as crontab(5) means it, `@daily` and its like, and "every 6h".

Starts are moments in UTC. They follow from the schedule and the policy's zone alone, so every process computes the
same ones, and after a stop the one that was missed can be computed too. In cron, a day matches by day-of-month or by
weekday if both are restricted, a start in an hour that clocks skip happens right after that hour, and one in an hour
that comes twice happens once. Nothing here knows of APScheduler.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from daemon.core.backoff import Backoff
from daemon.core.cron_words import why_refused
from daemon.core.units import parse_duration

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = 5
_RANGES = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, and no more than a month given has",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT, where 0 and 7 are Sunday",
}
_ADVICE = 'write five fields such as "0 4 * * *", @daily, or "every 6h"'
RETRIES = Backoff(timedelta(minutes=10), timedelta(hours=2))
"""Between attempts at one start: a panel that restarts is back within minutes; one that is down for hours is not asked
more often than a person would look.
"""
HAND_OVERS = Backoff(timedelta(seconds=5), timedelta(hours=2), 4)
"""Between attempts at a start that another member of the cluster is to make. Members look at who holds what once a
second, so by then it mostly holds the node. A panel that shows another node each time is asked ever less often.
"""


class Schedule(Protocol):
    """When starts would be, without splay."""

    @property
    def text(self) -> str:
        """As it was written."""
        ...

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """Return the first start strictly after the moment, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Multiples of an interval since 1970-01-01 UTC, whatever the zone."""

    text: str
    interval: timedelta

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:  # noqa: ARG002 — the same in every zone
        """Return the first multiple strictly after the moment, in UTC."""
        return EPOCH + ((moment - EPOCH) // self.interval + 1) * self.interval


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields, as crontab(5) means them.

    cronsim finds the ticks of a wall clock that never changes, and this class says when the zone's clock shows them.
    (cronsim's own walk through a zone never ends where clocks go back over midnight, as in St. John's until 2011, and
    loses starts where they move by half an hour, as on Lord Howe.)
    """

    text: str
    expression: str

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """Return the first start strictly after the moment, in UTC."""
        shift = _shift_around(moment, zone)
        ticks = CronSim(self.expression, _wall(moment, zone) - shift)
        tick = next(ticks)
        found: list[datetime] = []
        while not found or tick - shift <= _wall(min(found), zone):
            found += [start for start in self._moments(tick, zone) if start > moment]
            tick = next(ticks)
        return min(found)

    def _moments(self, tick: datetime, zone: ZoneInfo) -> list[datetime]:
        """Return when a tick of the wall clock is a start.

        As Debian's cron has it: with a star for minute or hour, whenever the clock shows it, be it twice or never; else
        once, the first time, or right after the hour that is skipped.
        """
        readings = _readings(tick, zone)
        minute, hour, *_ = self.expression.split()
        if minute.startswith("*") or hour.startswith("*"):
            return [start for start in readings if _wall(start, zone) == tick]
        while _wall(readings[0], zone) != tick:
            tick += timedelta(minutes=1)
            readings = _readings(tick, zone)
        return readings[:1]


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return what the zone's clock shows at that moment."""
    return moment.astimezone(zone).replace(tzinfo=None)


def _readings(tick: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the one or two moments, in UTC and in order, that a clock's time can mean.

    If the clock skips that time, it shows something else at both.
    """
    return sorted({tick.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)})


def _shift_around(moment: datetime, zone: ZoneInfo) -> timedelta:
    """Return by how much the zone's clock changes within a day of the moment: that far starts may be out of order."""
    before, after = moment - timedelta(days=1), moment + timedelta(days=1)
    return abs(_wall(after, zone) - _wall(before, zone) - (after - before))


def parse_schedule(text: str) -> Schedule:
    """Given five cron fields, an alias such as @daily or "every 6h", return the schedule; else ValueError."""
    words = text.split()
    if words[:1] == ["every"]:
        interval = parse_duration(" ".join(words[1:]))
        if not interval:
            raise ValueError(f'"{text}" would never rest: write every 6h')
        return Every(text, interval)
    expression = _ALIASES.get(text.strip().lower(), " ".join(words))
    if len(expression.split()) != _FIELDS:
        raise ValueError(f'"{text}" is not a schedule: {_ADVICE}')
    try:
        next(CronSim(expression, EPOCH))
    except (CronSimError, ValueError) as error:
        field = str(error).removeprefix("Bad ")
        if field in _RANGES:
            value_error = why_refused(field, expression) or f"its {field} must be {_RANGES[field]}"
        else:
            value_error = "it has a number that is too long"
        raise ValueError(f'"{text}" is not a schedule: {value_error}') from None
    except StopIteration:
        raise ValueError(f'"{text}" never comes: no date has that day, month and weekday') from None
    return Cron(text, expression)


@dataclass(frozen=True, slots=True)
class Starts:
    """The starts of one policy on one server: the schedule in its zone, later by the server's share of the splay."""

    schedule: Schedule
    zone: ZoneInfo
    splay: timedelta
    server_uuid: str

    @property
    def delay(self) -> timedelta:
        """The server's own delay: whole seconds in [0, splay), the same for ever."""
        width = max(1, int(self.splay.total_seconds()))
        digest = hashlib.sha256(self.server_uuid.encode()).digest()
        return timedelta(seconds=int.from_bytes(digest[:8]) % width)

    def after(self, moment: datetime) -> datetime:
        """Return the first start strictly after the moment, in UTC."""
        return self.schedule.after(moment - self.delay, self.zone) + self.delay

    def is_since(self, start: datetime, moment: datetime, *, now: datetime) -> bool:
        """Return whether a journalled moment is at or after that start.

        If the moment is not before the next start either, it was dated by a clock that was set back since. What was
        recorded then was not done for any start that this clock shows.
        """
        return start <= moment < self.after(max(start, now))

    def latest(self, moment: datetime) -> datetime:
        """Return the last start at or before the moment, in UTC.

        It is searched for with `after` alone, so that both directions agree on the nights of clock changes too.
        """
        reach = timedelta(hours=1)
        while (found := self.after(moment - reach)) > moment:
            reach *= 2
        late = moment
        while (following := self.after(found)) <= moment:
            middle = found + (late - found) / 2
            beyond_middle = self.after(middle)
            if beyond_middle <= moment:
                found = max(following, beyond_middle)
            else:
                found, late = following, middle
        return found


def missed(starts: Starts, last_attempt: datetime | None, now: datetime) -> datetime | None:
    """Return the last start at or before now, if nothing was attempted since; earlier starts do not count."""
    start = starts.latest(now)
    return start if last_attempt is None or last_attempt < start else None


def retry_delay(attempt: int) -> timedelta:
    """Return how long to wait after the given attempt (1 is the first) failed in passing: 10 min, doubling to 2 h."""
    return RETRIES.pause(attempt)


def hand_over_delay(attempt: int) -> timedelta:
    """Return how long after the given attempt (1 is the first) another member is to try: 5 s, quadrupling to 2 h."""
    return HAND_OVERS.pause(attempt)
