"""A tick each minute, and notice of a clock that was set back.

Timers count monotonic time, which stands still while the machine sleeps. So once a minute the wall clock is compared
with what it should show by now. One that was set forward needs no notice: the tick finds what is due.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from daemon.clock import Clock
from daemon.core.units import format_duration
from daemon.fleet.isolation import surviving
from daemon.log import get_logger

log = get_logger()

TICK_SECONDS = 60.0
NOTICEABLE = timedelta(seconds=1)


class Timekeeper:
    """Calls `tick` each minute; before it, `set_back` with the span, if the wall clock was set back.

    `ahead_of` says how far beyond a moment starts were computed: between two ticks the clock may have been set forward
    and back.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        tick: Callable[[], Awaitable[None]],
        set_back: Callable[[timedelta], None],
        ahead_of: Callable[[datetime], timedelta] = lambda _: timedelta(),
    ) -> None:
        self._clock = clock
        self._ahead_of = ahead_of
        self._tick = tick
        self._set_back = set_back

    async def run(self) -> None:
        """Tick until cancelled; a bug ends only its own tick.

        What the clock should show is reckoned from the last look, not from the end of the tick: a tick may take long,
        on a slow disk, and the clock be set meanwhile.
        """
        wall, elapsed = self._clock.now(), self._clock.monotonic()
        while True:
            await self._clock.sleep(TICK_SECONDS)
            expected = wall + timedelta(seconds=self._clock.monotonic() - elapsed)
            wall, elapsed = self._clock.now(), self._clock.monotonic()
            with surviving():
                self._notice_jump(max(expected - wall, self._ahead_of(wall)))
                await self._tick()

    def _notice_jump(self, back: timedelta) -> None:
        """Given how far behind what it should show the wall clock is."""
        if back > NOTICEABLE:
            log.warning("clock_set_back", by=format_duration(back))
            self._set_back(back)
