"""The way into this package: it loads the rest only once a server has stores, since that costs memory."""

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from daemon.config.values import Config
from daemon.fleet.clients import Clients
from daemon.fleet.on_demand import OnDemand
from daemon.rotation.run import RotationContext

if TYPE_CHECKING:
    from daemon.copying.copying import Copying


class DaemonCopies(OnDemand["Copying"]):
    """The daemon's copying, for as long as any server has stores."""

    def __init__(self, context: RotationContext, clients: Clients) -> None:
        super().__init__()
        self._elsewhere: AbstractSet[str] = frozenset()
        self._context = context
        self._clients = clients

    def wanted(self, config: Config) -> bool:
        """Return whether any server has stores."""
        return any(server.policy.copies for server in config.servers.values())

    def load(self) -> "Copying":
        """Import the copying, and make it with a process of its own."""
        from daemon.copying.copying import Copying  # noqa: PLC0415 — a daemon without stores must not pay for it
        from daemon.copying.process import ChildProcess  # noqa: PLC0415 — as above

        worker = ChildProcess(hindrance=self._context.engine.leadership.hindrance)
        return Copying(self._context, self._clients, worker, lambda: self._elsewhere)

    def follow(self, config: Config, elsewhere: AbstractSet[str] = frozenset()) -> None:
        """Obey a configuration; `elsewhere` are the servers that other members of a cluster copy."""
        self._elsewhere = elsewhere
        super().follow(config)
