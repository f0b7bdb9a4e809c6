"""Which rotation runs for which server: starts handed over, merged, tried again, caught up and picked up.

One rotation at a time per server; starts that fall due meanwhile merge into one after it. One server's trouble never
reaches another's: even a bug ends only the rotation that it is in (DESIGN, invariant 12).
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from daemon.config.values import Config, PanelConfig, ServerConfig
from daemon.core.calendar import missed
from daemon.core.model import Server
from daemon.errors import StateError
from daemon.history import Rotation, Trigger
from daemon.locks import is_locked
from daemon.panel.client import PanelClient
from daemon.rotation.outcome import Outcome, Problem, Result
from daemon.rotation.rotate import rotate
from daemon.rotation.run import Halt, Order, Stage, Tools
from daemon.scheduler import Scheduler

log = structlog.get_logger()

OpenClient = Callable[[PanelConfig], PanelClient]


class Listener(Protocol):
    """Somebody who is told what the fleet does; it must be quick, and what it raises is logged and goes no further."""

    def began(self, order: Order) -> None:
        """A rotation begins."""
        ...

    def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended; one that was left or met a bug does not."""
        ...


LOOK_SECONDS = 0.5
LATE_SECONDS = 90.0
LEAVABLE = frozenset({Stage.QUEUED, Stage.WAITING})


