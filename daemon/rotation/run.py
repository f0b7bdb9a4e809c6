"""What every step of one rotation shares: its context, and the report that it fills in.

A step that cannot go on raises `Halt`; a `BackupdError` from below (panel, state) ends the rotation as well. Either
way the report already holds what was done until then, so nothing is lost from it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from daemon.clock import Clock
from daemon.config.values import ServerConfig
from daemon.core.drills import DrillRecord
from daemon.core.model import Backup, Listing, Server, Verdict
from daemon.errors import ProblemCode, StateError, TakenOverError
from daemon.log import FilteringBoundLogger
from daemon.panel.client import PanelClient
from daemon.panel.errors import PanelError, StrangeAnswerError
from daemon.rotation.brake import Remembered
from daemon.rotation.order import Order, Stage
from daemon.rotation.outcome import Problem
from daemon.rotation.preview import by_panel
from daemon.rotation.slots import NodeSlots, Slot
from daemon.state import (
    CopyRecord,
    Engine,
    Journal,
    Locks,
    Marks,
    MemoryLocks,
    ProofRecord,
    Step,
    StepName,
)

Seen = TypeVar("Seen")


class Disputed(Protocol):
    """Says why nothing may be deleted on a server, or of it in these stores; empty if it may."""

    def __call__(self, config: ServerConfig, /, *stores: str) -> str:
        """Return why."""
        ...


def undisputed(_config: ServerConfig, /, *_stores: str) -> str:
    """Nobody would decide differently."""
    return ""


async def _nobody() -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class RotationContext:
    """What all rotations of a process share.

    `current_config` returns a server's configuration at that moment (None if it is gone), since a reload may change it
    while a rotation waits. `disputed` says why nothing may be deleted on a server, or of it in stores by name, since
    another member of the cluster would decide differently; empty if none does. `fraction` is how much of a store's rate
    is this member's. `on_server` is called with each server as the panel shows it, and may raise Halt; `on_abandoned`
    with each rotation that is left before its end, `on_copies` with what became of copies, and how many seconds their
    transfer took, `on_pruned` with the server and store that were pruned, and what the brake held there, `on_proof`
    with what was proven, and how many bytes were read in how many seconds, `on_drill` with each drill that ended.
    `downloads` is held by the one backup that is downloaded from a node. `opening_trouble` is why the journal of a
    configured state folder could not be opened at the last try, `lock_trouble` why the last lock could not be taken
    there. `opened_anew` is called when a state that was in trouble has been opened again. `turn` is held by the one
    rotation that is about to open its row in the journal. `asked_names` are the names that were last asked for, by the
    servers' uuids: the journal may not be there to say.
    """

    clock: Clock
    engine: Engine
    journal: Journal
    slots: NodeSlots
    current_config: Callable[[str], ServerConfig | None]
    random: random.Random
    on_server: Callable[[ServerConfig, Server], None] = lambda _config, _server: None
    disputed: Disputed = undisputed
    fraction: Callable[[], float] = lambda: 1.0
    on_abandoned: Callable[["Run"], None] = lambda _run: None
    on_copies: Callable[[Sequence[CopyRecord], float], None] = lambda _records, _seconds: None
    on_pruned: Callable[[str, str, str], None] = lambda _server, _store, _held: None
    on_proof: Callable[[ProofRecord, int, float], None] = lambda _record, _bytes, _seconds: None
    on_drill: Callable[[DrillRecord], None] = lambda _record: None
    opened_anew: Callable[[], Awaitable[None]] = _nobody
    opening_trouble: StateError | None = None
    lock_trouble: StateError | None = None
    under_way: dict[str, "Run"] = field(default_factory=dict)
    downloads: asyncio.Lock = field(default_factory=asyncio.Lock)
    own_locks: Locks = field(default_factory=MemoryLocks)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    mending: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked_names: dict[str, str] = field(default_factory=dict)

    async def close(self) -> None:
        """Close the journal, and its engine."""
        await self.journal.close()
        self.engine.close()

    @property
    def state_trouble(self) -> StateError | None:
        """Why the state cannot be used, whatever of it failed last: then nothing is deleted."""
        return self.opening_trouble or self.journal.trouble or self.lock_trouble


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A rotation's row, and the journal that holds it: one that is opened later would not know its number."""

    journal: Journal
    number: int


