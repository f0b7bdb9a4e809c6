"""When a policy starts, on common days and on the nights that break schedulers."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.calendar import Starts, hand_over_delay, missed, parse_schedule, retry_delay
from tests.core.build import at

BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")
NO_SPLAY = timedelta(0)
NO_SCHEDULE = 'is not a schedule: write five fields such as "0 4 * * *", @daily, or "every 6h"'
DAY_OF_MONTH = "is not a schedule: its day-of-month must be 1-31, and no more than a month given has"
DAY_OF_WEEK = "is not a schedule: its day-of-week must be 0-7 or SUN-SAT, where 0 and 7 are Sunday"

ODD_NIGHTS = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("Australia/Lord_Howe", "2026-04-05"),  # half an hour
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Santiago", "2026-04-05"),  # over midnight
    ("America/Santiago", "2026-09-06"),
    ("Asia/Beirut", "2026-03-29"),
    ("America/Havana", "2026-11-01"),
    ("America/St_Johns", "2010-11-07"),  # at one past midnight
    ("Pacific/Apia", "2011-12-30"),  # a whole day
    ("Asia/Kolkata", "2026-01-01"),  # none
]


def starts(text: str, zone: ZoneInfo = BERLIN, splay: timedelta = NO_SPLAY, server: str = "a") -> Starts:
    """The starts of a schedule."""
    return Starts(parse_schedule(text), zone, splay, server)


def upcoming(asked: Starts, moment: datetime, count: int) -> list[str]:
    """The next starts, as the zone's clock shows them."""
    shown = []
    for _ in range(count):
        moment = asked.after(moment)
        shown.append(f"{moment.astimezone(asked.zone):%a %m-%d %H:%M}")
    return shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 4 * * 0", ["Sun 03-01 04:00", "Sun 03-08 04:00", "Sun 03-15 04:00"]),
        ("0 4 * * 7", ["Sun 03-01 04:00", "Sun 03-08 04:00", "Sun 03-15 04:00"]),
        ("0 4 * * sun", ["Sun 03-01 04:00", "Sun 03-08 04:00", "Sun 03-15 04:00"]),
        ("0 4 13 * 5", ["Fri 02-27 04:00", "Fri 03-06 04:00", "Fri 03-13 04:00"]),
        ("0 4 14 * 5", ["Fri 02-27 04:00", "Fri 03-06 04:00", "Fri 03-13 04:00", "Sat 03-14 04:00"]),
        ("30 2 * * *", ["Fri 02-27 02:30", "Sat 02-28 02:30", "Sun 03-01 02:30"]),
        ("*/20 1-2 27 FEB *", ["Fri 02-27 01:00", "Fri 02-27 01:20", "Fri 02-27 01:40", "Fri 02-27 02:00"]),
        ("@hourly", ["Fri 02-27 01:00", "Fri 02-27 02:00"]),
        ("@daily", ["Sat 02-28 00:00", "Sun 03-01 00:00"]),
        ("@midnight", ["Sat 02-28 00:00", "Sun 03-01 00:00"]),
        ("@Weekly", ["Sun 03-01 00:00", "Sun 03-08 00:00"]),
        ("@monthly", ["Sun 03-01 00:00", "Wed 04-01 00:00"]),
        ("@yearly", ["Fri 01-01 00:00", "Sat 01-01 00:00"]),
        ("@annually", ["Fri 01-01 00:00", "Sat 01-01 00:00"]),
        ("every 6h", ["Fri 02-27 01:00", "Fri 02-27 07:00", "Fri 02-27 13:00"]),
        ("every 1d 12h", ["Fri 02-27 01:00", "Sat 02-28 13:00"]),
    ],
)
def test_a_schedule_means_what_crontab_means(text: str, expected: list[str]) -> None:
    """0 and 7 are Sunday; day-of-month or weekday; multiples of a duration count from 1970 in UTC."""
    assert upcoming(starts(text), at("2026-02-27 00:00", BERLIN), len(expected)) == expected


@pytest.mark.parametrize(
    ("night", "expected"),
    [
        ("2026-03-28", ["Sat 03-28 02:30", "Sun 03-29 03:00", "Mon 03-30 02:30"]),
        ("2026-10-24", ["Sat 10-24 02:30", "Sun 10-25 02:30", "Mon 10-26 02:30"]),
    ],
)
def test_half_past_two_comes_once_on_both_nights_of_clock_changes(night: str, expected: list[str]) -> None:
    """Right after the skipped hour in March, and the first time only in October."""
    assert upcoming(starts("30 2 * * *"), at(f"{night} 00:00", BERLIN), 3) == expected


