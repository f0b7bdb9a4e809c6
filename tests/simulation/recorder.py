"""What happened, as somebody sees it who stands between the daemon and the panel and inside the panel.

The recorder holds a mirror of the panel's backups, made from the ledger alone, with every earlier version of it; when a
backup was last locked or renamed, one of a server last completed, and a server last moved; every request with the
moments at which it left, was done and came back; and the rotations they belong to. Nothing here judges: `rules` does.
Moments are seconds of the virtual loop. A backup of the daemon's that the panel keeps under another name has here the
one that was asked for, as the daemon must see it too.
"""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from http import HTTPStatus
from itertools import takewhile
from typing import Any

import httpx

from daemon.sandbox.records import Change, Entry, State
from daemon.sandbox.world import World
from tests.simulation.oracle import Row

DAEMON = "backupd"
"""The panel's user whose key the daemon has."""

ORIGIN: ContextVar["Exchange | None"] = ContextVar("origin", default=None)
"""The request that the panel is working at."""


@dataclass(slots=True, eq=False)
class Rotation:
    """One rotation as it was ordered.

    `policy` is the table in force when it began, `start_at` the start that it is for, None by hand, and `due` when the
    first rotation began for that. `made` is the backup that the panel made for it, `told_held` whether it told that
    something waits since the retention was changed, and `told_frozen` that a proof has failed. `once_more` is the last
    start before a rotation that no start asked for, since the newest backup is bad. By its process's clock the start
    was yet to come if it is `early`: that was set back over it. `named` is the start that its order names, which is an
    earlier one if a clock was set forward while it waited. `read` is since when the configuration may be in force that
    it began by. `journal_failed` is whether any of its calls to the journal failed, `unwritten` whether one did since
    its row was opened, or at all while it has none. `left` is whether its process joined the cluster anew amid it.
    """

    process: str
    server: str
    uuid: str
    trigger: str
    start_at: datetime | None
    due: float
    began: float
    read: float
    policy: Mapping[str, Any]
    exchanges: list["Exchange"] = field(default_factory=list)
    good_deleted: set[str] = field(default_factory=set)
    made: str | None = None
    journal_failed: bool = False
    unwritten: bool = False
    left: bool = False
    reported: bool = False
    told_held: bool = False
    told_frozen: bool = False
    once_more: datetime | None = None
    early: bool = False
    named: datetime | None = None
    ended: float | None = None
    result: str | None = None

    def delivered(self, call: str) -> Iterator["Exchange"]:
        """Its answers of one kind that arrived whole, newest first."""
        return (e for e in reversed(self.exchanges) if e.call == call and e.delivered)


