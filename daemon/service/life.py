"""The daemon's life: start, signals, reload, drain, and what systemd is notified of.

SIGTERM and SIGINT stop taking new work and finish, or safely leave, what runs within `DRAIN_SECONDS`; a second one
leaves it at once. SIGHUP reads the configuration again: a wrong one leaves the old one running. Whatever the
configuration's file system or another process does, signals are obeyed and systemd's watchdog is fed. Nothing here
decides anything about backups.
"""

import asyncio
import random
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, closing, suppress

from daemon import __version__
from daemon.clock import Clock
from daemon.config.values import Config
from daemon.drilling.left import remove_left
from daemon.errors import BackupdError, JournalBusyError
from daemon.fleet.fleet import Fleet
from daemon.log import get_logger
from daemon.rotation.run import RotationContext
from daemon.rotation.setup import mend_state, open_context
from daemon.service import gc_policy as garbage
from daemon.service import words
from daemon.service.aside import aside
from daemon.service.assembly import Assembly, assembled
from daemon.service.events import Events
from daemon.service.reading import SLOW, Aside, Reading, say_failed
from daemon.service.standby import Lost, may_act, stand_by
from daemon.service.systemd import Notifier
from daemon.state import Engine, Runner, Worker, engine_for

log = get_logger()

DRAIN_SECONDS = 25.0
FLUSH_SECONDS = 3.0
STATUS_SECONDS = 30.0

HELD_SECONDS = 30.0
"""How long a start waits for a journal that another process holds, or whose disk hangs, and then goes on without:
systemd allows a start 60 s.
"""

CLEAR_SECONDS = 10.0
"""How long a start waits for the folder of drills to be cleared."""

STOP_SECONDS = 45.0
"""What systemd is asked for when told to stop: the drain, the last alerts, and some to spare."""

SIDE_BY_SIDE = "of each start one of the two makes the backup, the other is skipped or tries again: stop one of them"