@pytest.mark.parametrize("minute", [0, 1, 45, 59])
def test_whatever_minute_is_skipped_it_comes_right_after_the_skipped_hour(minute: int) -> None:
    """At three o'clock, and not some minutes later."""
    assert upcoming(starts(f"{minute} 2 * * *"), at("2026-03-29 00:00", BERLIN), 1) == ["Sun 03-29 03:00"]


def test_an_hourly_one_comes_every_real_hour_of_both_nights() -> None:
    """With a star for the hour, the clock's jumps neither skip nor repeat a start."""
    for night in ("2026-03-29", "2026-10-25"):
        moment = at(f"{night} 00:00", BERLIN)
        assert starts("0 * * * *").after(moment + timedelta(hours=2, minutes=1)) == moment + timedelta(hours=3)


@pytest.mark.parametrize("zone", ["FAR-14", "FAR+12", "WINTER-1", "SUMMER-2"])
def test_where_the_machine_is_plays_no_part(zone: str, machine_in: Callable[[str], None]) -> None:
    """Between the two hours of the night when clocks go back, least of all."""
    machine_in(zone)
    assert starts("0 * * * *").after(at("2026-10-25 00:40")) == at("2026-10-25 01:00")
    assert starts("*/30 * * * *").after(at("2026-10-25 00:15")) == at("2026-10-25 00:30")


def shown(expression: str, zone: ZoneInfo, begin: datetime, minutes: int) -> list[datetime]:
    """The minutes whose wall clock time fits the fields: what a starred schedule means, by looking at every minute."""
    fields = CronSim(expression, begin)
    found = []
    for minute in range(minutes):
        moment = begin + timedelta(minutes=minute)
        local = moment.astimezone(zone)
        if local.minute in fields.minutes and local.hour in fields.hours and fields.match_day(local.date()):
            found.append(moment)
    return found


def sequence(asked: Starts, begin: datetime, end: datetime) -> list[datetime]:
    """All starts from begin to before the end."""
    found = [asked.after(begin - timedelta(seconds=1))]
    while found[-1] < end:
        found.append(asked.after(found[-1]))
    return found[:-1]


@pytest.mark.parametrize(("zone", "night"), ODD_NIGHTS)
@pytest.mark.parametrize("expression", ["*/15 * * * *", "30 * * * *", "0 */2 * * *", "*/30 0 * * *", "*/20 1,23 * * *"])
def test_a_starred_schedule_starts_whenever_the_clock_shows_it(expression: str, zone: str, night: str) -> None:
    """Also where clocks change by half an hour, over midnight, or by a day."""
    begin = at(f"{night} 00:00") - timedelta(hours=30)
    expected = shown(expression, ZoneInfo(zone), begin, 60 * 66)
    assert sequence(starts(expression, ZoneInfo(zone)), begin, begin + timedelta(hours=66)) == expected


@pytest.mark.parametrize(("zone", "night"), [odd for odd in ODD_NIGHTS if odd[0] != "Pacific/Apia"])
@pytest.mark.parametrize("expression", ["30 2 * * *", "0 0 * * *", "30 23 * * *", "15 0 * * *"])
def test_a_daily_schedule_starts_once_a_date(expression: str, zone: str, night: str) -> None:
    """Never twice, and never not: a start in a skipped hour comes right after it."""
    place = ZoneInfo(zone)
    found = sequence(
        starts(expression, place), at(f"{night} 12:00", place) - timedelta(days=4), at(f"{night} 12:00", place)
    )
    dates = [moment.astimezone(place).date() for moment in found]
    assert len(dates) == len(set(dates)) == 4


def test_a_start_on_a_day_that_never_was_comes_right_after_it() -> None:
    """Samoa went from 29 December 2011 straight to the 31st."""
    asked = starts("30 2 * * *", ZoneInfo("Pacific/Apia"))
    assert upcoming(asked, at("2011-12-29 12:00"), 4) == [
        "Thu 12-29 02:30",
        "Sat 12-31 00:00",
        "Sat 12-31 02:30",
        "Sun 01-01 02:30",
    ]


