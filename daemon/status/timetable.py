"""When each server starts next and when its next good backup is overdue, worked out once and remembered.

Asking a schedule takes a tenth of a millisecond or more; a page of a thousand servers asks three times of each.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from daemon.config.values import ServerConfig
from daemon.core.alerting import GRACE, due_by


class Times(NamedTuple):
    """A server's next start, the time from that to the one after, and by when its next good backup must be there."""

    next_start: datetime
    interval: timedelta
    due_at: datetime
    overdue_at: datetime


def times_of(server: ServerConfig, fine_at: datetime, now: datetime) -> Times:
    """Return the server's times at this moment. `fine_at` is when there was last nothing to complain of."""
    return _times(server, overdue_at_of(server, fine_at), now)


def overdue_at_of(server: ServerConfig, fine_at: datetime) -> datetime:
    """Return from when on the server's next good backup is overdue."""
    return due_by(fine_at, server.starts, server.policy.timeout)


def _times(server: ServerConfig, overdue_at: datetime, now: datetime) -> Times:
    following = server.starts.after(now)
    due_at = overdue_at - server.policy.timeout - GRACE
    return Times(following, server.starts.after(following) - following, due_at, overdue_at)


class Timetable:
    """The times of every server that was asked for."""

    def __init__(self) -> None:
        self._overdue: dict[str, tuple[ServerConfig, datetime, datetime]] = {}
        self._times: dict[str, tuple[ServerConfig, Times]] = {}

    def overdue_at(self, server: ServerConfig, fine_at: datetime) -> datetime:
        """As `overdue_at_of`."""
        known = self._overdue.get(server.name)
        if known is None or known[0] is not server or known[1] != fine_at:
            known = self._overdue[server.name] = (server, fine_at, overdue_at_of(server, fine_at))
        return known[2]

    def times(self, server: ServerConfig, fine_at: datetime, now: datetime) -> Times:
        """As `times_of`."""
        overdue_at = self.overdue_at(server, fine_at)
        known = self._times.get(server.name)
        if known and known[0] is server and known[1].overdue_at == overdue_at and now < known[1].next_start:
            return known[1]
        times = _times(server, overdue_at, now)
        self._times[server.name] = (server, times)
        return times

    def forget(self, name: str) -> None:
        """Forget a server that is gone, or another by now."""
        self._overdue.pop(name, None)
        self._times.pop(name, None)
