"""Every time zone that there is, and the moments at which its clock changed."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

ZONES = sorted(available_timezones())
FIRST, LAST = (
    datetime(1973, 1, 1, tzinfo=UTC),
    datetime(2037, 12, 31, tzinfo=UTC),
)  # since when offsets are whole minutes
_STEP = timedelta(days=7)


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """The moments, in UTC, from which on the zone's clock was another, from 1973 to 2037."""
    zone, found, moment = ZoneInfo(name), [], FIRST
    while moment < LAST:
        if moment.astimezone(zone).utcoffset() != (moment + _STEP).astimezone(zone).utcoffset():
            found.append(_change(moment, zone))
        moment += _STEP
    return tuple(found)


def _change(moment: datetime, zone: ZoneInfo) -> datetime:
    before = moment.astimezone(zone).utcoffset()
    minutes = range(int(_STEP / timedelta(minutes=1)) + 1)
    first = bisect_right(
        minutes, 0, key=lambda n: (moment + timedelta(minutes=n)).astimezone(zone).utcoffset() != before
    )
    return moment + timedelta(minutes=first)
