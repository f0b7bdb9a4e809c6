"""The rotations that are under way: one at a time for each server.

What falls due for a server meanwhile is merged into one rotation after it. Even a bug ends only its own rotation
(invariant 12).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from daemon.config.values import ServerConfig
from daemon.fleet.clients import Clients
from daemon.fleet.isolation import surviving
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.rotation.order import Order, Stage
from daemon.rotation.outcome import Outcome
from daemon.rotation.rotate import rotate
from daemon.rotation.run import RotationContext

log = get_logger()

LOOK_SECONDS = 0.5
LEAVABLE = frozenset({Stage.QUEUED, Stage.SETTLING, Stage.WAITING})


class Listener(Protocol):
    """Hears what the fleet does. It must be quick, and what it raises is only logged."""

    async def began(self, order: Order) -> None:
        """A rotation begins."""
        ...

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended; not called for one that was left or met a bug."""
        ...


@dataclass(frozen=True, slots=True)
class _Running:
    """A running rotation, and the order that began it."""

    order: Order
    task: asyncio.Task[Outcome]


class Rotations:
    """What is under way, and what is due after it.

    `current` returns a server's configuration in force; None if it is gone. `retry` is called with an order that is to
    be tried again, what came of it, and when.
    """

    def __init__(
        self,
        context: RotationContext,
        clients: Clients,
        listeners: Sequence[Listener],
        *,
        current: Callable[[str], ServerConfig | None],
        retry: Callable[[Order, Outcome, datetime], None],
    ) -> None:
        self._context = context
        self._clients = clients
        self._listeners: list[Listener] = [*listeners]
        self._current = current
        self._retry = retry
        self._running: dict[str, _Running] = {}
        self._due_again: dict[str, Order] = {}

    def listen(self, listener: Listener) -> None:
        """Let one more listener hear what happens, after the others."""
        self._listeners.append(listener)

    @property
    def names(self) -> tuple[str, ...]:
        """The servers whose rotation is running."""
        return tuple(self._running)

    def launch(self, order: Order) -> None:
        """Begin a rotation or, while one runs, remember that another is due after it."""
        name = order.server.name
        if name in self._running:
            self._merge(order)
            return
        client = self._clients.lend(order.server.panel)
        task = asyncio.create_task(self._rotate(order, client), name=f"rotation of {name}")
        self._running[name] = _Running(order, task)
        task.add_done_callback(lambda done: self._ended(order, client, done))

    def forget(self, name: str) -> None:
        """Let nothing follow a server's running rotation."""
        self._due_again.pop(name, None)

    def leave_waiting(self, names: Collection[str]) -> None:
        """Leave the rotations of these servers that only wait: whoever acts for the servers next goes on with them."""
        for name in self._running.keys() & set(names):
            task = self._running[name].task
            if self._stage(name) in LEAVABLE and not task.cancelling():  # what it gives back is not to be cancelled
                task.cancel()

    async def leave(self, bound: float) -> tuple[str, ...]:
        """Leave what only waits, give the rest `bound` seconds, then leave it too.

        Return the servers whose rotation was left.
        """
        self._due_again.clear()
        clock = self._context.clock
        until = clock.monotonic() + bound
        left: set[str] = set()
        while self._running:
            overdue = clock.monotonic() >= until
            leaving = {name for name in self._running if overdue or self._stage(name) in LEAVABLE} - left
            for name in leaving:
                self._running[name].task.cancel()
            left |= leaving
            tasks = [running.task for running in self._running.values()]
            await asyncio.wait(tasks, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return tuple(sorted(left))

    async def _rotate(self, order: Order, client: PanelClient) -> Outcome:
        """Rotate, and notify the listeners of its begin and its end."""
        await self._tell(lambda listener: listener.began(order))
        outcome = await rotate(order, client, self._context)
        await self._tell(lambda listener: listener.ended(order, outcome))
        return outcome

    async def _tell(self, tell: Callable[[Listener], Awaitable[None]]) -> None:
        for listener in self._listeners:
            with surviving():
                await tell(listener)

    def _merge(self, order: Order) -> None:
        """Let this order follow the running rotation, unless that was begun for the same start."""
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
        server = self._current(name)
        merged = self._due_again.pop(name, None)
        if server is None:
            return
        if merged is not None and server.is_same_server(merged.server):
            self.launch(replace(merged, server=server))
        elif outcome is not None and outcome.retry_at is not None and server.is_same_server(order.server):
            self._retry(order, outcome, outcome.retry_at)

    def _stage(self, name: str) -> Stage | None:
        run = self._context.under_way.get(name)
        return run.stage if run else None


def _serves(other: Order, order: Order) -> bool:
    """Return whether the other order is for the same server, and for the same start or a later one."""
    same = other.server.is_same_server(order.server)
    return same and other.start_at is not None and order.start_at is not None and other.start_at >= order.start_at
