"""What was sent about each server, and what waits to be sent: here, and in the journal, so that a restart neither
repeats a message, nor loses one, nor forgets that something is overdue.

If the journal fails, nothing but that memory is lost; it is written again later. What another member of a cluster takes
over stays there.
"""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import timedelta

from daemon.alerts import memory
from daemon.alerts.claims import Claims
from daemon.alerts.message import Message, is_common
from daemon.alerts.receivers import Letter, Receivers
from daemon.alerts.scope import HandOver, Scope
from daemon.alerts.sender import Sender
from daemon.alerts.writing import Writing
from daemon.config.values import Config
from daemon.core.alerting import AlertState
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.state import Journal
from daemon.status.history import ServerHistory
from daemon.status.tracker import StatusTracker

log = get_logger()

UNKNOWN_RECEIVER = timedelta(days=7)
"""How long a message waits in a cluster for a receiver that the member who looks after the fleet does not know."""

Changes = Mapping[str, AlertState | None]
"""The new states of some servers and stores, or of the cluster; None for one that is gone."""


class Record:
    """What was sent, by server or store (`states`), and the `receivers` with what waits for them; within a `scope`."""

    def __init__(self, tracker: StatusTracker, sender: Sender, scope: Scope) -> None:
        self._tracker = tracker
        self._clock = tracker.clock
        self._writing = Writing(tracker.context)
        self._claims = Claims(self._writing)
        self.scope = scope
        self.states: dict[str, AlertState] = {}
        self.receivers = Receivers(
            sender, self._clock, claim=self._claims.claim, taken=self._claims.arrived, lost=self._claims.lose
        )
        self._read: Journal | None = None
        """The journal whose waiting messages we have read."""

        self._unrecalled: AbstractSet[str] = frozenset()
        """What was taken over from another member, and not recalled yet."""

        self._agreeing = asyncio.Lock()

    async def start(self) -> None:
        """Recall what was sent before."""
        await self._tracker.read_journal()
        self.states = await self._recalled()

    def knows(self, name: str) -> bool:
        """Return whether it is known what was alerted of a server, or of what is common: without that nothing is news.

        What another member alerted of is not known before the journal was read since.
        """
        return name not in self._unrecalled

    def follow(self, config: Config, scope: Scope) -> None:
        """Obey a configuration and a scope; keep what is known of servers that stay, and what waits to be sent."""
        self.receivers.follow(config, scope.servers.values())
        waiting = {one.server for _, one in self.receivers.waiting}
        change = HandOver.between(self.scope, scope, self.states.keys() | waiting)
        before, self.scope = self.scope, scope
        self._leave(change.given)
        self.states |= {name: AlertState() for name in change.taken}
        gone = change.gone | (set(filter(is_common, self.states)) - scope.common)
        new = {
            name: AlertState()
            for name, server in scope.servers.items()
            if name not in self.states or not server.is_same_server(before.servers.get(name, server))
        }
        ours = scope.servers.keys() | (scope.common if scope.fleet else frozenset())
        self._unrecalled = ((self._unrecalled | change.taken) & ours) - new.keys()
        self._writing.later(self._write(self._take_in({**dict.fromkeys(gone), **new})))
        if change.taken:
            self._writing.later(self._take_over())

    async def agree(self) -> None:
        """Bring the journal up to date: recall what waits in a new one, and write what a failed one lacks."""
        await self._tracker.read_journal()
        async with self._agreeing:
            journal = self._writing.journal
            if journal is not self._read:
                try:
                    waiting = await memory.waiting(journal, alone=self._writing.is_alone)
                    recalled = await memory.recalled(journal) if self._read is not None else {}
                except StateError as error:
                    log.warning("alerts_not_recalled", text=error.text)
                    return
                if self._read is not None:  # the state was opened anew
                    self._writing.behind = True
                    if not self._read.persistent:
                        self._claims.unwritten.update(self.receivers.waiting)
                    self._know_again(self.states.keys(), recalled)
                self._read = journal
                self._recall(waiting)
            await self._recall_taken()
            if self._writing.behind:
                await self._write_all(journal)

    async def recall_left(self) -> None:
        """In a cluster, queue what waits of ours since a member died, or let go of it, while it had it in hand."""
        if not self._writing.is_alone:
            with suppress(StateError):
                self._recall(await memory.waiting(self._writing.journal, alone=False))

    async def remember(self, changes: Changes, letters: Sequence[Letter] = ()) -> None:
        """Take in the new states of some servers, and send these letters; the journal is written first.

        How the servers stand is written with it, so that a restart need not read all their rotations.
        """
        await self._write(self._take_in(changes), letters)

    async def close(self, bound: float) -> None:
        """Send what waits, within that many seconds; the rest waits for the next start."""
        await asyncio.gather(*(receiver.close(bound) for receiver in self.receivers.by_name.values()))
        await self._writing.close()
        for name, receiver in self.receivers.by_name.items():
            if left := len(receiver.waiting):
                self._say_left(name, left)

    # Over to another member, and back -------------------------------------------------------------------------------

    def _leave(self, names: AbstractSet[str]) -> None:
        """Leave to another member what is remembered of these servers and what waits to be sent: the journal has it.

        What the journal lacks waits here alone, and stays.
        """
        for name in names:
            if name in self.scope.elsewhere or is_common(name):
                self.states.pop(name, None)
        self.receivers.leave(names, besides=self._claims.unwritten)

    async def _take_over(self) -> None:
        async with self._agreeing:
            await self._recall_taken()

    async def _recall_taken(self) -> None:
        """Recall what another member remembered of what was taken, and queue what waits that is ours to send by now.

        If the journal cannot be read, all of that is to be done again.
        """
        while names := self._unrecalled:
            scope = self.scope
            try:
                await self._tracker.took_over(names)
                recalled = await memory.recalled(self._writing.journal)
                waiting = await memory.waiting(self._writing.journal, alone=self._writing.is_alone)
            except StateError as error:
                log.warning("alerts_not_recalled", text=error.text)
                return
            if self.scope is scope:  # what was given away and taken again meanwhile may be another by now
                self._unrecalled = frozenset()
                self._know_again(names, recalled)
                self._recall(waiting)

    # The journal ----------------------------------------------------------------------------------------------------

    async def _recalled(self) -> dict[str, AlertState]:
        """Return what the journal remembers of each server; nothing if it cannot be read."""
        try:
            return await memory.recalled(self._writing.journal)
        except StateError as error:
            log.warning("alerts_not_recalled", text=error.text)
            return {}

    def _know_again(self, names: AbstractSet[str], recalled: Mapping[str, AlertState]) -> None:
        """Of these take in what is remembered, where nothing was alerted from here since."""
        fresh = {name for name in names if self.states.get(name) == AlertState()}
        self.states |= {name: recalled[name] for name in fresh & recalled.keys()}

    def _recall(self, waiting: Mapping[str, Sequence[Message]]) -> None:
        """Queue what an earlier daemon, or another member, could not deliver."""
        self.receivers.recall(
            {
                name: [one for one in found if self._may_recall(name, one)]
                for name, found in self._claims.still_waiting(waiting).items()
            }
        )

    def _may_recall(self, receiver: str, one: Message) -> bool:
        """Return whether it is for us to send a message, or to drop it.

        A receiver that is not known here may have come with a configuration that other members have already: one member
        drops what waits for it, and not before it is old.
        """
        known = self._writing.is_alone or self.receivers.takes_messages(receiver)
        old = self.scope.fleet and self._clock.now() - one.at >= UNKNOWN_RECEIVER
        return self.scope.has(one.server) and (known or old)

    async def _write_all(self, journal: Journal) -> None:
        """Write everything again; the failure itself was logged when it happened.

        While another member may act in the place of this one, how servers stand is that one's to write.
        """
        async with self._writing.one_at_a_time:
            common = self.states.keys() & self.scope.common
            acts = self._writing.may_act
            ours = filter(self.knows, (*self.scope.servers, *common) if acts else ())
            known = {name: (self.states[name], self._standing(name)) for name in ours}
            alone, unwritten = self._writing.is_alone, self._claims.unwritten
            waiting = [one for one in self.receivers.waiting if alone or one in unwritten]
            with suppress(StateError):
                await self._claims.catch_up()
                await memory.remember(journal, known, waiting, self._clock.now(), whole=alone)
                unwritten.clear()
                self._writing.behind = not acts
                await self._claims.hold(waiting)

    def _take_in(self, changes: Changes) -> Changes:
        """Take in the new states of some servers, None for one that is gone; return the same."""
        for name, state in changes.items():
            if state is None:
                self.states.pop(name, None)
            else:
                self.states[name] = state
        return changes

    async def _write(self, changes: Changes, letters: Sequence[Letter] = ()) -> None:
        """Write what is known of these servers now, and which letters wait for which receiver; only then send these.

        What was handed over meanwhile stays as it is: only a server that is gone is forgotten.
        """
        async with self._writing.one_at_a_time:
            self._claims.unwritten.update(letters)
            with self._writing.noticing():
                known = {
                    name: (self.states[name], self._standing(name)) if name in self.states else None
                    for name, state in changes.items()
                    if (name in self.states and self.knows(name)) or state is None
                }
                # The journal lacks what a stand-in is given, and may be open again before the next claim.
                is_kept = not self._writing.is_stand_in
                await memory.remember(self._writing.journal, known, letters, self._clock.now())
                if is_kept:
                    self._claims.written(letters)
            self.receivers.tell(letters)

    def _standing(self, name: str) -> ServerHistory:
        """Return how a server stands; of a store nothing of that kind is known."""
        return self._tracker.at_hand(name) if name in self.scope.servers else ServerHistory.begun(self._clock.now())

    def _say_left(self, name: str, left: int) -> None:
        if self._writing.journal.persistent:
            log.info("alerts_wait", receiver=name, count=left, until="the daemon starts again")
        else:
            log.warning("alert_lost", receiver=name, count=left, reason="the daemon stops, and nothing is remembered")
