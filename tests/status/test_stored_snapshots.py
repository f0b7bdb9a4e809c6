"""Snapshots and the trend in the journal: the newest of each server, and one size a day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from daemon.errors import StateError
from daemon.state import Sample, Snapshot
from daemon.state.local import schema
from daemon.state.local.journal import SqliteJournal

AT = datetime(2026, 4, 1, 4, 5, tzinfo=UTC)
UUID = "1a7ce997-259b-452e-8b4e-cecc464142ca"
NEXT = "1a7ce998-259b-452e-8b4e-cecc464142ca"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """A journal on disk."""
    with SqliteJournal.open(tmp_path) as opened:
        yield opened


def taken(server: str = UUID, at: datetime = AT, detail: str = "{}") -> Snapshot:
    """A snapshot of that server."""
    return Snapshot(server, "main", at, detail)


def test_the_newest_snapshot_of_each_server_is_kept(journal: SqliteJournal) -> None:
    """One takes the place of the one before; a server is found by its uuid, or by how that begins, on its panel."""
    journal.snapshot(taken(detail="before"), 10)
    journal.snapshot(taken(NEXT), 20)
    journal.snapshot(taken(at=AT + timedelta(days=1), detail="after"), 30)
    newest = taken(at=AT + timedelta(days=1), detail="after")
    assert journal.last_snapshot("main", UUID) == journal.last_snapshot("main", UUID[:8]) == newest
    assert journal.last_snapshot("main", NEXT[:8]) == taken(NEXT)
    assert journal.last_snapshot("other", UUID) is None
    assert journal.last_snapshot("main", "1a7ce996") is None


def test_a_day_ends_with_its_last_size(journal: SqliteJournal) -> None:
    """However often a server is looked at."""
    journal.snapshot(taken(), 10)
    journal.snapshot(taken(at=AT + timedelta(hours=6)), 12)
    journal.snapshot(taken(at=AT + timedelta(days=2)), 15)
    assert journal.trend(UUID) == [Sample(date(2026, 4, 1), 12), Sample(date(2026, 4, 3), 15)]
    assert journal.trend("two") == []


def test_a_trend_is_three_months_long(journal: SqliteJournal) -> None:
    """It does not grow for ever."""
    for days in range(0, 200, 10):
        journal.snapshot(taken(at=AT + timedelta(days=days)), days)
    assert [sample.bytes for sample in journal.trend(UUID)] == list(range(100, 200, 10))


def test_what_nobody_has_looked_at_for_long_is_forgotten(journal: SqliteJournal) -> None:
    """A server that is gone leaves nothing behind."""
    journal.snapshot(taken(), 10)
    journal.prune(AT + timedelta(days=100))
    assert journal.last_snapshot("main", UUID) == taken()
    assert journal.trend(UUID) == []
    journal.prune(AT + timedelta(days=401))
    assert journal.last_snapshot("main", UUID) is None


def test_it_outlives_the_process(tmp_path: Path) -> None:
    """A restarted daemon shows what it knew."""
    with SqliteJournal.open(tmp_path) as journal:
        journal.snapshot(taken(detail="größer"), 10)
    with SqliteJournal.open(tmp_path) as journal:
        assert journal.last_snapshot("main", UUID) == taken(detail="größer")


def test_a_journal_without_the_tables_gets_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that a version before wrote."""
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        SqliteJournal.open(tmp_path).close()
    with SqliteJournal.open(tmp_path) as journal:
        journal.snapshot(taken(), 10)
        assert journal.last_snapshot("main", UUID) == taken()


def test_a_row_that_we_did_not_write_is_an_error_of_ours(journal: SqliteJournal) -> None:
    """Not one of the library's."""
    journal._connection.execute("INSERT INTO snapshot VALUES (?, 'main', 'yesterday', '{}')", (UUID,))
    with pytest.raises(StateError):
        journal.last_snapshot("main", UUID)
