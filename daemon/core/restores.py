"""How a restore ended, from the server's activity log.

The panel's answer says only that a restore began, and its end clears the server's state either way. The activity log
alone tells whether it went well, and it names the backup, not its uuid. So an entry speaks of our restore if it was not
there before we asked, and carries the backup's name; the panel runs one restore of a server at a time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

RESTORES = "restore"
"""The part of an event's name by which the panel filters its log."""

_BEGUN = "server:backup.restore"
_COMPLETED = "server:backup.restore-complete"
_FAILED = frozenset({"server.backup.restore-failed", "server:backup.restore-failed"})
"""Both spellings are the panel's own: a node that was reset is noted with the second."""


class RestoreEnd(StrEnum):
    """How a restore ended, as the panel's activity log tells."""

    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Activity:
    """One entry of a server's activity log. `name` is that of the backup, empty if the entry names none."""

    id: str
    event: str
    name: str
    at: datetime | None


def restore_end(name: str, before: Collection[str], log: Sequence[Activity]) -> RestoreEnd | None:
    """Return how the restore of the backup of that name ended; None if the log does not tell.

    `before` holds the ids of the entries that were there before the restore was asked for; `log` is read after its end,
    newest first.
    """
    for entry in reversed(log):  # the oldest of the new ones is ours: others came after the server was free again
        if entry.id in before or entry.name != name:
            continue
        if entry.event == _COMPLETED:
            return RestoreEnd.COMPLETED
        if entry.event in _FAILED:
            return RestoreEnd.FAILED
    return None


def restore_begun(name: str, before: Collection[str], log: Sequence[Activity]) -> bool:
    """Return whether a log, as in `restore_end`, shows that a restore of the backup of that name began, or ended."""
    events = {_BEGUN, _COMPLETED, *_FAILED}
    return any(entry.id not in before and entry.name == name and entry.event in events for entry in log)
