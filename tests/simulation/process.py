"""The daemon as a process: it can be killed at any step, and nothing of it happens afterwards.

A killed process sends nothing, writes nothing and wakes up from no sleep; its locks end with it, as the kernel would
have it. What the panel was asked for before goes on there.
"""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from structlog.contextvars import get_contextvars

from daemon.alerts import Alerts
from daemon.config.values import Config, PanelConfig, keeping
from daemon.copies.source import node_source
from daemon.copying.entry import DaemonCopies
from daemon.core.model import Backup
from daemon.errors import BackupdError, StateError
from daemon.fleet.fleet import Fleet
from daemon.log import get_logger
from daemon.operations.operation import Operation
from daemon.operations.restore import RestoreOptions, restore
from daemon.panel.client import PanelClient
from daemon.panel.errors import PanelError
from daemon.proof.sane import SanityCheck
from daemon.proving.entry import DaemonProofs
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome
from daemon.rotation.rotate import rotate
from daemon.rotation.run import RotationContext, Run
from daemon.rotation.setup import open_context
from daemon.state import ProofRecord, ShelfRecord
from daemon.state.local.catalogue import LocalCatalogue
from daemon.state.local.journal import SqliteJournal
from daemon.state.runner import Inline, Result
from daemon.status.fleet_status import FleetStatus
from daemon.status.metrics import Metrics
from daemon.status.tracker import StatusTracker
from daemon.transfer.expected import Expected
from daemon.transfer.verify import VerifyResult, verify
from tests.simulation.alert_checks import Mailbox
from tests.simulation.clocks import ProcessClock
from tests.simulation.proofs.restores import Asked
from tests.simulation.recorder import Rotation
from tests.simulation.starts import latest_start
from tests.simulation.stores.lockstep import in_thread
from tests.simulation.wire import Wire

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

PROCESS: ContextVar["Process"] = ContextVar("process")
"""The process whose code runs."""

DISK_FULL = "database or disk is full"
DRAIN_SECONDS = 25.0
FLUSH_SECONDS = 3.0


