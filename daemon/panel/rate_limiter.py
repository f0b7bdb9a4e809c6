"""How long to wait before the next request, so that the API limit is never reached and people always find room.

The panel counts every request of a user, over all keys, in fixed windows of 60 s. A window begins with the first
request after the end of the last one. Nearly every answer gives `limit` and `remaining`. Two rules keep a fleet below
the limit:

1. Our own share: at most `limit` less the reserve within any 62 s. So no fixed window of 60 s can hold more requests of
ours, wherever it begins; the 2 s are for requests that travel at different speeds. A quarter of the share may go at
once, for a person at the terminal. Beyond it ten go at a time, evenly, for the panel's sake. The members of a cluster
have an equal portion of the share each, and no quarter of it goes at once: the others' last window may hold more.

2. The others: `remaining`, less what we sent since, must stay above the reserve, or above what others took in the last
window if that was more. This bound falls to a tenth by the end of the window. So others who take more than their
reserve, a second process of ours included, slow us down and get through. While the portions of a cluster may be more
than the whole, it falls to the reserve and no further: rule 1 does not keep the reserve free then.

After a 429 everybody waits until the time that it names. Before the first answer nothing is known, and the number of
connections bounds the burst; for a panel or proxy that sends no such headers, it is the only bound.

`RateLimiter` is a state machine that reads no clock and waits for nothing: monotonic seconds are passed in.
(aiolimiter, which would be the ready-made base, reads its event loop's clock, cannot follow a limit that changes, and
knows nothing of what others take.) `QueuedRequest` makes tasks wait by it, first come, first served. Urgent ones go
first: a deletion is decided on what was seen a moment ago, and must not age in a queue.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile

from daemon.clock import Clock

WINDOW = 60.0
OWN_WINDOW = 62.0
AT_ONCE = 0.25  # of our share, before requests are spread
HANDFUL = 10
UNMELTED = 0.1  # of what is left to others, at the window's end
TICK = 0.001  # seconds that are not worth waiting for; less might be nothing beside a large clock
GLANCE = 1.0  # seconds after which a waiting task looks again, since answers may have told more
LONGEST_BLOCK = 120.0
STEP_BACK = 0.05  # seconds that a task lets urgent ones go first before it looks again


@dataclass(frozen=True, slots=True)
class Budget:
    """What the panel last said of the API limit: requests a minute for the whole user, and how many are left."""

    limit: int
    remaining: int


@dataclass(frozen=True, slots=True)
class Portion:
    """Which fraction of our share is this process's. `certain` says that the fractions of all are no more than 1."""

    fraction: float = 1.0
    certain: bool = True


ALL = Portion()


def undivided(_now: float) -> Portion:
    """Return all of our share: no other process has a portion of it."""
    return ALL


