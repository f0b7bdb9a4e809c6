"""What is remembered of the retention last applied, read for a rotation."""

from datetime import UTC, datetime

from daemon.core.applied import AppliedRetention
from daemon.rotation.brake import recall
from daemon.state.local.journal import SqliteJournal
from tests.at_once import at_once, awaited

NOW = datetime(2026, 4, 1, tzinfo=UTC)


def test_the_journal_keeps_it_until_it_is_replaced() -> None:
    """By the server's uuid; times to the microsecond."""
    with SqliteJournal.memory() as journal:
        assert journal.applied("one") is None
        assert at_once(recall(awaited(journal), "one")).row == AppliedRetention()
        for row in (AppliedRetention("a", ("u", "v")), AppliedRetention("a", (), "b", NOW)):
            journal.apply("one", row)
            assert journal.applied("one") == row
        assert journal.applied("two") is None
