"""When rotations start: APScheduler with one job for all servers that start together, asking the core's calendar.

A job hands the start over and returns at once, so APScheduler's own limits never matter: it drops a start that is a
second late, and one that falls due while its job still runs. Here no late start is dropped, and several that fell due
while the machine slept arrive as one. A thousand servers that start at four are one job, since APScheduler runs all due
jobs before anything else. No other module imports apscheduler.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from daemon._imports import standing_in
from daemon.core.calendar import Starts

# The pools would load multiprocessing, and tzlocal has a table of Windows' zones: ours is always given.
with standing_in("apscheduler.executors.pool", "tzlocal"):
    from apscheduler.executors.asyncio import AsyncIOExecutor
    from apscheduler.jobstores.base import JobLookupError
    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from apscheduler.triggers.base import BaseTrigger
    from apscheduler.triggers.date import DateTrigger

ONCE = "/once"


class StartsTrigger(BaseTrigger):  # type: ignore[misc]  # apscheduler 3 has no types
    """An APScheduler trigger that fires at a server's starts; `looked` hears at which moment it was asked."""

    def __init__(self, starts: Starts, looked: Callable[[datetime], None] = lambda _: None) -> None:
        self.starts = starts
        self._looked = looked

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the first start after the previous one; of several before `now` only the latest."""
        self._looked(now)
        following = self.starts.after(previous_fire_time or now)
        return following if following > now else self.starts.latest(now)


class Scheduler:
    """Calls `due` at each start with the names of its servers, and the callbacks of `once` at their moments."""

    def __init__(self, due: Callable[[Mapping[str, Starts]], None]) -> None:
        self._due = due
        self._together: dict[str, dict[str, Starts]] = {}
        self._job_of: dict[str, str] = {}
        self._last_look: datetime | None = None
        self._stopped = False
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            executors={"default": AsyncIOExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start nothing more; what was handed over goes on. A second call does nothing."""
        if self.running:
            self._stopped = True  # apscheduler itself stops only in the event loop's next iteration
            self._scheduler.shutdown(wait=False)

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return bool(self._scheduler.running) and not self._stopped

    def wake(self) -> None:
        """Look at the clock, and hand over what is due.

        The event loop's timer counts monotonic time: it is late if the machine slept or the clock was set.
        """
        self._scheduler.wakeup()

    def put(self, server: str, starts: Starts) -> None:
        """Schedule a server, or change its schedule."""
        self._leave(server)
        job = self._job_of[server] = _job(starts)
        together = self._together.setdefault(job, {})
        together[server] = starts
        if len(together) == 1:
            self._add(job, starts)

    def ahead_of(self, now: datetime) -> timedelta:
        """Return how far beyond `now` a next start was computed from: the clock was set back since, zero if it was not.

        It shows also where the clock was set forward and back between two looks at it.
        """
        return timedelta() if self._last_look is None else max(timedelta(), self._last_look - now)

    def anew(self) -> None:
        """Compute each next start again, since the clock was set."""
        self._last_look = None
        for job, together in self._together.items():
            self._add(job, next(iter(together.values())))

    def _add(self, job: str, starts: Starts) -> None:
        self._scheduler.add_job(
            self._hand_over,
            StartsTrigger(starts, self._looked),
            args=(job,),
            id=job,
            name=job,
            replace_existing=True,
        )

    def _looked(self, now: datetime) -> None:
        self._last_look = now if self._last_look is None else max(now, self._last_look)

    def once(self, server: str, moment: datetime, call: Callable[[], None]) -> None:
        """Call once at that moment; a second request for the same server replaces the first."""
        self._scheduler.add_job(
            _calling(call), DateTrigger(moment, UTC), id=_once(server), name=f"{server} again", replace_existing=True
        )

    def remove(self, server: str) -> None:
        """Forget a server's starts, and its one-off call."""
        self._leave(server)
        self.forget_once(server)

    def _leave(self, server: str) -> None:
        """Take a server from its job; the last one takes the job along."""
        job = self._job_of.pop(server, None)
        if job is None:
            return
        del self._together[job][server]
        if not self._together[job]:
            del self._together[job]
            self._remove(job)

    def forget_once(self, server: str) -> None:
        """Forget the one-off call of a server."""
        self._remove(_once(server))

    def _remove(self, job: str) -> None:
        with suppress(JobLookupError):
            self._scheduler.remove_job(job)

    def next_start(self) -> tuple[str, datetime] | None:
        """Return one server of the very next start and its moment, retries and catch-ups included; None if there is
        none, as before it is started and once it is stopped.
        """
        jobs = [(job.next_run_time, job.id) for job in self._scheduler.get_jobs()] if self.running else []
        moment, job = min(jobs, default=(None, ""))
        return None if moment is None else (self._first(job), moment)

    def _first(self, job: str) -> str:
        return next(iter(self._together[job])) if job in self._together else job.removesuffix(ONCE)

    async def _hand_over(self, job: str) -> None:
        self._due(dict(self._together.get(job, {})))


def _job(starts: Starts) -> str:
    """Return the id of the job of all servers that start as this one does."""
    return f"{starts.schedule.text}/{starts.zone.key}/{starts.delay.total_seconds():.0f}"


def _once(server: str) -> str:
    """Return the id of a server's one-off job: no server's name holds a slash."""
    return server + ONCE


def _calling(call: Callable[[], None]) -> Callable[[], object]:
    async def job() -> None:
        call()

    return job
