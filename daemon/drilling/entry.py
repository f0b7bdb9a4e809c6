"""The way into this package: it loads the rest only once a drill is configured, or one was killed, since that costs
memory.
"""

from typing import TYPE_CHECKING

from daemon.config.values import Config
from daemon.errors import StateError
from daemon.fleet.clients import Clients
from daemon.fleet.on_demand import OnDemand
from daemon.rotation.run import RotationContext

if TYPE_CHECKING:
    from daemon.drilling.drilling import Drilling


class DaemonDrills(OnDemand["Drilling"]):
    """The daemon's drills, for as long as any is configured."""

    def __init__(self, context: RotationContext, clients: Clients) -> None:
        super().__init__()
        self._context = context
        self._clients = clients
        self._left = False

    async def look_for_killed(self) -> None:
        """See whether a drill was killed: what it left is cleared, though no drill may be configured any more."""
        try:
            self._left = any(one.ended_at is None for one in await self._context.journal.drills())
        except StateError:
            self._left = True  # nobody knows; the rest waits until it can be read

    def wanted(self, config: Config) -> bool:
        """Return whether there is any drill, or was: what one by hand left is cleared too."""
        return bool(config.drills) or self._left

    def load(self) -> "Drilling":
        """Import the drilling, and make it with a process of its own."""
        from daemon.copying.process import ChildProcess  # noqa: PLC0415 — a daemon without drills must not pay for it
        from daemon.drilling.drilling import Drilling  # noqa: PLC0415 — as above

        return Drilling(self._context, self._clients, ChildProcess())
