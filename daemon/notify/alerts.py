"""The fleet's listener that tells people: it hears of every rotation, looks at the clock, and remembers what was told.

What it remembers is kept in the journal, so that a restart neither repeats a message nor forgets that something is
overdue. Nothing here waits for a receiver, and trouble with the journal costs no more than the memory.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime

from daemon.clock import Clock
from daemon.config.values import Config, ServerConfig
from daemon.core.watch import Event, Report, Watch, due_by, looked, reported
from daemon.errors import StateError
from daemon.history import Journal
from daemon.log import get_logger
from daemon.notify import memory, message
from daemon.notify.judge import knowing, report_of
from daemon.notify.message import Message, Ping
from daemon.notify.post import Poster
from daemon.notify.receivers import Receiver
from daemon.rotation.outcome import Outcome, Result
from daemon.rotation.run import Order

log = get_logger()

LOOK_SECONDS = 60.0


class Alerts:
    """Everybody who is told, and what is known of every server. Where nobody is told nothing is remembered either."""

    def __init__(
        self, config: Config, journal: Callable[[], Journal], clock: Clock, poster: Poster | None = None
    ) -> None:
        self._config = config
        self._journal = journal
        self._clock = clock
        self._poster = poster or Poster()
        self._receivers: dict[str, Receiver] = {}
        self._retired: list[Receiver] = []
        self._servers: Mapping[str, ServerConfig] = {}
        self._watches: dict[str, Watch] = {}
        self._due: dict[str, datetime] = {}
        self._runs: dict[str, str] = {}
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Recall what was told before, and begin to look at the clock."""
        try:
            self._watches = memory.recalled(self._journal())
        except StateError as error:
            log.warning("alerts_not_recalled", text=error.text)
        self.reload(self._config)
        self._looking = asyncio.create_task(self._look_now_and_then(), name="overdue backups")

    def reload(self, config: Config) -> None:
        """Obey a new configuration: what is known of servers that stay is kept, what waits for a receiver too."""
        for name, receiver in list(self._receivers.items()):
            if config.alerts.get(name) != receiver.config:
                self._retired.append(self._receivers.pop(name))
        for name, alert in config.alerts.items():
            self._receivers.setdefault(name, Receiver(alert, self._poster, self._clock))
        servers = config.servers if config.alerts else {}
        gone, self._servers = self._servers.keys() - servers.keys(), servers
        now = self._clock.now()
        new = {name: Watch(now) for name in servers if name not in self._watches}
        self._remember({**dict.fromkeys(gone), **new})
        self._due.clear()

    async def close(self, bound: float) -> None:
        """Send what waits, within that many seconds."""
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.gather(*(receiver.close(bound) for receiver in (*self._receivers.values(), *self._retired)))
        await self._poster.aclose()

    def began(self, order: Order) -> None:
        """A rotation begins."""
        self._runs[order.server.name] = str(uuid.uuid4())
        self._ping(order.server, "start")

    def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        server, now = order.server, self._clock.now()
        if server.name not in self._servers:
            return
        report = report_of(order, outcome)
        before = knowing(self._watches[server.name], outcome)
        watch, news = reported(before, report, now)
        self._remember({server.name: watch})
        for piece in news:
            self._tell(message.of_outcome(piece, server, outcome, before, now))
        if report.trouble is not None and outcome.result is not Result.DONE:
            self._ping(server, "fail", message.in_short(outcome))
        elif report.good or report.excused:
            self._ping(server, "success", message.in_short(outcome))

    async def _look_now_and_then(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                for server in self._servers.values():
                    self._look_at(server, self._clock.now())
            except Exception:
                log.exception("overdue_bug")

    def _look_at(self, server: ServerConfig, now: datetime) -> None:
        """Tell where the next good backup is overdue, unless somebody made one by hand meanwhile."""
        before = self._watches[server.name]
        due = self._due.get(server.name) or due_by(before, server.starts, server.policy.timeout)
        self._due[server.name] = due
        watch, news = looked(before, due, now)
        if not news:
            return
        by_hand = self._last_good(server)
        if by_hand is not None and by_hand > before.fine_at:
            watch, news = reported(before, Report(good=True), by_hand)
        self._remember({server.name: watch})
        for piece in news:
            if piece.event is not Event.DONE:
                self._tell(message.of_time(piece, server, before, due, now))

    def _last_good(self, server: ServerConfig) -> datetime | None:
        """When the journal's last rotation that got a good backup ended."""
        try:
            return memory.last_good(self._journal(), server.name)
        except StateError:
            return None

    def _remember(self, changes: Mapping[str, Watch | None]) -> None:
        """Take in what is known now of some servers; None where one is gone."""
        changes = {name: watch for name, watch in changes.items() if self._watches.get(name) != watch}
        for name, watch in changes.items():
            self._due.pop(name, None)
            if watch is None:
                del self._watches[name]
            else:
                self._watches[name] = watch
        try:
            memory.remember(self._journal(), changes, self._clock.now())
        except StateError as error:
            log.warning("alerts_not_remembered", text=error.text, consequence="a restart may tell something again")

    def _tell(self, told: Message) -> None:
        log.info("alert", told=told.news.event.value, server=told.server.name, text=told.text)
        for receiver in self._who(told.server):
            receiver.tell(told)

    def _ping(self, server: ServerConfig, step: message.Step, text: str = "") -> None:
        run = self._runs.get(server.name, "")
        for receiver in self._who(server):
            receiver.ping(Ping(step, server, run, text))

    def _who(self, server: ServerConfig) -> list[Receiver]:
        """Who is told of this server."""
        names = self._receivers if server.policy.alerts is None else server.policy.alerts
        return [self._receivers[name] for name in names if name in self._receivers]
