"""Whether the key may delete backups on a server, for callers that saw the server in a list.

A server's view gives the key's permissions. A list gives only who owns the server, and the owner may do everything.
Otherwise it takes a view. A yes is remembered for a week, so that it costs little, and forgotten at the first deletion
that is refused. A no is checked each time, since somebody may have granted the permission. If the panel does not say,
or does not answer, the answer is yes.
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
        """Return whether the key may delete backups on this server, which was seen so a moment ago."""
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
        """Take note that the panel refused a deletion there for lack of the permission."""
        self._granted.pop(server_id, None)
