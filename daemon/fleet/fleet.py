"""Which rotation is begun when: starts that are due, that were missed, or left by a kill, and what is tried again.

One server's trouble never reaches another's (invariant 12).
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timedelta

from daemon.config.values import Config, ServerConfig
from daemon.core.calendar import Starts
from daemon.core.model import Server
from daemon.core.units import rfc3339
from daemon.errors import ProblemCode, StateError
from daemon.fleet.attempts import Attempts
from daemon.fleet.clients import Clients, OpenClient
from daemon.fleet.isolation import surviving
from daemon.fleet.rotations import Listener, Rotations
from daemon.fleet.scheduler import Scheduler
from daemon.fleet.timekeeper import Timekeeper
from daemon.log import get_logger
from daemon.rotation.order import Halt, Order
from daemon.rotation.outcome import Outcome, Problem, Result
from daemon.rotation.run import RotationContext
from daemon.rotation.setup import keep_state
from daemon.state import Rotation, Trigger

log = get_logger()


LATE_SECONDS = 90.0  # more than a tick, by which a machine that slept notices
PRUNE_SECONDS = 86_400.0
SLICE = 20
SET_BACK = timedelta(hours=1)


class Fleet:
    """The rotations of all configured servers; in a cluster only those of this member's `share`."""

    def __init__(
        self,
        config: Config,
        context: RotationContext,
        open_client: OpenClient,
        *,
        listeners: Sequence[Listener] = (),
        share: Config | None = None,
    ) -> None:
        self.config = config
        self._servers = (share or config).servers
        self._tools = context
        self._clock = context.clock
        self._scheduler = Scheduler(self._due_together)
        self._timekeeper = Timekeeper(
            context.clock, tick=self._tick, set_back=self._clock_set_back, ahead_of=self._scheduler.ahead_of
        )
        self._attempts = Attempts(context)
        self._clients = Clients(open_client)
        self._rotations = Rotations(context, self._clients, listeners, current=self._in_force, retry=self._retry)
        self._served: dict[str, datetime] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._names_by_uuid: dict[str, str] = {}
        self._pruned_at = context.clock.monotonic()
        self._draining = False
        context.current_config = self._in_force
        context.on_server = self._seen

    def listen(self, listener: Listener) -> None:
        """Let one more listener hear what the fleet does, after the others."""
        self._rotations.listen(listener)

    def start(self) -> None:
        """Schedule every server, and pick up what an earlier run of the daemon left or missed."""
        for server in self._servers.values():
            self._scheduler.put(server.name, server.starts)
        self._scheduler.start()
        self._begin(self._pick_up_all(self._servers), "picking up")
        self._begin(self._timekeeper.run(), "keeping time")

    def reload(self, config: Config, share: Config | None = None) -> None:
        """Apply a new configuration, or share; unchanged servers and running rotations are not disturbed."""
        before, servers = self._servers, (share or config).servers
        self.config, self._servers = config, servers
        for name in before.keys() - servers.keys():
            self._scheduler.remove(name)
            self._rotations.forget(name)
        changed = {name: before.get(name) for name, server in servers.items() if server is not before.get(name)}
        if changed:
            self._begin(self._follow(changed), "following a reload")
        self._names_by_uuid.clear()  # what was seen under the old configuration says nothing of the new one
        self._clients.follow(config.panels)

    @property
    def clients(self) -> Clients:
        """The rotations' clients; other code that asks a panel borrows one, and so shares its API limit."""
        return self._clients

    @property
    def names(self) -> AbstractSet[str]:
        """The servers that this daemon acts for."""
        return self._servers.keys()

    def running(self) -> tuple[str, ...]:
        """Return the names of the servers whose rotation is running."""
        return self._rotations.names

    def next_start(self) -> tuple[str, datetime] | None:
        """Return the server and moment of the very next start; None if there is none."""
        return self._scheduler.next_start()

    def behind(self) -> float:
        """Return for how many seconds the next start has been due; 0 while none is, or only just."""
        following = self.next_start()
        late = (self._clock.now() - following[1]).total_seconds() if following else 0.0
        return late if late > LATE_SECONDS else 0.0

    def keeps_time(self) -> bool:
        """Return whether the scheduler runs and has missed no start."""
        return self._scheduler.running and not self.behind()

    def once_more(self, before: ServerConfig) -> bool:
        """Have another backup of a server made now, beside those of its starts: the newest one is not sound. Return
        whether it is to be made: not where the name stands for another server by now, nor while the daemon drains.
        """
        server = self._in_force(before.name)
        if server is None or not server.is_same_server(before) or self._draining:
            return False
        self._rotations.launch(Order(server, "retry", self._clock.now()))  # a start of its own
        return True

    def leave_waiting(self, names: Collection[str]) -> None:
        """Leave those rotations of these servers that only wait: another member is to act for them."""
        self._rotations.leave_waiting(names)

    async def drain(self, bound: float) -> tuple[str, ...]:
        """Start nothing new; leave what only waits, give the rest `bound` seconds, then leave it too.

        Return the servers whose rotation was left; the next run of the daemon picks them up.
        """
        self._scheduler.stop()
        for task in self._tasks:
            task.cancel()
        self._draining = True
        return await self._rotations.leave(bound)

    async def close(self) -> None:
        """Close every client."""
        await self._clients.close()

    def _begin(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run this in the background, until it ends or the daemon drains."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _in_slices(self, names: Iterable[str]) -> AsyncIterator[list[ServerConfig]]:
        """Yield the configured servers of these names, some at a time; let others run in between."""
        every = tuple(names)
        for first in range(0, len(every), SLICE):
            yield [self._servers[name] for name in every[first : first + SLICE] if name in self._servers]
            await self._clock.sleep(0)

    async def _pick_up_all(self, names: Iterable[str]) -> None:
        """Find what each of these servers needs. The journal is asked for some at a time: there may be thousands."""
        async for servers in self._in_slices(names):
            with surviving():
                known = await self._attempts.known([one.name for one in servers])
                for server in (self._servers[name] for name in known if name in self._servers):
                    with surviving(server=server.name):
                        await self._pick_up(server, known[server.name])

    async def _follow(self, changed: Mapping[str, ServerConfig | None]) -> None:
        """Schedule again, and find what is needed, for the servers that a reload changed."""
        anew: list[str] = []
        async for servers in self._in_slices(changed):
            for server in servers:
                old = changed[server.name]
                with surviving(server=server.name):
                    if old is None or old.starts != server.starts:
                        self._scheduler.put(server.name, server.starts)
                if old is None or _is_picked_up_anew(old, server):
                    anew.append(server.name)
        await self._pick_up_all(anew)

    async def _tick(self) -> None:
        """Hand over what is due, look after the state, and once a day prune the journal."""
        self._scheduler.wake()
        await keep_state(self._tools)
        now = self._clock.monotonic()
        if now - self._pruned_at >= PRUNE_SECONDS:
            self._pruned_at = now
            await self._prune_journal()

    async def _prune_journal(self) -> None:
        try:
            await self._tools.journal.prune(self._clock.now())
        except StateError as error:
            log.warning("journal_not_pruned", text=error.text)

    def _clock_set_back(self, by: timedelta) -> None:
        """Schedule again, since every job's next start is too far ahead now.

        Starts that come a second time by this clock are not served again, unless it was set back so far that it must
        have been wrong before.
        """
        if by >= SET_BACK:
            self._served.clear()
        self._scheduler.anew()

    def _in_force(self, name: str) -> ServerConfig | None:
        return self._servers.get(name)

    def _due_together(self, due: Mapping[str, Starts]) -> None:
        if not self._draining:
            self._begin(self._start_all(due), "starting")

    async def _start_all(self, due: Mapping[str, Starts]) -> None:
        async for servers in self._in_slices(due):
            for server in servers:
                with surviving(server=server.name):
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
        self._rotations.launch(Order(server, "schedule", start_at))

    def _retry(self, order: Order, outcome: Outcome, moment: datetime) -> None:
        """Try again. A catch-up that made nothing must still find out whether its start was missed at all. What was
        another member's to make was not tried.
        """
        catching_up = order.trigger == "catch-up" and outcome.created is None
        trigger: Trigger = "catch-up" if catching_up else "retry"
        attempt, hand_overs = order.attempt + (not outcome.handed_over), order.hand_overs + outcome.handed_over
        failed = order.failed + outcome.made_a_failed_one
        self._again(replace(order, trigger=trigger, attempt=attempt, failed=failed, hand_overs=hand_overs), moment)

    def _again(self, order: Order, moment: datetime) -> None:
        """Launch at that moment, by the configuration in force then."""
        name = order.server.name
        log.info("rotation_planned", server=name, trigger=order.trigger, at=rfc3339(moment))

        async def launch() -> None:
            before = self._servers.get(name)
            if before is None or not before.is_same_server(order.server):
                return
            if await self._attempts.served(before, order.start_at, self._clock.now()):
                return
            server = self._by_now(before)
            if server is not None:
                self._rotations.launch(replace(order, server=server))

        self._scheduler.once(name, moment, lambda: self._begin(launch(), "trying again"))

    async def _pick_up(self, before: ServerConfig, known: Sequence[Rotation]) -> None:
        """Continue what a killed daemon left, keep a planned retry, or catch up one missed start."""
        found = await self._attempts.recovery(before, known)
        server = self._by_now(before)
        if found is None or server is None:
            return
        about = (found.trigger, found.start_at, found.attempt, found.failed)
        order = Order(server, *about, hand_overs=found.hand_overs)
        if found.trigger == "catch-up":
            log.info("start_missed", server=server.name, start=rfc3339(found.start_at))
        if found.moment <= self._clock.now():
            self._rotations.launch(order)
        else:
            self._again(order, found.moment)

    def _by_now(self, before: ServerConfig) -> ServerConfig | None:
        """Return what a server's configuration has become while the journal or the locks were asked; None if a reload
        took it out, or has it picked up anew.
        """
        server = self._servers.get(before.name)
        return None if server is None or _is_picked_up_anew(before, server) else server

    def _seen(self, config: ServerConfig, server: Server) -> None:
        """Refuse two names for one uuid before anything is done: a server is configured once. What a reload has given
        another name since was not.
        """
        if not config.is_same_server(self._in_force(config.name)):
            return
        other = self._names_by_uuid.setdefault(server.uuid, config.name)
        if other == config.name or other not in self._servers:
            self._names_by_uuid[server.uuid] = config.name
            return
        text = f"servers.{config.name} is the same server as servers.{other} ({server.uuid}); it is configured twice"
        raise Halt(
            Result.REFUSED, Problem(ProblemCode.DUPLICATE_SERVER, text, "remove one of the two from the configuration")
        )


def _is_picked_up_anew(before: ServerConfig, server: ServerConfig) -> bool:
    """Return whether a reload changed when this name starts, or which server it stands for: `_follow` sees to it."""
    return (before.panel.url, before.id, before.starts) != (server.panel.url, server.id, server.starts)
