"""The copies of one visit are made: from the node or from another store, one backup after the other.

What must hold: a copy counts as soon as it stands, whatever becomes of the others or of the process; what the stream
proves is recorded before any store is pruned.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, replace

from pydantic import SecretStr

from daemon.copies.errors import WorkerDiedError, WorkerError
from daemon.copies.results import CopyDone, Failure, WantedCopy, came_from
from daemon.copies.workers import CopyWorker
from daemon.copying.logged import Logged
from daemon.copying.proofs import proven_on_the_way
from daemon.copying.turn import Turn
from daemon.core.proof import Proof
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.panel.errors import NotFoundError
from daemon.rotation.proven import proven_of
from daemon.state import CopyEvent, ProofRecord, ShelfRecord

log = get_logger()


@dataclass
class Filling:
    """What copies for one turn, until others should go first: `yields` says so, and a node that makes backups if it
    is `patient`; or until the monotonic time `until`.
    """

    turn: Turn
    worker: CopyWorker
    client: PanelClient
    yields: Callable[[], bool]
    until: float
    patient: bool
    died: bool = False

    async def fill(self, wanted: Iterable[WantedCopy]) -> set[str]:
        """Copy what is wanted, the newest first, until others should go first; return the stores that got a copy."""
        copied: set[str] = set()
        for number, one in enumerate(wanted):
            stores = [store for store in one.stores if store not in self.turn.ended.troubles]
            if number and self._is_over():
                self.turn.ended.left.update(stores)
            elif stores:
                copied.update(await self._copy(one, stores))
        return copied

    def _is_over(self) -> bool:
        """Whether the rest is left for another visit."""
        context, server = self.turn.context, self.turn.job.config
        busy = self.patient and context.slots.busy(server.panel.name, self.turn.job.server.node)
        return busy or self.yields() or context.clock.monotonic() >= self.until

    async def _copy(self, backup: WantedCopy, stores: Collection[str]) -> set[str]:
        """Copy one backup; return the stores that have it now."""
        turn, context = self.turn, self.turn.context
        every = {**turn.job.others, **turn.job.stores}
        sources = every.keys() - turn.ended.troubles.keys() - set(stores)
        job = replace(
            turn.job,
            listing=replace(turn.job.listing, doubt=turn.doubt()),
            stores={store: turn.job.stores[store] for store in stores},
            others={store: config for store, config in every.items() if store in sources},
        )
        began = context.clock.monotonic()
        log.info("copy_begun", server=turn.server, backup=backup.name, stores=list(stores), bytes=backup.bytes)
        told = _Told(turn.server, backup.name, frozenset(stores), turn.remember)
        try:
            async with context.downloads:
                result = await self.worker.copy(job, backup.backup, lambda: self._link(backup.backup), told)
        except WorkerError as error:
            failure = Failure.of(error)
            done = [told.done.get(store) or CopyDone(store, None, failure) for store in stores]
            await self._tell(backup, done, context.clock.monotonic() - began)
            await self._prove_on_the_way(backup, told.done.values())
            if not isinstance(error, WorkerDiedError) or self.died:
                raise
            self.died = True  # it may be for this archive alone: the server's others have their turn
            turn.ended.failed.update({store: failure.text for store in stores if store not in told.done})
            return set(told.done)
        await turn.remember(result.remembered)
        turn.warn(result.problems)
        await self._tell(backup, result.copies, context.clock.monotonic() - began)
        made = {one.store for one in result.copies if one.failure is None}
        await self._prove_on_the_way(backup, result.copies)
        turn.drop(result.troubles)
        for one in result.copies:
            if one.failure is not None and one.store not in turn.ended.troubles:
                turn.ended.failed[one.store] = one.failure.text
        return made

    async def _prove_on_the_way(self, backup: WantedCopy, copies: Iterable[CopyDone]) -> None:
        """Record what the stream from the node showed of these copies, before any store is pruned."""
        from_node = {one.store for one in copies if one.failure is None and one.source is None}
        await self._prove(proven_on_the_way(backup.backup, self.turn.job.remembered, from_node))

    async def _prove(self, proofs: Iterable[Proof]) -> None:
        """Record what the stream proved, if the policy wants anything proven; the copies do not wait for it.

        It is compared with the backup before, as any proof is. Where nobody looked for the files that the policy
        expects, a stream can only show what is wrong.
        """
        turn = self.turn
        policy, context, uuid = turn.job.config.policy, turn.context, turn.job.server.uuid
        if policy.prove is None:
            return
        try:
            known = (await proven_of(policy, uuid, context.journal)).proofs
            for proof in (one for one in map(known.judged, proofs) if one.problems or not policy.prove.expect):
                record = ProofRecord(turn.server, uuid, proof)
                if not await context.journal.record_proof(record):
                    continue  # the stream was read before what is known
                context.on_proof(record, 0, 0.0)
                if proof.problems:
                    log.error("proof_failed", server=turn.server, backup=proof.name, problems=list(proof.problems))
        except StateError as error:
            log.warning("proof_not_journalled", server=turn.server, text=error.text)

    async def _link(self, uuid: str) -> SecretStr:
        """Ask the panel for a link to a backup that it lists; raises PanelError."""
        if all(one.uuid != uuid for one in self.turn.job.listing.backups):
            raise NotFoundError("the panel does not have this backup any more")
        return await self.client.download_link(self.turn.job.config.id, uuid)

    async def _tell(self, backup: WantedCopy, copies: Iterable[CopyDone], seconds: float) -> None:
        """Say in the log and the journal what came of a backup's copies."""
        turn, records = self.turn, []
        for one in copies:
            about = {"server": turn.server, "store": one.store, "backup": backup.name}
            if (failure := one.failure) is None:
                source = {} if one.source is None else {"source": one.source}
                log.info("copy_made", **about, **source, bytes=one.bytes, seconds=round(seconds, 3))
                record = turn.record(CopyEvent.MADE, one.store, came_from(one.source))
            else:
                log.warning("copy_failed", **about, code=failure.code, text=failure.text, hint=failure.hint)
                record = turn.record(CopyEvent.FAILED, one.store, failure.text)
            records.append(replace(record, backup_uuid=backup.backup, backup=backup.name, bytes=one.bytes))
        await turn.journal(records, seconds)


class _Told(Logged):
    """A transfer's progress, for the log, and its copies, for the catalogue: a copy counts as soon as it stands."""

    def __init__(
        self,
        server: str,
        backup: str,
        stores: Collection[str],
        remember: Callable[[Collection[ShelfRecord]], Awaitable[None]],
    ) -> None:
        super().__init__(moved="copy_moved", said="copy_transfer", server=server, backup=backup)
        self._stores, self._remember = stores, remember
        self.done: dict[str, CopyDone] = {}

    async def copied(self, done: CopyDone, seen: ShelfRecord) -> None:
        """Remember what a store has now; told once of each store that the copy goes to."""
        if done.store not in self._stores or done.store in self.done or seen.holding.store != done.store:
            return
        self.done[done.store] = done
        await self._remember([seen])
