"""The database of a cluster as a model: who is a member, what each holds, where servers are, and one journal.

Each statement that `daemon/state/postgres` makes about members, leases and shares is a function here. They are called
by the very text of the statement, so that all of the daemon's own code above them runs; the model reads no SQL, and a
statement that nobody taught it is an error. `tests/state` holds it against a real PostgreSQL.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from json import dumps, loads
from random import Random
from typing import Any, ClassVar

from daemon.state import StepName
from daemon.state.local.journal import SqliteJournal
from daemon.state.postgres import ended, fence, membership, promotion, schema, shares
from tests.simulation.cluster import catalogue, outbox
from tests.simulation.cluster.catalogue import Shelf
from tests.simulation.cluster.outbox import AlertRow, Key, Rows

CHANGE = "a change of the journal"
"""Stands for each statement that the journal makes as a member: what it changes in SQLite is given as its value."""


@dataclass(slots=True)
class MemberRow:
    """One member, which lives `until` a moment of the database's clock."""

    epoch: int
    name: str
    process: int
    role: str
    since: float
    until: float
    lease: float
    life: str


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """Who holds something, within which part of the fleet, and since when."""

    epoch: int
    part: str | None
    since: float


@dataclass(frozen=True, slots=True)
class Announcement:
    """A step that was announced for a server, and what it says: under which epoch, and in which timeline."""

    server: str
    step: str
    said: Sequence[Any]
    epoch: int | None
    timeline: int


