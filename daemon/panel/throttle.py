"""The panel's creation throttle, remembered per server: while it is known to last, no create is sent.

A create that the throttle refuses still counts against the API limit, and a fleet would ask again and again.
"""

from daemon.clock import Clock
from daemon.panel.error_map import CREATION_MARGIN
from daemon.panel.errors import CreationThrottledError


class CreationThrottle:
    """When each server's throttle ends, as the panel last said."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def check(self, server_id: str, action: str) -> None:
        """Raise CreationThrottledError if the server's throttle is known to last; `action` begins its text."""
        seconds = self._until.get(server_id, float("-inf")) - self._clock.monotonic()
        if seconds > 0:
            text = f"{action}: the panel's creation throttle lasts for another {seconds:.0f} s"
            raise CreationThrottledError(text, retry_after=seconds)

    def refused(self, server_id: str, error: CreationThrottledError) -> None:
        """Remember that the panel refused a create, and for how long."""
        self._until[server_id] = self._clock.monotonic() + (error.retry_after or CREATION_MARGIN)

    def deleted(self, server_id: str) -> None:
        """Forget the server's throttle: a Pelican's does not count what was deleted, so it is worth asking again."""
        self._until.pop(server_id, None)
