"""How long to wait before the next request, so that the API limit is never met and humans always find room.

The panel counts every request of a user, over all keys, in fixed windows of 60 s that begin with the first request
after the last window's end; it says `limit` and `remaining` on nearly every answer. Two rules keep a fleet below it:

1. Our own share: at most `limit` less the reserve within any 62 s. A fixed window of 60 s can then never hold more of
   ours, wherever it begins; the 2 s are for requests that travel at different speeds. A quarter of the share goes at
   once, for a person at the terminal; beyond it ten at a time, evenly, for the panel's sake.
2. The others: `remaining`, less our requests still under way, must stay above the reserve, which melts from whole to a
   tenth as the window ends. So others who take more than their reserve, a second process of ours too, slow us down.

A 429 all the same makes everybody wait until the time that it names. Until the first answer nothing is known, and the
number of connections bounds the burst; a panel or proxy that sends no such headers is bounded by it alone.

`Pace` is a state machine that reads no clock and waits for nothing: it is handed monotonic seconds. (aiolimiter, which
would be the ready-made base, reads its event loop's clock, cannot follow a limit that changes, and knows nothing of
what others take from the same limit.) `Turn` makes tasks wait by it, first come, first served.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from daemon.clock import Clock

WINDOW = 60.0
OWN_WINDOW = 62.0
AT_ONCE = 0.25  # of our share, before requests are spread
HANDFUL = 10
SHORTEST_RESERVE = 0.1  # of the reserve, at the window's end
LONGEST_BLOCK = 120.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What the panel last said of the API limit: requests a minute for the whole user, and how many are left."""

    limit: int
    remaining: int


@dataclass(slots=True)
class Pace:
    """When the next request may go. `reserve` is the part of the limit that is left to others."""

    reserve: float = 0.2
    budget: Budget | None = None
    sent: deque[float] = field(default_factory=deque)
    under_way: int = 0
    window_ends: float = float("-inf")
    blocked_until: float = float("-inf")

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may go; 0 means now. Ask again after waiting."""
        while self.sent and self.sent[0] <= now - OWN_WINDOW:
            self.sent.popleft()
        blocked = self.blocked_until - now
        if blocked > 0 or self.budget is None:
            return max(0.0, blocked)
        return max(0.0, self._own_share(now, self.budget), self._left_to_others(now, self.budget))

    def _own_share(self, now: float, budget: Budget) -> float:
        """Rule 1: so many within any 62 s, and beyond the first quarter ten at a time."""
        share = max(1, int(budget.limit * (1 - self.reserve)))
        used = len(self.sent)
        if used >= share:
            return self.sent[used - share] + OWN_WINDOW - now
        if used < max(HANDFUL, share * AT_ONCE):
            return 0.0
        return self.sent[used - HANDFUL] + OWN_WINDOW * HANDFUL / share - now

    def _left_to_others(self, now: float, budget: Budget) -> float:
        """Rule 2: wait until the melting reserve lies below what is left, at most until the window ends."""
        until_end = self.window_ends - now
        if until_end <= 0:
            return 0.0
        left = budget.remaining - self.under_way - 1
        reserved = budget.limit * self.reserve
        if left >= reserved * max(SHORTEST_RESERVE, until_end / WINDOW):
            return 0.0
        if left < reserved * SHORTEST_RESERVE or not reserved:
            return until_end
        return until_end - WINDOW * left / reserved

    def go(self, now: float) -> None:
        """A request leaves now."""
        self.sent.append(now)
        self.under_way += 1

    def back(self) -> None:
        """A request has come back, with an answer or without."""
        self.under_way -= 1

    def learn(self, now: float, budget: Budget) -> None:
        """An answer told the budget. Within a window `remaining` only falls; answers may overtake each other."""
        old = self.budget
        rose = old is None or budget.remaining > old.remaining + self.under_way
        if old is None or rose or old.limit != budget.limit or now >= self.window_ends:
            self.window_ends = now + WINDOW  # at the latest: it began before this answer
            self.budget = budget
        else:
            self.budget = Budget(budget.limit, min(old.remaining, budget.remaining))

    def refused(self, now: float, retry_after: float | None) -> None:
        """The panel answered that the limit is used up: nobody goes before it says, bounded against nonsense."""
        seconds = WINDOW if retry_after is None else min(retry_after, LONGEST_BLOCK)
        self.blocked_until = max(self.blocked_until, now + seconds + 1)  # the panel rounds its seconds down
        self.window_ends = min(self.window_ends, now)


class Turn:
    """Lets the tasks of one key go in the order in which they came, each when the pace allows it."""

    def __init__(self, pace: Pace, clock: Clock) -> None:
        self.pace = pace
        self._clock = clock
        self._queue = asyncio.Lock()  # wakes its waiters in order

    async def take(self) -> None:
        """Wait for the turn, and take it."""
        async with self._queue:
            while (seconds := self.pace.wait(self._clock.monotonic())) > 0:
                await self._clock.sleep(seconds)
            self.pace.go(self._clock.monotonic())
