"""How a server stands, as one value: made by one pure function of its configuration, its history and the clock.

Page, metrics, `/api/status`, the command `status` and alerts all show this value, so that they cannot differ.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.config.values import ServerConfig
from daemon.rotation.order import Stage
from daemon.state import Trigger
from daemon.status.copies import CopyStatus
from daemon.status.drills import DrillStatus
from daemon.status.history import ServerHistory, age_of
from daemon.status.proofs import ProofStatus
from daemon.status.snapshot import Tally
from daemon.status.timetable import Times, times_of
from daemon.status.troubles import Kind, Trouble, troubles_of

_RANKS = {kind: rank for rank, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Work:
    """How far a rotation is. `waited` is how long its backup has been made by now, None before it is asked for.
    `member` is the member of a cluster that has it under way, empty if this one has.
    """

    trigger: Trigger
    began_at: datetime
    stage: Stage
    waited: timedelta | None = None
    member: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """A rotation under way. `share` of the backup is done by now and `left` is still to wait, as earlier ones went;
    None where that is not known.
    """

    work: Work
    share: float | None
    left: timedelta | None


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server as it stands at `now`."""

    server: ServerConfig
    history: ServerHistory
    times: Times
    now: datetime
    troubles: tuple[Trouble, ...]
    progress: Progress | None
    copies: tuple[CopyStatus, ...] = ()
    proof: ProofStatus | None = None
    drill: DrillStatus | None = None

    @property
    def name(self) -> str:
        """The server's configured name."""
        return self.server.name

    @property
    def tally(self) -> Tally:
        """Its backups, counted; nothing where none were seen yet."""
        return self.history.tally

    @property
    def good_at(self) -> datetime | None:
        """When its newest good backup was made; None where there is none."""
        return self.history.good_at

    @property
    def age(self) -> timedelta | None:
        """How old its newest good backup is."""
        return age_of(self.good_at, self.now)

    @property
    def overdue(self) -> bool:
        """Whether a good backup should have been there by now."""
        return self.now >= self.times.overdue_at

    @property
    def limit(self) -> int | None:
        """How many backups the panel allows; None where that was not seen yet."""
        return self.history.snapshot.limit if self.history.snapshot else None

    @property
    def word(self) -> str:
        """In a word how it stands: the worst trouble, or else what goes on."""
        if self.troubles:
            return self.troubles[0].kind.value
        if self.progress is not None:
            return "at work"
        return "not yet" if self.good_at is None else "in order"

    @property
    def rank(self) -> tuple[int, str]:
        """The key that sorts the worst first."""
        worst = _RANKS[self.troubles[0].kind] if self.troubles else len(Kind)
        return (worst, self.name)


def status_of(
    server: ServerConfig,
    history: ServerHistory,
    now: datetime,
    *,
    work: Work | None = None,
    times: Times | None = None,
    copies: tuple[CopyStatus, ...] = (),
    proof: ProofStatus | None = None,
    drill: DrillStatus | None = None,
) -> ServerStatus:
    """Return how a server stands at that moment.

    `work` is the rotation under way, if there is one. `times` spares a caller that knows them the look at the schedule.
    `copies` tell how the server stands in each of its stores, `proof` how its backups are proven, which is shown only
    where that tells anything, `drill` how they fare on a spare server.
    """
    times = times or times_of(server, history.fine_at, now)
    progress = None if work is None else progress_of(work, history)
    troubles = troubles_of(server, history, times, now, copies=copies, proof=proof, drill=drill)
    shown = proof if proof is not None and proof.tells else None
    return ServerStatus(server, history, times, now, troubles, progress, copies, shown, drill)


def by_trouble(statuses: Iterable[ServerStatus]) -> list[ServerStatus]:
    """The worst first, then by name."""
    return sorted(statuses, key=lambda one: one.rank)


def progress_of(work: Work, history: ServerHistory) -> Progress:
    """How far a rotation should be, as earlier backups of the server went; never quite done before it is."""
    usual = history.snapshot.usual_duration if history.snapshot else None
    if usual is None or work.waited is None:
        return Progress(work, None, None)
    share = work.waited / usual if usual else 1.0
    return Progress(work, min(share, 0.99), max(usual - work.waited, timedelta(0)))
