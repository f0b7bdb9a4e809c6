"""The daemon as a process: it can be killed at any step, and nothing of it happens afterwards.

A killed process sends nothing, writes nothing and wakes up from no sleep; its locks end with it, as the kernel would
have it. What the panel was asked for before goes on there.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, copy_context
from datetime import datetime
from typing import TYPE_CHECKING, Any

from structlog.contextvars import get_contextvars

from daemon.alerts import Alerts
from daemon.config.values import Config, PanelConfig, keeping
from daemon.copying.entry import DaemonCopies
from daemon.errors import BackupdError
from daemon.fleet.fleet import Fleet
from daemon.panel.client import PanelClient
from daemon.proving.entry import DaemonProofs
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome
from daemon.rotation.run import RotationContext
from daemon.rotation.setup import open_context
from daemon.status.fleet_status import FleetStatus
from daemon.status.metrics import Metrics
from daemon.status.tracker import StatusTracker
from tests.simulation.alert_checks import Mailbox
from tests.simulation.clocks import ProcessClock
from tests.simulation.configuration import Policy
from tests.simulation.recorder import Rotation
from tests.simulation.starts import latest_start
from tests.simulation.wire import Wire

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

PROCESS: ContextVar["Process"] = ContextVar("process")
"""The process whose code runs."""

DRAIN_SECONDS = 25.0
FLUSH_SECONDS = 3.0


class Process:
    """A process that holds the daemon's code: the daemon itself, or a command by hand.

    It last stood still at `stood_at`, and went on at `went_on_at`; only members of a cluster do.
    """

    stood_at = went_on_at = float("-inf")

    def __init__(self, simulation: "Simulation", name: str) -> None:
        self.simulation = simulation
        self.name = name
        self.alive = True
        self.doomed_in = 0
        self.over = asyncio.Event()
        self.launched: dict[str, datetime] = {}
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

    def opens_row(self) -> None:
        """The rotation whose code runs has its row; all is written of one that has asked for nothing before."""
        rotation = self._rotation()
        if rotation is not None and not any(one.call in {"create", "delete"} for one in rotation.exchanges):
            rotation.unwritten = False

    def reports(self) -> None:
        """The rotation whose code runs is about to write down how it ended."""
        if (rotation := self._rotation()) is not None:
            rotation.reported = True

    def _rotation(self) -> Rotation | None:
        return self.simulation.recorder.running.get((self.name, get_contextvars().get("server", "")))

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
        """Tell the recorder."""
        simulation, name = self.simulation, order.server.name
        policy = simulation.configuration.current_config(name) or simulation.configuration.known[name]
        if order.max_deletions is not None:
            policy = {**policy, "max_deletions": order.max_deletions, "max_share": 1, "lifted": True}
        uuid, began = simulation.uuid_of(name), simulation.clock.monotonic()
        last = None if order.trigger == "manual" else self._last_start(order, policy, uuid)
        once_more = self._once_more(order, uuid, last)
        latest = None if once_more else last
        earlier = None if once_more else self._goes_on_with(order.trigger, uuid)
        # It may be one that the schedule has no more since a reload.
        start_at = max(latest, earlier.start_at) if latest and earlier and earlier.start_at else latest
        simulation.rotation_begins(
            Rotation(
                process=self.name,
                server=name,
                uuid=uuid,
                trigger=order.trigger,
                start_at=start_at,
                due=earlier.due if earlier else began,
                began=began,
                read=self.read_since(began),
                policy=policy,
                once_more=once_more,
                early=start_at is not None and start_at > self.clock.now(),
                named=order.start_at,
            )
        )

    def read_since(self, moment: float) -> float:
        """Since when the configuration may be in force by which it goes at a moment."""
        return moment

    def _last_start(self, order: Order, policy: Policy, uuid: str) -> datetime:
        """The last start by now. One that fell due before a reload took it out of the schedule is still made up for."""
        now = self.launched.get(order.server.name, self.clock.now())
        last = latest_start(policy, uuid, now)
        if order.start_at is None or not last < order.start_at <= now:
            return last
        began = self.simulation.clock.monotonic()
        due = began - (now - order.start_at).total_seconds()
        before = filter(None, self.simulation.configuration.between(order.server.name, due, began))
        return max([last, *(latest_start(one, uuid, order.start_at) for one in before)])

    def _once_more(self, order: Order, uuid: str, last: datetime | None) -> datetime | None:
        """The last start before a rotation that no start asks for, but a proof that failed; None for any other one.

        It is tried again like that of a start, by this process or by the next one.
        """
        first = order.trigger == "retry" and (order.attempt, order.hand_overs) == (0, 0)
        known = self.simulation.once_more
        if first and order.start_at is not None and last is not None:
            known[uuid, order.start_at] = last
        return None if order.start_at is None else known.get((uuid, order.start_at))

    def _goes_on_with(self, trigger: str, uuid: str) -> Rotation | None:
        """The rotation before it, if it is for the same start."""
        if trigger not in {"resume", "retry"}:
            return None
        earlier = (one for one in reversed(self.simulation.recorder.rotations) if one.uuid == uuid)
        return next((one for one in earlier if one.start_at is not None), None)

    def rotation_ended(self, server: str, outcome: Outcome) -> None:
        """Tell the recorder."""
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
            self.simulation.alert_checks.ended(order.server.name, outcome, self.clock.now())


class Ends:
    """The first of a daemon's listeners: those after it may tell of a rotation, and the daemon be killed before its
    last listener hears.
    """

    def __init__(self, daemon: Process) -> None:
        self._daemon = daemon

    async def began(self, order: Order) -> None:
        """A rotation begins, which the last listener may hear of much later."""
        self._daemon.launched[order.server.name] = self._daemon.clock.now()

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        if self._daemon.alive:
            again = order.trigger == "retry" and order.attempt > 0 and not outcome.handed_over
            self._daemon.simulation.alert_checks.ends(order.server.name, outcome, self._daemon.clock.now(), again=again)


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
        try:
            await self.alerts.start()
        except asyncio.CancelledError:  # it is killed as it begins
            await self._bury()
            return
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
        if self.up:
            self.fleet._scheduler.stop()
        for _ in range(20):
            for task in (*self.fleet._tasks, *(running.task for running in self.fleet._rotations._running.values())):
                task.cancel()
            await asyncio.sleep(0)  # noqa: TID251 — lets other tasks run
        await self.alerts.close(0)
        await self.fleet.close()
        self.simulation.forget(self.name)
