"""What was read of the state a short while ago."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from daemon.clock import Clock
from daemon.errors import StateError

FRESH_SECONDS = 10.0

Value = TypeVar("Value")


class Lately(Generic[Value]):
    """Reads when somebody asks, and again once that is `FRESH_SECONDS` ago; `empty` is what it holds before.

    Where the state cannot be read, what was read before stands.
    """

    def __init__(self, clock: Clock, read: Callable[[], Awaitable[Value]], empty: Value) -> None:
        self._clock = clock
        self._read = read
        self._empty = self._value = empty
        self._read_at: float | None = None

    async def value(self) -> Value:
        """Return what the state holds, or held a short while ago."""
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= FRESH_SECONDS:
            self._read_at = now
            with suppress(StateError):
                self._value = await self._read()
        return self._value

    def changed(self) -> None:
        """Read again when somebody asks the next time."""
        self._read_at = None

    def forget(self) -> None:
        """Hold nothing until it is read again."""
        self._read_at, self._value = None, self._empty
