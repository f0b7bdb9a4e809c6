"""When the daemon proves: the servers in turn, what is due first, within the day's bytes and outside the quiet hours.

What must hold: proofs hold up no rotation (invariants 12 and 16), and a copy only for one download; what a day may cost
is counted before it is read, whatever then becomes of it; a kill loses nothing, since what is due follows from what is
recorded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from daemon.config.values import Config, ServerConfig
from daemon.copies.errors import WorkerDiedError
from daemon.copies.jobs import Job, ToProve
from daemon.copies.results import Failure, ProofFound
from daemon.copies.workers import ProofWorker
from daemon.copying.logged import Logged
from daemon.copying.steps import GLANCE_SECONDS, Steps
from daemon.core.proof_due import Budget, Due, next_up
from daemon.errors import BackupdError, StateError
from daemon.fleet.busy_nodes import node_is_busy
from daemon.fleet.clients import Clients
from daemon.fleet.population import slowed
from daemon.log import get_logger
from daemon.operations.proofs import described, record
from daemon.proving.further import FurtherBackups
from daemon.proving.look import ServerSeen, forget_gone, look
from daemon.proving.put_off import PutOff
from daemon.rotation.outcome import Outcome
from daemon.rotation.run import RotationContext
from daemon.state import ProofRecord

log = get_logger()

LOOK_SECONDS = 21_600.0
"""How often each server is looked at, whatever is known of it."""

TROUBLE_SECONDS = 600.0
"""How long to wait after a server could not be looked at."""

KEPT_IN_MIND = 4
"""How many due proofs of a server are remembered, and how many that were put off; it is looked at before each proof."""

MOST_DEATHS = 5
"""How many times one archive may end the process that reads it before that is a failed proof: hours, by the pauses."""

Origin = tuple[str, str]


@dataclass
class _Known:
    """What is known of one server: when to look at it again, by the monotonic clock, and what was due then, on which
    node.
    """

    look_at: float = float("-inf")
    due: tuple[Due, ...] = ()
    node: str = ""


class Proving:
    """The proofs of all configured servers.

    `clients` are the fleet's, so that both share the API limit. `worker` reads the archives. `once_more` makes another
    backup of a server whose newest one is bad. That may be found of a server that only drills try, too.
    """

    def __init__(
        self,
        context: RotationContext,
        clients: Clients,
        worker: ProofWorker,
        once_more: Callable[[ServerConfig], bool] = lambda _server: False,
    ) -> None:
        self._context = context
        self._clock = context.clock
        self._clients = clients
        self._worker = worker
        self._further = FurtherBackups(context, once_more)
        self._config: Config | None = None
        self._known: dict[str, _Known] = {}
        self._put_off = PutOff()
        self.at_work: str | None = None
        """The server of which a backup or copy is read."""
        self._tried: dict[Origin, datetime] = {}
        """When what could not be read was last tried: it has no turn before others have had theirs."""

        self._waits: dict[Origin, date] = {}
        """Since which day what was first in turn has waited, because it was too much for the rest of that day."""

        self._steps = Steps(self._step, context.clock, "proving")

    def rotated(self, name: str, outcome: Outcome) -> None:
        """A server's rotation ended: what it made is looked at, if it is to be proven."""
        server = self._config.servers.get(name) if self._config else None
        if server is not None and server.policy.prove and outcome.created is not None and outcome.created.successful:
            self._look_soon(name)

    def proved(self, proof: ProofRecord) -> None:
        """Something was read, here or for a drill or a store: a server whose backup is bad is looked at."""
        if proof.proof.problems:
            self._look_soon(proof.server)

    def follow(self, config: Config) -> None:
        """Obey a configuration; what is new in it is looked at."""
        before, self._config = self._config, config
        wanted = {name: one for name, one in config.servers.items() if one.policy.prove or name in config.drilled}
        self._known = {
            name: self._known[name] if before and before.servers.get(name) == one and name in self._known else _Known()
            for name, one in wanted.items()
        }
        self._steps.wake()
        if wanted:
            self._steps.begin()

    async def stop(self) -> None:
        """Stop reading; what was being read is still due."""
        await self._steps.stop()
        await self._worker.close()

    def _look_soon(self, name: str) -> None:
        if name in self._known:
            self._known[name] = _Known()
        self._steps.wake()

    async def _step(self) -> None:
        """Look at a server, or prove what is due first, or wait."""
        if (server := self._to_look_at()) is not None:
            await self._look(server)
        elif (what := await self._next()) is not None:
            await self._prove(*what)
        else:
            await self._worker.close()
            await self._rest()

    # Looking ---------------------------------------------------------------------------------------------------------

    def _to_look_at(self) -> ServerConfig | None:
        now = self._clock.monotonic()
        name = next((name for name, known in self._known.items() if now >= known.look_at), None)
        return self._config.servers.get(name) if self._config and name else None

    async def _look(self, server: ServerConfig) -> ServerSeen | None:
        """Look at a server, and keep in mind what is due; None where it cannot be looked at now."""
        before = self._known.get(server.name)
        try:
            with self._clients.lent(server.panel) as client:
                seen = await look(server, client, self._context.journal, self._context.engine, self._clock)
            await forget_gone(seen, self._context.journal)
            await self._further.look(server, seen)
        except BackupdError as error:
            log.info("proofs_not_looked_for", server=server.name, code=error.code, text=error.text)
            self._know(server.name, before, _Known(self._clock.monotonic() + TROUBLE_SECONDS))
            return None
        look_at, node = self._clock.monotonic() + LOOK_SECONDS, seen.preview.server.node
        self._know(server.name, before, _Known(look_at, self._kept_in_mind(seen.due), node))
        return seen

    def _know(self, name: str, before: _Known | None, known: _Known) -> None:
        """Keep in mind what a look found, unless another one was called for, or a reload removed it, meanwhile."""
        if before is not None and self._known.get(name) is before:
            self._known[name] = known

    def _kept_in_mind(self, due: Sequence[Due]) -> tuple[Due, ...]:
        """Return the first that may be read now, and the first that were put off, so that those hold up no others."""
        later = self._put_off.later(self._clock.now())
        able = [one for one in due if one.place not in later]
        put_off = [one for one in due if one.place in later]
        return (*able[:KEPT_IN_MIND], *put_off[:KEPT_IN_MIND])

    # Proving ---------------------------------------------------------------------------------------------------------

    async def _next(self) -> tuple[Due, int | None] | None:
        """Return what to prove next, and how many bytes may have been read today by then (None for any number); None
        while nothing may be proven.
        """
        if self._config is None:
            return None
        now, bound = self._clock.now(), self._config.proof.per_day
        waiting = [one for known in self._known.values() for one in known.due]
        if not waiting:
            return None
        try:
            spent = 0 if bound is None else await self._context.journal.bytes_proven(now.date())
        except StateError as error:
            log.warning("proofs_wait", text=error.text)
            return None
        later = self._put_off.later(now)
        quiet = {one.place for one in waiting if self._is_quiet(one.server, now)}
        first = next_up(waiting, now, not_now=later | quiet, tried=self._tried)
        if first is None:
            return None
        today = now.date()
        budget, waited = Budget(bound, spent), self._waits.get(first.origin, today) < today
        if budget.allows(first.bytes, waited=waited):
            return first, budget.most_before(first.bytes, waited=waited)
        self._waits.setdefault(first.origin, today)
        return None

    def _is_quiet(self, name: str, now: datetime) -> bool:
        server = self._config.servers.get(name) if self._config else None
        quiet = self._config.proof.quiet if self._config else None
        return server is not None and quiet is not None and quiet.holds(now, server.policy.zone)

    async def _prove(self, what: Due, most: int | None) -> None:
        """Read one backup or copy, if it is due still, and record what was found."""
        config = self._config  # a reload may come meanwhile
        server = config.servers.get(what.server) if config else None
        # Asked first, or each that is due would take a look; and again, since a rotation may have begun meanwhile, on
        # another node than before.
        if config is None or server is None or await self._must_wait(config, server, what):
            return
        seen = await self._look(server)
        if seen is None or what.place not in {one.place for one in seen.due}:
            return
        if await self._must_wait(config, server, what):
            return
        self.at_work = server.name
        try:
            await self._read(config, server, seen, what, most)
        except BackupdError as error:
            self._failed(what, Failure.of(error))
        finally:
            self.at_work = None

    async def _must_wait(self, config: Config, server: ServerConfig, what: Due) -> bool:
        """Put it off while the node, as far as it is known, makes a backup; return whether so, or a reload came."""
        known = self._known.get(server.name, _Known())
        if what.store or not known.node or not await node_is_busy(self._context, server.panel.name, known.node):
            return self._config is not config
        self._put_off.for_node(what.place, self._clock.now())
        return True

    async def _read(self, config: Config, server: ServerConfig, seen: ServerSeen, what: Due, most: int | None) -> None:
        context = self._context
        async with context.downloads:
            if self._config is not config:  # a reload came while another download was waited for
                return
            began, now = self._clock.monotonic(), self._clock.now()
            if not await context.journal.prove_bytes(now.date(), what.bytes, after=most):
                return  # another member has taken what was left of the day
            self._waits.pop(what.origin, None)
            about = described(what.server, what.name, what.store)
            log.info("proof_begun", **about, level=what.level.value, bytes=what.bytes, why=what.why.name.lower())
            installation = await context.engine.catalogue.installation()
            stores = {name: slowed(store, context.fraction()) for name, store in config.stores.items()}
            try:
                found = await self._found(server, *seen.reading(what, stores, installation, self._clock.now()), what)
            except WorkerDiedError as error:
                found = self._died(what, error)
        if found.failure is not None:
            self._failed(what, found.failure)
            return
        self._put_off.read(what.place)
        self._tried.pop(what.origin, None)
        done = await record(what.subject, found, seen.preview, self._clock, context.journal, began=began)
        self._look_soon(server.name)
        context.on_proof(done.record, done.bytes, done.seconds)

    async def _found(self, server: ServerConfig, job: Job, asked: ToProve, what: Due) -> ProofFound:
        told = Logged(moved="proof_moved", said="proof_transfer", server=server.name, backup=what.name)
        with self._clients.lent(server.panel) as client:
            return await self._worker.prove(job, asked, lambda: client.download_link(server.id, what.backup), told)

    def _died(self, what: Due, error: WorkerDiedError) -> ProofFound:
        """Return what it means that the process which read this ended: nothing yet, or that the archive is bad."""
        deaths = self._put_off.died(what.place, self._clock.now())
        text = f"{error.text} while it read this archive, {_times(deaths)} now"
        if deaths < MOST_DEATHS:
            return ProofFound(None, failure=Failure(error.code, text, f"after {_times(MOST_DEATHS)} it is not sound"))
        return ProofFound(None, (text,))

    def _failed(self, what: Due, failure: Failure) -> None:
        """Note that it could not be read, which says nothing of it: it is tried again."""
        now = self._tried[what.origin] = self._clock.now()
        self._put_off.failed(what.place, now)
        about = described(what.server, what.name, what.store)
        log.warning("proof_not_done", **about, code=failure.code, text=failure.text, hint=failure.hint)

    async def _rest(self) -> None:
        """Wait until something changes, or may be due."""
        look_at = min((known.look_at for known in self._known.values()), default=float("inf"))
        seconds = max(0.0, min(look_at - self._clock.monotonic(), LOOK_SECONDS))
        if any(known.due for known in self._known.values()):
            seconds = min(seconds, GLANCE_SECONDS)
        await self._steps.rest(seconds)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
