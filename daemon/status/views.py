"""What is shown of a server, as one value: made of what is remembered, the configuration and the clock alone.

The words for trouble are made here, so that the page and the JSON say the same. `Trouble` is ordered: the worst first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from daemon.config.values import ServerConfig
from daemon.core.states import PLAINLY
from daemon.core.units import format_duration, format_moment
from daemon.errors import ProblemCode
from daemon.rotation.outcome import UNDELETED_HINT, Result
from daemon.status.timetable import Times
from daemon.status.values import ServerStatus, Tally, Work


class Kind(StrEnum):
    """What can be wrong with a server, the worst first."""

    OVERDUE = "overdue"
    FAILING = "failing"
    SUSPICIOUS = "suspicious"
    UNDELETABLE = "undeletable"
    LIMIT = "limit full"
    HELD = "held"


_RANKS = {kind: rank for rank, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong: what, in a sentence, and what the operator can do about it."""

    kind: Kind
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """A rotation under way. `share` of the backup is done by now and `left` is still to wait, as earlier ones went;
    None where that is not known.
    """

    work: Work
    share: float | None
    left: timedelta | None


@dataclass(frozen=True, slots=True)
class ServerView:
    """One server as it stands at `now`."""

    server: ServerConfig
    server_status: ServerStatus
    times: Times
    now: datetime
    troubles: tuple[Trouble, ...]
    progress: Progress | None

    @property
    def name(self) -> str:
        """The server's configured name."""
        return self.server.name

    @property
    def tally(self) -> Tally:
        """Its backups, counted; nothing where none were seen yet."""
        return self.server_status.snapshot.tally if self.server_status.snapshot else NOTHING

    @property
    def age(self) -> timedelta | None:
        """How old its newest good backup is."""
        good_at = self.server_status.good_at
        return None if good_at is None else max(self.now - good_at, timedelta(0))

    @property
    def overdue(self) -> bool:
        """Whether a good backup should have been there by now."""
        return self.now >= self.times.overdue_at

    @property
    def limit(self) -> int | None:
        """How many backups the panel allows; None where that was not seen yet."""
        return self.server_status.snapshot.limit if self.server_status.snapshot else None

    @property
    def rank(self) -> tuple[int, str]:
        """The key that sorts the worst first."""
        worst = _RANKS[self.troubles[0].kind] if self.troubles else len(Kind)
        return (worst, self.name)


NOTHING = Tally()


def view(
    server: ServerConfig, server_status: ServerStatus, times: Times, work: Work | None, now: datetime
) -> ServerView:
    """Given all that is known of a server, return what is shown of it."""
    progress = None if work is None else progress_of(work, server_status)
    return ServerView(server, server_status, times, now, troubles_of(server, server_status, times, now), progress)


def by_trouble(views: Iterable[ServerView]) -> list[ServerView]:
    """The worst first, then by name."""
    return sorted(views, key=lambda one: one.rank)


def progress_of(work: Work, server_status: ServerStatus) -> Progress:
    """How far a rotation should be, as earlier backups of the server went; never quite done before it is."""
    usual = server_status.snapshot.usual_duration if server_status.snapshot else None
    if usual is None or work.waited is None:
        return Progress(work, None, None)
    share = work.waited / usual if usual else 1.0
    return Progress(work, min(share, 0.99), max(usual - work.waited, timedelta(0)))


def troubles_of(server: ServerConfig, server_status: ServerStatus, times: Times, now: datetime) -> tuple[Trouble, ...]:
    """All that is wrong with a server, the worst first."""
    found = (
        _overdue(server, server_status, times, now),
        _failing(server, server_status),
        _suspicious(server, server_status),
        _shrunk(server, server_status),
        _undeletable(server, server_status),
        _limit_full(server_status),
        _held(server, server_status),
    )
    return tuple(trouble for trouble in found if trouble is not None)


def _overdue(server: ServerConfig, server_status: ServerStatus, times: Times, now: datetime) -> Trouble | None:
    if now < times.overdue_at:
        return None
    due = format_moment(times.due_at, server.policy.zone)
    if server_status.good_at is None:
        return Trouble(Kind.OVERDUE, f"There is no good backup at all; the first was due at {due}.")
    age = format_duration(now - server_status.good_at)
    return Trouble(Kind.OVERDUE, f"The newest good backup is {age} old; one was due at {due}.")


