"""A server's backups as a rotation judged them: frozen values, replaced as a whole."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from daemon.core.backlog import Waiting, waiting
from daemon.core.model import Action, State, Verdict
from daemon.core.shrunk import last_before_it_shrank
from daemon.core.waiting import durations_of
from daemon.status.packed import pack, read_detail, unpack, write_detail

COUNTED = 5
"""How many earlier backups say how long the next one takes."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A server's backups, counted. `kept` are those that stay for now, `beyond` the good ones that retention lets go,
    `bytes` what all of them hold together.
    """

    states: Mapping[State, int] = field(default_factory=dict)
    locked: int = 0
    own: int = 0
    kept: int = 0
    beyond: int = 0
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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A server's backups as they were last judged. `at` is by our clock; `limit` 0 allows none.

    What is asked for all the time is worked out once. The verdicts themselves are packed: of thousands of servers they
    would take most of the daemon's memory, and they are looked at only when somebody opens a page.
    """

    at: datetime
    uuid: str
    node: str
    limit: int
    packed: bytes
    tally: Tally
    kinds: Mapping[tuple[str, str, str], int]
    """How many there are by state, by whether they are locked and whether they are the policy's own."""

    newest_good: Verdict | None
    """The newest good backup that the policy made, and whose deletion was not left half done."""

    newest_suspicious: Verdict | None
    """A suspicious backup of the policy's own that is newer than every good one of its own."""

    last_whole: tuple[str, str] | None
    """The name of the newest backup from before a shrink that was taken for the new normal, and how long it stays."""

    waiting: Waiting | None
    """What stays only until stores have it; None where nothing does."""

    usual_duration: timedelta | None
    """How long a backup takes: the median of the last few; None where none is known."""

    @classmethod
    def of(
        cls, at: datetime, uuid: str, node: str, limit: int, verdicts: tuple[Verdict, ...], *, detail: str | None = None
    ) -> "Snapshot":
        """Given a server's verdicts, newest first, return its snapshot. `detail` is their text, where that is known."""
        ended = [one for one in verdicts if one.own and one.state in {State.GOOD, State.SUSPICIOUS}]
        good = next((one for one in ended if one.whole), None)
        return cls(
            at=at,
            uuid=uuid,
            node=node,
            limit=limit,
            packed=pack(detail or write_detail(node, limit, verdicts)),
            tally=_tally(verdicts, good),
            kinds=Counter((one.state.value, _yes(one.backup.locked), _yes(one.own)) for one in verdicts),
            newest_good=good,
            newest_suspicious=ended[0] if ended and ended[0].state is State.SUSPICIOUS else None,
            last_whole=_last_whole(verdicts),
            waiting=waiting(verdicts),
            usual_duration=_usual_duration(verdicts),
        )

    @property
    def detail(self) -> str:
        """Node, limit and verdicts as text."""
        return unpack(self.packed)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All of them, newest first, read anew each time."""
        return read_detail(self.detail)[2]


def _tally(verdicts: Sequence[Verdict], good: Verdict | None) -> Tally:
    """How many there are of each kind."""
    return Tally(
        states=Counter(one.state for one in verdicts),
        locked=sum(one.backup.locked for one in verdicts),
        own=sum(one.own for one in verdicts),
        kept=sum(one.action is Action.KEEP for one in verdicts),
        beyond=sum(is_beyond(one) for one in verdicts),
        bytes=sum(one.backup.bytes for one in verdicts),
        newest_bytes=good.backup.bytes if good else None,
    )


def is_beyond(verdict: Verdict) -> bool:
    """Whether a good backup goes as soon as the brake lets it: beyond retention, or held for its day."""
    held = any(reason.rule == "held" for reason in verdict.reasons)
    return verdict.state is State.GOOD and (verdict.action is Action.DELETE or held)


def _last_whole(verdicts: Sequence[Verdict]) -> tuple[str, str] | None:
    found = last_before_it_shrank(verdicts)
    return (found[0].name, found[1]) if found else None


def _usual_duration(verdicts: Sequence[Verdict]) -> timedelta | None:
    last = durations_of(verdicts)[-COUNTED:]
    return timedelta(seconds=median(took.total_seconds() for took in last)) if last else None


def _yes(holds: bool) -> str:
    return "true" if holds else "false"
