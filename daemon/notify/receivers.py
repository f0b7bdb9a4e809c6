"""Receivers, each with its outbox: what they ask for, and how it reaches them."""

from daemon.clock import Clock
from daemon.config.errors import ConfigError, Problem
from daemon.config.values import AlertConfig, Config
from daemon.core.watch import wanted
from daemon.notify import by_apprise, forms
from daemon.notify.message import Message, Ping
from daemon.notify.outbox import Letter, Outbox
from daemon.notify.post import Failure, Poster


def refuse_unusable(config: Config) -> None:
    """Raise ConfigError for addresses that Apprise does not understand, which only Apprise itself can tell."""
    problems = [
        Problem(
            str(next(iter(config.files), "")), f"alerts.{name}.url", None, "Apprise does not understand the address"
        )
        for name, receiver in config.alerts.items()
        if receiver.type == "apprise" and not by_apprise.understood(receiver.url.get_secret_value())
    ]
    if problems:
        raise ConfigError(problems)


class Receiver:
    """One receiver. Neither `tell` nor `ping` waits for anything."""

    def __init__(self, config: AlertConfig, poster: Poster, clock: Clock) -> None:
        self.config = config
        self._poster = poster
        self._outbox = Outbox(config.name, clock)

    def tell(self, message: Message) -> None:
        """Send the message, where this receiver asked for such news."""
        if self.config.type != "ping" and wanted(message.news, self.config.events):
            self._outbox.put(Letter(lambda: self._send(message), message.news.event.value, message.server.name))

    def ping(self, ping: Ping) -> None:
        """Send a sign of life, where this receiver is one for these; a start that comes late would be a lie."""
        if self.config.type == "ping":
            post = forms.ping(self.config.url.get_secret_value(), ping)
            lasting = ping.step != "start"
            self._outbox.put(Letter(lambda: self._poster.send(post), ping.step, ping.server.name, lasting))

    async def close(self, bound: float) -> None:
        """Send what waits, within that many seconds."""
        await self._outbox.close(bound)

    async def _send(self, message: Message) -> Failure | None:
        url = self.config.url.get_secret_value()
        if self.config.type == "apprise":
            return await by_apprise.send(url, message)
        return await self._poster.send(forms.webhook(url, message))
