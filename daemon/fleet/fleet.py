"""Which rotation runs for which server: starts handed over, merged, tried again, caught up and picked up.

One rotation at a time per server; starts that fall due meanwhile merge into one after it. One server's trouble never
reaches another's: even a bug ends only the rotation that it is in (invariant 12).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from daemon.config.values import Config, ServerConfig
from daemon.core.calendar import Starts
from daemon.core.model import Server
from daemon.core.units import format_duration, rfc3339
from daemon.errors import ProblemCode, StateError
from daemon.fleet.clients import Clients, OpenClient
from daemon.fleet.recovery import recover
from daemon.fleet.scheduler import Scheduler
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.rotation.outcome import Outcome, Problem, Result
from daemon.rotation.rotate import rotate
from daemon.rotation.run import Halt, Order, RotationContext, Stage
from daemon.rotation.setup import keep_state
from daemon.state import Rotation, Trigger

log = get_logger()


class Listener(Protocol):
    """Somebody who is told what the fleet does; it must be quick, and what it raises is logged and goes no further."""

    async def began(self, order: Order) -> None:
        """A rotation begins."""
        ...

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended; one that was left or met a bug does not."""
        ...


LOOK_SECONDS = 0.5
LATE_SECONDS = 90.0  # more than a tick, by which a machine that slept notices
TICK_SECONDS = 60.0
PRUNE_SECONDS = 86_400.0
SLICE = 20
RECENT = 20
NOTICEABLE = timedelta(seconds=1)
SET_BACK = timedelta(hours=1)
WHOLE = frozenset({Result.DONE, Result.REFUSED})  # after a good backup: nothing is left that passing trouble hindered
LEAVABLE = frozenset({Stage.QUEUED, Stage.SETTLING, Stage.WAITING})


@dataclass(frozen=True, slots=True)
class _Running:
    """A rotation under way, and what it was begun for."""

    order: Order
    task: asyncio.Task[Outcome]


