"""What was read of the state a short while ago."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from daemon.errors import StateError
from daemon.rotation.run import RotationContext

FRESH_SECONDS = 10.0

Value = TypeVar("Value")


class Lately(Generic[Value]):
    """Something that is read from the state when somebody asks for it, at most once in `FRESH_SECONDS`. Whoever asks
    during a reading waits for it.

    While the state cannot be read, what was read before stands. "Never read" is not "empty": the end of an alert must
    not follow from it.
    """

    def __init__(self, context: RotationContext, read: Callable[[], Awaitable[Value]]) -> None:
        self._context = context
        self._read = read
        self._value: Value | None = None
        self._read_at: float | None = None
        self._one_reads = asyncio.Lock()

    @property
    def is_known(self) -> bool:
        """Whether it was ever read."""
        return self._value is not None

    async def value(self) -> Value | None:
        """Return what the state holds, or held when it could be read last; None if it never could."""
        async with self._one_reads:
            now = self._context.clock.monotonic()
            if self._read_at is None or now - self._read_at >= FRESH_SECONDS:
                self._read_at = now
                await self._try()
        return self._value

    def changed(self) -> None:
        """Read again the next time that somebody asks."""
        self._read_at = None

    def forget(self) -> None:
        """Hold nothing until it is read again."""
        self._read_at = self._value = None

    async def _try(self) -> None:
        if self._context.opening_trouble is None:  # else the journal is one in memory, which knows nothing
            with suppress(StateError):
                self._value = await self._read()
