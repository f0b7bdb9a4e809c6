"""How often a panel lets somebody do something: the API limit, the restore throttle, the creation throttle."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.sandbox.answers import PanelRefusal
from daemon.sandbox.records import Server, State
from daemon.sandbox.settings import Settings

API_SECONDS = 60.0


@dataclass(slots=True)
class Window:
    """A fixed window that begins with the first request in it: of all requests one for each user, of restores one for
    each server.
    """

    length: float = API_SECONDS
    ends: float = -math.inf
    count: int = 0

    def admit(self, limit: int, seconds: float, now: datetime) -> dict[str, str]:
        """Count one request at `seconds` of the monotonic scale and return the headers; raise 429 when it is full."""
        if seconds >= self.ends:
            self.ends, self.count = seconds + self.length, 0
        headers = {"X-RateLimit-Limit": str(limit)}
        if self.count >= limit:
            raise too_many_attempts(headers, math.ceil(self.ends - seconds), now)
        self.count += 1
        return {**headers, "X-RateLimit-Remaining": str(limit - self.count)}


def too_many_attempts(headers: dict[str, str], wait: int, now: datetime) -> PanelRefusal:
    """429 of the general kind, with the second from which it is over."""
    headers = {
        **headers,
        "X-RateLimit-Remaining": "0",
        "Retry-After": str(wait),
        "X-RateLimit-Reset": str(int(now.timestamp()) + wait),
    }
    return PanelRefusal(429, "ThrottleRequestsException", "Too Many Attempts.", headers=headers)


def check_creation(server: Server, settings: Settings, now: datetime) -> None:
    """Raise 429 while as many backups as allowed are young.

    Measured: times count in whole seconds, so the window is up to a second longer than it says; `Retry-After` is
    counted from the newest (too long) and cut to whole seconds (too short), and where that gives 0 it is missing.
    """
    if not settings.creation_limit:
        return
    forget_old_creations(server, settings, now)
    young = [backup for backup in server.recent if backup.state is not State.FAILED]
    if len(young) < settings.creation_limit:
        return
    span = timedelta(seconds=settings.creation_seconds)
    wait = int(abs((young[-1].created_at + span - now).total_seconds()))
    detail = (
        f"Only {settings.creation_limit} backups may be generated within a {settings.creation_seconds} second span of"
        " time."
    )
    headers = {"Retry-After": str(wait)} if wait else {}
    raise PanelRefusal(429, "TooManyRequestsHttpException", detail, headers=headers)


def forget_old_creations(server: Server, settings: Settings, now: datetime) -> None:
    """Keep in `recent` only those that the creation throttle still looks at."""
    since = now.replace(microsecond=0) - timedelta(seconds=settings.creation_seconds)
    if any(backup.created_at < since for backup in server.recent):
        young = [backup for backup in server.recent if backup.created_at >= since]
        server.recent.clear()
        server.recent.extend(young)
