"""Durations, spans and sizes, as people write and read them."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.units import (
    EARLIEST,
    Span,
    compact,
    first_moment,
    format_duration,
    format_moment,
    format_size,
    parse_duration,
    parse_size,
    parse_span,
    read_rfc3339,
    rfc3339,
)
from tests.core.build import at

ODD_ZONES = ["America/St_Johns", "America/Toronto", "America/Santiago", "Asia/Beirut", "Pacific/Apia", "Europe/Berlin"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("20m", 1200),
        ("6h", 21600),
        ("2d", 172800),
        ("1w", 604800),
        ("1d12h", 129600),
        (" 1h 30m ", 5400),
        ("0s", 0),
    ],
)
def test_a_duration_is_exact(text: str, seconds: int) -> None:
    """Minutes are m, and a sum is a sum."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "20", "m", "1mo", "-1h", "1.5h", "1h1h", "1H", "1X", "1h,", "٣h", "1" * 10 + "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """And the refusal shows what one looks like."""
    with pytest.raises(ValueError, match="such as 90s, 20m, 6h or 1d12h"):
        parse_duration(text)


def test_a_duration_of_centuries_is_refused() -> None:
    """It is a mistake, and would overflow what is computed with it."""
    assert parse_duration("36525d") == timedelta(days=36525)
    for text in ("876600h1s", "36526d", "999999999w"):
        with pytest.raises(ValueError, match=f'^"{text}" is longer than a hundred years$'):
            parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50GiB", 50 * 1024**3),
        ("800 MiB", 800 * 1024**2),
        ("10GB", 10**10),
        ("1.5tib", 3 * 1024**4 // 2),
        ("0.1 KiB", 102),
        ("17", 17),
        ("1", 1),
        (17, 17),
        ("17 B", 17),
        (" 2kb ", 2000),
        ("3MB", 3 * 1000**2),
        ("3TB", 3 * 1000**4),
        ("3PB", 3 * 1000**5),
        ("1PiB", 1024**5),
    ],
)
def test_a_size_is_in_bytes(text: str | int, size: int) -> None:
    """GiB by 1024, GB by 1000, and a plain number is bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "50 G", "50Gib ibs", "-1GiB", -1, True, "1e9", "0", 0, "0.1B", "٣GiB"])
def test_what_is_no_size_is_refused(text: str | int) -> None:
    """A bare G could mean either, and nothing at all is no cap."""
    with pytest.raises(ValueError, match="GiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (12000, "3 h 20 min"),
        (3605, "1 h"),
        (172800, "2 d"),
        (273600, "3 d 4 h"),
        (-90, "-1 min 30 s"),
    ],
)
def test_a_duration_is_read_by_its_two_largest_units(seconds: float, text: str) -> None:
    """Nobody needs the seconds of a day."""
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1024**2 - 1, "1 MiB"),
        (int(1023.6 * 1024), "1023.6 KiB"),
        (int(1023.96 * 1024), "1 MiB"),
        (int(4.2 * 1024**3), "4.2 GiB"),
        (50 * 1024**3, "50 GiB"),
        (3 * 1024**4, "3 TiB"),
        (5000 * 1024**5, "5000 PiB"),
    ],
)
def test_a_size_is_read_with_one_decimal(size: int, text: str) -> None:
    """And never as 1024 of the smaller unit."""
    assert format_size(size) == text


def test_a_moment_is_read_in_its_zone() -> None:
    """With the zone's own letters; where the calendar ends, in UTC."""
    assert format_moment(at("2026-04-01 04:00"), ZoneInfo("Europe/Berlin")) == "2026-04-01 06:00 CEST"
    assert format_moment(EARLIEST, ZoneInfo("America/New_York")) == "0001-01-01 00:00 UTC"


@pytest.mark.parametrize("text", ["36h", "30d", "4w", "6mo", "2y", "1y6mo2w3d4h"])
def test_a_span_reads_as_it_is_written(text: str) -> None:
    """And the other way round."""
    assert str(parse_span(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("3m", "such as 36h, 30d, 6mo or 1y6mo; months are mo$"),
        ("1y3m", "such as 36h, 30d, 6mo or 1y6mo; months are mo$"),
        ("", "such as 36h, 30d, 6mo or 1y6mo$"),
        ("30", "such as 36h, 30d, 6mo or 1y6mo$"),
        ("20s", "such as 36h, 30d, 6mo or 1y6mo$"),
        ("6mo2", "such as 36h, 30d, 6mo or 1y6mo$"),
        ("-1d", "such as 36h, 30d, 6mo or 1y6mo$"),
        ("0h", "^a span must reach back: write at least 1h, or leave the rule out$"),
    ],
)
def test_what_is_no_span_is_refused(text: str, says: str) -> None:
    """A bare m could mean minutes or months."""
    with pytest.raises(ValueError, match=says):
        parse_span(text)


