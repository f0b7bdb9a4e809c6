"""The fleet's listener that sends alerts: it hears of every rotation, watches the clock, and remembers what it sent.

Its memory is in the journal, together with every message that a receiver has not taken yet. So a restart neither
repeats a message, nor loses one, nor forgets that something is overdue. Nothing here waits for a receiver, and if the
journal fails, nothing but that memory is lost.
"""

import asyncio
import uuid
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from datetime import datetime

from daemon.alerts import memory, message
from daemon.alerts.assess import report_of
from daemon.alerts.copies import about_copies, about_store, key_of
from daemon.alerts.drills import about_drills
from daemon.alerts.message import STORES, Message, Ping
from daemon.alerts.proofs import about_proofs
from daemon.alerts.receivers import Receiver
from daemon.alerts.sender import Sender
from daemon.config.values import AlertConfig, Config, ServerConfig
from daemon.core.alerting import AlertState, Event, RotationReport, looked, reported
from daemon.errors import StateError
from daemon.fleet.sharing import Share
from daemon.log import get_logger
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome, Result
from daemon.state import Journal
from daemon.status.history import ServerHistory
from daemon.status.tracker import StatusTracker

log = get_logger()

LOOK_SECONDS = 60.0
SLICE = 25
"""After so many servers, let other tasks run."""


