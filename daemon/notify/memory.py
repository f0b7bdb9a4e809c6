"""What is remembered of each server, in the journal: written as JSON that a later version can add to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from daemon.core.watch import Event, Watch
from daemon.errors import StateError
from daemon.history import Journal

RECENT = 20


def recalled(journal: Journal) -> dict[str, Watch]:
    """Return what is remembered, by the server's name; raises StateError."""
    written = journal.watches()
    try:
        return {server: _read(watch) for server, watch in written.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"what alerts remembered cannot be read: {error!r}") from error


def remember(journal: Journal, changes: Mapping[str, Watch | None], at: datetime) -> None:
    """Write down what is known now, and forget where it is None; raises StateError."""
    if changes:
        journal.watch({name: None if watch is None else _written(watch) for name, watch in changes.items()}, at)


def last_good(journal: Journal, server: str) -> datetime | None:
    """Return when the server's last rotation that got a good backup ended, by hand or not; raises StateError."""
    rows = journal.recent(server, limit=RECENT)
    return next((row.ended_at for row in rows if row.summary.get("good")), None)


def _written(watch: Watch) -> Mapping[str, Any]:
    return {
        "fine_at": watch.fine_at.isoformat(),
        "good_at": watch.good_at.isoformat() if watch.good_at else None,
        "told": sorted(watch.told),
    }


def _read(written: Mapping[str, Any]) -> Watch:
    good_at = written.get("good_at")
    return Watch(
        fine_at=datetime.fromisoformat(written["fine_at"]),
        good_at=datetime.fromisoformat(good_at) if good_at else None,
        told=frozenset(Event(event) for event in written["told"] if event in set(Event)),
    )
