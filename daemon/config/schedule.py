"""A policy's schedule that remembers its last answers, since all servers of the policy ask it the same.

Asking cron takes a tenth of a millisecond, and a fleet of thousands asks for each server at the start, at a reload and
at each rotation. Between two starts there is none, so any question from there has the same answer.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from daemon.core.calendar import Schedule, parse_schedule

GAPS = 16
"""How many gaps between starts are remembered for each zone: a few days of the past, and what comes next."""


@dataclass(frozen=True, slots=True)
class Remembering:
    """A schedule that answers as `schedule` does, and equals another with an equal one."""

    schedule: Schedule
    _gaps: dict[ZoneInfo, dict[datetime, datetime]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def text(self) -> str:
        """The schedule as it was written."""
        return self.schedule.text

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """Return the first start strictly after the moment, in UTC."""
        gaps = self._gaps.setdefault(zone, {})
        for start, since in gaps.items():
            if since <= moment < start:
                return start
        start = self.schedule.after(moment, zone)
        gaps[start] = moment  # of a start that is known, from a moment earlier than before
        if len(gaps) > GAPS:
            del gaps[next(iter(gaps))]
        return start


@lru_cache(maxsize=1024)
def schedule_of(text: str) -> Schedule:
    """Given a schedule's valid text, return the one schedule that all policies with that text share."""
    return Remembering(parse_schedule(text))