class Alerts:
    """The receivers of alerts, and what was sent about each server. Without a receiver nothing is remembered either.

    How a server stands is asked of the tracker, which must therefore hear of each rotation first. In a cluster this
    member alerts on the servers of its `share` alone, and one member on the stores.
    """

    def __init__(
        self, config: Config, tracker: StatusTracker, sender: Sender | None = None, share: Share | None = None
    ) -> None:
        self._config = config
        self._share = share or Share(config)
        self._elsewhere: AbstractSet[str] = frozenset()
        """The servers that other members alert on."""

        self._tracker = tracker
        self._clock = tracker.clock
        self._poster = sender or Sender()
        self._receivers: dict[str, Receiver] = {}
        self._servers: Mapping[str, ServerConfig] = {}
        self._states: dict[str, AlertState] = {}
        self._runs: dict[str, str] = {}
        self._read: Journal | None = None
        """The journal whose waiting messages we have read."""

        self._behind = False
        """Whether it could not be written, so that it holds less than we know, or more."""

        self._agreeing = asyncio.Lock()
        self._writing = asyncio.Lock()
        """Held from a write to what follows from it, so that nobody writes all while something is on its way."""

        self._writes: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None

    @property
    def _journal(self) -> Journal:
        return self._tracker.context.journal

    async def start(self) -> None:
        """Recall what was sent before and what waits to be sent, and begin to watch the clock."""
        await self._tracker.read_journal()
        self._states = await self._recalled()
        self.reload(self._config, self._share)
        await self._agree()
        self._looking = asyncio.create_task(self._look_now_and_then(), name="overdue backups")

    async def _recalled(self) -> dict[str, AlertState]:
        """Return what the journal remembers of each server; nothing if it cannot be read."""
        try:
            return await memory.recalled(self._journal)
        except StateError as error:
            log.warning("alerts_not_recalled", text=error.text)
            return {}

    async def _agree(self) -> None:
        """Bring the journal up to date: recall what waits in a new one, and write what a failed one lacks."""
        await self._tracker.read_journal()
        async with self._agreeing:
            journal = self._journal
            if journal is not self._read:
                try:
                    waiting = await memory.waiting(journal)
                except StateError as error:
                    log.warning("alerts_not_recalled", text=error.text)
                    return
                if self._read is not None:  # the state was opened anew
                    self._behind = True
                    recalled = await self._recalled()
                    fresh = {name for name, state in self._states.items() if state == AlertState()}
                    self._states |= {name: state for name, state in recalled.items() if name in fresh}
                self._read = journal
                self._recall(waiting)
            if self._behind:
                await self._write_all(journal)

    def _recall(self, waiting: Mapping[str, Sequence[Message]]) -> None:
        """Queue what an earlier daemon could not deliver."""
        for name, found in waiting.items():
            messages = [one for one in found if self._is_ours(one.server)]
            if name in self._receivers and self._receivers[name].config.type != "ping":
                self._receivers[name].recall(messages)
            else:
                self._lose(name, messages)

    async def _write_all(self, journal: Journal) -> None:
        """Write everything again; the failure itself was logged when it happened."""
        async with self._writing:
            waiting = [(name, one) for name, receiver in self._receivers.items() for one in receiver.waiting]
            stores = self._states.keys() & {key_of(store) for store in self._config.stores}
            known = {name: (self._states[name], self._standing(name)) for name in (*self._servers, *stores)}
            with suppress(StateError):
                await memory.remember(journal, known, waiting, self._clock.now(), whole=self._is_alone)
                self._behind = False

    def reload(self, config: Config, share: Share | None = None) -> None:
        """Take in a new configuration, or share; keep what is known of servers that stay, and what waits to be sent."""
        self._config, before = config, self._share
        self._share = share or Share(config)
        for name, receiver in list(self._receivers.items()):
            if config.alerts.get(name) != receiver.config:
                self._retire(name, receiver)
        for name, alert in config.alerts.items():
            if name not in self._receivers:
                self._receivers[name] = self._receiver(alert)
        servers = self._share.config.servers if config.alerts else {}
        for receiver in self._receivers.values():
            receiver.follow(servers.values())
        left, came = self._servers.keys() - servers.keys(), servers.keys() - self._servers.keys()
        self._servers, were_elsewhere = servers, self._elsewhere
        self._elsewhere = config.servers.keys() - self._share.config.servers.keys()
        gives_fleet = before.fleet and not self._share.fleet
        self._hand_over(self._not_ours() if gives_fleet else left & self._elsewhere)
        taken = came & were_elsewhere
        stores = {key_of(store) for store in config.stores}
        takes_fleet = self._share.fleet and not before.fleet
        if takes_fleet:
            taken |= stores
        self._states |= {name: AlertState() for name in taken}
        gone = left - self._elsewhere
        gone |= {one for one in self._states if one.startswith(STORES)} - stores
        new = {name: AlertState() for name in servers if name not in self._states}
        self._later(self._write(self._take_in({**dict.fromkeys(gone), **new})))
        if taken or takes_fleet:
            self._later(self._take_over(taken, unknown=takes_fleet))

    @property
    def _is_alone(self) -> bool:
        """Whether there is no cluster, so that nobody else writes to the journal."""
        return self._tracker.context.engine.leadership.shares is None

    def _is_ours(self, name: str) -> bool:
        """Return whether this member alerts on a server, or a store. What waits of servers that are not configured, or
        not discovered yet, is sent by the member that looks after the fleet.
        """
        return name in self._servers or (self._share.fleet and name not in self._elsewhere)

    def _not_ours(self) -> AbstractSet[str]:
        """Return the servers and stores of which something is remembered, or waits, and on which others alert."""
        waiting = {one.server for receiver in self._receivers.values() for one in receiver.waiting}
        return {name for name in self._states.keys() | waiting if not self._is_ours(name)}

    def _hand_over(self, names: AbstractSet[str]) -> None:
        """Leave to another member what is remembered of these servers and what waits to be sent: the journal has it."""
        for name in names:
            if name in self._elsewhere or name.startswith(STORES):
                self._states.pop(name, None)
        for receiver in self._receivers.values():
            receiver.leave(names)

    async def _take_over(self, names: AbstractSet[str], *, unknown: bool) -> None:
        """Recall what another member remembered of these, and what it could not send; of `unknown` servers as well."""
        async with self._agreeing:
            with self._noticing():
                await self._tracker.took_over(names)
                recalled = await memory.recalled(self._journal)
                waiting = await memory.waiting(self._journal)
                fresh = {name for name in names if self._states.get(name) == AlertState()}
                self._states |= {name: recalled[name] for name in fresh & recalled.keys()}
                kept = self._servers.keys() - names
                self._recall(
                    {
                        name: [one for one in found if one.server in names or (unknown and one.server not in kept)]
                        for name, found in waiting.items()
                    }
                )

    def _receiver(self, alert: AlertConfig) -> Receiver:
        async def taken(messages: Sequence[Message]) -> None:
            await self._forget(alert.name, messages)

        return Receiver(alert, self._poster, self._clock, taken, lambda: self._page)

    @property
    def _page(self) -> str:
        """The address of the status page; empty if it is not configured."""
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
        """Drop what waits for a receiver that is not configured any more."""
        if messages:
            log.warning("alert_lost", receiver=name, count=len(messages), reason="this receiver is configured no more")
            self._later(self._forget(name, messages))

    async def _forget(self, name: str, messages: Sequence[Message]) -> None:
        """Record that these messages do not wait any more."""
        async with self._writing:
            with self._noticing():
                await memory.arrived(self._journal, name, messages)

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Log a failed write, and have it done later."""
        try:
            yield
        except StateError as error:
            self._behind = True
            log.warning("alerts_not_remembered", text=error.text, consequence="a restart may tell something again")

    def _later(self, write: Coroutine[None, None, None]) -> None:
        """Write this in the background."""
        task = asyncio.create_task(write, name="the memory of alerts")
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def close(self, bound: float) -> None:
        """Send what waits, within that many seconds; the rest waits for the next start."""
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.gather(*(receiver.close(bound) for receiver in self._receivers.values()))
        await asyncio.gather(*self._writes, return_exceptions=True)
        for name, receiver in self._receivers.items():
            if left := len(receiver.waiting):
                self._say_left(name, left)
        await self._poster.aclose()

    def _say_left(self, name: str, left: int) -> None:
        if self._journal.persistent:
            log.info("alerts_wait", receiver=name, count=left, until="the daemon starts again")
        else:
            log.warning("alert_lost", receiver=name, count=left, reason="the daemon stops, and nothing is remembered")

    async def began(self, order: Order) -> None:
        """A rotation begins."""
        self._runs[order.server.name] = str(uuid.uuid4())
        self._ping(order.server, "start")

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        server, now = order.server, self._clock.now()
        await self._agree()
        if server.name not in self._servers:
            return
        report, before = report_of(order, outcome), self._states[server.name]
        state, news = reported(before, report)
        history = self._tracker.at_hand(server.name)
        messages = [message.of_outcome(piece, server, outcome, history, now) for piece in news]
        fine = report.good or report.excused
        await self._remember({server.name: state} if fine or state != before else {}, self._who(server), messages)
        if report.trouble is not None and outcome.result is not Result.DONE:
            self._ping(server, "fail", message.in_short(outcome))
        elif fine:
            self._ping(server, "success", message.in_short(outcome))

    async def _look_now_and_then(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self._agree()
                for number, server in enumerate(list(self._servers.values()), 1):
                    await self._look_at(server, self._clock.now())
                    await self._look_at_copies(server)
                    await self._look_at_proofs(server)
                    await self._look_at_drills(server)
                    if number % SLICE == 0:
                        await self._clock.sleep(0)
                await self._look_at_stores()
            except Exception:
                log.exception("overdue_bug")

    async def _look_at(self, server: ServerConfig, now: datetime) -> None:
        """Alert if the next good backup is overdue, unless somebody made one by hand meanwhile."""
        name = server.name
        if self._servers.get(name) is not server:
            return  # the configuration changed while others were looked at
        known, due = self._states[name], self._tracker.overdue_at(name)
        state, news = looked(known, due, now)
        if not news:
            return
        before = await self._tracker.history(name)
        if await self._tracker.look_again(name):
            if (await self._tracker.history(name)).good == before.good:
                return  # there was nothing to back up, which is known only now
            state, news = reported(known, RotationReport(good=True))
        if self._servers.get(name) is not server or self._states[name] != known:
            return  # a rotation ended meanwhile, or the configuration changed: the next look tells
        messages = [message.of_time(piece, server, before, due, now) for piece in news if piece.event is not Event.DONE]
        await self._remember({name: state}, self._who(server), messages)

    async def _look_at_copies(self, server: ServerConfig) -> None:
        """Alert if a store has lacked a copy of the server for too long."""
        copies = await self._tracker.copies_of(server.name) if server.policy.copies else ()
        if not copies or self._servers.get(server.name) is not server:
            return
        known, history = self._states[server.name], self._tracker.at_hand(server.name)
        state, messages = about_copies(known, server, copies, history, self._clock.now())
        if state != known:
            await self._remember({server.name: state}, self._who(server), messages)

    async def _look_at_proofs(self, server: ServerConfig) -> None:
        """Alert if a proof has failed, and when deletion goes on."""
        proof = await self._tracker.proof_of(server.name) if server.policy.prove else None
        if proof is None or self._servers.get(server.name) is not server:
            return
        known, good_at = self._states[server.name], self._tracker.at_hand(server.name).good_at
        state, messages = about_proofs(known, server, proof, good_at, self._clock.now())
        if state != known:
            await self._remember({server.name: state}, self._who(server), messages)

    async def _look_at_drills(self, server: ServerConfig) -> None:
        """Alert if the last drill of the server's backups failed, and when one goes well again."""
        drill = await self._tracker.drill_of(server.name)
        if drill is None or self._servers.get(server.name) is not server:
            return
        known, good_at = self._states[server.name], self._tracker.at_hand(server.name).good_at
        state, messages = about_drills(known, server, drill, good_at, self._clock.now())
        if state != known:
            await self._remember({server.name: state}, self._who(server), messages)

    async def _look_at_stores(self) -> None:
        """Alert if a store is in trouble, and when that has passed."""
        for store in await self._tracker.copies.stores_now() if self._receivers and self._share.fleet else ():
            known = self._states.get(key_of(store.name), AlertState())
            state, messages = about_store(known, store, self._clock.now())
            if state != known and self._share.fleet:
                await self._remember({key_of(store.name): state}, self._who_of_store(store.name), messages)

    async def _remember(
        self, changes: Mapping[str, AlertState], who: Sequence[Receiver], messages: Sequence[Message]
    ) -> None:
        """Take in the new states of some servers, and send the messages; the journal is written first.

        How the servers stand is written with it, so that a restart need not read all their rotations.
        """
        letters = [(receiver.config.name, one) for one in messages for receiver in who if receiver.wants(one)]
        await self._write(self._take_in(changes), letters)
        for one in messages:
            log.info("alert", told=one.news.event.value, server=one.server, text=one.text)

    def _take_in(self, changes: Mapping[str, AlertState | None]) -> Mapping[str, AlertState | None]:
        """Take in the new states of some servers, None for one that is gone; return the same."""
        for name, state in changes.items():
            if state is None:
                self._states.pop(name, None)
            else:
                self._states[name] = state
        return changes

    async def _write(
        self, changes: Mapping[str, AlertState | None], letters: Sequence[tuple[str, Message]] = ()
    ) -> None:
        """Write what is known of these servers now, and which letters wait for which receiver; only then send these.

        What was handed over meanwhile stays as it is: only a server that is gone is forgotten.
        """
        async with self._writing:
            with self._noticing():
                known = {
                    name: (self._states[name], self._standing(name)) if name in self._states else None
                    for name, state in changes.items()
                    if name in self._states or state is None
                }
                await memory.remember(self._journal, known, letters, self._clock.now())
            for name, one in letters:
                if name in self._receivers:
                    self._receivers[name].tell(one)
                else:
                    self._lose(name, [one])

    def _ping(self, server: ServerConfig, step: message.Step, text: str = "") -> None:
        run = self._runs.get(server.name, "")
        for receiver in self._who(server):
            receiver.ping(Ping(step, server, run, text))

    def _standing(self, name: str) -> ServerHistory:
        """Return how a server stands; of a store nothing of that kind is known."""
        return self._tracker.at_hand(name) if name in self._servers else ServerHistory.begun(self._clock.now())

    def _who_of_store(self, store: str) -> list[Receiver]:
        """Return the receivers of alerts on any server that is copied to this store."""
        servers = [server for server in self._config.servers.values() if store in server.policy.copies]
        return list({one.config.name: one for server in servers for one in self._who(server)}.values())

    def _who(self, server: ServerConfig) -> list[Receiver]:
        """Return the receivers of alerts on this server."""
        names = self._receivers if server.policy.alerts is None else server.policy.alerts
        return [self._receivers[name] for name in names if name in self._receivers]