@pytest.mark.parametrize(
    ("span", "zone", "moment", "cutoff"),
    [
        ("24h", "Europe/Berlin", "2026-03-29 12:00", "2026-03-28 11:00"),
        ("1d", "Europe/Berlin", "2026-03-29 12:00", "2026-03-28 00:00"),
        ("1d1h", "Europe/Berlin", "2026-03-30 12:00", "2026-03-28 23:00"),
        ("1mo", "Europe/Berlin", "2026-03-31 12:00", "2026-02-28 00:00"),
        ("1mo", "Europe/Berlin", "2028-03-31 12:00", "2028-02-29 00:00"),
        ("1y", "Europe/Berlin", "2028-02-29 12:00", "2027-02-28 00:00"),
        ("1mo1d", "Europe/Berlin", "2026-03-31 12:00", "2026-02-27 00:00"),
        ("12mo", "Europe/Berlin", "2026-01-15 12:00", "2025-01-15 00:00"),
        ("1w", "Europe/Berlin", "2026-03-08 12:00", "2026-03-01 00:00"),
        ("1d", "America/Santiago", "2026-09-07 12:00", "2026-09-06 01:00"),
        ("1d", "Pacific/Apia", "2011-12-31 12:00", "2011-12-31 00:00"),
    ],
)
def test_a_span_is_cut_at_the_first_moment_of_its_date(span: str, zone: str, moment: str, cutoff: str) -> None:
    """Months before days, clamped to the month's end; hours are exact; where midnight is skipped, right after it."""
    place = ZoneInfo(zone)
    found = parse_span(span).before(at(moment, place), place)
    assert (found, found.tzinfo) == (at(cutoff, place), UTC)


@pytest.mark.parametrize("machine", ["FAR-14", "FAR+12"])
def test_a_cutoff_does_not_depend_on_where_the_machine_is(machine: str, machine_in: Callable[[str], None]) -> None:
    """Half a day west of UTC the date is often still the one before."""
    machine_in(machine)
    berlin = ZoneInfo("Europe/Berlin")
    cutoffs = {parse_span("1d").before(at(f"2026-06-10 {hour:02}:30", berlin), berlin) for hour in range(24)}
    assert cutoffs == {at("2026-06-09 00:00", berlin)}


@pytest.mark.parametrize(
    ("span", "days"),
    [("2y", 732), ("3mo", 93), ("2w", 14), ("5d", 5), ("24h", 1), ("25h", 2), ("1y1mo1w1d1h", 366 + 31 + 7 + 1 + 1)],
)
def test_a_span_reaches_back_so_many_dates_at_most(span: str, days: int) -> None:
    """Every year a leap year, every month of 31 days, every hour the one that begins a date."""
    assert parse_span(span).most_days == days


