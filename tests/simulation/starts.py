"""When servers are to be backed up, worked out a second time: the schedules that scenarios hold, minute by minute.

Written from the words of crontab(5) and of the design, without a line of `daemon/core/calendar`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulation.scenario import SPLAYS

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def starts(policy: Mapping[str, Any], uuid: str, since: datetime, until: datetime) -> list[datetime]:
    """The starts of a server after `since`, to `until`, in their order."""
    late = _delay(policy, uuid)
    ticks = (tick + late for tick in _ticks(policy, since - late, until - late))
    return sorted({tick for tick in ticks if since < tick <= until})


def latest_start(policy: Mapping[str, Any], uuid: str, moment: datetime) -> datetime:
    """The last start at or before a moment; no schedule of a scenario rests for three days."""
    return starts(policy, uuid, moment - 3 * DAY, moment)[-1]


def _delay(policy: Mapping[str, Any], uuid: str) -> timedelta:
    """The server's share of the splay, which hangs on its identifier alone."""
    width = max(1, int(SPLAYS[policy["splay"]]))
    return timedelta(seconds=int.from_bytes(hashlib.sha256(uuid[:8].encode()).digest()[:8]) % width)


def _ticks(policy: Mapping[str, Any], since: datetime, until: datetime) -> Iterator[datetime]:
    """What the schedule names, without splay, from some days before to some days after."""
    schedule, zone = policy["schedule"], ZoneInfo(policy["timezone"])
    if schedule.startswith("every "):
        step = timedelta(hours=int(schedule.removeprefix("every ").removesuffix("h")))
        number = (since - EPOCH) // step
        while EPOCH + number * step <= until:
            yield EPOCH + number * step
            number += 1
        return
    minute, hour, *_ = ("0 0" if schedule == "@daily" else schedule).split()
    hours = range(0, 24, int(hour[2:])) if hour.startswith("*/") else [int(one) for one in hour.split(",")]
    day = since.astimezone(zone).date() - DAY
    while day <= until.astimezone(zone).date() + DAY:
        for one in hours:
            yield from _moments(day, time(one, int(minute)), zone, every=hour.startswith("*"))
        day += DAY


def _moments(day: date, clock: time, zone: ZoneInfo, *, every: bool) -> list[datetime]:
    """When the zone's clock shows that time: each time with a star, else once, and right after a skipped hour."""
    wall = datetime.combine(day, clock)
    while True:
        both = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        shown = sorted(moment for moment in both if moment.astimezone(zone).replace(tzinfo=None) == wall)
        if every:
            return shown
        if shown:
            return shown[:1]
        wall += timedelta(minutes=1)
