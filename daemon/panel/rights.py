"""Whether the key may delete backups on a server, for those who saw the server in a list.

Its view tells the key's permissions. A list tells only whose the server is: its owner may do everything. For anybody
else it takes a view: a yes is remembered for a week, so that it costs nothing in the long run, and is forgotten at the
first deletion that is refused. A no is looked at each time, since somebody may have mended it. Where the panel does not
tell, or does not answer, nothing speaks against it.
"""

from collections.abc import Awaitable, Callable

from daemon.clock import Clock
from daemon.core.model import Server
from daemon.panel.errors import PanelError

DELETE = "backup.delete"
EVERYTHING = "*"
TRUSTED_SECONDS = 7 * 86_400.0


class Rights:
    """What one key may do on one panel's servers. `view` shows a server with the key's permissions on it."""

    def __init__(self, clock: Clock, view: Callable[[str], Awaitable[Server]]) -> None:
        self._clock = clock
        self._view = view
        self._granted: dict[str, float] = {}

    async def may_delete(self, server_id: str, seen: Server) -> bool:
        """Whether the key may delete backups on this server, which was seen so a moment ago."""
        if seen.permissions is None and not seen.owned:
            if self._clock.monotonic() < self._granted.get(server_id, float("-inf")):
                return True
            try:
                seen = await self._view(server_id)
            except PanelError:
                return True
        if seen.permissions is None:
            return True  # its owner, or a panel that does not tell
        may = not seen.permissions.isdisjoint({DELETE, EVERYTHING})
        if may:
            self._granted[server_id] = self._clock.monotonic() + TRUSTED_SECONDS
        return may

    def refused(self, server_id: str) -> None:
        """Take in that the panel refused a deletion there for want of the permission."""
        self._granted.pop(server_id, None)