@dataclass(slots=True, eq=False)
class Exchange:
    """One request and what became of it. `document` is what the client could read of the answer, `rows` those that
    are in it, once somebody has asked. `altered` are the names that were asked for and those that the panel keeps
    instead, by the backups' uuids, as the recorder knows them. `dated_first` is when the panel gave its client the
    first date, against which it would notice that a clock was set. A create is made `beside_others` by a member that
    may hold the server no more, since it cannot reach the database; it is `unannounced` if that was not told of it.
    """

    number: int
    process: str
    rotation: Rotation | None
    call: str
    server: str | None
    backup: str | None
    page: int
    name: str | None
    key: str
    sent: float
    done: float | None = None
    received: float | None = None
    given_up: float | None = None
    status: int = 0
    document: Any = None
    rows: tuple[Row, ...] | None = None
    fault: str = ""
    falsified: bool = False
    dateless: bool = False
    dated_first: float | None = None
    created_by_then: str | None = None
    date: datetime | None = None
    beside_others: bool = False
    unannounced: bool = False
    altered: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def delivered(self) -> bool:
        """Whether a whole answer of success came back."""
        return self.received is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the story."""

    at: float
    server: str | None
    text: str


class Ledger(list[Entry]):
    """The world's ledger, which tells somebody before an entry's change is made."""

    def __init__(self, tell: Callable[[Entry], None]) -> None:
        super().__init__()
        self._tell = tell

    def append(self, entry: Entry) -> None:
        """Add the entry, and tell of it."""
        super().append(entry)
        self._tell(entry)


class Recorder:
    """The mirror, the requests, the rotations and the story."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.story: list[Event] = []
        self.mirror: dict[str, dict[str, Row]] = defaultdict(dict)
        self.versions: dict[str, list[tuple[float, Mapping[str, Row]]]] = defaultdict(list)
        self.locked_at: dict[str, float] = {}
        self.renamed_at: dict[str, float] = {}
        self.completed_at: dict[str, float] = {}
        self.moved_at: dict[str, float] = {}
        self.touched_by_others: dict[str, float] = {}
        self.lock_set_by: dict[str, tuple[float, str]] = {}
        self.once_failed: set[str] = set()
        self.altered: dict[str, tuple[str, str]] = {}
        self.asked: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self.to_be_asked: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self.exchanges: list[Exchange] = []
        self.rotations: list[Rotation] = []
        self.running: dict[tuple[str, str], Rotation] = {}
        self.on_entry: list[Callable[[Entry], None]] = []
        self._digest = hashlib.sha256()
        world.ledger = Ledger(self._noted)

    # The story -------------------------------------------------------------------------------------------------------

    def tell(self, text: str, server: str | None = None) -> None:
        """Add a line to the story; `server` is its uuid. The number of this process, another each time, is left out."""
        text = text.replace(f"process {os.getpid()}", "process N")
        event = Event(self.now(), server, text)
        self.story.append(event)
        self._digest.update(f"{event.at:.6f} {server} {text}\n".encode())

    def now(self) -> float:
        """The present; while the agenda catches up, the moment that it is at."""
        return self.world.agenda.seconds()

    @property
    def digest(self) -> str:
        """One number for everything that happened, in its order."""
        return self._digest.hexdigest()

    # The mirror ------------------------------------------------------------------------------------------------------

    def _noted(self, entry: Entry) -> None:
        for call in self.on_entry:
            call(entry)
        rows = self.mirror[entry.server]
        self._apply(entry, rows)
        self.versions[entry.server].append((self.now(), dict(rows)))
        if entry.change is Change.LOCKED:
            self.locked_at[entry.backup] = self.now()
        if entry.change is Change.RENAMED:
            self.renamed_at[entry.backup] = self.now()
        if entry.change is Change.COMPLETED or (entry.change is Change.CREATED and entry.state is State.GOOD):
            self.completed_at[entry.server] = self.now()
        if entry.by != DAEMON:
            self.touched_by_others[entry.backup] = self.now()
        elif (exchange := ORIGIN.get()) is not None and exchange.call == "lock" and exchange.rotation is None:
            self.lock_set_by[entry.backup] = self.now(), exchange.process
        what = f"{entry.change.value} {self.short(entry.backup)} “{entry.name}”"
        worth = f"{'locked ' if entry.locked else ''}{entry.state.value}"
        self.tell(f"    panel: {what}, which was {worth}, by {entry.by}", entry.server)

    def _apply(self, entry: Entry, rows: dict[str, Row]) -> None:
        match entry.change:
            case Change.CREATED:
                made = self.world.servers[entry.server].backups[entry.backup]
                done = entry.state is not State.PENDING
                rows[entry.backup] = Row(
                    uuid=entry.backup,
                    name=self._asked_for(entry),
                    successful=entry.state is State.GOOD,
                    locked=entry.locked,
                    bytes=made.size if entry.state is State.GOOD else 0,
                    created=made.created_at,
                    completed=made.completed_at if done else None,
                )
            case Change.DELETED:
                del rows[entry.backup]
            case Change.LOCKED | Change.UNLOCKED:
                rows[entry.backup] = replace(rows[entry.backup], locked=entry.change is Change.LOCKED)
            case Change.RENAMED:
                rows[entry.backup] = replace(rows[entry.backup], name=entry.name)
            case Change.COMPLETED:
                made = self.world.servers[entry.server].backups[entry.backup]
                moment = entry.at.replace(microsecond=0)
                rows[entry.backup] = replace(rows[entry.backup], successful=True, bytes=made.size, completed=moment)
            case Change.FAILED:
                self.once_failed.add(entry.backup)
                locked = rows[entry.backup].locked and entry.by == "panel"
                moment = entry.at.replace(microsecond=0)
                rows[entry.backup] = replace(rows[entry.backup], locked=locked, completed=moment)

    def _asked_for(self, entry: Entry) -> str:
        """The name that the daemon asked for; the judge goes by it, whatever the panel keeps instead."""
        exchange = ORIGIN.get()
        if entry.by != DAEMON or exchange is None or exchange.name in {None, entry.name}:
            return entry.name
        self.altered[entry.backup] = str(exchange.name), entry.name
        return str(exchange.name)

    def truths(self, server: str, since: float) -> list[Mapping[str, Row]]:
        """Every version of a server's backups from that moment on, the newest last."""
        versions = self.versions[server]
        first = len(versions)
        while first > 0 and versions[first - 1][0] >= since:
            first -= 1
        return [rows for _, rows in versions[max(0, first - 1) :]] or [{}]

    def first_seen(self, server: str, backup: str) -> float:
        """When a backup was first there."""
        return next(at for at, rows in self.versions[server] if backup in rows)

    def about_to_ask(self, server: str, backup: str) -> None:
        """A process is about to write down that it asks for a deletion, and may be killed before that leaves it."""
        self.to_be_asked[server].setdefault(backup, self.now())

    def forget_asked(self, since: float) -> None:
        """What was written down since then is lost: of deletions that were asked for meanwhile nobody need know."""
        for asked in self.asked.values():
            for backup in [backup for backup, at in asked.items() if at >= since]:
                del asked[backup]

    def half_deleted(self, server: str, before: float) -> tuple[set[str], set[str]]:
        """Whose deletion was asked for before that moment: what a daemon knows of at least, and at most."""
        asked, most = (
            {backup for backup, at in known[server].items() if at < before} for known in (self.asked, self.to_be_asked)
        )
        return asked, asked | most

    def node_of(self, server: str, since: float) -> str | None:
        """The node that a server has been on since then; None where it was moved, or is gone."""
        there = self.world.servers.get(server)
        return None if there is None or self.moved_at.get(server, -1.0) >= since else there.node.name

    def mirror_is_true(self) -> bool:
        """Whether the mirror shows what the world holds; a test of the recorder, not of the daemon."""
        for uuid, server in self.world.servers.items():
            rows = self.mirror[uuid]
            if list(rows) != list(server.backups):
                return False
            for backup in server.backups.values():
                row = rows[backup.uuid]
                if (row.locked, row.successful, row.completed, row.bytes) != (
                    backup.locked,
                    backup.successful,
                    backup.completed_at,
                    backup.bytes,
                ):
                    return False
        return True

    # Transport --------------------------------------------------------------------------------------------------------

    def began(self, rotation: Rotation) -> None:
        """A rotation begins."""
        self.rotations.append(rotation)
        self.running[rotation.process, rotation.server] = rotation
        start = f" for the start of {rotation.start_at:%d %H:%M}" if rotation.start_at else ""
        self.tell(
            f"{rotation.process}: rotation of {rotation.server} begins ({rotation.trigger}{start})", rotation.uuid
        )

    def ended(self, process: str, server: str, result: str, words: str) -> Rotation:
        """A rotation ended."""
        rotation = self.running.pop((process, server))
        rotation.ended, rotation.result = self.now(), result
        self.tell(f"{process}: rotation of {server} ended: {words}", rotation.uuid)
        return rotation

    def sent(self, process: str, server_name: str | None, request: httpx.Request, body: bytes) -> Exchange:
        """A request leaves a process; the rotation that it belongs to is known by the server's configured name."""
        path, query, method = request.url.path, request.url.query.decode(), request.method
        parts = path.removeprefix("/api/client").strip("/").split("/")
        server = self.world.find_server(parts[1]) if len(parts) > 1 else None
        backup = parts[3] if len(parts) > 3 else None
        call = _call(method, parts)
        exchange = Exchange(
            number=len(self.exchanges) + 1,
            process=process,
            rotation=self.running.get((process, server_name or "")),
            call=call,
            server=server.uuid if server else None,
            backup=backup,
            page=int(query.rpartition("page=")[2] or 1) if call == "list" else 0,
            name=json.loads(body)["name"] if call == "create" else None,
            key=request.headers["Authorization"].removeprefix("Bearer "),
            sent=self.now(),
            altered=self.altered,
        )
        self.exchanges.append(exchange)
        if call == "delete" and exchange.server and backup:
            self.asked[exchange.server].setdefault(backup, exchange.sent)
        if exchange.rotation is not None:
            exchange.rotation.exchanges.append(exchange)
        about = f" “{exchange.name}”" if exchange.name else f" {self.short(backup)}" if backup else ""
        page = f" page {exchange.page}" if exchange.page > 1 else ""
        self.tell(f"  {process} → #{exchange.number} {call}{about}{page}", exchange.server)
        return exchange

    def accepted_since(self, server: str, since: float) -> bool:
        """Whether a create of a rotation was answered with a backup since then, and nothing disturbed that."""
        return any(
            one.call == "create" and one.server == server and one.delivered and one.rotation and not one.fault
            for one in takewhile(lambda one: one.sent >= since, reversed(self.exchanges))
        )

    def dated_ahead(self, server: str) -> bool:
        """Whether a backup was ever made there that the panel's clock, set back since, has not come to again."""
        now = self.world.now()
        return any(row.created > now for _, rows in self.versions[server] for row in rows.values())

    def received(self, exchange: Exchange, status: int, body: bytes, date: datetime | None) -> None:
        """An answer arrived whole."""
        exchange.received, exchange.status, exchange.date = self.now(), status, date
        try:
            exchange.document = json.loads(body) if body else None
        except ValueError:
            exchange.document = None
        if exchange.call == "delete" and (_was_held_back(exchange) or _said_locked(exchange.document)):
            self._left_alone(exchange)
        trouble = f" ({exchange.fault})" if exchange.fault else ""
        self.tell(f"  {exchange.process} ← #{exchange.number} {status}{trouble}", exchange.server)

    def _left_alone(self, exchange: Exchange) -> None:
        """The panel surely did not delete it: the daemon need not know of a deletion that may be half done, unless it
        knew of one before.
        """
        asked, backup = self.asked[exchange.server or ""], exchange.backup or ""
        if asked.get(backup) == exchange.sent:
            del asked[backup]

    def lost(self, exchange: Exchange, how: str) -> None:
        """No answer will arrive."""
        exchange.given_up = self.now()
        trouble = f" ({exchange.fault})" if exchange.fault else ""
        self.tell(f"  {exchange.process} ← #{exchange.number} lost: {how}{trouble}", exchange.server)

    @staticmethod
    def short(backup: str | None) -> str:
        """The beginning of a uuid."""
        return (backup or "")[:6]


def _call(method: str, parts: list[str]) -> str:
    """Given `GET` and `servers/x/backups`, return what kind of call it is."""
    if len(parts) <= 1:
        return "servers"
    if len(parts) == 2:
        return "server"
    if len(parts) == 3 and parts[2] != "backups":
        return parts[2]
    if len(parts) == 3:
        return "list" if method == "GET" else "create"
    if len(parts) == 4:
        return "view" if method == "GET" else "delete"
    return parts[4]


def _was_held_back(exchange: Exchange) -> bool:
    """Whether it is a deletion that the API limit refused."""
    return exchange.call == "delete" and exchange.status == HTTPStatus.TOO_MANY_REQUESTS


def _said_locked(document: object) -> bool:
    """Whether an answer says that the backup is locked."""
    errors = document.get("errors") if isinstance(document, dict) else None
    return isinstance(errors, list) and any(
        isinstance(one, dict) and one.get("code") == "BackupLockedException" for one in errors
    )
