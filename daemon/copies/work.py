"""The jobs done by this very process: with the engines of the stores, and without the state.

The daemon gives its jobs to a process of its own (`child`), which does them by this module.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from pydantic import SecretStr

from daemon.clock import Clock
from daemon.copies.errors import CopyError
from daemon.copies.jobs import Job, PruneInputs, ToFetch, ToProve
from daemon.copies.manifest import Manifest
from daemon.copies.outcome import Looked, ServerResult
from daemon.copies.parts import fetch_parts
from daemon.copies.prove import manifest_of, prove_backup, prove_copy
from daemon.copies.prune import Pruner
from daemon.copies.results import (
    CopyDone,
    CopyResult,
    Failure,
    Fetched,
    LookResult,
    ProofFound,
    Pruned,
    PruneResult,
    WantedCopy,
)
from daemon.copies.run import Copier, OnCopy, OpenStore
from daemon.copies.shelves import Shelves
from daemon.copies.source import node_source
from daemon.copies.workers import AskLeave, CopyListener, GiveLink, OnGoing, always, unheard
from daemon.core.copies_wanted import Wanted
from daemon.core.model import Backup
from daemon.core.proof import PANEL
from daemon.errors import BackupdError
from daemon.state import MemoryEngine, MemoryLocks, ShelfRecord
from daemon.stores.errors import StoreError
from daemon.stores.open import open_store
from daemon.transfer.expected import Expected
from daemon.transfer.progress import ProgressListener, Unheard
from daemon.transfer.receive import Source
from daemon.transfer.threads import in_thread


class OwnProcess:
    """A CopyWorker that does the jobs itself. `opens` opens a store; `leave` is asked before each deletion."""

    def __init__(self, clock: Clock, opens: OpenStore = open_store, leave: AskLeave = always) -> None:
        self._clock = clock
        self._opens = opens
        self._leave = leave

    async def look(self, job: Job, leave: AskLeave = always) -> LookResult:
        """Return what the job's stores want."""
        desk = await _Desk.of(job, self._clock, self._opens)
        result = ServerResult(job.config)
        wanted = await desk.copier(Unheard(), leave=self._both(leave)).wanted(desk.seen, tuple(job.stores), result)
        return LookResult(
            tuple(WantedCopy(one.backup.uuid, one.backup.name, one.backup.bytes, one.stores) for one in wanted),
            _failures(result.troubles),
            _problems(result),
            await desk.remembered(),
            tuple(result.cleared),
            tuple(result.mended),
        )

    async def copy(self, job: Job, backup: str, link: GiveLink, listener: CopyListener) -> CopyResult:
        """Copy one backup to the job's stores."""
        desk = await _Desk.of(job, self._clock, self._opens)
        result = ServerResult(job.config)
        try:
            found = await desk.backup(backup)
        except CopyError as error:
            return CopyResult(tuple(CopyDone(store, None, Failure.of(error)) for store in job.stores))

        async def told(store: str, manifest: Manifest, source: str | None) -> None:
            for seen in await desk.remembered(store):
                await listener.copied(CopyDone(store, manifest.stored.bytes, None, source), seen)

        copier = desk.copier(listener, told)
        await copier.copy_one(desk.seen, Wanted(found, tuple(job.stores)), _Links(link), result)
        return CopyResult(
            tuple(
                CopyDone(
                    one.store,
                    one.manifest.stored.bytes if one.manifest else None,
                    Failure.of(one.error) if one.error else None,
                    one.source,
                )
                for one in result.copies
            ),
            _failures(result.troubles),
            _problems(result),
            await desk.remembered(),
        )

    async def prune(
        self, job: Job, store: str, inputs: PruneInputs, leave: AskLeave = always, going: OnGoing = unheard
    ) -> PruneResult:
        """Delete from a store what its rules let go."""
        desk = await _Desk.of(job, self._clock, self._opens)

        async def told() -> None:
            for seen in await desk.remembered(store):
                await going(seen)

        both, locks = self._both(leave), MemoryLocks()
        pruner = Pruner(desk.shelves, job.installation, self._clock, locks=locks, leave=both, going=told)
        config = job.stores[store]
        try:
            async with self._opens(config.settings) as opened:
                result = await pruner.prune(job.config, job.server.uuid, config, opened, inputs)
        except BackupdError as error:
            return PruneResult(failure=Failure.of(error), trouble=isinstance(error, StoreError))
        decided, reasons = result.decided, result.reasons
        return PruneResult(
            tuple(
                Pruned(copy.backup.uuid, copy.backup.name, copy.bytes, reasons[copy.name.data])
                for copy in result.deleted
            ),
            len(result.renewed),
            tuple(result.cleared),
            (decided.refused or decided.waits if decided else None) or "",
            result.applied,
            Failure.of(result.error) if result.error else None,
            isinstance(result.error, StoreError),
            await desk.remembered(),
            tuple(map(Failure.of, result.problems)),
        )

    def _both(self, leave: AskLeave) -> AskLeave:
        """Return what asks for leave here and there."""

        async def both() -> str:
            return await leave() or await self._leave()  # ours last: it ends with a look at the lease

        return both

    async def prove(self, job: Job, what: ToProve, link: GiveLink, listener: ProgressListener) -> ProofFound:
        """Read one backup, or its copy in a store, to the end."""
        try:
            if what.store == PANEL:
                return await self._prove_backup(job, what, link, listener)
            return await self._prove_copy(job, what, listener)
        except BackupdError as error:
            return ProofFound(None, failure=Failure.of(error))

    async def _prove_backup(self, job: Job, what: ToProve, link: GiveLink, listener: ProgressListener) -> ProofFound:
        backup, source = self._from_node(job, what.backup, link, listener)
        return await prove_backup(source, backup, what)

    def _from_node(self, job: Job, uuid: str, link: GiveLink, listener: ProgressListener) -> tuple[Backup, Source]:
        """Return a backup of the job's listing, and the way to its file."""
        backup, config = next(one for one in job.listing.backups if one.uuid == uuid), job.config
        clear = config.panel.clear_links
        source = node_source(_Links(link), config.id, backup, clock=self._clock, listener=listener, clear=clear)
        return backup, source

    async def _prove_copy(self, job: Job, what: ToProve, listener: ProgressListener) -> ProofFound:
        manifest = what.manifest
        if manifest is None:
            desk = await _Desk.of(job, self._clock, self._opens)
            shelf = await desk.shelves.of(what.store, job.config.panel.name, job.server.uuid)
            manifest = manifest_of(shelf.manifests.values() if shelf else (), what.backup)
        async with self._opens(job.stores[what.store].settings) as opened:
            return await prove_copy(opened, manifest, what, listener.moved)

    async def fetch(self, job: Job, what: ToFetch, link: GiveLink, listener: ProgressListener) -> Fetched:
        """Fetch one backup into a folder."""
        backup, source = self._from_node(job, what.backup, link, listener)
        try:
            return Fetched(await in_thread(lambda: fetch_parts(source, Expected.of(backup), what)))
        except BackupdError as error:
            return Fetched(failure=Failure.of(error))

    async def close(self) -> None:
        """Do nothing: nothing was started."""


