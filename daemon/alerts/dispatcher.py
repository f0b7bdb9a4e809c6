"""The fleet's listener that sends alerts: it hears of every rotation, watches the clock, and says what is news.

`record` remembers what was sent. Nothing here waits for a receiver.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.alerts import message
from daemon.alerts.assess import report_of
from daemon.alerts.cluster import about_cluster
from daemon.alerts.copies import about_copies, about_store, key_of
from daemon.alerts.drills import about_drills
from daemon.alerts.message import CLUSTER, Message, Ping
from daemon.alerts.proofs import about_proofs
from daemon.alerts.receiver import Receiver
from daemon.alerts.record import Changes, Record
from daemon.alerts.scope import Scope
from daemon.alerts.sender import Sender
from daemon.config.values import Config, ServerConfig
from daemon.core.alerting import AlertState, Event, RotationReport, looked, reported
from daemon.fleet.share import Share
from daemon.fleet.standing import ClusterView
from daemon.log import get_logger
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome, Result
from daemon.status.history import ServerHistory
from daemon.status.tracker import StatusTracker

log = get_logger()

LOOK_SECONDS = 60.0
SLICE = 25
"""After how many servers other tasks have their turn."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A rotation of a server that ended: what came of it, what that means, and when it was."""

    server: ServerConfig
    outcome: Outcome
    report: RotationReport
    at: datetime