class Tables:
    """The tables. `now` is the database's clock, in seconds; `timeline` is another one after a promotion. All that was
    ever `announced` is kept, also what a promotion has lost, `given` is told each epoch that a member is given, and
    `on_seen` which process records what is in which store of which server, `on_proof` which records a proof of which.
    Its clock shows `began` at 0.
    """

    ROWS: ClassVar = (
        "made",
        "members",
        "leases",
        "_opinions",
        "_cut_off",
        "_out",
        "_epoch",
        "home",
        "_promoted_at",
        "_placed",
        "_changes",
        "watches",
        "waiting",
        "installation",
        "shelves",
    )
    """What the database holds beside the journal."""

    def __init__(self, now: Callable[[], float], began: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = now
        self._began = began
        self.made = False
        self.timeline = 1
        self.journal = SqliteJournal.memory()
        self.installation: str | None = None
        self.shelves: dict[Shelf, dict[str, Any]] = {}
        self.on_seen: Callable[[str, str, str], None] = lambda _process, _store, _server: None
        self.on_proof: Callable[[str, str], None] = lambda _process, _server: None
        self.asked_by = ""
        self.members: dict[int, MemberRow] = {}
        self.leases: dict[str, LeaseRow] = {}
        self._opinions: dict[int, dict[str, Any]] = {}
        self._cut_off: dict[int, list[str]] = {}
        self._out: dict[str, dict[str, Any]] = {}
        self.announced: list[Announcement] = []
        self.given: Callable[[int], None] = lambda _epoch: None
        self._epoch = 0
        self._lots = Random(0)
        self.home: tuple[str, str] | None = None
        self._promoted_at: float | None = None
        self._placed: dict[tuple[str, str], tuple[str, int]] = {}
        self._changes = 0
        self.watches: dict[str, str] = {}
        self.waiting: dict[Key, AlertRow] = {}

    def close(self) -> None:
        """Forget all."""
        self.journal.close()

    def run(self, statement: str, values: Sequence[Any], process: str = "") -> Rows:
        """Do what a statement of a process says, and return the rows that it returns."""
        self.asked_by = process
        return list(_STATEMENTS[statement](self, *values))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Undo what was done in the block if it raises. Nobody else does anything meanwhile."""
        before = {name: copy(value) for name, value in vars(self).items() if isinstance(value, dict)}
        renewed = {epoch: row.until for epoch, row in self.members.items()}
        try:
            yield
        except BaseException:
            vars(self).update(before)
            for epoch, until in renewed.items():
                self.members[epoch].until = until
            raise

    def lives(self, epoch: int | None) -> bool:
        """Return whether nobody has taken over from the member of that epoch."""
        return epoch in self.members

    def holds(self, epoch: int | None, what: str) -> bool:
        """Return whether the member of that epoch holds something."""
        return what in self.leases and self.leases[what].epoch == epoch

    def held_since(self, epoch: int | None, what: str) -> float:
        """Return since when the member of that epoch holds something, by the database's clock; infinity if not."""
        return self.leases[what].since if self.holds(epoch, what) else float("inf")

    def is_out(self, name: str) -> bool:
        """Return whether the member of that name was sent out."""
        return name in self._out

    @property
    def quiet_since(self) -> float | None:
        """Return when the last promotion was noticed, by the database's clock: infinity before it is, None without."""
        if self.home is None or self.home == self._here():
            return self._promoted_at
        return float("inf")

    # Members ---------------------------------------------------------------------------------------------------------

    def _alive(self, epoch: int) -> bool:
        return self.members[epoch].until > self.now()

    def _remove(self, epochs: Sequence[int]) -> None:
        for epoch in epochs:
            self.members.pop(epoch, None)
        self.leases = {what: row for what, row in self.leases.items() if row.epoch in self.members}
        self._opinions = {epoch: row for epoch, row in self._opinions.items() if epoch in self.members}
        self._cut_off = {epoch: panels for epoch, panels in self._cut_off.items() if epoch in self.members}

    def _evict(self, own: int) -> None:
        self._remove([epoch for epoch in self.members if epoch != own and not self._alive(epoch)])

    def _join(self, name: str, process: int, lease: timedelta, role: str, life: str) -> Rows:
        now, seconds = self.now(), lease.total_seconds()
        row = next((row for row in self.members.values() if row.life == life), None)
        if row is None:
            self._epoch += 1
            self.given(self._epoch)
            row = MemberRow(self._epoch, name, process, role, now, now + seconds, seconds, life)
            self.members[self._epoch] = row
        row.until, row.lease, row.role = now + seconds, seconds, role
        ago = None if self._promoted_at is None else now - self._promoted_at
        return [{"epoch": row.epoch, "promoted": ago}]

    def _renew(self, epoch: int, lease: timedelta) -> Rows:
        if epoch not in self.members:
            return []
        self.members[epoch].until = self.now() + lease.total_seconds()
        return [{"epoch": epoch}]

    def _cut(self, own: int) -> Rows:
        for row in self.members.values():
            if row.epoch != own:
                row.until = min(row.until, self.now() + row.lease)
        return []

    def _leave(self, life: str) -> Rows:
        self._remove([row.epoch for row in self.members.values() if row.life == life])
        return []

    def _take(self, what: str, epoch: int, part: str | None) -> Rows:
        if what in self.leases:
            return []
        assert self.lives(epoch)
        assert part is None or self.holds(epoch, part)
        self.leases[what] = LeaseRow(epoch, part, self.now())
        return [{"epoch": epoch}]

    def _take_at_once(self, epoch: int, lease: timedelta, what: str, part: str | None) -> Rows:
        may = bool(self._renew(epoch, lease)) and (part is None or self.holds(epoch, part))
        taken = self._take(what, epoch, part) if may else []
        self._evict(epoch)
        return taken

    def _keep(self, what: str, epoch: int, part: str | None) -> Rows:
        if not self.holds(epoch, what):
            return []
        self.leases[what] = replace(self.leases[what], part=part)
        return [{"epoch": epoch}]

    def _hold_fast(self, what: str, epoch: int) -> Rows:
        return [{"epoch": epoch}] if self.holds(epoch, what) else []

    def _holder(self, what: str) -> Rows:
        row = self.leases.get(what)
        return [_as_row(self.members[row.epoch])] if row is not None and self._alive(row.epoch) else []

    def _free(self, what: str, epoch: int) -> Rows:
        if self.holds(epoch, what):
            within = {what, *(one for one, row in self.leases.items() if row.part == what)}
            self.leases = {one: row for one, row in self.leases.items() if one not in within}
        return []

    def _all(self) -> Rows:
        return [
            _as_row(row)
            | {
                "since": self._moment(row.since),
                "left": row.until - self.now(),
                "holds": sorted(self._held_by(row.epoch)),
            }
            for row in self.members.values()
        ]

    def _send_out(self, name: str, by: str, evicted: bool) -> Rows:
        row = self._out.get(name, {"name": name, "since": self._moment(self.now()), "sent_by": by, "evicted": False})
        self._out[name] = row | {"evicted": row["evicted"] or evicted}
        return []

    def _call_back(self, name: str) -> Rows:
        return [{"name": name}] if self._out.pop(name, None) else []

    def _evict_by_name(self, name: str) -> Rows:
        epochs = [row.epoch for row in self.members.values() if row.name == name]
        self._remove(epochs)
        return [{"epoch": epoch} for epoch in epochs]

    def _publish(self, epoch: int, decisions: int, digest: str, rules: str) -> Rows:
        if epoch in self.members:
            self._opinions[epoch] = {"epoch": epoch, "decisions": decisions, "digest": digest, "rules": rules}
        return []

    def _tell_cut_off(self, epoch: int, panels: Sequence[str]) -> Rows:
        if epoch in self.members:
            self._cut_off[epoch] = [*panels]
        return []

    def _moment(self, seconds: float) -> datetime:
        return self._began + timedelta(seconds=seconds)

    def _promoted(self) -> Rows:
        at = self._promoted_at
        return [{"promoted_at": None if at is None else self._moment(at)}] if self.home else []

    # Steps -----------------------------------------------------------------------------------------------------------

    def _step(self, rotation: int, at: str, name: str, detail: str) -> Rows:
        self.journal.step(rotation, name, datetime.fromisoformat(at), **loads(detail))
        return [{"id": rotation}]

    def _fenced_step(self, epoch: int, lease: timedelta, rotation: int, *step: str) -> Rows:
        if not self._renew(epoch, lease):
            return []
        held = any(self.holds(epoch, f"{fence.SERVER}{server}") for server in self._server_of(rotation))
        return self._announced_step(epoch, rotation, *step) if held else []

    def _announced_step(self, epoch: int | None, rotation: int, at: str, name: str, detail: str) -> Rows:
        said = tuple(loads(detail).values())
        self.announced += (Announcement(one, name, said, epoch, self.timeline) for one in self._server_of(rotation))
        return self._step(rotation, at, name, detail)

    def _server_of(self, rotation: int) -> list[str]:
        return [row["server_uuid"] for row in self._query("SELECT server_uuid FROM rotation WHERE id = ?", rotation)]

    def _change_as_member(self, epoch: int, lease: timedelta, change: Callable[[], object]) -> Rows:
        return self._change(epoch, lease, change) if self._renew(epoch, lease) else []

    def _change(self, _: object, __: object, change: Callable[[], object]) -> Rows:
        return [{"count": int(bool(change()))}]

    def announcement(self, server: str, steps: Sequence[str], about: str) -> Announcement | None:
        """Return the last of such steps of a server that was announced, and says something of that backup."""
        newest_first = (one for one in reversed(self.announced) if one.server == server)
        return next((one for one in newest_first if one.step in steps and about in one.said), None)

    # Shares ----------------------------------------------------------------------------------------------------------

    def _held_by(self, epoch: int) -> list[str]:
        return [what for what, row in self.leases.items() if row.epoch == epoch and not what.startswith(fence.SERVER)]

    def _live(self, own: int, _: str) -> Rows:
        acting = (row for row in self.members.values() if row.role == "acts" or row.epoch == own)
        for_all = {
            "promoted_at": next((row["promoted_at"] for row in self._promoted()), None),
            "change": max((change for _, change in self._placed.values()), default=None),
        }
        return [
            _as_row(row)
            | {"out": row.name in self._out, "digest": self._opinions.get(row.epoch, {}).get("digest")}
            | {"panels": self._cut_off.get(row.epoch), "holds": self._held_by(row.epoch)}
            | for_all
            for row in acting
            if row.epoch == own or self._alive(row.epoch)
        ]

    def _at_work(self, part: str, _: str) -> Rows:
        return [{"?": any(row.part == part and self._alive(row.epoch) for row in self.leases.values())}]

    def _under_way(self, own: int) -> Rows:
        """Return the newest open rotation of each server whose lock another live process holds."""
        rows = self._query(
            "SELECT server, server_uuid, panel, trigger, began_at, step.name AS step, step.at AS step_at FROM rotation"
            " LEFT JOIN step ON step.id = (SELECT max(id) FROM step WHERE rotation = rotation.id AND name <> ?)"
            " WHERE ended_at IS NULL ORDER BY rotation.id",
            StepName.GATHERED,
        )
        holders = {
            what.removeprefix(fence.SERVER): self.members[row.epoch].name
            for what, row in self.leases.items()
            if row.epoch != own and self._alive(row.epoch)
        }
        newest = {row["server_uuid"]: row for row in rows if row["server_uuid"] in holders}
        return [row | {"member": holders[server]} for server, row in newest.items()]

    def _place(self, panel: str, server: str, node: str) -> Rows:
        if self._placed.get((panel, server), ("", 0))[0] != node:
            self._changes += 1
            self._placed[panel, server] = node, self._changes
        return []

    def _placed_since(self, change: int) -> Rows:
        return [
            {"panel": panel, "server": server, "node": node, "change": changed}
            for (panel, server), (node, changed) in self._placed.items()
            if changed > change
        ]

    def _rotations_known(self, behind: int) -> Rows:
        rows = self._query("SELECT id, ended_at IS NULL AS open FROM rotation ORDER BY id")
        return [row for row in rows if row["open"] or row["id"] > rows[-1]["id"] - behind]

    def _since(self, newest: int, left_out: Sequence[int], numbers: Sequence[int]) -> Rows:
        return self._query(
            "SELECT id, server, ended_at IS NOT NULL AS ended FROM rotation"
            " WHERE id > ? OR id IN (SELECT value FROM json_each(?))"
            " OR (ended_at IS NOT NULL AND id IN (SELECT value FROM json_each(?)))",
            newest,
            dumps(left_out),
            dumps(numbers),
        )

    def _query(self, query: str, *values: object) -> Rows:
        """Return what the journal's own tables say."""
        with self.journal.raw() as connection:
            return [dict(row) for row in connection.execute(query, values).fetchall()]

    # Promotions ------------------------------------------------------------------------------------------------------

    def _here(self) -> tuple[str, str]:
        return "1", f"{self.timeline:08X}"

    def _known(self) -> Rows:
        return [dict(zip(("system", "timeline"), self.home, strict=True))] if self.home else []

    def _first(self, *here: str) -> Rows:
        self.home = self.home or (here[0], here[1])
        return []

    def _now_here(self, *here: str) -> Rows:
        self.home, self._promoted_at = (here[0], here[1]), self.now()
        return []

    def _void(self) -> Rows:
        self._remove(list(self.members))
        return []

    def _raise(self) -> Rows:
        epochs, numbers = (promotion.EPOCHS * self._lots.randint(1, promotion.LOTS) for _ in range(2))
        self._epoch += epochs
        self._query("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'rotation'", numbers)
        return []


def _as_row(row: MemberRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("epoch", "name", "process", "role")}


_STATEMENTS: Mapping[str, Callable[..., Rows]] = {
    "SELECT 1": lambda _: [{"?": 1}],
    membership._MEMBERS: Tables._all,
    schema._IS_THERE: lambda tables, name: [{"?": name if tables.made else None}],
    membership._SEND_OUT: Tables._send_out,
    membership._CALL_BACK: Tables._call_back,
    membership._EVICT: Tables._evict_by_name,
    membership._PROMOTED: Tables._promoted,
    membership._OUT: lambda tables: [tables._out[name] for name in sorted(tables._out)],
    membership._OPINIONS: lambda tables: list(tables._opinions.values()),
    membership._CUT_OFF: lambda tables: [
        {"epoch": epoch, "panels": panels} for epoch, panels in tables._cut_off.items()
    ],
    fence.JOIN: Tables._join,
    fence.RENEW: Tables._renew,
    fence.CUT: Tables._cut,
    fence.TAKE_AT_ONCE: Tables._take_at_once,
    fence.TAKE: Tables._take,
    fence.KEEP: Tables._keep,
    fence.HOLD_FAST: Tables._hold_fast,
    fence.HOLDER: Tables._holder,
    fence.FREE: Tables._free,
    fence.STEP: lambda tables, *step: tables._announced_step(None, *step),
    fence.FENCED_STEP: Tables._fenced_step,
    fence.as_member(CHANGE): Tables._change_as_member,
    fence.as_member(CHANGE, acts=False): Tables._change,
    fence.LEAVE: Tables._leave,
    shares._LIVE: Tables._live,
    shares._PUBLISH: Tables._publish,
    shares._CUT_OFF: Tables._tell_cut_off,
    shares._OPINIONS: lambda tables, epochs: [tables._opinions[one] for one in epochs if one in tables._opinions],
    shares._AT_WORK: Tables._at_work,
    shares._UNDER_WAY: Tables._under_way,
    shares._PLACE: Tables._place,
    shares._PLACED: Tables._placed_since,
    ended.SINCE: Tables._since,
    ended.KNOWN: Tables._rotations_known,
    shares._LOCK: lambda _: [],
    promotion._HERE: lambda tables: [dict(zip(("system", "timeline"), tables._here(), strict=True))],
    promotion._KNOWN: Tables._known,
    promotion._LOCKED: Tables._known,
    promotion._WAITS_FOR_NONE: lambda _: [],  # nobody waits for a standby here
    promotion._FIRST: Tables._first,
    promotion._NOW_HERE: Tables._now_here,
    promotion._VOID: Tables._void,
    promotion._RAISE: Tables._raise,
    **outbox.STATEMENTS,
    **catalogue.STATEMENTS,
}