class Service:
    """One daemon. `read_config` reads the configuration again and raises BackupdError if it is wrong; `aside` runs it
    in a thread, and `runner` does what the state needs of the disk.
    """

    def __init__(
        self,
        read_config: Callable[[], Config],
        clock: Clock,
        notifier: Notifier,
        *,
        aside: Aside = aside,
        runner: Runner | None = None,
    ) -> None:
        self._runner = runner or Worker(words.say_slow)
        self._clock = clock
        self._notifier = notifier
        self._events = Events()
        self._aside = aside
        self._reading = Reading(read_config, self._events, aside)

    async def run(self) -> None:
        """Run until told to stop; raises BackupdError if the first configuration is wrong."""
        self._events.listen()  # first of all: a signal that comes meanwhile is obeyed after the start
        if not await self._reading.first():
            return
        engine = engine_for(self._reading.config.state, self._runner)
        with closing(engine):
            goes_on = await self._standing_by(engine)
            while goes_on and await self._act(engine):
                self._reading.drop()
                goes_on = await self._standing_by(engine, anew=True)

    async def _standing_by(self, engine: Engine, *, anew: bool = False) -> bool:
        """Wait until this daemon is one of those that act, which a daemon without a cluster is at once. The
        configuration is read again after a wait, or if it joins `anew`. Return False if told to stop.
        """
        why = await may_act(engine.leadership)
        if not why and not anew:
            return True
        self._notifier.ready(f"standing by: {why or 'joining anew'}")
        waiting = asyncio.create_task(self._joined(engine, why), name="standing by")
        while not waiting.done():
            if await self._events.stopped_before(waiting, self._pause()):
                waiting.cancel()
                await asyncio.wait({waiting})
                await engine.leadership.give_up()
                return False
            self._notifier.watchdog()
        waiting.result()
        return True

    async def _joined(self, engine: Engine, why: str) -> None:
        """Wait until we act, and read the configuration as it is by then."""
        await stand_by(engine.leadership, self._clock, why)
        await self._reading.anew()

    async def _act(self, engine: Engine) -> bool:
        """Be a daemon that acts; return True if that ended since other members took over, False if told to stop."""
        until = self._clock.monotonic() + HELD_SECONDS
        try:
            async with AsyncExitStack() as present:
                other = await present.enter_async_context(engine.presence.known())
                if other is not None:
                    place = str(self._reading.config.state_dir)
                    log.warning("another_daemon", process=other, state_dir=place, consequence=SIDE_BY_SIDE)
                else:
                    await self._clear_up()
                return await self._live(engine, present, until)
        finally:
            await engine.leadership.give_up()

    async def _clear_up(self) -> None:
        """Clear this machine of the world that a killed drill had fetched: in a cluster other members may drill by now.

        A disk that hangs holds up no start.
        """
        place = self._reading.config.state_dir
        with suppress(TimeoutError):
            await asyncio.wait_for(self._aside(lambda: remove_left(place)), CLEAR_SECONDS)

    async def _live(self, engine: Engine, present: AsyncExitStack, until: float) -> bool:
        """Run until told to stop, known to other daemons by `present`; return True if it ended since another member
        took over. A journal that is held is waited for `until` then.
        """

        async def be_known() -> None:
            await present.aclose()
            await present.enter_async_context(engine.presence.known())

        context = await open_context(engine, self._clock, self._reading.server, random.Random())  # noqa: S311 — names
        context.opened_anew = be_known
        if await self._stopped_while_held(context, until):
            await context.journal.close()
            return False
        parts = assembled(self._reading.config, context)
        words.say_warnings(self._reading.config)
        if (trouble := context.state_trouble) is not None:
            consequence = "backups are made, none is deleted"
            log.error("state_unusable", text=trouble.text, consequence=consequence, hint=trouble.hint)
        await parts.alerts.start()
        try:
            await parts.http.follow(self._reading.config.http)
            parts.fleet.start()
            if engine.leadership.shares is None:
                await parts.drills.look_for_killed()
            parts.discovery.follow(self._reading.config)
            parts.sharing.start()
            log.info("daemon_started", version=__version__, **words.size(self._reading.config))
            with garbage.settled():
                self._notifier.ready(words.status(parts.fleet))
                lost = await self._serve(parts, engine)
                parts.stop_looking()
                parts.tracker.stopping = True
                await (self._leave(parts.fleet) if lost else self._stop(parts))
                return lost
        finally:
            await parts.close(FLUSH_SECONDS)
            await context.journal.close()

    async def _stopped_while_held(self, context: RotationContext, until: float) -> bool:
        """Wait, for a while, for a journal that another process holds; return whether we were told to stop."""

        async def look_again() -> None:
            await self._clock.sleep(1)
            await mend_state(context)

        said = False
        while isinstance(context.opening_trouble, JournalBusyError) and (left := until - self._clock.monotonic()) > 0:
            if not said:
                log.warning("journal_waited_for", text=context.opening_trouble.text, seconds=round(left))
                said = True
            looking = asyncio.create_task(look_again(), name="waiting for the journal")
            if await self._events.stopped_before(looking, None):
                looking.cancel()
                await asyncio.wait({looking})
                return True
            looking.result()
        return False

    async def _serve(self, parts: Assembly, engine: Engine) -> bool:
        """Obey signals until one says stop; regularly notify systemd. Return whether another member took over."""
        losing = asyncio.create_task(engine.leadership.lost(), name="holding the lease")
        losing.add_done_callback(lambda done: None if done.cancelled() else self._events.put(Lost()))
        try:
            return await self._obey(parts)
        finally:
            losing.cancel()

    async def _obey(self, parts: Assembly) -> bool:
        fleet = parts.fleet
        while True:
            try:
                event = await self._events.next(self._pause())
            except TimeoutError:
                self._feed_watchdog(fleet)
                self._notifier.status(words.status(fleet))
                self._reading.tidy_up()
                continue
            if event is signal.SIGHUP:
                self._begin_reload()
                continue
            if isinstance(event, signal.Signals):
                log.info("stopping", signal=event.name)
                return False
            if isinstance(event, Lost):
                return True
            self._end_reload(event, parts)
            await parts.http.follow_or_stay(fleet.config.http)
            self._feed_watchdog(fleet)

    def _pause(self) -> float:
        """Return how long to wait for a signal before the next notification: at most half of the watchdog's time."""
        allowed = self._notifier.watchdog_seconds
        return min(STATUS_SECONDS, allowed / 2) if allowed else STATUS_SECONDS

    def _feed_watchdog(self, fleet: Fleet) -> None:
        """Feed the watchdog. Only a live event loop gets here, and only a scheduler that misses no start counts."""
        if fleet.keeps_time() and self._notifier.watchdog_seconds:
            self._notifier.watchdog()

    def _begin_reload(self) -> None:
        """Begin to read the configuration again; the result comes as an event."""
        if self._reading.begin():
            self._notifier.reloading()

    def _end_reload(self, outcome: Config | Exception | None, parts: Assembly) -> None:
        """Apply what was read; a wrong configuration, or none yet, leaves the old one running (invariant 11)."""
        fleet = parts.fleet
        if outcome is None or isinstance(outcome, BackupdError):
            say_failed(SLOW if outcome is None else outcome.text)
            parts.tracker.reload_failed()
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            if outcome.state != fleet.config.state:
                log.warning("state_dir_changed", consequence="obeyed only after a restart")
            self._reading.config = outcome
            parts.discovery.follow(outcome)
            words.say_warnings(outcome)
            log.info("reloaded", **words.size(outcome))
        self._notifier.ready(words.status(fleet))
        if outcome is not None and self._reading.end():
            self._begin_reload()

    async def _stop(self, parts: Assembly) -> None:
        """Drain within the bound, or at once after a second signal."""
        fleet = parts.fleet
        self._notifier.stopping(f"stopping; {words.under_way(fleet)}")
        self._notifier.extend_timeout(STOP_SECONDS)
        leaving = asyncio.create_task(parts.stop_beside())
        drain = asyncio.create_task(fleet.drain(DRAIN_SECONDS))
        impatience = asyncio.create_task(self._events.second_stop())
        await asyncio.wait({drain, impatience}, return_when=asyncio.FIRST_COMPLETED)
        left = drain.result() if drain.done() else await fleet.drain(0)
        if not impatience.done():
            await asyncio.wait({leaving, impatience}, return_when=asyncio.FIRST_COMPLETED)
        for task in (drain, impatience, leaving):
            task.cancel()
        log.info("daemon_stopped", left=list(left))

    async def _leave(self, fleet: Fleet) -> None:
        """Leave all at once: other members go on with it."""
        log.error("lease_lost", left=list(await fleet.drain(0)), consequence="this member joins anew")
