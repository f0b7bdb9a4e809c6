"""Looking again and again for what a lost answer left open, at growing distances, until a time that holds.

Each look is made once, since the next one is its repetition, and is given up when the time is over: whoever looks may
hold a node's place, or a person's attention. Only the last look, made when the time is over, has that of one answer.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from daemon.clock import Clock
from daemon.panel.answers import READ_SECONDS
from daemon.panel.errors import PanelUnreachableError

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 16.0

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Look:
    """One look: the pause before it, how long it may take, and whether it is the last one."""

    pause: float
    seconds: float
    last: bool


def looks(clock: Clock, seconds: float) -> Iterator[Look]:
    """Yield the looks of that time: the first one at once, the last one when the time is over."""
    deadline, pause = clock.monotonic() + seconds, 0.0
    while (left := deadline - clock.monotonic()) > pause:
        yield Look(pause, left - pause, last=False)
        pause = min(2 * pause, LONGEST_PAUSE) or FIRST_PAUSE
    yield Look(max(left, 0.0), READ_SECONDS, last=True)


async def within(seconds: float, doing: str, seen: Awaitable[Seen]) -> Seen:
    """Return what is seen; PanelUnreachableError where that takes longer."""
    try:
        async with asyncio.timeout(seconds):
            return await seen
    except TimeoutError:
        pass
    raise PanelUnreachableError(f"{doing}: no answer within {seconds:.0f} s")
