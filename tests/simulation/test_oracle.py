"""Two implementations that share no line say the same: of the retention rules for any backups and any policy, and of
the starts for every schedule that scenarios hold."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
from hypothesis import given, settings

from daemon.core.brake import Applied, Brake
from daemon.core.calendar import Starts, parse_schedule
from daemon.core.keep import COUNT_RULES, SPAN_RULES, Keep
from daemon.core.model import Action, Backup, Completeness, Listing, Scope, Verdict
from daemon.core.names import Ownership, Template
from daemon.core.plan import plan
from daemon.core.retention import Retention, judge
from daemon.core.room import make_room
from daemon.core.units import parse_duration
from tests.simulation import oracle
from tests.simulation.oracle import Row
from tests.simulation.scenario import BEGINNINGS, SCHEDULES, SPLAYS, ZONES
from tests.simulation.starts import latest_start, starts

NAME = "auto-{server}-{time}-{id}"
SERVER = "survival"
SECOND = timedelta(seconds=1)
NOW = datetime(2026, 11, 3, 5, 30, tzinfo=UTC)

spans = st.sampled_from(("6h", "36h", "2d", "10d", "1w", "1mo", "3mo", "1y", "1mo12h"))
counts = st.sampled_from((-1, 1, 2, 3, 5))
keeps = st.one_of(
    st.just("all"),
    st.dictionaries(st.sampled_from(COUNT_RULES), counts, min_size=1),
    st.dictionaries(st.sampled_from(SPAN_RULES), spans, min_size=1),
)


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """A policy's table, as the configuration has it."""
    keep = draw(keeps)
    return {
        "keep": keep,
        "scope": draw(st.sampled_from(("own", "all"))),
        "timezone": draw(st.sampled_from(ZONES)),
        "min_good": draw(st.integers(1, 3)),
        "failed_after": draw(st.sampled_from(("12h", "2d", "never"))),
        "suspicious": draw(st.sampled_from((0, 0.5, 0.5, 0.9))),
        "suspicious_for": draw(st.sampled_from(("0s", "6h", "3d"))),
        "total_size": "off" if keep == "all" else draw(st.sampled_from(("off", 500, 1500))),
        "max_deletions": draw(st.sampled_from((-1, 0, 2, 10))),
        "max_share": draw(st.sampled_from((0, 0.3, 0.5, 1))),
        "name": NAME,
    }


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Some backups, with what can be wrong with them; several may share a moment."""
    made = []
    for number in range(draw(st.integers(0, 14))):
        step = draw(st.sampled_from((timedelta(minutes=7), timedelta(hours=5), timedelta(days=3), timedelta(days=40))))
        created = NOW - step * draw(st.integers(-1, 12))
        state = draw(st.sampled_from(("good", "good", "good", "good", "failed", "pending")))
        own = draw(st.booleans()) or draw(st.booleans())
        made.append(
            Row(
                uuid=f"{number:08x}-0000-4000-8000-000000000000",
                name=f"auto-{SERVER}-{created:%Y%m%dT%H%M%SZ}-{number:08x}" if own else "by hand",
                successful=state == "good",
                locked=draw(st.integers(0, 5)) == 0,
                bytes=draw(st.sampled_from((0, 20, 100, 110, 120, 300))) if state == "good" else 0,
                created=created,
                completed=None if state == "pending" else created + timedelta(minutes=2),
            )
        )
    return made


def backups(made: list[Row]) -> tuple[Backup, ...]:
    """The same rows as the core's values."""
    return tuple(
        Backup(row.uuid, row.name, row.successful, row.locked, row.bytes, row.created, row.completed) for row in made
    )


def retention(policy: dict[str, Any]) -> Retention:
    """The same policy as the core's value."""
    keep = policy["keep"]
    delay, size = policy["failed_after"], policy["total_size"]
    return Retention(
        keep=Keep.parse("all") if keep == "all" else Keep.from_mapping(keep),
        zone=ZoneInfo(policy["timezone"]),
        scope=Scope(policy["scope"]),
        min_good=policy["min_good"],
        total_size=None if size == "off" else size,
        failed_after=None if delay == "never" else parse_duration(delay),
        suspicious=policy["suspicious"],
        suspicious_for=parse_duration(policy["suspicious_for"]),
    )


OURS = Ownership((Template.parse(NAME),), SERVER)


@st.composite
def shrunken(draw: st.DrawFn) -> list[Row]:
    """A server whose backups shrink, once or more: own ones mostly, a step apart."""
    made, step = [], draw(st.sampled_from((timedelta(hours=5), timedelta(days=1), timedelta(days=4))))
    levels = draw(st.lists(st.sampled_from((1000, 400, 90, 70, 40, 8, 0)), min_size=1, max_size=5))
    sizes = [size for size in levels for _ in range(draw(st.integers(1, 5)))]
    for number, size in enumerate(sizes):
        created = NOW - step * (len(sizes) - number)
        own = draw(st.integers(0, 5)) > 0
        made.append(
            Row(
                uuid=f"{number:08x}-0000-4000-8000-000000000000",
                name=f"auto-{SERVER}-{created:%Y%m%dT%H%M%SZ}-{number:08x}" if own else "by hand",
                successful=draw(st.integers(0, 9)) > 0,
                locked=draw(st.integers(0, 7)) == 0,
                bytes=size,
                created=created,
                completed=created + timedelta(minutes=2),
            )
        )
    return made


