"""Stores in memory, and a worker that fills them without a process: what a store wants is decided by the core."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from daemon.copies.errors import WorkerDiedError
from daemon.copies.jobs import Job, PruneInputs
from daemon.copies.manifest import ContentsPart
from daemon.copies.results import (
    Cleared,
    CopyDone,
    CopyResult,
    Failure,
    LookResult,
    Mended,
    Pruned,
    PruneResult,
    WantedCopy,
)
from daemon.copies.shelf import Shelf, write_shelf
from daemon.copies.workers import AskLeave, CopyListener, GiveLink, OnGoing, always, unheard
from daemon.core.applied import AppliedRetention
from daemon.core.copies_wanted import choices, wanted
from daemon.core.model import Backup
from daemon.errors import ProblemCode
from daemon.state import Holding, ShelfRecord
from tests.copies.support import Told

DOWN = Failure(ProblemCode.STORE_UNREACHABLE, "nobody answers")


@dataclass
class FakeWorker:
    """A CopyWorker. `held` is what each store has, by store and server; `down` are those in trouble, `quick` those that
    have their copy before the worker dies: `torn` ones, or sound ones that it `walks`, with `files`, and it tells of
    `strange` ones too, or of all as those of another server, where they are `misplaced`.

    `does` has each call as words; `meanwhile` is called in the middle of each copy. Backups that are `lost` cannot be
    downloaded; with `dies` the next copy ends the worker, and each one of what is `deadly`. Each prune is `given` what
    is known, and says why it is `refused` and what `problems` it met; `at_prune` is called in its middle, by server and
    store, and `asked` then, with why nothing may be deleted any more. A look clears what is `loose`, and is `asked`
    likewise; a prune clears what is `left`. The manifests of what is `bare` are written back. `rates` are
    those that the last job named, by store.
    """

    held: dict[tuple[str, str], dict[str, Backup]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    quick: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    does: list[str] = field(default_factory=list)
    given: list[PruneInputs] = field(default_factory=list)
    refused: str = ""
    problems: tuple[Failure, ...] = ()
    at_prune: dict[tuple[str, str], Callable[[], Awaitable[None]]] = field(default_factory=dict)
    rates: dict[str, int | None] = field(default_factory=dict)
    works: bool = False
    dies: bool = False
    deadly: set[str] = field(default_factory=set)
    torn: bool = False
    walks: bool = False
    files: int = 0
    misplaced: str = ""
    strange: tuple[dict[str, Any], ...] = ()
    loose: dict[str, Cleared] = field(default_factory=dict)
    left: dict[str, Cleared] = field(default_factory=dict)
    bare: dict[str, Mended] = field(default_factory=dict)
    meanwhile: Callable[[], None] = lambda: None
    asked: Callable[[str], None] = lambda _hindrance: None

    def has(self, store: str, server: str = "survival") -> list[str]:
        """When the backups of a server were made that a store has, as day and HH:MM, oldest first."""
        return sorted(f"{one.created_at:%d %H:%M}" for one in self.held.get((store, server), {}).values())

    async def look(self, job: Job, leave: AskLeave = always) -> LookResult:
        """What the stores want; what is `loose` in a store is cleared away, if it may be."""
        gone = [(store, one) for store, one in self.loose.items() if store in job.stores]
        if gone:
            hindrance = await leave()
            self.asked(hindrance)
            gone = [] if hindrance else [(store, self.loose.pop(store)) for store, _ in gone]
        self._did(f"look {job.config.name} {' '.join(job.stores)}")
        policy, now = job.config.policy.retention, job.listing.taken_at
        chosen = {
            name: choices(job.verdicts, self._held(name, job).values(), store.rules, policy, now=now)
            for name, store in job.stores.items()
            if name not in self.down
        }
        return LookResult(
            tuple(WantedCopy(one.backup.uuid, one.backup.name, one.backup.bytes, one.stores) for one in wanted(chosen)),
            {name: DOWN for name in job.stores if name in self.down},
            cleared=tuple(gone),
            mended=tuple((store, self.bare.pop(store)) for store in job.stores if store in self.bare),
        )

    async def copy(self, job: Job, backup: str, link: GiveLink, listener: CopyListener) -> CopyResult:
        """Ask for the link, and have it."""
        found = next(one for one in job.listing.backups if one.uuid == backup)
        self.rates = {name: one.settings.rate for name, one in {**job.stores, **job.others}.items()}
        self._did(f"copy {job.config.name} {found.created_at:%d %H:%M} {' '.join(job.stores)}")
        await link()
        self.meanwhile()
        if self.dies or backup in self.deadly:
            self.dies = False
            for store in self.quick & job.stores.keys():
                self._held(store, job)[backup] = found
                seen = ShelfRecord(self._holding(store, job, found), self._detail(job, found))
                await listener.copied(CopyDone(store, found.bytes), seen)
                for strange in self.strange:
                    holding = replace(seen.holding, **strange)
                    await listener.copied(CopyDone(holding.store, found.bytes), replace(seen, holding=holding))
            raise WorkerDiedError("the process that copies was killed by SIGKILL")
        if backup in self.lost:
            lost = Failure(ProblemCode.NOT_FOUND, "the node has no such file")
            return CopyResult(tuple(CopyDone(store, None, lost) for store in job.stores))
        done = []
        for store in job.stores:
            if store in self.down:
                done.append(CopyDone(store, None, DOWN))
            else:
                self._held(store, job)[backup] = found
                done.append(CopyDone(store, found.bytes))
        return CopyResult(tuple(done), {name: DOWN for name in job.stores if name in self.down})

    def _holding(self, store: str, job: Job, found: Backup) -> Holding:
        panel, now = job.config.panel.name, job.listing.taken_at
        return Holding(store, panel, self.misplaced or job.server.uuid, now, 1, found.bytes, found.created_at)

    def _detail(self, job: Job, found: Backup) -> str:
        if not self.torn and not self.walks:
            return "{}"
        manifest = Told().manifest()
        proof = manifest.proof.model_copy(update={"level": "read", "problems": ("torn",) if self.torn else ()})
        about = manifest.backup.model_copy(update={"uuid": found.uuid, "name": found.name})
        contents = ContentsPart(files=self.files, bytes=3 * self.files, entries=self.files) if self.files else None
        manifest = manifest.model_copy(update={"backup": about, "contents": contents, "proof": proof})
        return write_shelf(Shelf(job.listing.taken_at, {manifest.stored.key: manifest}))

    async def prune(
        self, job: Job, store: str, inputs: PruneInputs, leave: AskLeave = always, going: OnGoing = unheard
    ) -> PruneResult:
        """Delete the oldest beyond nine; what is applied is how often it was asked."""
        self.given.append(inputs)
        self._did(f"prune {job.config.name} {store}")
        if meanwhile := self.at_prune.get((job.config.name, store)):
            await meanwhile()
        hindrance = await leave()
        self.asked(hindrance)
        if hindrance:
            return PruneResult(failure=Failure(ProblemCode.COPY, hindrance))
        held = self._held(store, job)
        gone = [held.pop(uuid) for uuid in sorted(held, key=lambda uuid: str(held[uuid].created_at))[:-9]]
        told = tuple(Pruned(one.uuid, one.name, one.bytes, "beyond 9 newest") for one in gone)
        applied = None if self.refused else AppliedRetention(str(len(self.given)))
        cleared = (self.left.pop(store),) if store in self.left else ()
        return PruneResult(told, 0, cleared, self.refused, applied, problems=self.problems)

    async def close(self) -> None:
        """End."""
        self.works = False

    def _did(self, words: str) -> None:
        self.works = True
        self.does.append(words)

    def _held(self, store: str, job: Job) -> dict[str, Backup]:
        return self.held.setdefault((store, job.config.name), {})
