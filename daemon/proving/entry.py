"""The way into this package: it loads the rest only once a server is to be proven, since that costs memory."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from daemon.config.values import Config
from daemon.fleet.clients import Clients
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome
from daemon.rotation.run import RotationContext

if TYPE_CHECKING:
    from daemon.proving.proving import Proving


class DaemonProofs:
    """The daemon's proofs, for as long as any server is to be proven; a listener of the fleet.

    `once_more` makes another backup of a server.
    """

    def __init__(self, context: RotationContext, clients: Clients, once_more: Callable[[str], None]) -> None:
        self._context = context
        self._clients = clients
        self._once_more = once_more
        self._proving: Proving | None = None

    async def began(self, order: Order) -> None:
        """A rotation begins: the node's slots tell of it."""

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        if self._proving is not None:
            self._proving.rotated(order.server.name, outcome)

    def follow(self, config: Config) -> None:
        """Obey a configuration."""
        if self._proving is None and any(server.policy.prove for server in config.servers.values()):
            from daemon.copying.process import ChildProcess  # noqa: PLC0415 — a daemon without proofs must not pay
            from daemon.proving.proving import Proving  # noqa: PLC0415 — as above

            self._proving = Proving(self._context, self._clients, ChildProcess(), self._once_more)
        if self._proving is not None:
            self._proving.follow(config)

    async def stop(self) -> None:
        """Leave what is being read."""
        if self._proving is not None:
            await self._proving.stop()