class Fleet:
    """The rotations of all configured servers."""

    def __init__(
        self, config: Config, context: RotationContext, open_client: OpenClient, *, listeners: Sequence[Listener] = ()
    ) -> None:
        self.config = config
        self._tools = context
        self._listeners = listeners
        self._clock = context.clock
        self._scheduler = Scheduler(self._due_together)
        self._clients = Clients(open_client)
        self._running: dict[str, _Running] = {}
        self._due_again: dict[str, Order] = {}
        self._served: dict[str, datetime] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._names_by_uuid: dict[str, str] = {}
        self._draining = False
        context.current_config = self._in_force
        context.on_server = self._seen

    def start(self) -> None:
        """Schedule every server, and pick up what an earlier run of the daemon left or missed."""
        for server in self.config.servers.values():
            self._scheduler.put(server.name, server.starts)
        self._scheduler.start()
        self._begin(self._pick_up_all(), "picking up")
        self._begin(self._keep_time(), "keeping time")

    def reload(self, config: Config) -> None:
        """Obey a new configuration; servers that it does not change are not disturbed, nor is what runs."""
        before, self.config = self.config.servers, config
        for name in before.keys() - config.servers.keys():
            self._scheduler.remove(name)
            self._due_again.pop(name, None)
        changed = {name: before.get(name) for name, server in config.servers.items() if server is not before.get(name)}
        if changed:
            self._begin(self._follow(changed), "following a reload")
        self._names_by_uuid.clear()  # what was seen under the old configuration says nothing of the new one
        self._clients.follow(config.panels)

    @property
    def clients(self) -> Clients:
        """The rotations' clients; who else asks a panel borrows one, and so shares its API limit."""
        return self._clients

    def running(self) -> tuple[str, ...]:
        """The names of the servers whose rotation is under way."""
        return tuple(self._running)

    def next_start(self) -> tuple[str, datetime] | None:
        """The server and moment of the very next start."""
        return self._scheduler.next_start()

    def behind(self) -> float:
        """For how many seconds the next start has been due; 0 while none is, or only just."""
        following = self.next_start()
        late = (self._clock.now() - following[1]).total_seconds() if following else 0.0
        return late if late > LATE_SECONDS else 0.0

    def keeps_time(self) -> bool:
        """Whether the scheduler runs and has let no start pass by."""
        return self._scheduler.running and not self.behind()

    async def drain(self, bound: float) -> tuple[str, ...]:
        """Start nothing new; leave what only waits, give the rest `bound` seconds, then leave it too.

        Returns the servers whose rotation was left; the next run of the daemon picks them up.
        """
        if not self._draining:
            self._scheduler.stop()
        for task in self._tasks:
            task.cancel()
        self._draining = True
        self._due_again.clear()
        until = self._clock.monotonic() + bound
        left: set[str] = set()
        while self._running:
            overdue = self._clock.monotonic() >= until
            leaving = {name for name in self._running if overdue or self._stage(name) in LEAVABLE} - left
            for name in leaving:
                self._running[name].task.cancel()
            left |= leaving
            tasks = [running.task for running in self._running.values()]
            await asyncio.wait(tasks, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return tuple(sorted(left))

    async def close(self) -> None:
        """Close every client."""
        await self._clients.close()

    def _begin(self, work: Coroutine[None, None, None], name: str) -> None:
        """Let this be done beside all else, until it ends or the daemon drains."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _in_slices(self, names: Iterable[str]) -> AsyncIterator[ServerConfig]:
        """The servers of these names, as far as they are configured; with thousands of them others run meanwhile."""
        for number, name in enumerate(tuple(names), start=1):
            if (server := self.config.servers.get(name)) is not None:
                yield server
            if number % SLICE == 0:
                await self._clock.sleep(0)

    async def _pick_up_all(self) -> None:
        """Look what each server needs."""
        async for server in self._in_slices(self.config.servers):
            with _surviving(server=server.name):
                await self._pick_up(server)

    async def _follow(self, changed: Mapping[str, ServerConfig | None]) -> None:
        """Schedule anew, and look what is needed, where a reload came with something else than there was."""
        async for server in self._in_slices(changed):
            old = changed[server.name]
            with _surviving(server=server.name):
                if old is None or old.starts != server.starts:
                    self._scheduler.put(server.name, server.starts)
                if old is None or (old.panel.url, old.id, old.starts) != (server.panel.url, server.id, server.starts):
                    await self._pick_up(server)

    async def _keep_time(self) -> None:
        """Look at the clock now and then: timers count monotonic time, which stands still while the machine sleeps.

        A clock that was set back leaves every job's next start too far ahead, so they are scheduled anew. Starts that
        come a second time by it are not served again, unless it was set back so far that it must have been wrong.
        """
        pruned = self._clock.monotonic()
        while True:
            wall, elapsed = self._clock.now(), self._clock.monotonic()
            await self._clock.sleep(TICK_SECONDS)
            with _surviving():
                self._notice_jump(wall + timedelta(seconds=self._clock.monotonic() - elapsed))
                self._scheduler.wake()
                await keep_state(self._tools)
                if elapsed - pruned >= PRUNE_SECONDS:
                    pruned = elapsed
                    await self._prune_journal()

    def _notice_jump(self, expected: datetime) -> None:
        jump = self._clock.now() - expected
        if jump >= -NOTICEABLE:
            return
        log.warning("clock_set_back", by=format_duration(-jump))
        if jump <= -SET_BACK:
            self._served.clear()
        self._scheduler.anew()

    async def _prune_journal(self) -> None:
        try:
            await self._tools.journal.prune(self._clock.now())
        except StateError as error:
            log.warning("journal_not_pruned", text=error.text)

    def _in_force(self, name: str) -> ServerConfig | None:
        return self.config.servers.get(name)

    def _due_together(self, due: Mapping[str, Starts]) -> None:
        if not self._draining:
            self._begin(self._start_all(due), "starting")

    async def _start_all(self, due: Mapping[str, Starts]) -> None:
        async for server in self._in_slices(due):
            with _surviving(server=server.name):
                if server.starts == due[server.name]:
                    self._due(server)

    def _due(self, server: ServerConfig) -> None:
        name = server.name
        start_at = server.starts.latest(self._clock.now())
        if start_at <= self._served.get(name, start_at - SET_BACK):
            log.info("start_served_already", server=name, reason="the clock was set back over it")
            return
        self._served[name] = start_at
        self._scheduler.forget_once(name)
        self._launch(Order(server, "schedule", start_at))

    def _launch(self, order: Order) -> None:
        """Begin a rotation, or, while one runs, remember that another is due after it."""
        name = order.server.name
        if name in self._running:
            self._merge(order)
            return
        client = self._clients.lend(order.server.panel)
        task = asyncio.create_task(self._rotate(order, client), name=f"rotation of {name}")
        self._running[name] = _Running(order, task)
        task.add_done_callback(lambda done: self._ended(order, client, done))

    async def _rotate(self, order: Order, client: PanelClient) -> Outcome:
        """Rotate, and tell of its begin and its end."""
        await self._tell(lambda listener: listener.began(order))
        outcome = await rotate(order, client, self._tools)
        await self._tell(lambda listener: listener.ended(order, outcome))
        return outcome

    def _merge(self, order: Order) -> None:
        """Let this one follow the rotation that runs, unless that was begun for its start."""
        name = order.server.name
        if _serves(self._running[name].order, order):
            log.info("start_served_already", server=name, reason="the rotation under way was begun for it")
            return
        log.info("start_merged", server=name, reason="a rotation of this server is under way")
        self._due_again[name] = order

    def _ended(self, order: Order, client: PanelClient, task: asyncio.Task[Outcome]) -> None:
        name = order.server.name
        del self._running[name]
        self._clients.give_back(client)
        if task.cancelled():
            return
        outcome: Outcome | None = None
        if (bug := task.exception()) is not None:
            log.error("rotation_bug", server=name, exc_info=bug)
        else:
            outcome = task.result()
        server = self.config.servers.get(name)
        merged = self._due_again.pop(name, None)
        if server is None:
            return
        if merged is not None:
            self._launch(replace(merged, server=server))
        elif outcome is not None and outcome.retry_at is not None:
            self._retry(order, outcome, outcome.retry_at)

    async def _tell(self, tell: Callable[[Listener], Awaitable[None]]) -> None:
        for listener in self._listeners:
            with _surviving():
                await tell(listener)

    def _retry(self, order: Order, outcome: Outcome, moment: datetime) -> None:
        """Try again. One that was to catch up and made nothing must still look whether its start was missed at all."""
        catching_up = order.trigger == "catch-up" and outcome.created is None
        trigger: Trigger = "catch-up" if catching_up else "retry"
        failed = order.failed + outcome.made_a_failed_one
        self._again(replace(order, trigger=trigger, attempt=order.attempt + 1, failed=failed), moment)

    def _again(self, order: Order, moment: datetime) -> None:
        """Launch at that moment, by the configuration in force then."""
        name = order.server.name
        log.info("rotation_planned", server=name, trigger=order.trigger, at=rfc3339(moment))

        async def launch() -> None:
            server = self.config.servers.get(name)
            if server is not None and not await self._served_meanwhile(server, order):
                self._launch(replace(order, server=server))

        self._scheduler.once(name, moment, lambda: self._begin(launch(), "trying again"))

    async def _served_meanwhile(self, server: ServerConfig, order: Order) -> bool:
        """Whether a rotation since that start did all of it: by hand, or under another schedule.

        One that got its good backup and could not delete what is beyond retention did not.
        """
        start, now = order.start_at, self._clock.now()
        return start is not None and any(
            row.summary.get("good") and row.result in WHOLE and server.starts.is_since(start, row.began_at, now=now)
            for row in await self._attempts(server)
        )

    async def _pick_up(self, server: ServerConfig) -> None:
        """Go on with what a killed daemon left, keep a promised retry, or catch up one missed start."""
        rows, now = await self._attempts(server), self._clock.now()
        left_open = {row.server_uuid for row in rows if row.ended_at is None}
        locked = {uuid for uuid in left_open if await self._tools.engine.locks.is_held(uuid)}
        found = recover(rows, server.starts, now, left_alone=lambda row: row.server_uuid not in locked)
        if found is None:
            return
        order = Order(server, found.trigger, found.start_at, found.attempt, found.failed)
        if found.trigger == "catch-up":
            log.info("start_missed", server=server.name, start=rfc3339(found.start_at))
        if found.moment <= now:
            self._launch(order)
        else:
            self._again(order, found.moment)

    async def _attempts(self, server: ServerConfig) -> list[Rotation]:
        """The journal's newest rotations of this server, newest first; none where it cannot be read."""
        try:
            rows = await self._tools.journal.attempts(server.name, limit=RECENT)
        except StateError as error:
            log.warning("journal_unreadable", server=server.name, text=error.text)
            return []
        return [row for row in rows if row.panel == server.panel.name and row.server_uuid.startswith(server.id[:8])]

    def _seen(self, config: ServerConfig, server: Server) -> None:
        """A server is configured once: two names for one uuid are refused before anything is done."""
        other = self._names_by_uuid.setdefault(server.uuid, config.name)
        if other == config.name or other not in self.config.servers:
            self._names_by_uuid[server.uuid] = config.name
            return
        text = f"servers.{config.name} is the same server as servers.{other} ({server.uuid}); it is configured twice"
        raise Halt(
            Result.REFUSED, Problem(ProblemCode.DUPLICATE_SERVER, text, "remove one of the two from the configuration")
        )

    def _stage(self, name: str) -> Stage | None:
        run = self._tools.under_way.get(name)
        return run.stage if run else None


def _serves(other: Order, order: Order) -> bool:
    """Whether the other one is for the same server, and for the same start or a later one."""
    same = (other.server.panel.name, other.server.id) == (order.server.panel.name, order.server.id)
    return same and other.start_at is not None and order.start_at is not None and other.start_at >= order.start_at


@contextmanager
def _surviving(**about: str) -> Iterator[None]:
    """Let a bug end no more than the block that it is in (invariant 12)."""
    try:
        yield
    except Exception:
        log.exception("bug", **about)