@pytest.mark.parametrize("span", ["2026y", "9999999mo", "999999999d", "999999999h", "1y999999999w", "2025y3mo"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_a_span_beyond_the_calendar_keeps_everything(span: str, zone: str) -> None:
    """The cut-off is then before any backup."""
    assert parse_span(span).before(at("2026-04-01 12:00"), ZoneInfo(zone)) <= datetime(1, 1, 1, 12, tzinfo=UTC)


@given(
    zone=st.sampled_from(ODD_ZONES),
    span=st.builds(Span, months=st.integers(0, 14), days=st.integers(0, 40), hours=st.integers(1, 30)),
    moments=st.lists(
        st.integers(0, 700_000).map(lambda minutes: at("2010-10-01 00:00") + timedelta(minutes=minutes)),
        min_size=2,
        max_size=20,
    ),
)
def test_a_cutoff_never_moves_back(zone: str, span: Span, moments: list[datetime]) -> None:
    """A later newest backup never widens a span: else a part of a listing could lose what the whole keeps."""
    cutoffs = [span.before(moment, ZoneInfo(zone)) for moment in sorted(moments)]
    assert cutoffs == sorted(cutoffs)


def test_a_cutoff_does_not_move_back_in_the_night_that_has_midnight_twice() -> None:
    """St. John's, 7 November 2010: at 00:01 clocks went back to 23:01 of the day before."""
    zone, night = ZoneInfo("America/St_Johns"), datetime(2010, 11, 7, 2, 0, tzinfo=UTC)
    cutoffs = [Span(days=1).before(night + timedelta(minutes=minutes), zone) for minutes in range(200)]
    assert cutoffs == sorted(cutoffs)
    assert [cutoff.astimezone(zone).day for cutoff in (cutoffs[30], cutoffs[31], cutoffs[89], cutoffs[90])] == [
        5,
        5,
        5,
        6,
    ]


@pytest.mark.parametrize(
    ("zone", "day", "first"),
    [
        ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("America/Havana", date(2026, 11, 1), datetime(2026, 11, 1, 4, tzinfo=UTC)),  # midnight twice: the first
        ("Asia/Beirut", date(2026, 3, 29), datetime(2026, 3, 28, 22, tzinfo=UTC)),  # none: when clocks jump
        ("Pacific/Apia", date(2011, 12, 30), datetime(2011, 12, 30, 10, tzinfo=UTC)),  # no such day: the next
        ("America/Toronto", date(1919, 3, 31), datetime(1919, 3, 31, 4, tzinfo=UTC)),  # jumped across: a little earlier
    ],
)
def test_the_first_moment_of_a_date(zone: str, day: date, first: datetime) -> None:
    """Midnight, wherever there is one."""
    found = first_moment(day, ZoneInfo(zone))
    assert (found, found.tzinfo) == (first, UTC)


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_dates_begin_one_after_the_other(zone: str) -> None:
    """No date begins before the one before it, for two years with odd nights."""
    days = [first_moment(date(2010, 6, 1) + timedelta(days=number), ZoneInfo(zone)) for number in range(730)]
    assert all(earlier <= later for earlier, later in pairwise(days))


# Moments for machines ------------------------------------------------------------------------------------------------

SAMPLE = datetime(2026, 4, 1, 6, 0, 7, 250_000, tzinfo=ZoneInfo("Europe/Berlin"))
FIRST, LAST = datetime(1, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001 — hypothesis adds the zone
MOMENTS = st.datetimes(FIRST, LAST, timezones=st.sampled_from([UTC, ZoneInfo("Europe/Berlin")]))


def test_a_moment_is_written_in_utc_as_exactly_as_was_asked() -> None:
    """RFC 3339; to the second unless more is wanted."""
    assert rfc3339(SAMPLE) == "2026-04-01T04:00:07Z"
    assert rfc3339(SAMPLE, "milliseconds") == "2026-04-01T04:00:07.250Z"
    assert rfc3339(SAMPLE, "microseconds") == "2026-04-01T04:00:07.250000Z"
    assert [rfc3339(one, "auto")[19:] for one in (SAMPLE, SAMPLE.replace(microsecond=0))] == [".250000Z", "Z"]
    assert compact(SAMPLE) == "20260401T040007Z"


@given(MOMENTS)
def test_what_was_written_is_read_again_and_is_as_wide_in_any_year(moment: datetime) -> None:
    """So that text can be compared in place of moments."""
    instant = moment.astimezone(UTC)  # a local time that a clock change leaves out equals none
    assert {read_rfc3339(rfc3339(moment, "microseconds")), read_rfc3339(rfc3339(moment, "auto"))} == {instant}
    assert len(rfc3339(moment, "microseconds")) == len("2026-04-01T04:00:07.250000Z")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Invalid isoformat string: ''"),
        ("yesterday", "Invalid isoformat string: 'yesterday'"),
        ("2026-04-01", "a moment without a time zone: 2026-04-01 00:00:00"),
        ("2026-04-01T04:00:00", "a moment without a time zone: 2026-04-01 04:00:00"),
        ("0001-01-01T00:00:00+14:00", "a moment too far away: 0001-01-01 00:00:00+14:00"),
    ],
)
def test_what_is_no_moment_with_a_zone_is_refused(text: str, says: str) -> None:
    """A moment without a zone could be hours off; one that UTC does not have is none."""
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        read_rfc3339(text)


def test_a_moment_is_read_in_utc() -> None:
    """Whatever zone it was written in, and wherever this machine is."""
    assert read_rfc3339("2026-04-01T06:00:00+02:00").tzinfo is UTC


def test_a_moment_without_a_zone_is_not_written() -> None:
    """It would be taken for one of this machine's own zone."""
    with pytest.raises(ValueError, match="without a time zone"):
        rfc3339(SAMPLE.replace(tzinfo=None))


def test_nothing_else_writes_or_reads_moments_for_machines() -> None:
    """But for a moment on the command line, where each mistake has words of its own; days are no moments."""
    package = Path(__file__).parents[2] / "daemon"
    others = [file for file in package.rglob("*.py") if "sandbox" not in file.parts and file.name != "units.py"]
    found = [
        (file.name, word)
        for file in others
        for word in re.findall(r"datetime\.\w*iso\w+|timespec|strf\w+", file.read_text())
    ]
    assert found == [("arguments.py", "datetime.fromisoformat")]
