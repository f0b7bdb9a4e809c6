"""Snapshots as the journal keeps them, so that a restarted daemon can show what it knew.

What cannot be read is passed over, since the next rotation brings it anew.
"""

from daemon import state as history
from daemon.status.packed import read_detail
from daemon.status.values import Snapshot


def to_stored(snapshot: Snapshot, panel: str) -> history.Snapshot:
    """The snapshot as the journal takes it."""
    return history.Snapshot(snapshot.uuid, panel, snapshot.at, snapshot.detail)


def from_stored(stored: history.Snapshot) -> Snapshot | None:
    """The snapshot that the journal holds; None where it was written in another way."""
    try:
        return Snapshot.of(stored.at, stored.server_uuid, *read_detail(stored.detail))
    except (KeyError, TypeError, ValueError):
        return None