@dataclass(slots=True)
class Run:
    """One rotation under way."""

    order: Order
    client: PanelClient
    context: RotationContext
    log: FilteringBoundLogger
    stage: Stage = Stage.BEGINNING
    server: Server | None = None
    row: JournalRow | None = None
    slot: Slot | None = None
    created: Backup | None = None
    deleted: list[Backup] = field(default_factory=list)
    undeleted: dict[str, tuple[Backup, PanelError]] = field(default_factory=dict)
    good: bool = False
    planned: bool = False
    verdicts: tuple[Verdict, ...] = ()
    good_seen_at: datetime | None = None
    problems: list[Problem] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    journal_broken: bool = False
    taken_over: bool = False
    """Whether another member of the cluster acts for the server, so that nothing may be asked for any more."""

    may_delete: bool = True
    remembered: Remembered | None = None

    @property
    def config(self) -> ServerConfig:
        """The server's configuration as it was when the rotation began."""
        return self.order.server

    @property
    def server_id(self) -> str:
        """What the panel is asked with."""
        return self.config.id

    @property
    def known_server(self) -> Server:
        """The server as the panel showed it; every step but the first has it."""
        if self.server is None:
            raise AssertionError("the server was not seen yet")
        return self.server

    @property
    def known_created(self) -> Backup:
        """The backup that this rotation made or adopted; every step after that has it."""
        if self.created is None:
            raise AssertionError("no backup was made yet")
        return self.created

    @property
    def journalled(self) -> bool:
        """Whether the next start can read what this rotation has done so far."""
        return self.row is not None and self.row.journal.persistent and not self.journal_broken

    async def read(self, look: Callable[[], Awaitable[Seen]]) -> Seen:
        """Ask the panel; the daemon asks once more, at once, if the answer is strange.

        A login page or half a document is mostly over by then. A rotation by hand reports it as it is.
        """
        try:
            return await look()
        except StrangeAnswerError as error:
            if self.order.trigger == "manual":
                raise
            self.log.warning("strange_answer", text=error.text, consequence="asked once more")
        return await look()

    async def from_journal(self, ask: Callable[[Journal], Awaitable[Seen]], otherwise: Seen) -> Seen:
        """Return what the journal answers; if it fails, tell that once, and return `otherwise`."""
        try:
            return await ask(self.context.journal)
        except StateError as error:
            self.journal_failed(error)
            return otherwise

    async def marks(self) -> Marks:
        """Return what is remembered of single backups: which were accepted, may be half deleted, or were renamed."""
        return await self.from_journal(lambda journal: journal.marks(self.known_server.uuid), Marks())

    async def earlier(self) -> tuple[Backup, ...]:
        """Return the good backups of the server's last known complete listing."""
        return await self.from_journal(lambda journal: journal.last_listing(self.known_server.uuid), ())

    async def remember(self, listing: Listing) -> None:
        """Remember a complete listing, for the next one that is not."""
        with self.telling_failure():
            now = self.context.clock.now()
            await self.context.journal.listed(self.known_server.uuid, listing.backups, now)

    async def last_asked_for(self) -> frozenset[str]:
        """Return the names that this process, and any by the journal, last asked for on this server."""
        uuid = self.known_server.uuid
        step = await self.from_journal(lambda journal: journal.last_step(uuid, (StepName.CREATE,)), None)
        names = (self.context.asked_names.get(uuid), None if step is None else str(step.detail["backup"]))
        return frozenset(name for name in names if name is not None)

    async def half_deleted(self) -> frozenset[str]:
        """Return the backups whose deletion was asked for and not completed: their rows may have no file."""
        return (await self.marks()).asked

    async def deletion_asked(self, backup: Backup) -> None:
        """Record, before it leaves, that a deletion is asked for: nothing else would show that it was half done.

        Without a journal none leaves.
        """
        if self.journal_broken:
            return
        with self.telling_failure():
            await self.context.journal.ask(self.known_server.uuid, backup.uuid, self.context.clock.now())

    async def deletion_ended(self, backup: Backup) -> None:
        """Forget it once the backup is gone, or if nothing was begun; if that fails, the record does no harm."""
        with suppress(StateError):
            await self.context.journal.asked_no_more(self.known_server.uuid, backup.uuid)

    def release_slot(self) -> None:
        """Let the node's next backup begin."""
        if self.slot is not None:
            self.slot.release()

    def panel_now(self) -> datetime:
        """Return the panel's clock, or ours as long as the panel has not answered."""
        return self.client.panel_now() or self.context.clock.now()

    def panel_ahead(self) -> timedelta:
        """Return how far the panel's clock runs ahead of ours."""
        return self.panel_now() - self.context.clock.now()

    def by_panel(self, moment: datetime) -> datetime:
        """Return a moment of ours as the panel would date it, or a little before."""
        return by_panel(moment, self.panel_ahead())

    def problem(self, code: ProblemCode, text: str, hint: str = "") -> Problem:
        """Note something that the operator should know; the rotation goes on."""
        found = Problem(code, text, hint)
        if found in self.problems:
            return found
        self.problems.append(found)
        self.log.warning("problem", code=code, text=text, **({"hint": hint} if hint else {}))
        return found

    async def step(self, name: StepName, **detail: Any) -> None:  # noqa: ANN401 — any value that JSON can hold
        """Journal a step; if that fails, report it once and go on without deleting later."""
        step = self._take(name, detail)
        if (row := self._row_to_write()) is not None:
            with self.telling_failure():
                await row.journal.step(row.number, step.name, step.at, **detail)

    async def announce(self, name: StepName, **detail: Any) -> None:  # noqa: ANN401 — any value that JSON can hold
        """Journal a step before it is taken, so that not even a power cut loses it."""
        step = self._take(name, detail)
        if (row := self._row_to_write()) is not None:
            with self.telling_failure():
                await row.journal.announce(row.number, step.name, step.at, **detail)

    def _take(self, name: StepName, detail: Mapping[str, Any]) -> Step:
        """Log a step, and remember it for the outcome."""
        self.log.debug(name.value, **detail)
        step = Step(name.value, self.context.clock.now(), detail)
        self.steps.append(step)
        return step

    def _row_to_write(self) -> JournalRow | None:
        return None if self.journal_broken else self.row

    @contextmanager
    def telling_failure(self) -> Iterator[None]:
        """Tell once that the journal failed, and go on."""
        try:
            yield
        except StateError as error:
            self.journal_failed(error)

    def journal_failed(self, error: StateError) -> None:
        """Delete nothing from here on: after a kill it could not be picked up."""
        self.taken_over = self.taken_over or isinstance(error, TakenOverError)
        if not self.journal_broken:
            self.journal_broken = True
            self.problem(
                ProblemCode.JOURNAL,
                f"the journal cannot be written, so nothing will be deleted: {error.text}",
                error.hint,
            )