class _Desk:
    """What one job is done with: the catalogue as far as it was given, and the server as the panel shows it."""

    def __init__(self, job: Job, clock: Clock, opens: OpenStore) -> None:
        self._job, self._clock, self._opens = job, clock, opens
        self._catalogue = MemoryEngine().catalogue
        self.shelves = Shelves(self._catalogue, clock)
        self.seen = Looked(job.config, job.server, job.listing, job.verdicts)

    @classmethod
    async def of(cls, job: Job, clock: Clock, opens: OpenStore) -> "_Desk":
        """Return what the job is done with."""
        desk = cls(job, clock, opens)
        for record in job.remembered:
            await desk._catalogue.remember(record)
        return desk

    def copier(self, listener: ProgressListener, told: OnCopy = unheard, leave: AskLeave = always) -> Copier:
        """Return what copies by this job; the daemon holds the lock of the server's copies."""

        def watch(_name: str, _size: int) -> AbstractContextManager[ProgressListener]:
            return nullcontext(listener)

        job = self._job
        stores = {**job.others, **job.stores}
        return Copier(
            stores,
            self.shelves,
            job.installation,
            self._clock,
            watch,
            locks=MemoryLocks(),
            opens=self._opens,
            room=job.room,
            on_copy=told,
            leave=leave,
        )

    async def backup(self, uuid: str) -> Backup:
        """Return a backup that the panel lists, or that a store has a copy of; raises CopyError."""
        for listed in self._job.listing.backups:
            if listed.uuid == uuid:
                return listed
        stores = (*self._job.stores, *self._job.others)
        for _, shelf in await self.shelves.known(stores, self._job.config.panel.name, self._job.server.uuid):
            for copy in shelf.copies():
                if copy.backup.uuid == uuid:
                    return copy.backup
        raise CopyError("neither the panel nor a store has it any more")

    async def remembered(self, store: str | None = None) -> tuple[ShelfRecord, ...]:
        """Return what was seen since, in that store, or in all of them."""
        seen = await self._catalogue.shelves(self._job.config.panel.name, self._job.server.uuid)
        return tuple(one for one in seen if one not in self._job.remembered and store in {None, one.holding.store})


class _Links:
    """Gets links from the process that has the panel's key."""

    def __init__(self, give: GiveLink) -> None:
        self._give = give

    async def download_link(self, _server_id: str, _uuid: str, /) -> SecretStr:
        """Return a new link to the one file that is being copied."""
        return await self._give()


def _problems(result: ServerResult) -> tuple[tuple[str, Failure], ...]:
    return tuple((store, Failure.of(error)) for store, error in result.problems)


def _failures(troubles: Mapping[str, BackupdError]) -> dict[str, Failure]:
    return {store: Failure.of(error) for store, error in troubles.items()}
