"""What is remembered of the retention last applied: as text, and back; and the brake that is made of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.applied import NOTHING, AppliedRetention, brake_of, let_through, read, taken_back, told, written
from daemon.core.brake import Applied
from daemon.core.model import Scope
from daemon.core.names import Ownership, Template
from daemon.core.proof import Level
from daemon.core.proven import NO_RULE, KeepProven
from daemon.core.retention import Retention
from tests.core.build import OURS, retention

RULES = ("last=3", "all", "last=1,daily=7,within=1y6mo", "within_hourly=36h,yearly=-1")
NOW = datetime(2026, 4, 1, tzinfo=UTC)

RETENTIONS = st.builds(
    retention,
    st.sampled_from(RULES),
    scope=st.sampled_from(Scope),
    min_good=st.integers(1, 9),
    failed_after=st.sampled_from([None, timedelta(hours=12), timedelta(days=40)]),
    suspicious=st.floats(0, 0.9),
)


@given(RETENTIONS, st.sampled_from([OURS, Ownership((Template.parse("b {time}"), Template.parse("c {time}")), None)]))
def test_what_is_written_is_read_back_the_same(asked: Retention, ownership: Ownership) -> None:
    """Every key of it, and equal values are equal texts."""
    for stores, proven in ((frozenset[str](), NO_RULE), (frozenset({"nas", "offsite"}), KeepProven(2, Level.WALKED))):
        applied = Applied(asked, ownership, stores, proven)
        assert read(written(applied)) == applied
        assert written(Applied(asked, ownership, stores, proven)) == written(applied)
        text = written(applied)
        assert list(json.loads(text)) == sorted(json.loads(text))  # so that no version writes it in another order
        assert ("stores" in text) == ("proven" in text) == bool(stores)  # what earlier versions wrote says the same


@pytest.mark.parametrize(
    "text", [None, "", "{}", "[]", '{"keep": 3}', written(Applied(retention(), OURS))[:-1] + ', "new": 1}']
)
def test_what_another_version_wrote_is_as_if_nothing_was(text: str | None) -> None:
    """Number and share alone act then."""
    assert read(text) is None


def applied(keep: str) -> Applied:
    """All of what keeps so."""
    return Applied(retention(keep), OURS)


FEW, MANY = applied("last=3"), applied("last=9")


def test_what_was_let_through_counts_no_more_under_the_same_retention_alone() -> None:
    """And what this very run let through counts until it ends."""
    row = let_through(MANY, ["a", "b"])
    assert row == AppliedRetention(written(MANY), ("a", "b"))
    same, other = (brake_of(row, present, most=10, share=0.5) for present in (MANY, FEW))
    assert (same.most, same.share, same.excused, same.before) == (10, 0.5, frozenset({"a", "b"}), MANY)
    assert (other.excused, other.before) == (frozenset(), MANY)
    assert brake_of(row, MANY, most=10, share=0.5, earlier=AppliedRetention()).excused == frozenset()
    assert brake_of(row, MANY, most=1, share=1.0, room_at=NOW).room_at == NOW


def test_the_day_of_a_change_begins_once_and_is_its_own() -> None:
    """A moment that is yet to come was told by a clock that was set back since."""
    row = told(let_through(MANY, ()), FEW, NOW)
    assert (row.retention, row.coming, row.told_at) == (written(MANY), written(FEW), NOW)
    later, before = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
    assert told(row, FEW, NOW) == told(row, FEW, later) == row
    assert told(row, FEW, before).told_at == before
    assert told(row, applied("last=2"), later).told_at == later
    assert told(replace(row, told_at=None), FEW, later).told_at == later
    assert brake_of(row, FEW, most=10, share=0.5).told_at == NOW
    assert brake_of(row, MANY, most=10, share=0.5).told_at is None


def test_a_change_that_was_taken_back_is_told_anew_when_it_comes_again() -> None:
    """While it is in force, and nothing waits for the moment, its day goes on."""
    row = told(let_through(MANY, ("a",)), FEW, NOW)
    assert taken_back(row, FEW) == row
    assert taken_back(row, MANY) == let_through(MANY, ("a",))
    assert taken_back(NOTHING, MANY) == NOTHING


def test_what_was_never_applied_let_nothing_pass() -> None:
    """Nor is anything announced."""
    assert AppliedRetention() == AppliedRetention(None, (), None, None) == NOTHING
