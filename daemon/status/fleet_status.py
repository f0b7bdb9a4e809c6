"""The whole fleet as views, put together from what is watched whenever somebody asks."""

from daemon.config.values import Config
from daemon.errors import JournalBusyError
from daemon.fleet.fleet import Fleet
from daemon.state import Rotation
from daemon.status.timetable import Timetable
from daemon.status.tracker import StatusTracker
from daemon.status.views import ServerView, view

SLICE = 25
"""After so many servers others may run, so that a thousand of them do not hold up what is due meanwhile."""


class FleetStatus:
    """Where the page, the status and the metrics find what they show."""

    def __init__(self, fleet: Fleet, tracker: StatusTracker) -> None:
        self.fleet = fleet
        self.tracker = tracker
        self._timetable = Timetable()

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.fleet.config

    async def views(self) -> list[ServerView]:
        """Every configured server as it stands now."""
        servers = self.config.servers
        self._timetable.keep_only(set(servers))
        views: list[ServerView] = []
        for name in servers:
            if len(views) % SLICE == 0:
                await self.tracker.clock.sleep(0)
            if (one := self.view(name)) is not None:
                views.append(one)
        return views

    def view(self, name: str) -> ServerView | None:
        """One server as it stands now; None where there is none of that name."""
        server = self.config.servers.get(name)
        if server is None:
            return None
        now = self.tracker.clock.now()
        server_status = self.tracker.server_status(name)
        times = self._timetable.times(server, server_status.fine_at, now)
        return view(server, server_status, times, self.tracker.work(name), now)

    def rotations(self, name: str, limit: int) -> list[Rotation]:
        """A server's last rotations, newest first; raises StateError."""
        return self.tracker.context.journal.recent(name, limit=limit)

    def ailments(self) -> list[str]:
        """Why the daemon cannot do its work, in words; nothing where it can."""
        found = []
        if self.tracker.stopping:
            found.append("the daemon is stopping")
        if (trouble := self.tracker.context.state_trouble) is not None:
            busy = isinstance(trouble, JournalBusyError)
            state = (
                "the journal is held by another process" if busy else "the state folder or the journal cannot be used"
            )
            found.append(f"{state}: backups are made, none is deleted; the log says why")
        return found + self.stalled()

    def stalled(self) -> list[str]:
        """Whether the scheduler has let a start pass by."""
        late = 0.0 if self.tracker.stopping else self.fleet.behind()
        return [f"the scheduler is {late:.0f} s behind"] if late else []

    def notes(self) -> list[str]:
        """What the operator should know of the daemon itself, though it does its work."""
        if self.tracker.reload.successful:
            return []
        return ["the configuration on disk is refused, so that the one before is in force; the log says why"]
