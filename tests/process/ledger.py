"""The panel's ledger, held against what must never happen to a backup."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from daemon.sandbox.records import Change, Entry, Server, State

KEEP = 3
"""So many of a server's own good backups the policies of these tests keep."""

LATE_SECONDS = 0.25
"""At most so long after a DELETE came does the panel process it, though whoever asked was killed meanwhile."""


def hold_deletions(server: Server, ledger: Iterable[Entry]) -> None:
    """Nothing is deleted that is locked, not the policy's own, pending, or to be kept."""
    there: dict[str, Known] = {}
    for entry in ledger:
        if entry.server != server.uuid:
            continue
        if entry.change is Change.DELETED:
            _hold_deletion(server, entry, there)
        _follow(entry, there)


class Known:
    """A backup as the ledger's lines so far leave it."""

    def __init__(self, entry: Entry) -> None:
        self.name = entry.name
        self.state = entry.state
        self.locked = entry.locked
        self._locked_at: datetime | None = None

    def lock(self, entry: Entry) -> None:
        """Let it be locked, or unlocked."""
        self.locked = entry.change is Change.LOCKED
        self._locked_at = entry.at

    def could_be_seen_unlocked(self, at: datetime) -> bool:
        """Whether a DELETE that is processed at that moment may have been sent while this one was not locked yet.

        No later daemon can have sent it: it takes longer to start.
        """
        patience = timedelta(seconds=2 * LATE_SECONDS)  # for the machine's own lateness
        return not self.locked or (self._locked_at is not None and at - self._locked_at < patience)


def _follow(entry: Entry, there: dict[str, Known]) -> None:
    """Let one line of the ledger happen."""
    if entry.change is Change.CREATED:
        there[entry.backup] = Known(entry)
    elif entry.change is Change.DELETED:
        del there[entry.backup]
    elif entry.change in (Change.LOCKED, Change.UNLOCKED):
        there[entry.backup].lock(entry)
    elif entry.change in (Change.COMPLETED, Change.FAILED):
        there[entry.backup].state = State.GOOD if entry.change is Change.COMPLETED else State.FAILED


def _hold_deletion(server: Server, entry: Entry, there: dict[str, Known]) -> None:
    """What is deleted was neither locked nor foreign nor pending, and if it was good, it was beyond retention."""
    unlocked = there[entry.backup].could_be_seen_unlocked(entry.at)
    assert unlocked, f"{server.name}: {entry.name} was locked, and is deleted"
    assert is_own(entry.name, server), f"{server.name}: {entry.name} is not the daemon's, and is deleted"
    assert entry.state is not State.PENDING, f"{server.name}: {entry.name} was being made, and is deleted"
    if entry.state is State.GOOD:
        made = list(there).index(entry.backup)
        after = list(there.values())[made + 1 :]
        newer = [
            one
            for one in after
            if one.state is State.GOOD and one.could_be_seen_unlocked(entry.at) and is_own(one.name, server)
        ]
        limited = server.limit is not None and server.limit < 50  # room may be made for the one that comes
        assert len(newer) >= KEEP - limited, f"{server.name}: {entry.name} was to be kept, and is deleted"


def is_own(name: str, server: Server) -> bool:
    """Whether the policies of these tests named the backup."""
    return name.startswith(f"auto-{server.name}-")