@given(
    text=st.sampled_from(
        ["*/7 * * * *", "30 2 * * *", "0 0 * * *", "0 */6 * * *", "0 4 13 * 5", "@monthly", "every 5h", "30 23 29 2 *"]
    ),
    odd=st.sampled_from(ODD_NIGHTS),
    offset=st.integers(-90_000_000, 90_000_000),
    splay=st.sampled_from(["0s", "20m", "3h"]),
)
@settings(deadline=None)
def test_both_directions_agree(text: str, odd: tuple[str, str], offset: int, splay: str) -> None:
    """The last start at or before the next one is itself, and between the last and the next there is none."""
    asked = starts(text, ZoneInfo(odd[0]), timedelta(seconds=20 * 60 if splay == "20m" else 0))
    moment = at(f"{odd[1]} 00:00") + timedelta(milliseconds=offset)
    later, latest = asked.after(moment), asked.latest(moment)
    assert latest <= moment < later
    assert asked.after(latest) == later
    assert asked.latest(later) == later
    assert asked.latest(later - timedelta(microseconds=1)) == latest


def test_a_start_is_strictly_after() -> None:
    """Asking at the very start gives the next one; a microsecond before, this one; all of them in UTC."""
    asked, four = starts("0 4 * * *", UTC_ZONE), at("2026-04-01 04:00")
    assert starts("0 4 * * *").after(four).tzinfo is UTC
    assert asked.after(four) == four + timedelta(days=1)
    assert asked.after(four - timedelta(microseconds=1)) == four
    assert asked.latest(four) == four
    assert asked.latest(four - timedelta(microseconds=1)) == four - timedelta(days=1)


class Counted:
    """A schedule that counts how often it is asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.schedule = parse_schedule(text)
        self.asked = 0

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """As the schedule itself has it."""
        self.asked += 1
        return self.schedule.after(moment, zone)


@pytest.mark.parametrize(
    ("moment", "latest"),
    [
        ("2026-06-01 00:00", "2026-01-01 23:59"),
        ("2026-01-02 00:00", "2026-01-01 23:59"),
        ("2026-01-01 23:58", "2026-01-01 23:58"),
        ("2026-01-01 12:34", "2026-01-01 12:34"),
        ("2026-01-01 00:00", "2026-01-01 00:00"),
        ("2025-12-31 23:59", "2025-01-01 23:59"),
    ],
)
def test_the_latest_start_is_found_in_a_few_looks_however_many_there_were(moment: str, latest: str) -> None:
    """A schedule of every minute of New Year's Day, asked at any time of the year."""
    schedule = Counted("* * 1 1 *")
    assert Starts(schedule, UTC_ZONE, NO_SPLAY, "a").latest(at(moment)) == at(latest)
    assert schedule.asked <= 60


def test_the_splay_is_a_servers_own_for_ever() -> None:
    """Whole seconds below the splay, spread over the servers, and the same after every restart."""
    delays = [starts("@daily", splay=timedelta(minutes=20), server=f"server {number}").delay for number in range(200)]
    assert all(NO_SPLAY <= delay < timedelta(minutes=20) and delay.microseconds == 0 for delay in delays)
    assert len(set(delays)) > 150
    assert starts("@daily", splay=timedelta(minutes=20)).delay == timedelta(seconds=250)
    assert starts("@daily", splay=timedelta(milliseconds=500)).delay == NO_SPLAY
    assert all(starts("@daily", server=f"server {number}").delay == NO_SPLAY for number in range(20))


def test_the_splay_moves_every_start_alike() -> None:
    """The interval stays what it was, and the server that is late today is as late tomorrow."""
    asked = starts("0 4 * * *", UTC_ZONE, timedelta(minutes=20))
    assert asked.after(at("2026-04-01 04:00")) == at("2026-04-01 04:00") + asked.delay
    found = sequence(asked, at("2026-04-01 00:00"), at("2026-04-08 00:00"))
    assert {moment - asked.delay for moment in found} == {at(f"2026-04-0{day} 04:00") for day in range(1, 8)}
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(found))


def test_one_missed_start_is_told_after_a_stop() -> None:
    """The last one only, and only if nothing was attempted since it."""
    asked, now, last = starts("0 4 * * *", UTC_ZONE), at("2026-04-10 12:00"), at("2026-04-10 04:00")
    assert missed(asked, None, now) == last
    assert missed(asked, at("2026-04-01 04:00"), now) == last
    assert missed(asked, last, now) is None
    assert missed(asked, at("2026-04-10 09:00"), now) is None