class Fleet:
    """The rotations of all configured servers."""

    def __init__(
        self, config: Config, tools: Tools, open_client: OpenClient, *, listeners: Sequence[Listener] = ()
    ) -> None:
        self.config = config
        self._tools = tools
        self._open_client = open_client
        self._listeners = listeners
        self._clock = tools.clock
        self._scheduler = Scheduler(self._due)
        self._clients: dict[str, tuple[PanelConfig, PanelClient]] = {}
        self._retired: set[PanelClient] = set()
        self._running: dict[str, asyncio.Task[Outcome]] = {}
        self._used: dict[str, PanelClient] = {}
        self._due_again: set[str] = set()
        self._names_by_uuid: dict[str, str] = {}
        self._draining = False
        self._closing: set[asyncio.Task[None]] = set()
        tools.in_force = self._in_force
        tools.seen = self._seen

    def start(self) -> None:
        """Schedule every server, and pick up what an earlier run of the daemon left or missed."""
        self._scheduler.start()
        for server in self.config.servers.values():
            self._scheduler.put(server.name, server.starts)
            self._pick_up(server)

    def reload(self, config: Config) -> None:
        """Obey a new configuration; servers that it does not change are not disturbed, nor is what runs."""
        before, self.config = self.config.servers, config
        for name in before.keys() - config.servers.keys():
            self._scheduler.remove(name)
            self._due_again.discard(name)
        for name, server in config.servers.items():
            old = before.get(name)
            if old is None or old.starts != server.starts:
                self._scheduler.put(name, server.starts)
            if old is None or (old.panel.url, old.id) != (server.panel.url, server.id):
                self._pick_up(server)
        self._retire_clients()

    def running(self) -> tuple[str, ...]:
        """The names of the servers whose rotation is under way."""
        return tuple(self._running)

    def next_start(self) -> tuple[str, datetime] | None:
        """The server and moment of the very next start."""
        return self._scheduler.next_start()

    def keeps_time(self) -> bool:
        """Whether the scheduler runs and has let no start pass by."""
        following = self.next_start()
        late = following is not None and (self._clock.now() - following[1]).total_seconds() > LATE_SECONDS
        return self._scheduler.running and not late

    async def drain(self, bound: float) -> tuple[str, ...]:
        """Start nothing new; leave what only waits, give the rest `bound` seconds, then leave it too.

        Returns the servers whose rotation was left; the next run of the daemon picks them up.
        """
        if not self._draining:
            self._scheduler.stop()
        self._draining = True
        self._due_again.clear()
        until = self._clock.monotonic() + bound
        left: set[str] = set()
        while self._running:
            overdue = self._clock.monotonic() >= until
            leaving = {name for name in self._running if overdue or self._stage(name) in LEAVABLE} - left
            for name in leaving:
                self._running[name].cancel()
            left |= leaving
            await asyncio.wait(tuple(self._running.values()), timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return tuple(sorted(left))

    async def close(self) -> None:
        """Close every client."""
        clients = [client for _, client in self._clients.values()] + list(self._retired)
        for client in clients:
            await client.aclose()

    def _in_force(self, name: str) -> ServerConfig | None:
        return self.config.servers.get(name)

    def _due(self, name: str) -> None:
        server = self.config.servers.get(name)
        if server is not None:
            self._launch(server, "schedule", server.starts.latest(self._clock.now()))

    def _launch(self, server: ServerConfig, trigger: Trigger, start_at: datetime | None, attempt: int = 0) -> None:
        """Begin a rotation, or, while one runs, remember that another is due after it."""
        name = server.name
        if name in self._running:
            log.info("start_merged", server=name, reason="a rotation of this server is under way")
            self._due_again.add(name)
            return
        order = Order(server, trigger, start_at, attempt)
        client = self._used[name] = self._client(server.panel)
        self._tell(lambda listener: listener.began(order))
        task = asyncio.create_task(rotate(order, client, self._tools), name=f"rotation of {name}")
        self._running[name] = task
        task.add_done_callback(lambda done: self._ended(order, done))

    def _ended(self, order: Order, task: asyncio.Task[Outcome]) -> None:
        name = order.server.name
        del self._running[name], self._used[name]
        self._close_unused()
        if task.cancelled():
            return
        retry_at: datetime | None = None
        if (bug := task.exception()) is not None:
            log.error("rotation_bug", server=name, exc_info=bug)
        else:
            outcome = task.result()
            retry_at = outcome.retry_at
            self._tell(lambda listener: listener.ended(order, outcome))
        server = self.config.servers.get(name)
        if server is None:
            return
        if name in self._due_again:
            self._due_again.discard(name)
            self._due(name)
        elif retry_at is not None:
            self._retry(server, order.start_at, order.attempt + 1, retry_at)

    def _tell(self, tell: Callable[[Listener], None]) -> None:
        for listener in self._listeners:
            try:
                tell(listener)
            except Exception:
                log.exception("listener_bug")

    def _retry(self, server: ServerConfig, start_at: datetime | None, attempt: int, moment: datetime) -> None:
        log.info("retry_scheduled", server=server.name, at=moment.isoformat(timespec="seconds"), attempt=attempt)
        self._again(server.name, moment, "retry", start_at, attempt)

    def _again(
        self, name: str, moment: datetime, trigger: Trigger, start_at: datetime | None, attempt: int = 0
    ) -> None:
        def launch() -> None:
            server = self.config.servers.get(name)
            if server is not None and name not in self._running:
                self._launch(server, trigger, start_at, attempt)

        self._scheduler.once(name, moment, launch)

    def _pick_up(self, server: ServerConfig) -> None:
        """Go on with what a killed daemon left, keep a promised retry, and catch up one missed start."""
        now = self._clock.now()
        latest = server.starts.latest(now)
        rows = self._attempts(server)
        last = rows[0] if rows else None
        if last and last.ended_at is None and self._left_alone(last) and last.start_at and last.start_at >= latest:
            self._launch(server, "resume", last.start_at)
        elif last and last.retry_at and last.began_at >= latest:
            attempt = sum(row.start_at == last.start_at for row in rows)
            self._retry(server, last.start_at, attempt, max(now, last.retry_at))
        elif (start := missed(server.starts, last.began_at if last else None, now)) is not None:
            log.info("start_missed", server=server.name, start=start.isoformat(timespec="seconds"))
            self._again(server.name, now + server.starts.delay, "catch-up", start)

    def _attempts(self, server: ServerConfig) -> list[Rotation]:
        """The journal's newest rotations of this server, newest first; none where it cannot be read."""
        try:
            rows = self._tools.journal.recent(server.name, limit=20)
        except StateError as error:
            log.warning("journal_unreadable", server=server.name, text=error.text)
            return []
        same = (row for row in rows if row.panel == server.panel.name and row.server_uuid.startswith(server.id[:8]))
        return [row for row in same if not row.dry_run]

    def _left_alone(self, row: Rotation) -> bool:
        """Whether no other process is at this rotation."""
        try:
            return not is_locked(self._tools.state_dir, row.server_uuid)
        except StateError:
            return True

    def _seen(self, config: ServerConfig, server: Server) -> None:
        """A server is configured once: two names for one uuid are refused before anything is done."""
        other = self._names_by_uuid.setdefault(server.uuid, config.name)
        if other == config.name or other not in self.config.servers:
            self._names_by_uuid[server.uuid] = config.name
            return
        text = f"servers.{config.name} is the same server as servers.{other} ({server.uuid}); it is configured twice"
        raise Halt(Result.REFUSED, Problem("duplicate_server", text, "remove one of the two from the configuration"))

    def _client(self, panel: PanelConfig) -> PanelClient:
        """The panel's client; one whose panel was changed by a reload is replaced, and closed when nothing uses it."""
        known = self._clients.get(panel.name)
        if known is not None and known[0] == panel:
            return known[1]
        if known is not None:
            self._retired.add(known[1])
        client = self._open_client(panel)
        self._clients[panel.name] = (panel, client)
        return client

    def _retire_clients(self) -> None:
        for name, (panel, client) in list(self._clients.items()):
            if self.config.panels.get(name) != panel:
                self._retired.add(client)
                del self._clients[name]
        self._close_unused()

    def _close_unused(self) -> None:
        unused = self._retired - set(self._used.values())
        self._retired -= unused
        for client in unused:
            task = asyncio.create_task(client.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _stage(self, name: str) -> Stage | None:
        run = self._tools.under_way.get(name)
        return run.stage if run else None
