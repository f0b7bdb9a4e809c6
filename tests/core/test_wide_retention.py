"""The rules in every time zone, at every change of its clock, around every New Year, held against the naive oracle.

The oracle cuts spans at the plain midnight of a date, and so differs where a clock changes over midnight: there the
design says that ours keeps more.
"""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.keep import COUNT_RULES, SPAN_RULES, Keep
from daemon.core.model import Action, Backup, Scope, Verdict
from daemon.core.names import Ownership
from daemon.core.retention import Retention, judge
from tests.core.zones import LAST, ZONES, changes
from tests.fuzz.support import examples
from tests.simulation import oracle
from tests.simulation.oracle import Row

NOW = LAST + timedelta(days=30)
NEW_YEARS = [datetime(year, 1, 1, tzinfo=UTC) for year in range(1975, 2038)]

counts = st.dictionaries(st.sampled_from(COUNT_RULES), st.sampled_from([-1, 1, 2, 3, 7, 60]), min_size=1, max_size=4)
spans = st.builds("".join, st.lists(st.sampled_from(["1y", "3mo", "2w", "10d", "30h"]), min_size=1, unique=True))
span_rules = st.dictionaries(st.sampled_from(SPAN_RULES), spans, min_size=1, max_size=3)


@st.composite
def crowded(draw: st.DrawFn, zone: str) -> list[datetime]:
    """Moments that crowd around changes of the zone's clock and around New Years; many come twice."""
    anchors = st.sampled_from([*changes(zone), *NEW_YEARS])
    steps = st.sampled_from([timedelta(minutes=15), timedelta(minutes=30), timedelta(hours=1), timedelta(hours=12)])
    near = st.builds(
        lambda anchor, step, n: anchor + n * step,
        draw(st.lists(anchors, min_size=1, max_size=3).map(st.sampled_from)),
        steps,
        st.integers(-8, 8),
    )
    return draw(st.lists(near, min_size=1, max_size=24))


def rows(moments: list[datetime]) -> list[Row]:
    """A good backup at each of these moments."""
    return [
        Row(
            f"{number:08x}-0000-4000-8000-000000000000",
            "by hand",
            True,
            False,
            100,
            moment,
            moment + timedelta(minutes=1),
        )
        for number, moment in enumerate(moments)
    ]


def deleted(made: list[Row], keep: dict[str, Any], zone: str) -> tuple[str, ...]:
    """What the core deletes, oldest first."""
    return tuple(
        verdict.backup.uuid for verdict in reversed(judged(made, keep, zone)) if verdict.action is Action.DELETE
    )


def judged(made: list[Row], keep: dict[str, Any], zone: str) -> tuple[Verdict, ...]:
    """The core's verdicts."""
    backups = [
        Backup(row.uuid, row.name, row.successful, row.locked, row.bytes, row.created, row.completed) for row in made
    ]
    retention = Retention(Keep.from_mapping(keep), ZoneInfo(zone), Scope.ALL, suspicious=0.0)
    return judge(backups, retention, ownership=Ownership((), None), now=NOW)


def naive(made: list[Row], keep: dict[str, Any], zone: str) -> tuple[str, ...]:
    """What the oracle deletes, oldest first."""
    policy = {"keep": keep, "timezone": zone, "scope": "all", "suspicious": 0}
    return oracle.judge(made, policy, "survival", NOW).deletions


@examples(80)
@given(data=st.data(), zone=st.sampled_from(ZONES), keep=counts)
def test_periods_are_those_of_the_wall_clock_in_every_zone(
    data: st.DataObject, zone: str, keep: dict[str, Any]
) -> None:
    """Hours that come twice or never, days of 23 hours or that never were, weeks 52, 53 and 1."""
    made = rows(data.draw(crowded(zone)))
    assert deleted(made, keep, zone) == naive(made, keep, zone)


@examples(50)
@given(data=st.data(), zone=st.sampled_from(ZONES), keep=span_rules)
def test_spans_keep_what_the_plain_calendar_keeps_and_at_most_more(
    data: st.DataObject, zone: str, keep: dict[str, Any]
) -> None:
    """The cut-off is never later than midnight of the date it falls on."""
    made = rows(data.draw(crowded(zone)))
    assert set(deleted(made, keep, zone)) <= set(naive(made, keep, zone))


@examples(25)
@given(data=st.data(), keep=span_rules, offset=st.integers(-12, 14))
def test_spans_keep_exactly_that_where_no_clock_changes(data: st.DataObject, keep: dict[str, Any], offset: int) -> None:
    """`Etc/GMT-14` is fourteen hours ahead."""
    zone = f"Etc/GMT{-offset:+d}"
    made = rows(data.draw(crowded("Europe/Berlin")))
    assert deleted(made, keep, zone) == naive(made, keep, zone)


@examples(25)
@given(data=st.data(), zone=st.sampled_from(ZONES), keep=counts | span_rules)
def test_the_offset_in_which_a_moment_is_told_is_irrelevant(
    data: st.DataObject, zone: str, keep: dict[str, Any]
) -> None:
    """A panel may tell its own zone's time, and another's after an update; the verdicts are word for word the same."""
    made = rows(data.draw(crowded(zone)))
    offsets = data.draw(st.lists(st.integers(-23 * 60, 23 * 60), min_size=len(made), max_size=len(made)))
    told = [
        Row(
            row.uuid,
            row.name,
            True,
            False,
            100,
            row.created.astimezone(timezone(timedelta(minutes=minutes))),
            row.completed,
        )
        for row, minutes in zip(made, offsets, strict=True)
    ]
    assert judged(told, keep, zone) == judged(made, keep, zone)


@pytest.mark.parametrize(
    ("zone", "minutes"), [("Australia/Lord_Howe", 7), ("Asia/Kathmandu", 24 * 60), ("America/St_Johns", 61)]
)
def test_ten_thousand_backups(zone: str, minutes: int) -> None:
    """As many as a listing can have, in half a month or in 27 years."""
    made = rows([LAST - timedelta(minutes=minutes) * number for number in range(10_000)])
    for keep in (
        {"last": 5, "hourly": 50, "daily": 30, "weekly": 52, "monthly": 12, "yearly": -1},
        {"within_weekly": "3y"},
    ):
        assert deleted(made, keep, zone) == naive(made, keep, zone)
