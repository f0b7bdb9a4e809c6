"""The daemon's life: start, signals, reload, drain, and what systemd is notified of.

SIGTERM and SIGINT stop taking new work and finish, or safely leave, what runs within `DRAIN_SECONDS`; a second one
leaves it at once. SIGHUP reads the configuration again: a wrong one leaves the old one running. Whatever the
configuration's file system or another process does, signals are obeyed and systemd's watchdog is fed. Nothing here
decides anything about backups.
"""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing
from typing import Any

from daemon import __version__
from daemon.alerts import refuse_unusable
from daemon.clock import Clock
from daemon.config.values import Config, keeping
from daemon.errors import BackupdError, JournalBusyError
from daemon.fleet.fleet import Fleet
from daemon.fleet.on_demand import OnDemand
from daemon.log import get_logger
from daemon.rotation.run import RotationContext
from daemon.rotation.setup import mend_state, open_context
from daemon.service import gc_policy as garbage
from daemon.service.aside import aside
from daemon.service.assembly import Assembly, assembled
from daemon.service.process import SIGNALS, take_signals
from daemon.service.standby import Lost, may_act, stand_by
from daemon.service.systemd import Notifier
from daemon.state import Engine, Runner, Worker, engine_for

log = get_logger()

DRAIN_SECONDS = 25.0
FLUSH_SECONDS = 3.0
STATUS_SECONDS = 30.0
READ_SECONDS = 30.0
"""After so long it is said that the configuration cannot be read; it is waited for all the same."""

HELD_SECONDS = 30.0
"""So long a start waits for a journal that another process holds, or whose disk hangs, and then goes on without:
systemd allows a start 60 s.
"""

STOP_SECONDS = 45.0
"""What systemd is asked for when told to stop: the drain, the last alerts, and some to spare."""

SIDE_BY_SIDE = "of each start one of the two makes the backup, the other is skipped or tries again: stop one of them"

SLOW = "the configuration is still being read: its file system does not answer"

STOPS = (signal.SIGTERM, signal.SIGINT)

Aside = Callable[[Callable[[], Config]], Awaitable[Config]]

NAMED = 5
"""So many servers are named in the line of status; more are counted."""