@pytest.mark.parametrize(
    ("moment", "now", "since"),
    [
        ("2026-04-10 03:59", "2026-04-10 12:00", False),
        ("2026-04-10 04:00", "2026-04-10 12:00", True),
        ("2026-04-10 04:00", "2026-04-10 03:59", True),  # the clock was set back by a minute over the start
        ("2026-04-11 03:59", "2026-04-10 12:00", True),
        ("2026-04-11 04:00", "2026-04-10 12:00", False),  # by a day: that was another start
        ("2026-04-12 05:00", "2026-04-12 06:00", True),  # it ran for longer than to the next start
        ("2026-04-13 04:00", "2026-04-12 06:00", False),
        ("2026-06-24 12:00", "2026-04-10 12:00", False),
    ],
)
def test_what_the_clock_has_yet_to_show_was_not_done_since_this_start(moment: str, now: str, since: bool) -> None:
    """What was dated beyond the next start was dated by a clock that was set back since."""
    asked = starts("0 4 * * *", UTC_ZONE)
    assert asked.is_since(at("2026-04-10 04:00"), at(moment), now=at(now)) is since


@pytest.mark.parametrize(
    ("attempt", "minutes"), [(0, 10), (1, 10), (2, 20), (3, 40), (4, 80), (5, 120), (99, 120), (10**9, 120)]
)
def test_retries_grow_apart_to_two_hours(attempt: int, minutes: int) -> None:
    """10 minutes, doubling."""
    assert retry_delay(attempt) == timedelta(minutes=minutes)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 5), (2, 20), (3, 80), (6, 5120), (7, 7200), (10**9, 7200)])
def test_what_another_member_is_to_make_is_tried_within_seconds(attempt: int, seconds: int) -> None:
    """And ever later where that does not help."""
    assert hand_over_delay(attempt) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", NO_SCHEDULE),
        ("4", NO_SCHEDULE),
        ("* * * *", NO_SCHEDULE),
        ("0 0 4 * * *", NO_SCHEDULE),
        ("@reboot", NO_SCHEDULE),
        ("@every 6h", NO_SCHEDULE),
        ("60 4 * * *", "is not a schedule: its minute must be 0-59"),
        ("*/0 4 * * *", "is not a schedule: its minute has a step of 0, where 1 is the least"),
        ("0 24 * * *", "is not a schedule: its hour must be 0-23"),
        ("0 4 0 * *", DAY_OF_MONTH),
        ("0 0 30 2 *", DAY_OF_MONTH),
        ("0 0 31 4,6 *", DAY_OF_MONTH),
        ("0 4 * 13 *", "is not a schedule: its month must be 1-12 or JAN-DEC"),
        ("0 4 * * 8", DAY_OF_WEEK),
        ("0 4 * * FRI-SUN", "is not a schedule: its day-of-week runs backwards: write FRI-SUN as FRI-SAT,SUN"),
        ("9" * 5000 + " 4 * * *", "is not a schedule: it has a number that is too long"),
        ("0 0 */30 2 1#2", "never comes: no date has that day, month and weekday"),
        ("every 0s", "would never rest: write every 6h"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(text: str, says: str) -> None:
    """And one that never comes; the refusal says what would be right."""
    with pytest.raises(ValueError, match=re.escape(f'"{text}" {says}') + "$"):
        parse_schedule(text)


@pytest.mark.parametrize("text", ["every", "every 6", "every 6 hours"])
def test_an_interval_is_a_duration(text: str) -> None:
    """As everywhere else, and so is the refusal."""
    with pytest.raises(ValueError, match=r"is not a duration: .* such as 90s"):
        parse_schedule(text)


def test_equal_schedules_are_equal() -> None:
    """A reload compares by value, and disturbs nobody whose schedule is the same."""
    assert parse_schedule("0 4 * * *") == parse_schedule("0 4 * * *") != parse_schedule("0 5 * * *")
    assert parse_schedule("every 6h") == parse_schedule("every 6h")
    assert parse_schedule(" 0  4 * * * ").text == " 0  4 * * * "
    assert parse_schedule("every 6h").text == "every 6h"
