"""The worker that touches the stores, in a daemon of the simulation; and somebody who hears of its jobs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from daemon.clock import Clock
from daemon.copies.errors import WorkerDiedError
from daemon.copies.jobs import Job, PruneInputs, ToProve
from daemon.copies.results import CopyResult, LookResult, ProofFound, PruneResult
from daemon.copies.work import OwnProcess
from daemon.copies.workers import AskLeave, CopyListener, GiveLink, OnGoing, always, unheard
from daemon.panel.hindrance import Hindrance, unhindered
from daemon.stores.base import Store
from daemon.stores.streams import RateLimit
from daemon.stores.values import StoreSettings
from daemon.transfer.progress import ProgressListener
from tests.simulation.stores.engine import MemoryStore

if TYPE_CHECKING:
    from tests.simulation.process import Process

HALF_AN_HOUR = timedelta(minutes=30)


class Worker(OwnProcess):
    """Does the jobs of one process; each call of a store is a step at which that may be killed."""

    def __init__(self, process: "Process", hindrance: Hindrance = unhindered) -> None:
        async def leave() -> str:
            return hindrance(creates=False)

        super().__init__(process.clock, self._opened, leave)
        self._process = process

    @asynccontextmanager
    async def _opened(self, settings: StoreSettings, *, clock: Clock | None = None) -> AsyncGenerator[Store, None]:
        process = self._process
        limit = RateLimit(settings.rate, clock or process.clock)
        bucket = process.simulation.stores.buckets[settings.name]
        yield MemoryStore(bucket, limit, lambda: process.tick(f"{settings.name} is asked"))

    async def copy(self, job: Job, backup: str, link: GiveLink, listener: CopyListener) -> CopyResult:
        """Copy one backup, and let the judge hear what is said to have come of it; who stood still did not hear the
        stores, and what it stored before may be gone.
        """
        world, went_on_at = self._process.simulation.stores, self._process.went_on_at
        failed = {name: world.troubles[name].failed for name in job.stores}
        result = await super().copy(job, backup, link, listener)
        heard = self._process.went_on_at == went_on_at
        well = {name for name in job.stores if heard and world.troubles[name].failed == failed[name]}
        world.rules.copied(self._process.name, job.server.uuid, backup, result, well, heard=heard)
        return result

    async def look(self, job: Job, leave: AskLeave = always) -> LookResult:
        """Look into the stores; nothing is pruned of what a proof has frozen by then."""
        world = self._process.simulation
        world.stores.rules.visits(self._process.name, job.server.uuid, world.clock.monotonic())
        return await super().look(job, self._asking(leave))

    def _asking(self, leave: AskLeave) -> AskLeave:
        """Return what asks for leave, and lets something happen meanwhile."""

        async def asked() -> str:
            await self._process.simulation.stores.asks_leave(self._process)
            return await leave()

        return asked

    async def prove(self, job: Job, what: ToProve, link: GiveLink, listener: ProgressListener) -> ProofFound:
        """Read one backup or copy, unless its archive ends this process; let the judge hear what is said of it."""
        process, proofs = self._process, self._process.simulation.proofs
        proofs.rules.begins(process.name, job)
        if what.backup in proofs.deadly:
            await process.clock.sleep(1.0)
            proofs.rules.died(process.name, job, what)
            raise WorkerDiedError("the process that copies was killed by SIGKILL")
        proofs.served.pop((process.name, what.backup), None)
        before = proofs.stored(job, what) if what.store else None
        found = await super().prove(job, what, link, listener)
        data = proofs.stored(job, what) if what.store else proofs.served.get((process.name, what.backup))
        proofs.rules.read(job, what, found, None if what.store and data != before else data)
        await proofs.tells(process)
        return found

    async def prune(
        self, job: Job, store: str, inputs: PruneInputs, leave: AskLeave = always, going: OnGoing = unheard
    ) -> PruneResult:
        """Prune a store, and let the judge know that its listings are looked at for that."""
        world, server = self._process.simulation.stores, job.server.uuid
        looking = self._process.name, store, server
        world.rules.pruning[looking] = []
        try:
            result = await super().prune(job, store, inputs, self._asking(leave), going)
        finally:
            shown = world.rules.pruning.pop(looking)
        trusted = not inputs.doubt and abs(self._process.clock.was_set_by()) < HALF_AN_HOUR
        world.locks.pruned(store, server, result, world.rules.kept(store, server, shown), trusted=trusted)
        return result
