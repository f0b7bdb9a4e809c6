"""What is remembered of the retention last applied: as text, and back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.brake import Applied
from daemon.core.model import Scope
from daemon.core.names import Ownership, Template
from daemon.core.retention import Retention
from daemon.rotation.brake import _read, recall, written
from daemon.state import AppliedRetention
from daemon.state.local.journal import SqliteJournal
from tests.at_once import at_once, awaited
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
    for stores in (frozenset[str](), frozenset({"nas", "offsite"})):
        applied = Applied(asked, ownership, stores)
        assert _read(written(applied)) == applied
        assert written(Applied(asked, ownership, stores)) == written(applied)
        assert ("stores" in written(applied)) == bool(stores)  # what earlier versions wrote still says the same


@pytest.mark.parametrize(
    "text", [None, "", "{}", "[]", '{"keep": 3}', written(Applied(retention(), OURS))[:-1] + ', "new": 1}']
)
def test_what_another_version_wrote_is_as_if_nothing_was(text: str | None) -> None:
    """Number and share alone act then."""
    assert _read(text) is None


def test_the_journal_keeps_it_until_it_is_replaced() -> None:
    """By the server's uuid; times to the microsecond."""
    with SqliteJournal.memory() as journal:
        assert journal.applied("one") is None
        assert at_once(recall(awaited(journal), "one")).row == AppliedRetention()
        for row in (AppliedRetention("a", ("u", "v")), AppliedRetention("a", (), "b", NOW)):
            journal.apply("one", row)
            assert journal.applied("one") == row
        assert journal.applied("two") is None
