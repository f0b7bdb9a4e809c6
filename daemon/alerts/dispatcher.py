"""The fleet's listener that tells people: it hears of every rotation, looks at the clock, and remembers what was told.

What it remembers is kept in the journal, and with it every message that a receiver has not taken yet: so a restart
neither repeats a message, nor loses one, nor forgets that something is overdue. Nothing here waits for a receiver, and
trouble with the journal costs no more than the memory.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from daemon.alerts import memory, message
from daemon.alerts.assess import report_of
from daemon.alerts.message import Message, Ping
from daemon.alerts.receivers import Receiver
from daemon.alerts.sender import Sender
from daemon.config.values import AlertConfig, Config, ServerConfig
from daemon.core.alerting import AlertState, Event, RotationReport, looked, reported
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.rotation.outcome import Outcome, Result
from daemon.rotation.run import Order
from daemon.state import Journal
from daemon.status.tracker import StatusTracker

log = get_logger()

LOOK_SECONDS = 60.0
SLICE = 25
"""After so many servers others may run."""


class Alerts:
    """Everybody who is told, and of what. Where nobody is told nothing is remembered either.

    How a server stands is the tracker's to say, which therefore hears of each rotation first.
    """

    def __init__(self, config: Config, tracker: StatusTracker, sender: Sender | None = None) -> None:
        self._config = config
        self._tracker = tracker
        self._clock = tracker.clock
        self._poster = sender or Sender()
        self._receivers: dict[str, Receiver] = {}
        self._servers: Mapping[str, ServerConfig] = {}
        self._states: dict[str, AlertState] = {}
        self._runs: dict[str, str] = {}
        self._read: Journal | None = None
        """The journal of which we know what waits in it."""

        self._behind = False
        """Whether it could not be written, so that it holds less than we know, or more."""

        self._looking: asyncio.Task[None] | None = None

    @property
    def _journal(self) -> Journal:
        return self._tracker.context.journal

    def start(self) -> None:
        """Recall what was told before and what waits to be told, and begin to look at the clock."""
        self._states = self._recalled()
        self.reload(self._config)
        self._agree()
        self._looking = asyncio.create_task(self._look_now_and_then(), name="overdue backups")

    def _recalled(self) -> dict[str, AlertState]:
        """Return what the journal remembers of each server; nothing if it cannot be read."""
        try:
            return memory.recalled(self._journal)
        except StateError as error:
            log.warning("alerts_not_recalled", text=error.text)
            return {}

    def _agree(self) -> None:
        """Agree with the journal: recall what waits in one that is new to us, and write what one that failed lacks."""
        journal = self._journal
        if journal is not self._read:
            try:
                waiting = memory.waiting(journal)
            except StateError as error:
                log.warning("alerts_not_recalled", text=error.text)
                return
            if self._read is not None:  # the state was opened anew
                self._behind = True
                fresh = {name for name, state in self._states.items() if state == AlertState()}
                self._states |= {name: state for name, state in self._recalled().items() if name in fresh}
            self._read = journal
            self._recall(waiting)
        if self._behind:
            self._write_all(journal)

    def _recall(self, waiting: Mapping[str, Sequence[Message]]) -> None:
        """Queue what an earlier daemon could not deliver."""
        for name, messages in waiting.items():
            if name in self._receivers and self._receivers[name].config.type != "ping":
                self._receivers[name].recall(messages)
            else:
                self._lose(name, messages)

    def _write_all(self, journal: Journal) -> None:
        """Write all that is known; trouble was told when it began."""
        waiting = [(name, one) for name, receiver in self._receivers.items() for one in receiver.waiting]
        with suppress(StateError):
            known = {name: (self._states[name], self._tracker.at_hand(name)) for name in self._servers}
            memory.remember(journal, known, waiting, self._clock.now(), whole=True)
            self._behind = False

    def reload(self, config: Config) -> None:
        """Obey a new configuration: what is known of servers that stay is kept, what waits for a receiver too."""
        self._config = config
        for name, receiver in list(self._receivers.items()):
            if config.alerts.get(name) != receiver.config:
                self._retire(name, receiver)
        for name, alert in config.alerts.items():
            if name not in self._receivers:
                self._receivers[name] = self._receiver(alert)
        servers = config.servers if config.alerts else {}
        gone, self._servers = self._servers.keys() - servers.keys(), servers
        self._remember({**dict.fromkeys(gone), **{name: AlertState() for name in servers if name not in self._states}})

    def _receiver(self, alert: AlertConfig) -> Receiver:
        def taken(messages: Sequence[Message]) -> None:
            self._forget(alert.name, messages)

        return Receiver(alert, self._poster, self._clock, taken, lambda: self._page)

    @property
    def _page(self) -> str:
        """Where people see how all servers stand; empty where nobody said."""
        return self._config.http.external_url if self._config.http else ""

    def _retire(self, name: str, receiver: Receiver) -> None:
        """Let what waits go to the receiver's new address, where it has one."""
        receiver.stop()
        del self._receivers[name]
        if (alert := self._config.alerts.get(name)) is None or alert.type == "ping":
            self._lose(name, receiver.waiting)
            return
        self._receivers[name] = self._receiver(alert)
        self._receivers[name].tell(*receiver.waiting)

    def _lose(self, name: str, messages: Sequence[Message]) -> None:
        """Tell no more what waits for a receiver that is configured no more."""
        if messages:
            log.warning("alert_lost", receiver=name, count=len(messages), reason="this receiver is configured no more")
            self._forget(name, messages)

    def _forget(self, name: str, messages: Sequence[Message]) -> None:
        """Note that these messages wait no more."""
        try:
            memory.arrived(self._journal, name, messages)
        except StateError as error:
            self._behind = True
            log.warning("alerts_not_remembered", text=error.text, consequence="a restart may tell something again")

    async def close(self, bound: float) -> None:
        """Send what waits, within that many seconds; the rest waits for the next start."""
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.gather(*(receiver.close(bound) for receiver in self._receivers.values()))
        for name, receiver in self._receivers.items():
            if left := len(receiver.waiting):
                self._say_left(name, left)
        await self._poster.aclose()

    def _say_left(self, name: str, left: int) -> None:
        if self._journal.persistent:
            log.info("alerts_wait", receiver=name, count=left, until="the daemon starts again")
        else:
            log.warning("alert_lost", receiver=name, count=left, reason="the daemon stops, and nothing is remembered")

    def began(self, order: Order) -> None:
        """A rotation begins."""
        self._runs[order.server.name] = str(uuid.uuid4())
        self._ping(order.server, "start")

    def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        server, now = order.server, self._clock.now()
        if server.name not in self._servers:
            return
        self._agree()
        report, before = report_of(order, outcome), self._states[server.name]
        state, news = reported(before, report)
        history = self._tracker.at_hand(server.name)
        told = [message.of_outcome(piece, server, outcome, history, now) for piece in news]
        fine = report.good or report.excused
        self._remember({server.name: state} if fine or state != before else {}, self._who(server), told)
        if report.trouble is not None and outcome.result is not Result.DONE:
            self._ping(server, "fail", message.in_short(outcome))
        elif fine:
            self._ping(server, "success", message.in_short(outcome))

    async def _look_now_and_then(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                self._agree()
                for number, server in enumerate(list(self._servers.values()), 1):
                    self._look_at(server, self._clock.now())
                    if number % SLICE == 0:
                        await self._clock.sleep(0)
            except Exception:
                log.exception("overdue_bug")

    def _look_at(self, server: ServerConfig, now: datetime) -> None:
        """Tell where the next good backup is overdue, unless somebody made one by hand meanwhile."""
        name, due = server.name, self._tracker.overdue_at(server.name)
        state, news = looked(self._states[name], due, now)
        if not news:
            return
        before = self._tracker.history(name)
        if self._tracker.look_again(name):
            if self._tracker.history(name).good == before.good:
                return  # there was nothing to back up, which is known only now
            state, news = reported(self._states[name], RotationReport(good=True))
        told = [message.of_time(piece, server, before, due, now) for piece in news if piece.event is not Event.DONE]
        self._remember({name: state}, self._who(server), told)

    def _remember(
        self, changes: Mapping[str, AlertState | None], who: Sequence[Receiver] = (), told: Sequence[Message] = ()
    ) -> None:
        """Take in what was told of some servers, None where one is gone, and tell that; the journal first.

        With it the journal is told how they stand, so that a restart need not read all their rotations.
        """
        for name, state in changes.items():
            if state is None:
                self._states.pop(name, None)
            else:
                self._states[name] = state
        known = {
            name: state if state is None else (state, self._tracker.at_hand(name)) for name, state in changes.items()
        }
        letters = [(receiver, one) for one in told for receiver in who if receiver.wants(one)]
        waiting = [(receiver.config.name, one) for receiver, one in letters]
        try:
            memory.remember(self._journal, known, waiting, self._clock.now())
        except StateError as error:
            self._behind = True
            log.warning("alerts_not_remembered", text=error.text, consequence="a restart may tell something again")
        for one in told:
            log.info("alert", told=one.news.event.value, server=one.server, text=one.text)
        for receiver, one in letters:
            receiver.tell(one)

    def _ping(self, server: ServerConfig, step: message.Step, text: str = "") -> None:
        run = self._runs.get(server.name, "")
        for receiver in self._who(server):
            receiver.ping(Ping(step, server, run, text))

    def _who(self, server: ServerConfig) -> list[Receiver]:
        """Who is told of this server."""
        names = self._receivers if server.policy.alerts is None else server.policy.alerts
        return [self._receivers[name] for name in names if name in self._receivers]