class Alerts:
    """The receivers of alerts, and what was sent about each server. Without a receiver nothing is remembered either.

    How a server stands is asked of the tracker, which must therefore hear of each rotation first. In a cluster this
    member alerts on the servers of its `share` alone, and one member on the stores and the cluster.
    """

    def __init__(
        self, config: Config, tracker: StatusTracker, sender: Sender | None = None, share: Share | None = None
    ) -> None:
        self._config = config
        self._share = share or Share(config)
        self._tracker = tracker
        self._clock = tracker.clock
        self._sender = sender or Sender()
        self._record = Record(tracker, self._sender, Scope(self._share.fleet))
        self._runs: dict[str, str] = {}
        self._unjudged: list[_Ended] = []
        """Rotations that ended before it was known what their servers were alerted of, oldest first."""

        self._judging = asyncio.Lock()
        self._cluster: Callable[[], ClusterView] = ClusterView
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Recall what was sent before and what waits to be sent, and begin to watch the clock."""
        await self._record.start()
        self.reload(self._config, self._share)
        await self._record.agree()
        await self._tracker.proofs.agree()
        self._looking = asyncio.create_task(self._look_now_and_then(), name="overdue backups")

    def reload(self, config: Config, share: Share | None = None) -> None:
        """Take in a new configuration, or share; keep what is known of servers that stay, and what waits to be sent."""
        self._config, self._share = config, share or Share(config)
        self._record.follow(config, Scope.of(config, self._share))

    def watch_cluster(self, view: Callable[[], ClusterView]) -> None:
        """Look at the cluster now and then, as `view` returns it."""
        self._cluster = view

    async def close(self, bound: float) -> None:
        """Send what waits, within that many seconds; the rest waits for the next start."""
        if self._looking is not None:
            self._looking.cancel()
        catching_up = asyncio.create_task(self._catch_up(), name="the last alerts")
        await asyncio.wait({catching_up}, timeout=bound / 3)
        await self._record.close(bound)
        catching_up.cancel()
        await asyncio.wait({catching_up})
        await self._sender.aclose()

    async def began(self, order: Order) -> None:
        """A rotation begins."""
        self._runs[order.server.name] = str(uuid.uuid4())
        self._ping(order.server, "start")

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        server, now = order.server, self._clock.now()
        await self._record.agree()
        if not self._is_ours(server):
            return
        report = report_of(order, outcome)
        self._unjudged.append(_Ended(server, outcome, report, now))
        await self._judge_what_can_be()
        if report.trouble is not None and outcome.result is not Result.DONE:
            self._ping(server, "fail", message.in_short(outcome))
        elif report.good or report.excused:
            self._ping(server, "success", message.in_short(outcome))

    async def _catch_up(self) -> None:
        """Write what the journal lacks: what waits in this process alone ends with it."""
        try:
            await self._record.agree()
            await self._judge_what_can_be()
        except Exception:
            log.exception("overdue_bug")

    async def _judge_what_can_be(self) -> None:
        """Alert on each rotation that ended, once it is known what was alerted of its server before.

        One of a server that went on to another member meanwhile says nothing here any more.
        """
        async with self._judging:
            while ended := next((one for one in self._unjudged if self._record.knows(one.server.name)), None):
                self._unjudged.remove(ended)
                history = await self._tracker.history(ended.server.name)  # what is at hand went with a take-over
                if not self._record.knows(ended.server.name):  # it was given away and taken again meanwhile
                    self._unjudged.insert(0, ended)
                elif self._is_ours(ended.server):
                    await self._judge(ended, history)

    async def _judge(self, ended: _Ended, history: ServerHistory) -> None:
        server, report, before = ended.server, ended.report, self._record.states[ended.server.name]
        state, news = reported(before, report)
        messages = [message.of_outcome(piece, server, ended.outcome, history, ended.at) for piece in news]
        changes = {server.name: state} if report.good or report.excused or state != before else {}
        await self._send(changes, self._record.receivers.of(server), messages)

    async def _look_now_and_then(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self._record.agree()
                await self._record.recall_left()
                await self._judge_what_can_be()
                await self._tracker.proofs.agree()
                for number, server in enumerate(list(self._record.scope.servers.values()), 1):
                    await self._look_at(server, self._clock.now())
                    await self._look_at_copies(server)
                    await self._look_at_proofs(server)
                    await self._look_at_drills(server)
                    if number % SLICE == 0:
                        await self._clock.sleep(0)
                await self._look_at_stores()
                await self._look_at_cluster()
            except Exception:
                log.exception("overdue_bug")

    async def _look_at(self, server: ServerConfig, now: datetime) -> None:
        """Alert if the next good backup is overdue, unless somebody made one by hand meanwhile."""
        name, states = server.name, self._record.states
        if not self._is_current(server):
            return  # the configuration changed while others were looked at
        known, due = states[name], self._tracker.overdue_at(name)
        state, news = looked(known, due, now)
        if not news:
            return
        before = await self._tracker.history(name)
        if await self._tracker.look_again(name):
            if (await self._tracker.history(name)).good == before.good:
                return  # there was nothing to back up, which is known only now
            state, news = reported(known, RotationReport(good=True))
        if not self._is_current(server) or states[name] != known:
            return  # a rotation ended meanwhile, or the configuration changed: the next look tells
        messages = [message.of_time(piece, server, before, due, now) for piece in news if piece.event is not Event.DONE]
        await self._send({name: state}, self._record.receivers.of(server), messages)

    async def _look_at_copies(self, server: ServerConfig) -> None:
        """Alert if a store has lacked a copy of the server for too long."""
        if not server.policy.copies or not self._is_current(server):
            return
        copies = await self._tracker.copies_of(server.name)
        if copies and self._is_current(server):
            known, history = self._record.states[server.name], self._tracker.at_hand(server.name)
            await self._found(server, *about_copies(known, server, copies, history, self._clock.now()))

    async def _look_at_proofs(self, server: ServerConfig) -> None:
        """Alert if a proof has failed, whoever read the backup, and when deletion goes on."""
        proof = await self._tracker.proof_of(server.name) if self._is_current(server) else None
        if proof is not None and self._is_current(server):
            known, good_at = self._record.states[server.name], self._tracker.at_hand(server.name).good_at
            await self._found(server, *about_proofs(known, server, proof, good_at, self._clock.now()))

    async def _look_at_drills(self, server: ServerConfig) -> None:
        """Alert if the last drill of the server's backups failed, and when one goes well again."""
        drill = await self._tracker.drill_of(server.name)
        if drill is not None and self._is_current(server):
            known, good_at = self._record.states[server.name], self._tracker.at_hand(server.name).good_at
            await self._found(server, *about_drills(known, server, drill, good_at, self._clock.now()))

    async def _look_at_stores(self) -> None:
        """Alert if a store is in trouble, and when that has passed."""
        record, copies = self._record, self._tracker.copies
        looked_at = record.receivers.by_name and record.scope.fleet
        stores = await copies.stores_now() if looked_at else ()
        for store in stores if copies.is_known else ():
            known = record.states.get(key_of(store.name), AlertState())
            state, messages = about_store(known, store, self._clock.now())
            if state != known and record.scope.fleet and record.knows(key_of(store.name)):
                await self._send({key_of(store.name): state}, record.receivers.of_store(store.name), messages)

    async def _look_at_cluster(self) -> None:
        """Alert if members differ for long, or the database was promoted."""
        record = self._record
        may_tell = record.receivers.by_name and record.scope.fleet and record.knows(CLUSTER)
        if may_tell and CLUSTER in record.scope.common:
            known = record.states.get(CLUSTER, AlertState())
            state, messages = about_cluster(known, self._cluster(), self._clock.now())
            if state != known:
                await self._send({CLUSTER: state}, [*record.receivers.by_name.values()], messages)

    def _is_ours(self, server: ServerConfig) -> bool:
        """Return whether this member alerts on the server, and not on another one that has its name by now."""
        return server.is_same_server(self._record.scope.servers.get(server.name))

    def _is_current(self, server: ServerConfig) -> bool:
        """Return whether this member still alerts on the server, by this configuration of it, and knows of what it was
        alerted before.
        """
        return self._record.scope.servers.get(server.name) is server and self._record.knows(server.name)

    async def _found(self, server: ServerConfig, state: AlertState, messages: Sequence[Message]) -> None:
        """Remember and send what a look found, if it is news."""
        if state != self._record.states[server.name]:
            await self._send({server.name: state}, self._record.receivers.of(server), messages)

    async def _send(self, changes: Changes, receivers: Sequence[Receiver], messages: Sequence[Message]) -> None:
        """Remember the new states, and send the messages to those of the receivers that want them."""
        letters = [(receiver.config.name, one) for one in messages for receiver in receivers if receiver.wants(one)]
        await self._record.remember(changes, letters)
        for one in messages:
            log.info("alert", told=one.news.event.value, server=one.server, text=one.text)

    def _ping(self, server: ServerConfig, step: message.Step, text: str = "") -> None:
        run = self._runs.get(server.name, "")
        for receiver in self._record.receivers.of(server):
            receiver.ping(Ping(step, server, run, text))
