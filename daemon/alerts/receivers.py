"""All receivers that are configured: who is sent what, and what becomes of what waits when that changes."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from daemon.alerts import by_apprise
from daemon.alerts.message import Message
from daemon.alerts.receiver import Receiver
from daemon.alerts.sender import Sender
from daemon.clock import Clock
from daemon.config.errors import ConfigError, ConfigIssue
from daemon.config.values import AlertConfig, Config, ServerConfig

Letter = tuple[str, Message]
"""A message, and the name of a receiver that is to get it."""


def refuse_unusable(config: Config) -> None:
    """Raise ConfigError for addresses that Apprise does not understand; only Apprise itself can tell."""
    problems = [
        ConfigIssue(
            str(next(iter(config.files), "")), f"alerts.{name}.url", None, "Apprise does not understand the address"
        )
        for name, receiver in config.alerts.items()
        if receiver.type == "apprise" and not by_apprise.understood(receiver.url.get_secret_value())
    ]
    if problems:
        raise ConfigError(problems)


class Receivers:
    """The receivers by name. `claim` returns those of some messages to one of them that may be sent from here; `taken`
    is called with what one has taken, and `lost` with what nobody can be sent any more.
    """

    def __init__(
        self,
        sender: Sender,
        clock: Clock,
        *,
        claim: Callable[[str, Sequence[Message]], Awaitable[Sequence[Message]]],
        taken: Callable[[str, Sequence[Message]], Awaitable[None]],
        lost: Callable[[str, Sequence[Message]], None],
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._claim = claim
        self._taken = taken
        self._lost = lost
        self._page = ""
        """The address of the status page; empty if it is not configured."""

        self._servers: Collection[ServerConfig] = ()
        self.by_name: dict[str, Receiver] = {}

    @property
    def waiting(self) -> Sequence[Letter]:
        """What waits, by receiver, oldest first."""
        return [(name, one) for name, receiver in self.by_name.items() for one in receiver.waiting]

    def follow(self, config: Config, servers: Collection[ServerConfig]) -> None:
        """Obey a configuration; `servers` are those that are alerted on from here."""
        self._page = config.http.external_url if config.http else ""
        self._servers = config.servers.values()
        for name, receiver in list(self.by_name.items()):
            if (alert := config.alerts.get(name)) != receiver.config:
                self._retire(name, receiver, alert)
        for name, alert in config.alerts.items():
            if name not in self.by_name:
                self.by_name[name] = self._receiver(alert)
        for receiver in self.by_name.values():
            receiver.follow(servers)

    def takes_messages(self, name: str) -> bool:
        """Return whether there is such a receiver, and it takes messages."""
        return name in self.by_name and self.by_name[name].config.type != "ping"

    def recall(self, waiting: Mapping[str, Sequence[Message]]) -> None:
        """Queue what an earlier daemon could not deliver, by receiver."""
        for name, messages in waiting.items():
            if self.takes_messages(name):
                self.by_name[name].recall(messages)
            else:
                self._lost(name, messages)

    def leave(self, names: Collection[str], *, besides: Collection[Letter]) -> None:
        """Leave it to others to send what waits of these servers and stores, besides those letters."""
        for name, receiver in self.by_name.items():
            receiver.leave(names, besides={one for to, one in besides if to == name})

    def tell(self, letters: Sequence[Letter]) -> None:
        """Send each message to its receiver."""
        for name, one in letters:
            if name in self.by_name:
                self.by_name[name].tell(one)
            else:
                self._lost(name, [one])

    def of(self, server: ServerConfig) -> list[Receiver]:
        """Return the receivers of alerts on this server."""
        names = self.by_name if server.policy.alerts is None else server.policy.alerts
        return [self.by_name[name] for name in names if name in self.by_name]

    def of_store(self, store: str) -> list[Receiver]:
        """Return the receivers of alerts on any server that is copied to this store."""
        servers = [server for server in self._servers if store in server.policy.copies]
        return list({one.config.name: one for server in servers for one in self.of(server)}.values())

    def _receiver(self, alert: AlertConfig) -> Receiver:
        return Receiver(
            alert,
            self._sender,
            self._clock,
            claim=lambda messages: self._claim(alert.name, messages),
            taken=lambda messages: self._taken(alert.name, messages),
            page=lambda: self._page,
        )

    def _retire(self, name: str, receiver: Receiver, alert: AlertConfig | None) -> None:
        """Let what waits go to the receiver's new address, where it has one."""
        receiver.stop()
        del self.by_name[name]
        if alert is None or alert.type == "ping":
            self._lost(name, receiver.waiting)
            return
        self.by_name[name] = self._receiver(alert)
        self.by_name[name].tell(*receiver.waiting)
