"""When each server starts next and when its next good backup is overdue, worked out once and remembered.

Asking a schedule costs a tenth of a millisecond and more; a page of a thousand servers asks three times of each.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from daemon.config.values import ServerConfig
from daemon.core import alerting as watch


class Times(NamedTuple):
    """A server's next start, the time from that to the one after, and by when its next good backup must be there."""

    next_start: datetime
    interval: timedelta
    due_at: datetime
    overdue_at: datetime


class Timetable:
    """The times of every server that was asked for."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[ServerConfig, datetime, Times]] = {}

    def times(self, server: ServerConfig, fine_at: datetime, now: datetime) -> Times:
        """The server's times at this moment. `fine_at` is when last there was nothing to complain of."""
        known = self._known.get(server.name)
        if known and known[0] is server and known[1] == fine_at and now < known[2].next_start:
            return known[2]
        times = _times(server, fine_at, now)
        self._known[server.name] = (server, fine_at, times)
        return times

    def keep_only(self, names: set[str]) -> None:
        """Forget servers that are gone."""
        for name in self._known.keys() - names:
            del self._known[name]


def _times(server: ServerConfig, fine_at: datetime, now: datetime) -> Times:
    starts = server.starts
    following = starts.after(now)
    overdue_at = watch.due_by(watch.AlertState(fine_at), starts, server.policy.timeout)
    due_at = overdue_at - server.policy.timeout - watch.GRACE
    return Times(following, starts.after(following) - following, due_at, overdue_at)
