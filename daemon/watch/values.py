"""What is remembered of one server: frozen values, replaced as a whole."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from statistics import median

from daemon.core.model import Action, State, Verdict
from daemon.core.waiting import durations_of
from daemon.history import Trigger
from daemon.rotation.outcome import Problem, Result
from daemon.rotation.run import Stage

COUNTED = 5
"""How many earlier backups say how long the next one takes."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A server's backups, counted. `kept` are those that stay for now, `bytes` what all of them hold together."""

    states: Mapping[State, int] = field(default_factory=dict)
    locked: int = 0
    own: int = 0
    kept: int = 0
    bytes: int = 0
    newest_bytes: int | None = None

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.states.values())

    @property
    def used(self) -> int:
        """How many count against the panel's limit: failed ones do not."""
        return self.total - self.states.get(State.FAILED, 0)


@dataclass(frozen=True)
class Snapshot:
    """A server's backups as they were last judged, newest first. `at` is by our clock; `limit` 0 allows none."""

    at: datetime
    uuid: str
    node: str
    limit: int
    verdicts: tuple[Verdict, ...]

    @cached_property
    def tally(self) -> Tally:
        """How many there are of each kind."""
        good = self.newest_good
        return Tally(
            states=Counter(verdict.state for verdict in self.verdicts),
            locked=sum(verdict.backup.locked for verdict in self.verdicts),
            own=sum(verdict.own for verdict in self.verdicts),
            kept=sum(verdict.action is Action.KEEP for verdict in self.verdicts),
            bytes=sum(verdict.backup.bytes for verdict in self.verdicts),
            newest_bytes=good.backup.bytes if good else None,
        )

    @cached_property
    def kinds(self) -> Mapping[tuple[str, str, str], int]:
        """How many there are by state, by whether they are locked and whether they are the policy's own."""
        return Counter((one.state.value, _yes(one.backup.locked), _yes(one.own)) for one in self.verdicts)

    @cached_property
    def newest_good(self) -> Verdict | None:
        """The newest good backup that the policy made."""
        return next((one for one in self.verdicts if one.own and one.state is State.GOOD), None)

    @cached_property
    def newest_suspicious(self) -> Verdict | None:
        """A suspicious backup of the policy's own that is newer than every good one of its own."""
        ended = (one for one in self.verdicts if one.own and one.state in {State.GOOD, State.SUSPICIOUS})
        newest = next(ended, None)
        return newest if newest is not None and newest.state is State.SUSPICIOUS else None

    @cached_property
    def usual_duration(self) -> timedelta | None:
        """How long a backup takes: the median of the last few; None where none is known."""
        last = durations_of(self.verdicts)[-COUNTED:]
        return timedelta(seconds=median(took.total_seconds() for took in last)) if last else None


def _yes(holds: bool) -> str:
    return "true" if holds else "false"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a server's last rotation ended. `excused` says that there was nothing to do, and nothing is wrong."""

    trigger: Trigger
    began_at: datetime
    ended_at: datetime
    result: Result
    created: str | None = None
    good: bool = False
    deleted: int = 0
    problems: tuple[Problem, ...] = ()
    retry_at: datetime | None = None
    excused: bool = False


@dataclass(frozen=True, slots=True)
class Began:
    """A rotation that is under way."""

    trigger: Trigger
    at: datetime


@dataclass(frozen=True, slots=True)
class Work:
    """How far a rotation is. `waited` is how long its backup has been made by now, None before it is asked for."""

    trigger: Trigger
    began_at: datetime
    stage: Stage
    waited: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is remembered of one server.

    `fine_at` is when last there was nothing to complain of; at first, since when the server is known. `failures` is how
    many rotations in a row ended without a good backup that should have brought one.
    """

    fine_at: datetime
    snapshot: Snapshot | None = None
    good_at: datetime | None = None
    last: Ended | None = None
    failures: int = 0
    began: Began | None = None