class DiskJournal(SqliteJournal):
    """The journal on a disk that can be full, in a process that can be killed before and after every write."""

    def __init__(self, path: Any, **options: Any) -> None:
        process = PROCESS.get()
        process.check_alive()
        self._lasts, self._is_written = path is not None, False
        if path is not None and process.simulation.disk_full:
            process.journal_fails("disk full")
            raise OSError(28, "No space left on device")
        super().__init__(path, **options)

    def end(self, rotation: int, *, result: str, **about: Any) -> None:
        """Note that a rotation reports, since it may be killed when that is written and nobody was told."""
        if result != "interrupted":
            PROCESS.get().reports()
        super().end(rotation, result=result, **about)

    def ask(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Note what a deletion is asked for of, since it may be killed when that is written and nothing left."""
        PROCESS.get().simulation.recorder.about_to_ask(server_uuid, backup_uuid)
        super().ask(server_uuid, backup_uuid, at)

    def record_proof(self, record: ProofRecord) -> None:
        """Record what a reading found."""
        process = PROCESS.get()
        with self._telling(lambda: process.simulation.proofs.rules.recorded(process.name, record)):
            super().record_proof(record)

    def accept_proof(self, server_uuid: str, backup_uuid: str, at: datetime) -> bool:
        """Record that an operator accepts what proofs found wrong."""
        with self._telling(lambda: PROCESS.get().simulation.proofs.rules.accepted(server_uuid, backup_uuid)):
            return super().accept_proof(server_uuid, backup_uuid, at)

    def prove_bytes(self, day: date, size: int) -> None:
        """Record that so many more bytes are read on that day."""
        with self._telling(lambda: PROCESS.get().simulation.proofs.rules.spends(day, size)):
            super().prove_bytes(day, size)

    @contextmanager
    def _telling(self, tell: Callable[[], None]) -> Iterator[None]:
        """Tell the judge what is written once it is on the disk, though the process may be killed right then."""
        self._is_written = False
        try:
            yield
        finally:
            if self._is_written and self._lasts:
                tell()

    @contextmanager
    def _writing(self, what: str) -> Iterator[sqlite3.Connection]:
        process = PROCESS.get()
        process.tick("before the journal is written")
        with super()._writing(what) as connection:
            yield connection
            if process.simulation.disk_full:
                process.journal_fails("disk full")
                raise sqlite3.OperationalError(DISK_FULL)
        self._is_written = True
        process.tick("after the journal was written")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        PROCESS.get().check_alive()
        with super()._reading() as connection:
            if PROCESS.get().simulation.disk_unreadable:
                PROCESS.get().journal_fails("journal unreadable")
                raise sqlite3.OperationalError("disk I/O error")
            yield connection


class WatchedCatalogue(LocalCatalogue):
    """The catalogue of copies, of which the judge is told when it was written."""

    async def remember(self, record: ShelfRecord) -> None:
        """Record what was seen of a server in a store."""
        await super().remember(record)
        PROCESS.get().simulation.stores.first.written(record.holding.store, record.holding.server_uuid)


class SlowDisk(Inline):
    """Does what the state needs of the disk in its order, but takes a moment for it, in which all others go on."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._turn = asyncio.Lock()
        self._moments = process.simulation.scenario.stream(f"disk of {process.name}")

    async def run(self, work: Callable[[], Result]) -> Result:
        """Wait, do it, and wait again: a kill may come in between. It is done though the caller is cancelled."""
        return await self._do(work, dead_too=False)

    async def give_back(self, work: Callable[[], object]) -> None:
        """Do it, and if the process is dead by then: the kernel does."""
        with suppress(StateError):
            await self._do(work, dead_too=True)

    async def _do(self, work: Callable[[], Result], *, dead_too: bool) -> Result:
        if not self._process.alive:
            return work()
        turn = asyncio.ensure_future(self._in_turn(work, dead_too=dead_too))
        turn.add_done_callback(_heard)
        result = await asyncio.shield(turn)
        self._process.check_alive()
        return result

    async def _in_turn(self, work: Callable[[], Result], *, dead_too: bool) -> Result:
        async with self._turn:
            await self._wait()
            if not dead_too:
                self._process.check_alive()
            result = work()
            await self._wait()
        return result

    async def _wait(self) -> None:
        await self._process.simulation.clock.sleep(self._moments.choice((0.0, 0.001, 0.01, 0.2)))


def _heard(turn: asyncio.Future[Any]) -> None:
    """Take what was raised where nobody waits for it any more: who asked was cancelled, as in the daemon's thread."""
    if not turn.cancelled():
        turn.exception()


class Process:
    """A process that holds the daemon's code: the daemon itself, or a rotation by hand."""

    def __init__(self, simulation: "Simulation", name: str) -> None:
        self.simulation = simulation
        self.name = name
        self.alive = True
        self.doomed_in = 0
        self.over = asyncio.Event()
        self.clock = ProcessClock(simulation.host_clock, self.check_alive)
        self._clients = 0
        simulation.processes[name] = self
        simulation.checker.begun[name] = simulation.clock.monotonic()

    @property
    def at_work(self) -> bool:
        """Whether it is neither dead nor ending."""
        return self.alive and not self.over.is_set()

    async def open_context(self, config: Config) -> RotationContext:
        """What its rotations share."""
        engine = self.simulation.engine(self, config)
        context = await open_context(engine, self.clock, config.servers.get, self.names())
        self.simulation.context[self.name] = context
        return context

    def now(self) -> datetime:
        """What its machine's clock shows."""
        return self.clock.now()

    def check_alive(self) -> None:
        """Raise CancelledError where the process is dead."""
        if not self.alive:
            raise asyncio.CancelledError

    def tick(self, where: str) -> None:
        """Count down to the kill that was decided on."""
        self.check_alive()
        if self.doomed_in:
            self.doomed_in -= 1
            if not self.doomed_in:
                self.die(where)
                self.check_alive()

    def die(self, where: str) -> None:
        """Be killed, now."""
        self.alive = False
        self.simulation.recorder.tell(f"{self.name} is KILLED when {where}")
        self.over.set()

    def announced(self) -> None:
        """What it announced to a database is there."""

    def journal_fails(self, kind: str) -> None:
        """A read or a write of the journal fails, in a rotation of this process or elsewhere in it."""
        self.simulation.journal_fails(kind, self.name, get_contextvars().get("server"))

    def reports(self) -> None:
        """The rotation whose code runs is about to write down how it ended."""
        rotation = self.simulation.recorder.running.get((self.name, get_contextvars().get("server", "")))
        if rotation is not None:
            rotation.reported = True

    def open_client(self, panel: PanelConfig, **options: Any) -> PanelClient:
        """A client of this process."""
        self._clients += 1
        return PanelClient(
            panel.name,
            panel.url,
            panel.api_key,
            clock=self.clock,
            reserve=panel.reserve,
            transport=Wire(self.simulation.panel, self, url=panel.url, key=panel.api_key.get_secret_value()),
            randomness=self.simulation.scenario.stream(f"jitter of {self.name} {self._clients}"),
            **options,
        )

    def names(self) -> random.Random:
        """What the names of its backups are drawn from."""
        return self.simulation.scenario.stream(f"names of {self.name}")

    def rotation_begins(self, order: Order) -> None:
        """Tell the witness."""
        simulation, name = self.simulation, order.server.name
        policy = simulation.configuration.current_config(name) or simulation.configuration.known[name]
        if order.max_deletions is not None:
            policy = {**policy, "max_deletions": order.max_deletions, "max_share": 1, "lifted": True}
        uuid, began = simulation.uuid_of(name), simulation.clock.monotonic()
        last = None if order.trigger == "manual" else latest_start(policy, uuid, self.clock.now())
        once_more = last if self._is_once_more(order, uuid) else None
        latest = None if once_more else last
        earlier = None if once_more else self._goes_on_with(order.trigger, uuid)
        simulation.rotation_begins(
            Rotation(
                process=self.name,
                server=name,
                uuid=uuid,
                trigger=order.trigger,
                # It may be one that the schedule has no more since a reload.
                start_at=max(latest, earlier.start_at) if latest and earlier and earlier.start_at else latest,
                due=earlier.due if earlier else began,
                began=began,
                policy=policy,
                once_more=once_more,
            )
        )

    def _is_once_more(self, order: Order, uuid: str) -> bool:
        """Whether no start asks for that rotation, but a proof that failed; or it goes on with such a one."""
        if order.start_at is not None or order.trigger not in {"resume", "retry"}:
            return False
        earlier = (one for one in reversed(self.simulation.recorder.rotations) if one.uuid == uuid)
        return order.trigger == "retry" or next((one.once_more is not None for one in earlier), False)

    def _goes_on_with(self, trigger: str, uuid: str) -> Rotation | None:
        """The rotation before it, if it is for the same start."""
        if trigger not in {"resume", "retry"}:
            return None
        earlier = (one for one in reversed(self.simulation.recorder.rotations) if one.uuid == uuid)
        return next((one for one in earlier if one.start_at is not None), None)

    def rotation_ended(self, server: str, outcome: Outcome) -> None:
        """Tell the witness."""
        problems = ", ".join(f"{problem.code}: {problem.text}" for problem in outcome.problems)
        words = f"{outcome.result.value}{', ' if problems else ''}{problems}"
        self.simulation.rotation_ended(self.name, server, outcome, words)

    async def began(self, order: Order) -> None:
        """The fleet tells that a rotation begins."""
        if self.alive:
            self.rotation_begins(order)

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """The fleet tells that a rotation ended."""
        if self.alive:
            self.rotation_ended(order.server.name, outcome)
            self.simulation.told.ended(order.server.name, outcome, self.clock.now())


class Ends:
    """The first of a daemon's listeners: those after it may tell of a rotation, and the daemon be killed before its
    last listener hears.
    """

    def __init__(self, daemon: Process) -> None:
        self._daemon = daemon

    async def began(self, order: Order) -> None:
        """A rotation begins."""

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        if self._daemon.alive:
            trigger = order.trigger if order.start_at else "once more"
            self._daemon.simulation.told.ends(order.server.name, trigger, outcome, self._daemon.clock.now())


class Daemon(Process):
    """The daemon: what `service` sets up, without its signals and its web server."""

    fleet: Fleet
    alerts: Alerts
    copying: DaemonCopies
    proving: DaemonProofs
    tracker: StatusTracker
    up = False

    async def live(self, read: Callable[[], Config]) -> None:
        """Run until killed or told to stop."""
        PROCESS.set(self)
        if not self.alive:
            return  # killed before its first step
        config = read()
        self.context = await self.open_context(config)
        self.tracker = StatusTracker(self.context)
        self.tracker.follow(config)
        self.alerts = Alerts(config, self.tracker, Mailbox(self))
        open_and_watch = self.tracker.opening(self.open_client)
        self.fleet = Fleet(
            config, self.context, open_and_watch, listeners=[Ends(self), self.tracker, self.alerts, self]
        )
        self._context = copy_context()
        self.simulation.recorder.tell(f"{self.name} starts")
        await self.alerts.start()
        self.fleet.start()
        self.up = True
        self.copying = DaemonCopies(self.context, self.fleet.clients)
        self.proving = DaemonProofs(self.context, self.fleet.clients, self.fleet.once_more)
        for part in (self.copying, self.proving):
            self.fleet.listen(part)
            part.follow(config)
        await self.over.wait()
        leaving = asyncio.create_task(self._stop_parts())
        if self.alive:
            left = await self.fleet.drain(DRAIN_SECONDS)
            await self.alerts.close(FLUSH_SECONDS)
            self.simulation.recorder.tell(f"{self.name} has stopped; left: {', '.join(left) or 'none'}")
            self.alive = False
        with suppress(asyncio.CancelledError):  # it is dead
            await leaving
        await self._bury()

    async def _stop_parts(self) -> None:
        await self.copying.stop()
        await self.proving.stop()

    def reload(self, read: Callable[[], Config]) -> None:
        """What SIGHUP does; a daemon that is only just starting reads the new one anyway."""
        if not self.up or not self.alive:
            return
        try:
            config = keeping(read(), self.fleet.config)
        except BackupdError:
            self.tracker.reload_failed()
            return
        with suppress(asyncio.CancelledError):  # it is killed in the midst of this
            parts = (self.copying.follow, self.proving.follow)
            for obey in (self.tracker.follow, self.alerts.reload, self.fleet.reload, *parts):
                self._context.run(obey, config)

    async def metrics(self) -> str:
        """What a scrape shows."""
        scrape = Metrics(FleetStatus(self.fleet, self.tracker)).exposition()
        return (await asyncio.create_task(scrape, context=self._context)).decode()

    async def _bury(self) -> None:
        """Take away what is left of it; none of this can have an effect any more."""
        await self.context.close()
        if not self.fleet._draining:
            self.fleet._scheduler.stop()
        for _ in range(20):
            for task in (*self.fleet._tasks, *(running.task for running in self.fleet._rotations._running.values())):
                task.cancel()
            await asyncio.sleep(0)  # noqa: TID251 — lets other tasks run
        await self.alerts.close(0)
        await self.fleet.close()
        self.simulation.forget(self.name)


class Hand(Process):
    """A command from another terminal."""

    async def set_lock(self, config: Config, server: str, backup: str, wanted: bool) -> None:
        """`backups lock` or `backups unlock`: what it reports as done is so."""
        PROCESS.set(self)
        began = self.clock.monotonic()
        client = self.open_client(config.servers[server].panel)
        try:
            await client.set_lock(config.servers[server].id, backup, wanted)
        except PanelError as error:
            self.simulation.recorder.tell(f"{self.name}: lock = {wanted} failed: {error.text}")
        else:
            self.simulation.rules.locked_by_hand(self.simulation.uuid_of(server), backup, wanted, began)
        finally:
            await client.aclose()

    async def rotate(self, config: Config, server: str, most: int | None) -> None:
        """One rotation, then it ends; `most` is its `--max-deletions`."""
        PROCESS.set(self)
        context = await self.open_context(config)
        client = self.open_client(config.servers[server].panel, hindrance=context.engine.leadership.hindrance)
        order = Order(config.servers[server], "manual", max_deletions=most)
        self.rotation_begins(order)
        try:
            self.rotation_ended(server, await rotate(order, client, context))
        finally:
            await client.aclose()
            await context.close()
            self.simulation.forget(self.name)

    async def accept_proof(self, config: Config, server: str) -> None:
        """`prove accept SERVER latest`."""
        PROCESS.set(self)
        context, uuid = await self.open_context(config), self.simulation.uuid_of(server)
        try:
            with suppress(StateError):
                bad = [one.proof for one in await context.journal.proofs(uuid) if one.proof.problems]
                if bad:
                    latest = max(bad, key=lambda one: one.made_at)
                    await context.journal.accept_proof(uuid, latest.backup, self.clock.now())
        finally:
            await context.close()

    async def restore(self, config: Config, server: str, asked: Asked) -> None:
        """`backups restore SERVER BACKUP`, maybe with `--truncate`, `--unproven` and `--no-safety-backup`."""
        PROCESS.set(self)
        restores = self.simulation.proofs.restores
        restores.asks(self.name, asked)
        context = await self.open_context(config)
        client = self.open_client(config.servers[server].panel)
        operation = Operation(Run(Order(config.servers[server], "manual"), client, context, get_logger()), self._say)

        async def read(backup: Backup) -> VerifyResult:
            source = node_source(
                client, config.servers[server].id, backup, clock=self.clock, listener=Unseen(), clear=True
            )
            return await in_thread(lambda: verify(source, Expected.of(backup), SanityCheck))

        reads = read if asked.truncates and asked.reads else None
        options = RestoreOptions(truncate=asked.truncates, safety=asked.safe, read=reads)
        try:
            backup = await client.backup(config.servers[server].id, asked.backup)
            done = await restore(operation, backup, options)
            self._say(f"{done.outcome.result.value}: {[problem.text for problem in done.outcome.problems]}")
            restores.ended(self.name, done)
        except PanelError as error:
            self._say(error.text)
        finally:
            await client.aclose()
            await context.close()

    def _say(self, text: str) -> None:
        self.simulation.recorder.tell(f"{self.name}: {text}")


class Unseen:
    """Nobody watches the transfer."""

    def moved(self, size: int) -> None:
        """Nothing is shown."""

    def said(self, text: str) -> None:
        """Nothing is shown."""
