"""What every engine stores and returns, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

from daemon.core import shares
from daemon.core.agreement import Opinion
from daemon.core.names import Altered
from daemon.core.proof import Level, Proof

Trigger = Literal["schedule", "catch-up", "retry", "resume", "manual"]


class StepName(StrEnum):
    """The steps of a rotation, as the journal spells them; most of the later ones say how an earlier one ended."""

    GATHERED = "gathered"
    CREATE = "create"
    CREATED = "created"
    CREATE_REFUSED = "create_refused"
    ADOPTED = "adopted"
    TURNED_GOOD = "turned_good"
    ALTERED = "altered"
    PLANNED = "planned"
    ROOM = "room"
    ROOM_DONE = "room_done"
    ROOM_REFUSED = "room_refused"
    DELETE = "delete"
    DELETE_DONE = "delete_done"
    DELETE_REFUSED = "delete_refused"


@dataclass(frozen=True, slots=True)
class Step:
    """One journalled step of a rotation; its name may be one that only another version knows."""

    name: str
    at: datetime
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Marks:
    """What is remembered of single backups of a server: those that an operator `accepted` as not suspicious, those
    whose deletion was `asked` for and is not known to be completed, and, by their uuids, those that the panel keeps
    under another name than was asked for.
    """

    accepted: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    altered: Mapping[str, Altered] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rotation:
    """One rotation with its steps, oldest first. It is unfinished while `ended_at` is None."""

    id: int
    server_uuid: str
    server: str
    panel: str
    policy: str
    trigger: Trigger
    start_at: datetime | None
    began_at: datetime
    ended_at: datetime | None
    result: str | None
    retry_at: datetime | None
    backup_uuid: str | None
    summary: Mapping[str, Any]
    steps: tuple[Step, ...]

    def step(self, name: str) -> Step | None:
        """Return the newest step of that name."""
        return next((step for step in reversed(self.steps) if step.name == name), None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A server's backups as they were last judged. `detail` is the writer's own text."""

    server_uuid: str
    panel: str
    at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A message that waits for a receiver: the newest of that event of that server, in the writer's own form."""

    receiver: str
    server: str
    event: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """How many bytes a server's backups held at the end of a day (UTC)."""

    day: date
    bytes: int


@dataclass(frozen=True, slots=True)
class Member:
    """One process of a cluster: a daemon, or a command while it holds a server.

    `left` is how many seconds of its lease are left, by the database's clock; it may be replaced once they are over.
    `holds` are the parts of the fleet that it acts for, as `core/shares` names them.
    """

    name: str
    process: int
    epoch: int
    role: Literal["acts", "command"]
    since: datetime
    left: float
    holds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SentOut:
    """A member that an operator sent out of the cluster: since when, by the database's clock, and from which host.

    `evicted` says that its leases were ended at once.
    """

    name: str
    since: datetime
    by: str
    evicted: bool


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """A whole cluster at this moment: its `members`, the oldest first, with those whose lease is over and that nobody
    replaced yet; who was sent `out`, by name; and by epoch what daemons go by, as far as they have said, and the panels
    that those cannot reach which say so.

    `promoted_at` is when it was noticed last that the database had been promoted or restored, by its own clock.
    """

    members: tuple[Member, ...] = ()
    out: tuple[SentOut, ...] = ()
    opinions: Mapping[int, Opinion] = field(default_factory=dict)
    promoted_at: datetime | None = None
    cut_off: Mapping[int, frozenset[str]] = field(default_factory=dict)

    @property
    def daemons(self) -> tuple[Member, ...]:
        """The live daemons."""
        return tuple(one for one in self.members if one.role == "acts" and one.left > 0)

    @property
    def acting(self) -> tuple[Member, ...]:
        """Those of the live daemons that take nodes: nobody sent them out."""
        out = {one.name for one in self.out}
        return tuple(one for one in self.daemons if one.name not in out)


@dataclass(frozen=True, slots=True)
class StateNote:
    """Something to know of the place of the state. If it is unwise, `hint` says what to do, else that is empty."""

    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class SharesSeen:
    """How a fleet is shared out at this moment.

    `members` are the live daemons and `held` who of them holds which part, `me` included. `placed` are the nodes of
    servers, by panel and by the id that the configuration has, as far as they changed since the last look; `ended` the
    configured names whose rotations ended since then. `out` are those of the live daemons that an operator sent out.
    `opinions` are what live daemons go by, as far as they have said, `cut_off` the panels that those cannot reach which
    say so, and `promoted_at` as in ClusterSeen.
    """

    me: shares.Member
    members: frozenset[shares.Member]
    held: Mapping[str, shares.Member]
    placed: Mapping[tuple[str, str], str]
    ended: frozenset[str]
    out: frozenset[shares.Member] = frozenset()
    opinions: Mapping[shares.Member, Opinion] = field(default_factory=dict)
    promoted_at: datetime | None = None
    cut_off: Mapping[shares.Member, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A rotation that another process of the cluster has under way: the `member` on whose machine that runs, the server
    as it is configured and at its panel, and the `step` that was journalled last, besides reading a list (None if there
    is none yet), at `step_at`.
    """

    member: str
    server: str
    panel: str
    server_uuid: str
    trigger: Trigger
    began_at: datetime
    step: str | None = None
    step_at: datetime | None = None


class CopyEvent(StrEnum):
    """What became of a copy, as the journal spells it."""

    MADE = "made"
    FAILED = "failed"
    PRUNED = "pruned"
    REFUSED = "refused"
    CLEARED = "cleared"
    MENDED = "mended"


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """One copy that was made, that failed, that was pruned, or whose manifest was gone and was written back, at that
    moment by our own clock; or a store of which nothing, or not all, was pruned; or what was in the way of a copy, and
    was cleared away: `backup` is its key then.

    `server` is the configured name, `backup` the backup's name. A failure may concern the whole store, or the whole
    server: then `backup_uuid` is None, and `backup` empty. `bytes` is what lies in the store, or lay there; None for a
    failure. `text` says why it failed, why it was pruned or cleared away, why not, or from which store it came; it
    is empty for one that came from the node.
    """

    event: CopyEvent
    at: datetime
    server: str
    server_uuid: str
    store: str
    backup_uuid: str | None = None
    backup: str = ""
    bytes: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a store was seen to hold of one server at that moment, by our own clock: whole copies, in bytes as stored.

    `newest` is when the newest backup of which it has a copy was made; None if it has none.
    """

    store: str
    panel: str
    server_uuid: str
    seen_at: datetime
    copies: int
    bytes: int
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class ShelfRecord:
    """A holding with all that was seen of it. `detail` is the writer's own text."""

    holding: Holding
    detail: str


@dataclass(frozen=True, slots=True)
class ProofRecord:
    """The last reading of a server's backup, or copy, that was to look so deep. `server` is the configured name."""

    server: str
    server_uuid: str
    proof: Proof


@dataclass(frozen=True, slots=True)
class ProofAsked:
    """Since when the daemon asks for proofs of a server to that level, by our own clock.

    The server is named by its panel's configured name and its identifier, since neither needs a panel that answers.
    """

    panel: str
    identifier: str
    level: Level
    since: datetime

    @property
    def server(self) -> tuple[str, str]:
        """Which server it is."""
        return self.panel, self.identifier
