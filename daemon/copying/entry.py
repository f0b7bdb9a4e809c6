"""The way into this package: it loads the rest only once a server has stores, since that costs memory."""

from typing import TYPE_CHECKING

from daemon.config.values import Config
from daemon.fleet.clients import Clients
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome
from daemon.rotation.run import RotationContext

if TYPE_CHECKING:
    from daemon.copying.copying import Copying


class DaemonCopies:
    """The daemon's copying, for as long as any server has stores; a listener of the fleet."""

    def __init__(self, context: RotationContext, clients: Clients) -> None:
        self._context = context
        self._clients = clients
        self._copying: Copying | None = None

    async def began(self, order: Order) -> None:
        """A rotation begins: the node's slots tell of it."""

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        if self._copying is not None:
            self._copying.rotated(order.server.name, outcome)

    def follow(self, config: Config) -> None:
        """Obey a configuration."""
        if self._copying is None and any(server.policy.copies for server in config.servers.values()):
            from daemon.copying.copying import Copying  # noqa: PLC0415 — a daemon without stores must not pay for it
            from daemon.copying.process import ChildProcess  # noqa: PLC0415 — as above

            self._copying = Copying(self._context, self._clients, ChildProcess())
        if self._copying is not None:
            self._copying.follow(config)

    async def stop(self) -> None:
        """Leave what is being copied."""
        if self._copying is not None:
            await self._copying.stop()