@dataclass(slots=True)
class RateLimiter:
    """When the next request may go. `reserve` is the part of the limit that is left to others, `portion` returns what
    of our share is this process's at a moment.

    `window_begins` is when an answer first showed the panel's window, which began no later. `known_at` is when the
    request left whose answer gave the budget. `demand` is an estimate of what others take in a window.
    """

    reserve: float = 0.2
    budget: Budget | None = None
    sent: deque[float] = field(default_factory=deque)
    window_begins: float = float("-inf")
    known_at: float = float("-inf")
    demand: float = 0.0
    blocked_until: float = float("-inf")
    portion: Callable[[float], Portion] = undivided

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may go; 0 means now. An answer meanwhile can shorten them."""
        while self.sent and self.sent[0] <= now - OWN_WINDOW:
            self.sent.popleft()
        waits = [self.blocked_until - now]
        if self.budget is not None:
            portion = self.portion(now)
            waits += [
                self._own_share(now, self.budget, portion.fraction),
                self._left_to_others(now, self.budget, melts=portion.certain),
            ]
        longest = max(waits)
        return longest if longest > TICK else 0.0

    def _own_share(self, now: float, budget: Budget, fraction: float) -> float:
        """Return the wait by rule 1: at most our share within any 62 s, beyond the first quarter ten at a time."""
        share = max(1, int(budget.limit * (1 - self.reserve) * fraction))
        used = len(self.sent)
        if used >= share:
            return self.sent[used - share] + OWN_WINDOW - now
        if used < max(HANDFUL, share * AT_ONCE if fraction == 1 else 0):
            return 0.0
        return self.sent[used - HANDFUL] + OWN_WINDOW * HANDFUL / share - now

    def _left_to_others(self, now: float, budget: Budget, *, melts: bool) -> float:
        """Return the wait by rule 2: until the falling bound is below what remains, at most until the window ends."""
        until_end = self.window_begins + WINDOW - now
        if until_end <= 0:
            return 0.0
        left = budget.remaining - self._sent_since(self.known_at) - 1
        reserve = budget.limit * self.reserve
        demand = max(self.demand, reserve)
        kept_to_the_end = demand * UNMELTED if melts else max(demand * UNMELTED, reserve)
        if left >= kept_to_the_end + (demand - kept_to_the_end) * until_end / WINDOW:
            return 0.0
        if left < kept_to_the_end or not demand:
            return until_end
        return until_end - WINDOW * (left - kept_to_the_end) / (demand - kept_to_the_end)

    def _sent_since(self, moment: float) -> int:
        """Return how many of our requests left after that moment."""
        return sum(1 for _ in takewhile(lambda at: at > moment, reversed(self.sent)))

    def go(self, now: float) -> None:
        """Take note that a request leaves now."""
        self.sent.append(now)

    def learn(self, now: float, sent_at: float, budget: Budget) -> None:
        """Take note of the budget in the answer to the request of `sent_at`.

        Within a window `remaining` only falls. Answers overtake each other, so only a rise that overtaking cannot
        explain shows a new window, and an answer older than what is known is ignored.
        """
        old = self.budget
        if old is None or old.limit != budget.limit or sent_at >= self.window_begins + WINDOW:
            new_window = True
        else:
            new_window = sent_at >= self.known_at and budget.remaining > old.remaining + HANDFUL
        if new_window:
            self.demand = self._taken_by_others()
            self.window_begins, self.budget, self.known_at = now, budget, sent_at
        elif old is not None and sent_at >= self.window_begins and budget.remaining <= old.remaining:
            self.budget, self.known_at = budget, max(self.known_at, sent_at)

    def _taken_by_others(self) -> float:
        """Return what others took in the window that is over, extrapolated from what we saw to a whole window."""
        seen = self.known_at - self.window_begins
        if self.budget is None or seen < WINDOW / 3:
            return 0.0
        ours = self._sent_since(self.window_begins) - self._sent_since(self.known_at)
        return max(0.0, self.budget.limit - self.budget.remaining - ours) * max(1.0, WINDOW / seen)

    def refused(self, now: float, retry_after: float | None) -> None:
        """Take note that the limit is used up: nobody goes before `retry_after` has passed, within a bound."""
        seconds = WINDOW if retry_after is None else min(retry_after, LONGEST_BLOCK)
        self.blocked_until = max(self.blocked_until, now + seconds + 1)  # the panel rounds its seconds down
        self.window_begins = min(self.window_begins, self.blocked_until - WINDOW)


class QueuedRequest:
    """A queue for the tasks of one key: each waits until the limiter lets it go."""

    def __init__(self, limiter: RateLimiter, clock: Clock, waits: Callable[[float], None] = lambda _: None) -> None:
        self.limiter = limiter
        self.waited = 0.0
        self._waits = waits  # called with each wait, in seconds
        self._clock = clock
        self._queue = asyncio.Lock()  # wakes its waiters in order
        self._urgent_queue = asyncio.Lock()
        self._urgent = 0

    async def take(self, *, urgent: bool = False) -> float:
        """Wait for the turn, take it, and return when that was. Urgent tasks have their own queue, and go first."""
        self._urgent += urgent
        try:
            async with self._urgent_queue if urgent else self._queue:
                while (seconds := self._wait(urgent=urgent)) > 0:
                    self._waits(seconds)
                    await self._clock.sleep(min(seconds, GLANCE))
                    self.waited += min(seconds, GLANCE)
                now = self._clock.monotonic()
                self.limiter.go(now)
                return now
        finally:
            self._urgent -= urgent

    def _wait(self, *, urgent: bool) -> float:
        """Return the seconds until the head of a queue may look again; 0 means that it may go."""
        seconds = self.limiter.wait(self._clock.monotonic())
        return max(seconds, STEP_BACK) if self._urgent and not urgent else seconds
