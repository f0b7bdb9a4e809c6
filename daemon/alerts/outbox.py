"""The queue of deliveries to one address: in order, each retried until it is taken.

A delivery has a key, and a newer one with the same key replaces it. So the queue is bounded, and nothing is dropped for
lack of space. `put` never waits and never fails. Before each try `claim` is asked what of it may be sent from here, and
in which words by now; it is forgotten that others send the rest. `taken` is called with what was delivered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from daemon.alerts.sender import Failure
from daemon.clock import Clock
from daemon.log import get_logger

log = get_logger()

RETRY_SECONDS = (10.0, 60.0, 300.0, 900.0)
REFUSED_SECONDS = 3600.0
GATHER_SECONDS = 2.0  # the trouble of many servers comes within moments,
SPACING_SECONDS = 60.0  # and the rest of it within minutes


class Delivery(Protocol):
    """Something to send."""

    @property
    def key(self) -> Hashable:
        """A newer delivery with the same key replaces this one."""
        ...

    def worth(self, failure: Failure) -> bool:
        """Return whether another try is worthwhile after that failure."""
        ...


_Letter = TypeVar("_Letter", bound=Delivery)
Pick = Callable[[Sequence[_Letter], bool], Sequence[_Letter]]
"""Given what waits, oldest first, and whether the last was refused, return what is sent together next."""

Claim = Callable[[Sequence[_Letter]], Awaitable[Sequence[_Letter]]]
"""Return what of this may be sent now."""


class Outbox(Generic[_Letter]):
    """The deliveries to one address."""

    def __init__(
        self,
        receiver: str,
        clock: Clock,
        *,
        pick: Pick[_Letter],
        send: Callable[[Sequence[_Letter]], Awaitable[Failure | None]],
        taken: Callable[[Sequence[_Letter]], Awaitable[None]],
        claim: Claim[_Letter] | None = None,
        gathers: bool = False,
    ) -> None:
        self._receiver = receiver
        self._clock = clock
        self._pick = pick
        self._send = send
        self._taken = taken
        self._claim = claim
        self._gathers = gathers
        self._waiting: dict[Hashable, _Letter] = {}
        self._working: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._fresh = asyncio.Event()
        self._tries = 0
        self._refused = False

    @property
    def waiting(self) -> Sequence[_Letter]:
        """The deliveries that wait, oldest first."""
        return tuple(self._waiting.values())

    @property
    def in_trouble(self) -> bool:
        """Whether the last try failed, and the next one is pending."""
        return self._tries > 0

    def put(self, *letters: _Letter) -> None:
        """Send these as soon as possible."""
        for letter in letters:
            self._waiting.pop(letter.key, None)
            self._waiting[letter.key] = letter
        self._fresh.set()
        if letters and (self._working is None or self._working.done()):
            self._working = asyncio.create_task(self._work(), name=f"alerts to {self._receiver}")

    def drop(self, key: Hashable) -> None:
        """Drop the delivery with that key."""
        self._waiting.pop(key, None)

    def stop(self) -> None:
        """Send nothing more."""
        if self._working is not None:
            self._working.cancel()

    async def close(self, bound: float) -> None:
        """Try once more to send what waits, for `bound` seconds in all; keep the rest."""
        self._closing.set()
        if self._working is not None:
            await asyncio.wait({self._working}, timeout=bound)
            self._working.cancel()

    async def _work(self) -> None:
        if self._gathers:
            await self._nap(GATHER_SECONDS)
        while self._waiting:
            waiting = self.waiting
            picked = self._pick(waiting, self._refused)
            self._fresh.clear()
            letters, failure = await self._try(picked)
            if failure is None:
                await self._remove(letters)
                self._tries, self._refused = 0, False
                if len(letters) > 1:
                    await self._nap(SPACING_SECONDS if len(letters) == len(waiting) else GATHER_SECONDS)
            elif not letters[0].worth(failure):
                self._lose(letters, failure.reason)
            elif self._closing.is_set():
                return
            else:
                await self._have_patience(failure)

    async def _have_patience(self, failure: Failure) -> None:
        """Wait for the next try; after a refusal, only until there is more to send."""
        self._refused = not failure.passing
        tell = log.warning if self._refused else log.info
        tell("alert_delayed", receiver=self._receiver, waiting=len(self._waiting), reason=failure.reason)
        if self._refused:
            await self._nap(REFUSED_SECONDS, self._fresh)
            return
        delay = RETRY_SECONDS[min(self._tries, len(RETRY_SECONDS) - 1)]
        self._tries += 1
        await self._nap(min(max(delay, failure.retry_after or 0), max(RETRY_SECONDS)))

    async def _try(self, picked: Sequence[_Letter]) -> tuple[Sequence[_Letter], Failure | None]:
        """Send what of this may be sent from here; return that, and why it was not taken."""
        letters = picked
        try:
            if self._claim is not None:
                letters = await self._claim(picked)
                self._keep(picked, letters)
            return letters, await self._send(letters) if letters else None
        except Exception as bug:  # noqa: BLE001 — a receiver's library may raise anything, with the address in it
            return letters, Failure(f"a bug ({type(bug).__name__})", passing=False)

    def _keep(self, picked: Sequence[_Letter], claimed: Sequence[_Letter]) -> None:
        """Of what was picked keep only what was claimed, as it is by now; and what has replaced any of it meanwhile."""
        ours = {letter.key: letter for letter in claimed}
        for letter in picked:
            if self._waiting.get(letter.key) is not letter:
                continue
            if letter.key in ours:
                self._waiting[letter.key] = ours[letter.key]
            else:
                del self._waiting[letter.key]

    async def _nap(self, seconds: float, *until: asyncio.Event) -> None:
        """Wait, but only until one of these events or the end comes."""
        ends = [self._clock.sleep(seconds), *(event.wait() for event in (self._closing, *until))]
        waits = [asyncio.ensure_future(end) for end in ends]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _remove(self, letters: Sequence[_Letter]) -> None:
        """Forget what was taken, but not what has replaced it meanwhile."""
        gone = [letter for letter in letters if self._waiting.get(letter.key, letter) is letter]
        for letter in gone:
            self._waiting.pop(letter.key, None)
        await self._taken(gone)

    def _lose(self, letters: Sequence[_Letter], reason: str) -> None:
        for letter in letters:
            self._waiting.pop(letter.key, None)
        log.warning("alert_lost", receiver=self._receiver, count=len(letters), reason=reason)