listings = st.one_of(rows(), shrunken())


def some(draw: st.DrawFn, rows: list[Row], *, seldom: int) -> frozenset[str]:
    """Some of them, one of so many."""
    return frozenset(row.uuid for row in rows if draw(st.integers(0, seldom)) == 0)


@st.composite
def shares(draw: st.DrawFn) -> tuple[list[Row], list[Row], frozenset[str], frozenset[str]]:
    """A whole listing, a part of it, what an operator accepted, and what was asked to go before."""
    whole = draw(listings)
    part = [row for row in whole if draw(st.integers(0, 3))]
    asked = some(draw, whole, seldom=4) if draw(st.booleans()) else frozenset()
    return whole, part, some(draw, whole, seldom=7), asked


@settings(max_examples=500, deadline=None)
@given(shares(), policies(), st.booleans())
def test_both_delete_the_same_in_the_same_order_and_find_the_same_states(
    given: tuple[list[Row], list[Row], frozenset[str], frozenset[str]], policy: dict[str, Any], complete: bool
) -> None:
    """Whatever there is, whatever is asked for."""
    whole, part, accepted, asked = given
    made, earlier = (whole, []) if complete else (part, whole)
    by: dict[str, Any] = {"complete": complete, "accepted": accepted, "asked": asked}
    verdicts = judge(backups(made), retention(policy), ownership=OURS, now=NOW, earlier=backups(earlier), **by)
    naive = oracle.judge(made, policy, SERVER, NOW, earlier=earlier, **by)
    assert {verdict.backup.uuid: verdict.state.value for verdict in verdicts} == naive.states
    deleted = tuple(verdict.backup.uuid for verdict in reversed(verdicts) if verdict.action is Action.DELETE)
    assert deleted == naive.deletions


@settings(max_examples=400, deadline=None)
@given(shares(), policies(), st.booleans(), st.booleans())
def test_both_make_room_by_the_same_backup_or_by_none(
    given: tuple[list[Row], list[Row], frozenset[str], frozenset[str]],
    policy: dict[str, Any],
    lately: bool,
    again: bool,
) -> None:
    """At the panel's limit exactly one may go."""
    made, _, _, asked = given
    listing = Listing(backups(made), len(made), NOW, Completeness.COMPLETE)
    coming = f"auto-{SERVER}-{NOW:%Y%m%dT%H%M%SZ}-00000000"
    room_at = NOW - timedelta(hours=23) if lately else None
    chosen = make_room(
        listing,
        retention(policy),
        ownership=OURS,
        coming_name=coming,
        brake=Brake(policy["max_deletions"], policy["max_share"], room_at=room_at),
        again=again,
        asked=asked,
    )
    mine = chosen.backup.uuid if isinstance(chosen, Verdict) else None
    free = oracle.room(made, policy, SERVER, NOW, asked=asked, lately=lately, again=again)
    assert mine == (free[0] if free else None)


@settings(max_examples=300, deadline=None)
@given(listings, policies(), policies(), st.integers(0, 3), st.sets(st.integers(0, 13)))
def test_both_refuse_too_many_and_hold_what_was_kept_before(
    made: list[Row], policy: dict[str, Any], before: dict[str, Any], already: int, numbers: set[int]
) -> None:
    """Whatever an earlier plan named, and whatever the policy was before."""
    listing = Listing(backups(made), len(made), NOW, Completeness.COMPLETE)
    earlier = Applied(retention(before), OURS)
    named = frozenset(row.uuid for number, row in enumerate(made) if number in numbers)
    brake = Brake(policy["max_deletions"], policy["max_share"], excused=named, before=earlier)
    mine = plan(listing, retention(policy), ownership=OURS, brake=brake, already_deleted=already)
    naive = oracle.judge(made, policy, SERVER, NOW)
    assert (mine.code == "max-deletions") is oracle.over(naive, policy, already=already, named=named)
    if mine.code is None:
        kept = set() if policy["max_deletions"] == -1 else set(oracle.beyond(made, before, policy, SERVER, NOW))
        assert [verdict.backup.uuid for verdict in mine.deletions] == [u for u in naive.deletions if u not in kept]


@settings(max_examples=150)
@given(
    st.sampled_from(SCHEDULES),
    st.sampled_from(ZONES),
    st.sampled_from(list(SPLAYS)),
    st.uuids().map(str),
    st.builds(
        lambda begins, seconds: begins + seconds * SECOND, st.sampled_from(BEGINNINGS), st.integers(-172_800, 691_200)
    ),
)
def test_both_calendars_find_the_same_starts(
    schedule: tuple[str, float], zone: str, splay: str, uuid: str, moment: datetime
) -> None:
    """Through changes of clocks, which lie around the beginnings of scenarios."""
    policy = {"schedule": schedule[0], "timezone": zone, "splay": splay}
    real = Starts(parse_schedule(schedule[0]), ZoneInfo(zone), parse_duration(splay), uuid[:8])
    first = real.after(moment)
    assert latest_start(policy, uuid, moment) == real.latest(moment)
    assert starts(policy, uuid, moment, first + SECOND) == [first]
    assert first - real.latest(moment) <= timedelta(seconds=schedule[1])