class Service:
    """One daemon. `read_config` reads the configuration again and raises BackupdError if it is wrong.

    It runs in a thread: thousands of servers take the better part of a second, and a mount that hangs never returns.
    `runner` does what the state needs of the disk.
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
        self._read_config = read_config
        self._aside = aside
        self._runner = runner or Worker(_say_slow)
        self._clock = clock
        self._notifier = notifier
        self._events: asyncio.Queue[signal.Signals | Config | Exception | Lost | None] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self._again = False

    async def run(self) -> None:
        """Run until told to stop; raises BackupdError if the first configuration is wrong."""
        self._listen()  # first of all: a signal that comes meanwhile is obeyed after the start
        config = await self._first_configuration()
        if config is None:
            return
        engine = engine_for(config.state, self._runner)
        with closing(engine):
            now = await self._standing_by(engine, config)
            while now is not None and (followed := await self._act(now, engine)) is not None:
                self._drop_reading()
                now = await self._standing_by(engine, followed, anew=True)

    async def _standing_by(self, engine: Engine, config: Config, *, anew: bool = False) -> Config | None:
        """Wait until this daemon is one of those that act, which a daemon without a cluster is at once.

        Return the configuration, read again after a wait, or if it joins `anew`; None if told to stop.
        """
        why = await may_act(engine.leadership)
        if not why and not anew:
            return config
        self._notifier.ready(f"standing by: {why or 'joining anew'}")
        waiting = asyncio.create_task(self._joined(engine, config, why), name="standing by")
        while not waiting.done():
            if await self._stopped_before(waiting, self._pause()):
                waiting.cancel()
                await asyncio.wait({waiting})
                await engine.leadership.give_up()
                return None
            self._notifier.watchdog()
        return waiting.result()

    async def _joined(self, engine: Engine, config: Config, why: str) -> Config:
        """Wait until we act, and return the configuration as it is by then; the old one if it is wrong, or hangs."""
        await stand_by(engine.leadership, self._clock, why)
        try:
            return await asyncio.wait_for(self._aside(lambda: keeping(self._configuration(), config)), READ_SECONDS)
        except BackupdError as error:
            text = error.text
        except TimeoutError:
            garbage.look_again()
            self._events.put_nowait(signal.SIGHUP)
            text = SLOW
        log.warning("reload_failed", text=text, consequence="the old configuration stays in force")
        return config

    async def _act(self, config: Config, engine: Engine) -> Config | None:
        """Be a daemon that acts. If that ended since other members took over, return the configuration that was
        followed last; None if told to stop.
        """
        until = self._clock.monotonic() + HELD_SECONDS
        try:
            async with AsyncExitStack() as present:
                other = await present.enter_async_context(engine.presence.known())
                if other is not None:
                    place = str(config.state_dir)
                    log.warning("another_daemon", process=other, state_dir=place, consequence=SIDE_BY_SIDE)
                return await self._live(config, engine, present, until)
        finally:
            await engine.leadership.give_up()

    async def _live(self, config: Config, engine: Engine, present: AsyncExitStack, until: float) -> Config | None:
        """Run from that configuration until told to stop, known to other daemons by `present`. If it ended since
        another member took over, return the configuration that was followed last. A journal that is held is waited for
        `until` then.
        """

        async def be_known() -> None:
            await present.aclose()
            await present.enter_async_context(engine.presence.known())

        context = await open_context(engine, self._clock, config.servers.get, random.Random())  # noqa: S311 — names
        context.opened_anew = be_known
        if await self._stopped_while_held(context, until):
            await context.journal.close()
            return None
        parts = assembled(config, context)
        _say_warnings(config)
        if context.state_trouble is not None:
            log.error(
                "state_unusable", text=context.state_trouble.text, consequence="backups are made, none is deleted"
            )
        await parts.alerts.start()
        try:
            await parts.http.follow(config.http)
            parts.fleet.start()
            if engine.leadership.shares is None:
                await parts.drills.look_for_killed()
            parts.discovery.follow(config)
            parts.sharing.start()
            log.info("daemon_started", version=__version__, servers=len(config.servers), panels=len(config.panels))
            with garbage.settled():
                self._notifier.ready(_status(parts.fleet))
                lost = await self._serve(parts, engine)
                parts.stop_looking()
                parts.tracker.stopping = True
                await (self._leave(parts.fleet) if lost else self._stop(parts.fleet, parts.beside))
                return parts.discovery.written if lost else None
        finally:
            await parts.close(FLUSH_SECONDS)
            await context.journal.close()

    async def _first_configuration(self) -> Config | None:
        """Return the first configuration, however long it takes; None if told to stop before it is read."""
        reading = asyncio.ensure_future(self._aside(self._configuration))
        if await self._stopped_before(reading, READ_SECONDS):
            return None
        if not reading.done():
            garbage.look_again()
            log.warning("configuration_awaited", text=SLOW)
            if await self._stopped_before(reading, None):
                return None
        return reading.result()

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
            if await self._stopped_before(looking, None):
                looking.cancel()
                await asyncio.wait({looking})
                return True
            looking.result()
        return False

    async def _stopped_before(self, what: asyncio.Future[Any], bound: float | None) -> bool:
        """Wait for something, at most until the bound; return whether we were told to stop before that."""
        stop = asyncio.create_task(self._told_to_stop())
        await asyncio.wait({what, stop}, timeout=bound, return_when=asyncio.FIRST_COMPLETED)
        if stop.done():
            log.info("stopping", signal=stop.result().name)
        stop.cancel()
        await asyncio.wait({stop})
        return not stop.cancelled()

    async def _told_to_stop(self) -> signal.Signals:
        """Wait for a signal to stop; keep a request to reload for later."""
        again = False
        try:
            while True:
                event = await self._events.get()
                if isinstance(event, signal.Signals) and event is not signal.SIGHUP:
                    return event
                again = True
        finally:
            if again:
                self._events.put_nowait(signal.SIGHUP)

    def _configuration(self) -> Config:
        """Return the configuration as it is now; raises BackupdError if it is wrong."""
        with garbage.left_alone():
            config = self._read_config()
        refuse_unusable(config)
        return config

    async def _serve(self, parts: Assembly, engine: Engine) -> bool:
        """Obey signals until one says stop; regularly notify systemd. Return whether another member took over."""
        losing = asyncio.create_task(engine.leadership.lost(), name="holding the lease")
        losing.add_done_callback(lambda done: None if done.cancelled() else self._events.put_nowait(Lost()))
        try:
            return await self._obey(parts)
        finally:
            losing.cancel()

    async def _obey(self, parts: Assembly) -> bool:
        fleet = parts.fleet
        while True:
            try:
                event = await asyncio.wait_for(self._events.get(), self._pause())
            except TimeoutError:
                self._feed_watchdog(fleet)
                self._notifier.status(_status(fleet))
                continue
            if event is signal.SIGHUP:
                self._begin_reload(fleet.config)
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

    def _begin_reload(self, before: Config) -> None:
        """Begin to read the configuration again; the result comes as an event. One reading at a time."""
        if self._reading is not None:
            self._again = True
            return
        self._notifier.reloading()
        self._reading = asyncio.create_task(self._read(before), name="reading the configuration")

    def _drop_reading(self) -> None:
        """Forget a reading that was begun, and its outcome: the configuration is read anew."""
        if self._reading is not None:
            self._reading.cancel()
        self._reading, self._again = None, False
        events = [self._events.get_nowait() for _ in range(self._events.qsize())]
        for event in events:
            if isinstance(event, signal.Signals):
                self._events.put_nowait(event)

    async def _read(self, before: Config) -> None:
        """Read, and put the outcome among the events; if it takes too long, None comes before the outcome."""
        reading = asyncio.ensure_future(self._aside(lambda: keeping(self._configuration(), before)))
        done, _ = await asyncio.wait({reading}, timeout=READ_SECONDS)
        if not done:
            garbage.look_again()
            self._events.put_nowait(None)
        try:
            self._events.put_nowait(await reading)
        except Exception as error:  # noqa: BLE001 — a bug is raised where events are taken
            self._events.put_nowait(error)

    def _end_reload(self, outcome: Config | Exception | None, parts: Assembly) -> None:
        """Apply what was read; a wrong configuration, or none yet, leaves the old one running (invariant 11)."""
        fleet = parts.fleet
        if outcome is None or isinstance(outcome, BackupdError):
            text = SLOW if outcome is None else outcome.text
            log.warning("reload_failed", text=text, consequence="the old configuration stays in force")
            parts.tracker.reload_failed()
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            if outcome.state != fleet.config.state:
                log.warning("state_dir_changed", consequence="obeyed only after a restart")
            parts.discovery.follow(outcome)
            _say_warnings(outcome)
            log.info("reloaded", servers=len(outcome.servers), panels=len(outcome.panels))
        self._notifier.ready(_status(fleet))
        if outcome is None:
            return
        self._reading = None
        if self._again:
            self._again = False
            self._begin_reload(fleet.config)

    async def _stop(self, fleet: Fleet, beside: Sequence[OnDemand]) -> None:
        """Drain within the bound, or at once after a second signal."""
        self._notifier.stopping(f"stopping; {_under_way(fleet)}")
        self._notifier.extend_timeout(STOP_SECONDS)
        leaving = asyncio.create_task(_stop_all(beside))
        drain = asyncio.create_task(fleet.drain(DRAIN_SECONDS))
        impatience = asyncio.create_task(self._second_stop())
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

    async def _second_stop(self) -> None:
        """Wait for a second signal to stop; ignore requests to reload, which come too late."""
        while await self._events.get() not in STOPS:
            log.info("reload_ignored", reason="the daemon is stopping")

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._events.put_nowait, number)
        take_signals()


async def _stop_all(beside: Sequence[OnDemand]) -> None:
    await asyncio.gather(*(one.stop() for one in beside))


def _say_slow() -> None:
    log.warning("state_waited_for", text="the disk does not answer, or another process holds the journal")


def _say_warnings(config: Config) -> None:
    for warning in config.warnings:
        log.warning("configuration_warning", text=warning)


def _status(fleet: Fleet) -> str:
    """Return one line for `systemctl status`: what is running, and the next start."""
    following = fleet.next_start()
    start = f"next start {following[1]:%Y-%m-%d %H:%M:%S} UTC ({following[0]})" if following else "no starts"
    return f"{_under_way(fleet)}; {start}"


def _under_way(fleet: Fleet) -> str:
    names = fleet.running()
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"under way: {', '.join(names[:NAMED])}{more}" if names else "nothing under way"
