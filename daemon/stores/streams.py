"""What lies between a stream and a store: an upper bound on its rate, its exact size, blocks of one size."""

from collections.abc import AsyncGenerator, AsyncIterable
from typing import TypeVar

from daemon.clock import Clock
from daemon.stores.errors import StoreCutError

B = TypeVar("B")
Block = bytes | bytearray


class RateLimit:
    """At most `rate` bytes per second, over all streams that share this limit; None for no bound.

    A piece passes at once if the ones before it are paid for, and the next one waits for it: the mean is exact, and a
    burst is one piece.
    """

    def __init__(self, rate: int | None, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._free_at = clock.monotonic()

    async def over(self, content: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield the same pieces, no faster than the rate."""
        async for piece in content:
            await self._wait(len(piece))
            yield piece

    async def _wait(self, size: int) -> None:
        if self._rate is None:
            return
        now = self._clock.monotonic()
        begin = max(now, self._free_at)
        self._free_at = begin + size / self._rate
        if begin > now:
            await self._clock.sleep(begin - now)


async def exactly(content: AsyncIterable[bytes], size: int | None) -> AsyncGenerator[bytes, None]:
    """Yield the same pieces; raises StoreCutError unless they are `size` bytes together (None: any number)."""
    come = 0
    async for piece in content:
        come += len(piece)
        if size is not None and come > size:
            raise StoreCutError(f"more than {size} bytes arrived, and {size} were to be stored")
        yield piece
    if size is not None and come != size:
        raise StoreCutError(f"{come} bytes arrived, and {size} were to be stored")


async def blocks(content: AsyncIterable[bytes], size: int) -> AsyncGenerator[Block, None]:
    """Yield the same bytes in blocks of exactly that size; the last one has what remains, and is never empty."""
    held = bytearray()
    async for piece in content:
        rest = memoryview(piece)
        while rest:
            taken = rest[: size - len(held)]
            held += taken
            rest = rest[len(taken) :]
            if len(held) == size:
                yield held
                held = bytearray()
    if held:
        yield held


async def at_least(content: AsyncIterable[bytes], size: int) -> AsyncGenerator[bytes, None]:
    """Yield the same bytes: large pieces as they are, and small ones joined until they are no smaller."""
    held: list[bytes] = []
    come = 0
    async for piece in content:
        held.append(piece)
        come += len(piece)
        if come >= size:
            yield held.pop() if len(held) == 1 else b"".join(held)
            held, come = [], 0
    if come:
        yield b"".join(held)


async def with_first(first: list[B], rest: AsyncIterable[B]) -> AsyncGenerator[B, None]:
    """Yield the one block that was taken from a stream, out of its list, then the rest of the stream.

    A large block is passed on, and held neither here nor by the caller.
    """
    yield first.pop()
    async for block in rest:
        yield block
        del block  # before the next one is made
