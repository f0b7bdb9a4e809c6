"""What waits to be sent to one receiver: in order, tried again for about an hour, never more than a bound.

Whoever puts something in never waits and never learns of trouble; what is lost is logged.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from daemon.clock import Clock
from daemon.log import get_logger
from daemon.notify.post import Failure

log = get_logger()

MOST_WAITING = 1000
DELAYS = (10.0, 60.0, 300.0, 900.0, 900.0, 900.0, 900.0)


@dataclass(frozen=True, slots=True)
class Letter:
    """Something to send: how, what it is in words for the log, and whether a late one still makes sense."""

    send: Callable[[], Awaitable[Failure | None]]
    event: str
    server: str
    lasting: bool = True


class Outbox:
    """The letters to one receiver."""

    def __init__(self, receiver: str, clock: Clock) -> None:
        self._receiver = receiver
        self._clock = clock
        self._waiting: deque[Letter] = deque()
        self._working: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def put(self, letter: Letter) -> None:
        """Send as soon as can be; where too many wait the oldest is dropped."""
        if len(self._waiting) >= MOST_WAITING:
            self._lose(self._waiting.popleft(), "too many wait for this receiver")
        self._waiting.append(letter)
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work(), name=f"alerts to {self._receiver}")

    async def close(self, bound: float) -> None:
        """Try once more what waits, for `bound` seconds in all; what is left then is lost."""
        self._closing.set()
        if self._working is None:
            return
        await asyncio.wait({self._working}, timeout=bound)
        self._working.cancel()
        while self._waiting:
            self._lose(self._waiting.popleft(), "the daemon stops")

    async def _work(self) -> None:
        while self._waiting:
            letter = self._waiting[0]
            failure = await self._deliver(letter)
            if self._waiting and self._waiting[0] is letter:  # it may have been dropped meanwhile
                self._waiting.popleft()
                if failure is not None:
                    self._lose(letter, failure.reason)

    async def _deliver(self, letter: Letter) -> Failure | None:
        """Try until it is taken, or no more try is worth it; then return why not."""
        for delay in DELAYS:
            failure = await self._try(letter)
            if failure is None or not (failure.passing and letter.lasting) or self._closing.is_set():
                return failure
            log.info(
                "alert_delayed", receiver=self._receiver, told=letter.event, server=letter.server, reason=failure.reason
            )
            await self._nap(min(max(delay, failure.retry_after or 0), max(DELAYS)))
        return await self._try(letter)

    async def _try(self, letter: Letter) -> Failure | None:
        try:
            return await letter.send()
        except Exception as bug:  # noqa: BLE001 — a receiver's library may raise anything, with the address in it
            return Failure(f"a bug ({type(bug).__name__})", passing=False)

    async def _nap(self, seconds: float) -> None:
        """Wait, but no longer than until the end begins."""
        waits = [asyncio.create_task(wait) for wait in (self._clock.sleep(seconds), self._closing.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _lose(self, letter: Letter, reason: str) -> None:
        log.warning("alert_lost", receiver=self._receiver, told=letter.event, server=letter.server, reason=reason)
