"""Starts in every time zone at every change of its clock, held against a walk through all minutes.

The walk looks at the clock each minute, as cron does: a minute whose time fits the fields is a start; where the clock
jumped ahead over such a time, the minute after the jump is; a time that was seen already is none. Fields with a star
for minute or hour are told by the clock alone.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.calendar import Starts, parse_schedule
from tests.core.zones import ZONES, changes
from tests.fuzz.support import examples

MINUTE = timedelta(minutes=1)
REACH = timedelta(hours=40)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Fields = tuple[str, str, str]
"""Minute, hour and day of week: each a star, a star with steps, or a list of plain values."""

minutes = st.one_of(
    st.sampled_from(["*/15", "*/30", "*/20"]),
    st.lists(st.integers(0, 59), min_size=1, max_size=3).map(lambda values: ",".join(map(str, values))),
)
hours = st.one_of(
    st.sampled_from(["*", "*/2", "*/5"]),
    st.lists(st.sampled_from([0, 1, 2, 3, 4, 12, 22, 23]), min_size=1, max_size=3).map(lambda v: ",".join(map(str, v))),
)
weekdays = st.sampled_from(["*", "*", "*", "mon", "sat,sun"])
changing = st.sampled_from(ZONES).filter(changes)


def fits(fields: Fields, wall: datetime) -> bool:
    """Whether the time on the clock is one of the schedule."""
    minute, hour, weekday = fields
    return _fits(minute, wall.minute) and _fits(hour, wall.hour) and _on(weekday, wall.date())


def _fits(field: str, value: int) -> bool:
    if field.startswith("*"):
        return value % int(field.partition("/")[2] or 1) == 0
    return value in map(int, field.split(","))


def _on(weekday: str, day: date) -> bool:
    return weekday == "*" or DAYS[day.weekday()] in weekday.split(",")


def walked(fields: Fields, zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """Every start from begin to before the end, found by looking at each minute from a day before."""
    starred = fields[0].startswith("*") or fields[1].startswith("*")
    found, moment = [], begin - timedelta(days=1)
    latest = _wall(moment - MINUTE, zone)
    while moment < end:
        wall = _wall(moment, zone)
        if starred:
            due = fits(fields, wall)
        else:
            due, tick = False, latest
            while tick < wall:
                tick += MINUTE
                due |= fits(fields, tick)
            latest = max(latest, wall)
        if due and moment >= begin:
            found.append(moment)
        moment += MINUTE
    return found


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


@examples(40)
@given(data=st.data(), name=changing, minute=minutes, weekday=weekdays)
def test_starts_are_those_that_a_walk_through_all_minutes_finds(
    data: st.DataObject, name: str, minute: str, weekday: str
) -> None:
    """Half an hour, a whole day, over midnight, on a Sunday that never was."""
    zone, change = ZoneInfo(name), data.draw(st.sampled_from(changes(name)))
    near = st.sampled_from([str((_wall(change, zone).hour + hours) % 24) for hours in (-2, -1, 0, 1)])
    fields = (minute, data.draw(near | hours), weekday)
    starts = Starts(parse_schedule(f"{fields[0]} {fields[1]} * * {fields[2]}"), zone, timedelta(0), "a")
    begin, end = change - REACH, change + REACH
    found, moment = [], starts.after(begin - MINUTE)
    while moment < end:
        found.append(moment)
        moment = starts.after(moment)
    assert found == walked(fields, zone, begin, end)
    for start in found[:3] + found[-3:]:
        assert starts.latest(start) == start