def _failing(server: ServerConfig, server_status: ServerStatus) -> Trouble | None:
    last = server_status.last
    if last is None or last.result not in {Result.FAILED, Result.REFUSED}:
        return None
    problem = last.problems[-1] if last.problems else None
    if last.held or (problem is not None and problem.code in {ProblemCode.BACKUP_SUSPICIOUS, ProblemCode.UNDELETABLE}):
        return None  # which is told in words of its own
    before = server_status.failures - 1
    row = f", and {before} before it did not succeed either" if before > 0 else ""
    said = f": {problem.text}" if problem else ""
    again = f" It is tried again at {format_moment(last.retry_at, server.policy.zone)}." if last.retry_at else ""
    verb = "was refused" if last.result is Result.REFUSED else "failed"
    return Trouble(
        Kind.FAILING, f"The last rotation {verb}{row}{said.rstrip('.')}.{again}", problem.hint if problem else ""
    )


def _suspicious(server: ServerConfig, server_status: ServerStatus) -> Trouble | None:
    newest = server_status.snapshot.newest_suspicious if server_status.snapshot else None
    if newest is None:
        return None
    lasting = server.policy.retention.suspicious_for
    because = newest.because or PLAINLY[newest.state].words  # an older version kept no words
    hint = (
        "Look at the server's files. If it is right that it shrank: "
        f"`ptero-backupd backups accept {server.name} {newest.backup.uuid}`. "
        f"Three or more alike are believed once they last for {format_duration(lasting)}."
    )
    return Trouble(Kind.SUSPICIOUS, f"The newest backup, {newest.backup.name}, is suspicious: {because}.", hint)


def _shrunk(server: ServerConfig, server_status: ServerStatus) -> Trouble | None:
    """Nobody may have looked yet, and the last whole one stays for a month only."""
    snapshot = server_status.snapshot
    if snapshot is None or snapshot.last_whole is None or snapshot.newest_suspicious is not None:
        return None
    name, stays = snapshot.last_whole
    newest = snapshot.newest_good.backup.uuid if snapshot.newest_good else "BACKUP"
    return Trouble(
        Kind.SUSPICIOUS,
        f"The backups are far smaller than they were, and that is taken for usual: {name} is {stays}.",
        f"Look at the server's files. If it is right: `ptero-backupd backups accept {server.name} {newest}`.",
    )


def _undeletable(server: ServerConfig, server_status: ServerStatus) -> Trouble | None:
    """The backups are good, and some that are to go stay, since the panel does not delete them."""
    last = server_status.last
    if last is None or not server_status.undeleted:
        return None
    what = "a backup that is" if server_status.undeleted == 1 else f"{server_status.undeleted} backups that are"
    told = next((problem for problem in reversed(last.problems) if problem.code == ProblemCode.UNDELETABLE), None)
    said = f": {told.text}" if told else ""
    again = f" It is tried again at {format_moment(last.retry_at, server.policy.zone)}." if last.retry_at else ""
    return Trouble(
        Kind.UNDELETABLE,
        f"The panel does not delete {what} to go{said.rstrip('.')}.{again}",
        told.hint if told else UNDELETED_HINT,
    )


def _limit_full(server_status: ServerStatus) -> Trouble | None:
    snapshot = server_status.snapshot
    if snapshot is None or not snapshot.limit or snapshot.tally.used < snapshot.limit:
        return None
    return Trouble(
        Kind.LIMIT,
        f"All {snapshot.limit} backups that the panel allows are there, so that the next needs one deleted first.",
        "Raise the limit in the panel, keep fewer, or unlock some.",
    )


def _held(server: ServerConfig, server_status: ServerStatus) -> Trouble | None:
    """Nothing is wrong with the backups: their deletion waits for the operator. Which they are, the server's page says.

    What the problem says is not told here: it names them, which is a paragraph.
    """
    last, since = server_status.last, server_status.held_since
    if last is None or since is None:
        return None
    beyond = server_status.snapshot.tally.beyond if server_status.snapshot else 0
    what = "1 good backup" if beyond == 1 else f"{beyond or 'some'} good backups"
    when = format_moment(since, server.policy.zone)
    made = "The new backup is good; t" if last.held else "T"
    hint = last.problems[-1].hint if last.held else ""
    return Trouble(
        Kind.HELD,
        f"{made}he brake holds the deletion of {what} since {when}.",
        hint or f"look at `ptero-backupd plan {server.name}`",
    )
