"""A receiver with its outboxes: which events it asks for, and how messages reach it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Container, Hashable, Iterable, Sequence
from dataclasses import dataclass

from daemon.alerts import by_apprise
from daemon.alerts import formats as forms
from daemon.alerts.message import Digest, Message, Ping
from daemon.alerts.outbox import Outbox
from daemon.alerts.sender import Failure, Sender
from daemon.clock import Clock
from daemon.config.values import AlertConfig, ServerConfig
from daemon.core.alerting import wanted

SINGLY = 5
"""If more messages wait, they are sent as one."""

AT_ONCE = 8
"""How many addresses of one receiver of pings are asked at once."""


@dataclass(frozen=True, slots=True)
class _Letter:
    """A message on its way. There is at most one for each event of a server: the newest."""

    message: Message

    @property
    def key(self) -> Hashable:
        return self.message.server, self.message.news.event

    def worth(self, _: Failure) -> bool:
        """Return True: a wrong address may be corrected."""
        return True


@dataclass(frozen=True, slots=True)
class _Pinged:
    """A ping on its way."""

    ping: Ping
    post: forms.Post

    @property
    def key(self) -> Hashable:
        return self.ping.server.name, self.ping.step

    def worth(self, failure: Failure) -> bool:
        """Return whether another try is worthwhile: not for a start, which would come too late, nor for one that is
        refused, since the service reports silence by itself.
        """
        return failure.passing and self.ping.step != "start"


class Receiver:
    """One receiver. Neither `tell` nor `ping` waits for anything. `claim` returns those of some messages that may be
    sent from here; `taken` is called with those that arrived. `page` is the link in a digest.
    """

    def __init__(
        self,
        config: AlertConfig,
        sender: Sender,
        clock: Clock,
        *,
        claim: Callable[[Sequence[Message]], Awaitable[Sequence[Message]]],
        taken: Callable[[Sequence[Message]], Awaitable[None]],
        page: Callable[[], str] = str,
    ) -> None:
        self.config = config
        self._poster = sender
        self._clock = clock
        self._page = page
        self._claim_messages = claim
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._messages = Outbox[_Letter](
            config.name,
            clock,
            pick=self._pick,
            send=self._send,
            claim=self._claim,
            taken=lambda letters: taken([letter.message for letter in letters]),
            gathers=True,
        )
        self._pings: dict[str, Outbox[_Pinged]] = {}

    @property
    def waiting(self) -> Sequence[Message]:
        """The messages that wait, oldest first."""
        return [letter.message for letter in self._messages.waiting]

    def wants(self, message: Message) -> bool:
        """Return whether this receiver asked for such news."""
        return self.config.type != "ping" and wanted(message.news, self.config.events)

    def tell(self, *messages: Message) -> None:
        """Send the messages, or the newest of each kind."""
        self._messages.put(*map(_Letter, messages))

    def recall(self, messages: Sequence[Message]) -> None:
        """Send what waited before, unless there is a newer one of its kind."""
        newer = {_Letter(message).key for message in self.waiting}
        self.tell(*(message for message in messages if _Letter(message).key not in newer))

    def leave(self, servers: Collection[str], *, besides: Container[Message]) -> None:
        """Leave it to others to send what waits of these servers, besides those messages."""
        for message in self.waiting:
            if message.server in servers and message not in besides:
                self._messages.drop(_Letter(message).key)

    def ping(self, ping: Ping) -> None:
        """Send a sign of life, if this receiver takes pings. Each address has its own order; an end makes the start
        before it unnecessary.
        """
        if self.config.type != "ping":
            return
        post = forms.ping(self.config.url.get_secret_value(), ping)
        outbox = self._outbox_of(forms.address_of(self.config.url.get_secret_value(), ping.server))
        outbox.drop((ping.server.name, "start"))
        if ping.step != "start" or not outbox.in_trouble:
            outbox.put(_Pinged(ping, post))

    def follow(self, servers: Iterable[ServerConfig]) -> None:
        """Forget the addresses that none of these servers has, once nothing waits for them."""
        url = self.config.url.get_secret_value()
        known = {forms.address_of(url, server) for server in servers} if self._pings else set()
        for address in [one for one, outbox in self._pings.items() if one not in known and not outbox.waiting]:
            del self._pings[address]

    def stop(self) -> None:
        """Send nothing more."""
        self._messages.stop()
        for outbox in self._pings.values():
            outbox.stop()

    async def close(self, bound: float) -> None:
        """Send what waits, within that many seconds."""
        await asyncio.gather(self._messages.close(bound), *(outbox.close(bound) for outbox in self._pings.values()))

    def _outbox_of(self, address: str) -> Outbox[_Pinged]:
        """Return the address's own outbox, so that one in trouble holds up no other."""
        if address not in self._pings:
            self._pings[address] = Outbox(
                self.config.name, self._clock, pick=_ends_first, send=self._send_ping, taken=_nothing
            )
        return self._pings[address]

    def _pick(self, waiting: Sequence[_Letter], refused: bool) -> Sequence[_Letter]:
        """Return the messages to send as one. Only our own form holds all of a digest, and so may grow too long."""
        letters = _together(waiting, refused)
        if self.config.type != "webhook" or forms.is_discord(self.config.url.get_secret_value()):
            return letters
        return letters[: forms.fitting([letter.message for letter in letters])]

    async def _send_ping(self, letters: Sequence[_Pinged]) -> Failure | None:
        async with self._slots:
            return await self._poster.send(letters[0].post)

    async def _claim(self, letters: Sequence[_Letter]) -> Sequence[_Letter]:
        return [*map(_Letter, await self._claim_messages([letter.message for letter in letters]))]

    async def _send(self, letters: Sequence[_Letter]) -> Failure | None:
        url = self.config.url.get_secret_value()
        messages = [letter.message for letter in letters]
        content = messages[0] if len(messages) == 1 else Digest(messages, self._page())
        if self.config.type == "apprise":
            return await by_apprise.send(url, content)
        return await self._poster.send(forms.webhook(url, content))


async def _nothing(_: Sequence[_Pinged]) -> None:
    """Nobody remembers pings."""


def _together(waiting: Sequence[_Letter], refused: bool) -> Sequence[_Letter]:
    """Return the messages to send as one. After a refusal all go as one, since the words of one may be refused."""
    return waiting if refused or len(waiting) > SINGLY else waiting[:1]


def _ends_first(waiting: Sequence[_Pinged], _: bool) -> Sequence[_Pinged]:
    """Return the pings with the starts of other servers at the same address last."""
    return next(([letter] for letter in waiting if letter.ping.step != "start"), waiting[:1])
