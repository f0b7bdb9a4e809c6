"""The way into this package: it loads the rest only once a server is to be proven, since that costs memory."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from daemon.config.values import Config, ServerConfig
from daemon.fleet.clients import Clients
from daemon.fleet.on_demand import OnDemand
from daemon.rotation.run import RotationContext
from daemon.state import ProofRecord

if TYPE_CHECKING:
    from daemon.proving.proving import Proving


class DaemonProofs(OnDemand["Proving"]):
    """The daemon's proofs, for as long as any server is to be proven or tried by a drill.

    `once_more` makes another backup of a server. Of each proof in this daemon it hears after those that hear so far.
    """

    def __init__(self, context: RotationContext, clients: Clients, once_more: Callable[[ServerConfig], bool]) -> None:
        super().__init__()
        self._context = context
        self._clients = clients
        self._once_more = once_more
        self._tell, context.on_proof = context.on_proof, self._proved

    def wanted(self, config: Config) -> bool:
        """Return whether any server is to be proven, or is tried by a drill, which may find its newest backup bad."""
        return bool(config.drilled) or any(server.policy.prove for server in config.servers.values())

    def _proved(self, record: ProofRecord, size: int, seconds: float) -> None:
        self._tell(record, size, seconds)
        if self._part is not None:
            self._part.proved(record)

    def load(self) -> "Proving":
        """Import the proofs, and make them with a process of their own."""
        from daemon.copying.process import ChildProcess  # noqa: PLC0415 — a daemon without proofs must not pay for it
        from daemon.proving.proving import Proving  # noqa: PLC0415 — as above

        return Proving(self._context, self._clients, ChildProcess(), self._once_more)
