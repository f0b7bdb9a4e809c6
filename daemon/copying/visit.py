"""One server's turn: look at its panel and its stores, copy what they want, prune them.

What must hold: the server's lock of copies is held throughout; a store in trouble drops out, and the others go on
(invariant 16); nothing is downloaded from a node that makes a backup of ours, or is waited for by one.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import SecretStr

from daemon.config.values import ServerConfig, StoreConfig
from daemon.copies.alone import alone
from daemon.copies.errors import WorkerDiedError, WorkerError
from daemon.copies.jobs import CopyDone, CopyWorker, Failure, Job, Pruned, PruneInputs, WantedCopy, came_from
from daemon.copies.spool_room import SpoolRoom
from daemon.copying.logged import Logged
from daemon.copying.proofs import proven_on_the_way
from daemon.core.applied import NOTHING, AppliedRetention
from daemon.core.clocks import jumped
from daemon.core.proof import Proof
from daemon.core.shares import node_part
from daemon.errors import StateError
from daemon.fleet.population import slowed
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.panel.errors import NotFoundError
from daemon.rotation.preview import preview
from daemon.rotation.proven import proven_of
from daemon.rotation.run import RotationContext
from daemon.state import CopyEvent, CopyRecord, Holding, ProofRecord, ShelfRecord

log = get_logger()

SEEN_SECONDS = 3600.0
"""So long copies are made by one listing; then the server lines up again, and is looked at anew."""

PRUNED_SECONDS = 86_400.0
"""A store is pruned of a server's copies after each new one, and at least so often."""


@dataclass
class Ended:
    """How a visit ended, by store. A store that is named in none of these has all that it wants.

    `troubles` are stores that cannot be used, `failed` copies that failed for another reason, and `left` stores for
    which older backups are left. `busy` says that the node makes backups, so that nothing was done.
    """

    troubles: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    busy: bool = False


class Visits:
    """Visits servers, one after the other. `yields` says whether new backups wait: then older ones are left for later.

    `current_store` returns a store's configuration at that moment, None if it is gone. With `patient` a visit is put
    off while the server's node makes backups.
    """

    def __init__(
        self,
        context: RotationContext,
        worker: CopyWorker,
        yields: Callable[[], bool],
        current_store: Callable[[str], StoreConfig | None],
    ) -> None:
        self.context = context
        self.worker = worker
        self.yields = yields
        self.current_store = current_store
        self._nodes: dict[str, str] = {}
        self.pruned_at: dict[tuple[str, str], float] = {}
        self._refused: dict[tuple[str, str], str] = {}

    async def visit(
        self,
        config: ServerConfig,
        stores: Mapping[str, StoreConfig],
        client: PanelClient,
        *,
        others: Mapping[str, StoreConfig],
        room: SpoolRoom,
        patient: bool,
    ) -> Ended:
        """Fill these stores, from the node or from the `others`, and prune them; all are as configured. What slow ones
        have yet to take waits in `room`.

        Raises PanelError, StateError and CopyError where nothing could be done.
        """
        known = self._nodes.get(config.name)
        if patient and known is not None and self._busy(config, known):
            return Ended(busy=True)
        context = self.context
        seen = await preview(config, client, context.journal, context.clock)
        node = self._nodes[config.name] = seen.server.node
        if patient and self._busy(config, node):
            return Ended(busy=True)
        async with alone(context.engine.locks, seen.server.uuid, node_part(config.panel.name, node)):
            records = [
                one
                for one in await self._remembered(config.panel.name, seen.server.uuid)
                if one.holding.store in stores or one.holding.store in others
            ]
            installation, fraction = await context.engine.catalogue.installation(), context.fraction()
            job = Job(
                config,
                seen.server,
                seen.listing,
                seen.plan.verdicts,
                {name: slowed(store, fraction) for name, store in stores.items()},
                tuple(records),
                installation,
                {name: slowed(store, fraction) for name, store in others.items()},
                room,
            )
            turn = _Turn(self, job, stores, client, Ended(), context.clock.monotonic() + SEEN_SECONDS)
            await turn.take(seen.accepted, patient=patient)
        return turn.ended

    def _busy(self, config: ServerConfig, node: str) -> bool:
        return self.context.slots.busy(config.panel.name, node)

    async def _remembered(self, panel: str, server_uuid: str) -> list[ShelfRecord]:
        """What the catalogue holds of the server; nothing if it cannot be read, since it is a cache."""
        try:
            return await self.context.engine.catalogue.shelves(panel, server_uuid)
        except StateError:
            return []

    def is_pruned(self, server: str, store: str) -> bool:
        """Return whether the store was pruned of the server's copies within the last day."""
        at = self.pruned_at.get((server, store))
        return at is not None and self.context.clock.monotonic() - at < PRUNED_SECONDS

    def tells_refusal(self, server: str, store: str, text: str) -> bool:
        """Return whether there is a reason why the store is not pruned, and another one than the last time."""
        before, self._refused[server, store] = self._refused.get((server, store), ""), text
        return text not in {"", before}


@dataclass
class _Turn:
    """One visit under way. `configured` are the job's stores as configured, whose rates it has a fraction of."""

    visits: Visits
    job: Job
    configured: Mapping[str, StoreConfig]
    client: PanelClient
    ended: Ended
    until: float
    died: bool = False

    @property
    def _server(self) -> str:
        return self.job.config.name

    async def take(self, accepted: frozenset[str], *, patient: bool) -> None:
        """Look, copy, prune."""
        looked = await self.visits.worker.look(self.job)
        await self._remember(looked.remembered)
        self._drop(looked.troubles)
        self._warn(looked.problems)
        copied = await self._copy_all(looked.wanted, patient=patient)
        for store in self.job.stores:
            if store not in self.ended.troubles and (store in copied or not self.visits.is_pruned(self._server, store)):
                prune = self._renew if await self._is_frozen(store) else self._prune
                await prune(store, accepted)

    async def _is_frozen(self, store: str) -> bool:
        """Whether nothing is deleted now. It is asked for each store, since the one before may have taken long."""
        if hindrance := await self._hindrance():
            log.warning("copies_not_pruned", server=self._server, store=store, text=hindrance)
        return hindrance != ""

    async def _hindrance(self) -> str:
        """Return why nothing of the server is deleted anywhere, empty if it may be: a proof has failed (invariant 17),
        or may have, while the state cannot be used.
        """
        config, context = self.job.config, self.visits.context
        try:
            if (trouble := context.state_trouble) is not None:
                raise trouble
            bad = (await proven_of(config.policy, self.job.server.uuid, context.journal)).frozen
        except StateError as error:
            return error.text
        return "" if bad is None else bad.wrong

    async def _copy_all(self, wanted: Iterable[WantedCopy], *, patient: bool) -> set[str]:
        """Copy what is wanted, the newest first, until others should go first; return the stores that got a copy."""
        copied: set[str] = set()
        for number, one in enumerate(wanted):
            stores = [store for store in one.stores if store not in self.ended.troubles]
            if number and self._is_over(patient=patient):
                self.ended.left.update(stores)
            elif stores:
                copied.update(await self._copy(one, stores))
        return copied

    def _is_over(self, *, patient: bool) -> bool:
        """Whether the rest is left for another visit."""
        context, server = self.visits.context, self.job.config
        busy = patient and context.slots.busy(server.panel.name, self.job.server.node)
        return busy or self.visits.yields() or context.clock.monotonic() >= self.until

    async def _copy(self, backup: WantedCopy, stores: Collection[str]) -> set[str]:
        """Copy one backup; return the stores that have it now."""
        context = self.visits.context
        every = {**self.job.others, **self.job.stores}
        sources = every.keys() - self.ended.troubles.keys() - set(stores)
        job = replace(
            self.job,
            listing=replace(self.job.listing, doubt=self._doubt()),
            stores={store: self.job.stores[store] for store in stores},
            others={store: config for store, config in every.items() if store in sources},
        )
        began = context.clock.monotonic()
        log.info("copy_begun", server=self._server, backup=backup.name, stores=list(stores), bytes=backup.bytes)
        told = _Told(self._server, backup.name, frozenset(stores), self._remember)
        try:
            async with context.downloads:
                result = await self.visits.worker.copy(job, backup.backup, lambda: self._link(backup.backup), told)
        except WorkerError as error:
            failure = Failure.of(error)
            done = [told.done.get(store) or CopyDone(store, None, failure) for store in stores]
            await self._tell(backup, done, context.clock.monotonic() - began)
            await self._prove_on_the_way(backup, told.done.values())
            if not isinstance(error, WorkerDiedError) or self.died:
                raise
            self.died = True  # it may be for this archive alone: the server's others have their turn
            self.ended.failed.update({store: failure.text for store in stores if store not in told.done})
            return set(told.done)
        await self._remember(result.remembered)
        self._warn(result.problems)
        await self._tell(backup, result.copies, context.clock.monotonic() - began)
        made = {one.store for one in result.copies if one.failure is None}
        await self._prove_on_the_way(backup, result.copies)
        self._drop(result.troubles)
        for one in result.copies:
            if one.failure is not None and one.store not in self.ended.troubles:
                self.ended.failed[one.store] = one.failure.text
        return made

    async def _prove_on_the_way(self, backup: WantedCopy, copies: Iterable[CopyDone]) -> None:
        """Record what the stream from the node showed of these copies, before any store is pruned."""
        from_node = {one.store for one in copies if one.failure is None and one.source is None}
        await self._prove(proven_on_the_way(backup.backup, self.job.remembered, from_node))

    async def _prove(self, proofs: Iterable[Proof]) -> None:
        """Record what the stream proved, if the policy wants anything proven; the copies do not wait for it.

        It is compared with the backup before, as any proof is. Where nobody looked for the files that the policy
        expects, a stream can only show what is wrong.
        """
        policy, context, uuid = self.job.config.policy, self.visits.context, self.job.server.uuid
        if policy.prove is None:
            return
        try:
            known = (await proven_of(policy, uuid, context.journal)).proofs
            for proof in (one for one in map(known.judged, proofs) if one.problems or not policy.prove.expect):
                record = ProofRecord(self._server, uuid, proof)
                if not await context.journal.record_proof(record):
                    continue  # the stream was read before what is known
                context.on_proof(record, 0, 0.0)
                if proof.problems:
                    log.error("proof_failed", server=self._server, backup=proof.name, problems=list(proof.problems))
        except StateError as error:
            log.warning("proof_not_journalled", server=self._server, text=error.text)

    async def _link(self, uuid: str) -> SecretStr:
        """Ask the panel for a link to a backup that it lists; raises PanelError."""
        if all(one.uuid != uuid for one in self.job.listing.backups):
            raise NotFoundError("the panel does not have this backup any more")
        return await self.client.download_link(self.job.config.id, uuid)

    def _warn(self, problems: Iterable[tuple[str, Failure]]) -> None:
        for store, failure in problems:
            log.warning("copies_problem", server=self._server, store=store, text=failure.text, hint=failure.hint)

    async def _tell(self, backup: WantedCopy, copies: Iterable[CopyDone], seconds: float) -> None:
        """Say in the log and the journal what came of a backup's copies."""
        records = []
        for one in copies:
            about = {"server": self._server, "store": one.store, "backup": backup.name}
            if (failure := one.failure) is None:
                source = {} if one.source is None else {"source": one.source}
                log.info("copy_made", **about, **source, bytes=one.bytes, seconds=round(seconds, 3))
                record = self._record(CopyEvent.MADE, one.store, came_from(one.source))
            else:
                log.warning("copy_failed", **about, code=failure.code, text=failure.text, hint=failure.hint)
                record = self._record(CopyEvent.FAILED, one.store, failure.text)
            records.append(replace(record, backup_uuid=backup.backup, backup=backup.name, bytes=one.bytes))
        await self._journal(records, seconds)

    async def _prune(self, store: str, accepted: frozenset[str]) -> None:
        """Let the store's own rules delete from it."""
        visits, uuid = self.visits, self.job.server.uuid
        if not self._is_in_force(store):
            log.info("copies_not_pruned", server=self._server, store=store, text="the configuration has changed")
            visits.pruned_at.pop((self._server, store), None)  # whatever was copied, the next visit prunes
            return
        if disputed := visits.context.disputed(self.job.config, store):
            log.warning("copies_not_pruned", server=self._server, store=store, text=disputed)
            return
        try:
            known = await visits.context.journal.applied(uuid, store) or NOTHING
        except StateError as error:  # what is held cannot be told; the next visit prunes
            log.warning("copies_not_pruned", server=self._server, store=store, text=error.text)
            return
        doubt = self._doubt()
        result = await visits.worker.prune(self.job, store, PruneInputs(accepted, known, doubt), self._hindrance)
        await self._remember(result.remembered)
        self._warn((store, problem) for problem in result.problems)
        await self._journal([self._pruned(store, one) for one in result.deleted])
        if result.renewed:
            log.info("copies_locked", server=self._server, store=store, copies=result.renewed)
        if visits.tells_refusal(self._server, store, result.refused):
            await self._journal([self._record(CopyEvent.REFUSED, store, result.refused)])
        if result.refused:
            log.warning("copies_not_pruned", server=self._server, store=store, text=result.refused)
        await self._apply(store, known, result.applied)
        if result.failure is None:
            if not doubt:
                visits.context.on_pruned(self._server, store, result.refused)
            visits.pruned_at[self._server, store] = visits.context.clock.monotonic()
        else:
            self._not_pruned(store, result.failure, trouble=result.trouble)

    async def _renew(self, store: str, accepted: frozenset[str]) -> None:
        """Renew the locks of what a failed proof has frozen, if the store has them: it may be the last good copy."""
        disputed = self.visits.context.disputed(self.job.config, store)
        if self.job.stores[store].object_lock is None or disputed or not self._is_in_force(store):
            return
        if self.visits.context.opening_trouble is not None:  # nor is it known which small backups were accepted
            return
        inputs = PruneInputs(accepted, doubt=self._doubt(), frozen=True)
        result = await self.visits.worker.prune(self.job, store, inputs)
        await self._remember(result.remembered)
        if result.renewed:
            log.info("copies_locked", server=self._server, store=store, copies=result.renewed)
        if result.failure is not None:
            self._not_pruned(store, result.failure, trouble=result.trouble)

    def _not_pruned(self, store: str, failure: Failure, *, trouble: bool) -> None:
        """Tell what ended a prune early: the store's own trouble, or that of one server's copies."""
        if trouble:
            self._drop({store: failure})
        else:
            self.ended.failed[store] = failure.text
            log.warning("copies_not_pruned", server=self._server, store=store, text=failure.text)

    def _is_in_force(self, store: str) -> bool:
        """Whether the visit's configuration still holds: members are compared by what they go by now. The server has
        lined up again otherwise.
        """
        config, visits = self.job.config, self.visits
        now = visits.context.current_config(config.name), visits.current_store(store)
        return now == (config, self.configured[store])

    def _doubt(self) -> str:
        """Return why our clock is not to be trusted by now, if so: copies may have taken hours since the listing."""
        return self.job.listing.doubt or jumped(self.visits.context.clock.was_set_by())

    async def _apply(self, store: str, known: AppliedRetention, applied: AppliedRetention | None) -> None:
        """Record what was applied, or told. If it is lost, what is held is held for longer."""
        if applied is None or applied == known:
            return
        try:
            await self.visits.context.journal.apply(self.job.server.uuid, applied, store)
        except StateError as error:
            log.warning("copies_not_journalled", server=self._server, text=error.text)

    def _pruned(self, store: str, one: Pruned) -> CopyRecord:
        log.info("copy_pruned", server=self._server, store=store, backup=one.name, reason=one.text)
        about = self._record(CopyEvent.PRUNED, store, one.text)
        return replace(about, backup_uuid=one.backup, backup=one.name, bytes=one.bytes)

    def _record(self, event: CopyEvent, store: str, text: str = "") -> CopyRecord:
        """Return what the journal keeps, without the backup that it is about."""
        now = self.visits.context.clock.now()
        return CopyRecord(event, now, self._server, self.job.server.uuid, store, text=text)

    def _drop(self, troubles: Mapping[str, Failure]) -> None:
        """Let these stores drop out of the visit."""
        self.ended.troubles.update({store: failure.text for store, failure in troubles.items()})

    async def _remember(self, seen: Collection[ShelfRecord]) -> None:
        """Keep in the catalogue what was seen of this server; the copies do not wait for it, since it is a cache."""
        seen = [one for one in seen if self._is_of_job(one.holding)]
        stores = {one.holding.store for one in seen}
        others = tuple(one for one in self.job.remembered if one.holding.store not in stores)
        self.job = replace(self.job, remembered=(*others, *seen))
        try:
            for one in seen:
                await self.visits.context.engine.catalogue.remember(one)
        except StateError as error:
            log.warning("catalogue_not_written", server=self._server, text=error.text)

    def _is_of_job(self, holding: Holding) -> bool:
        """Return whether it is of this server and these stores: the process that tells it reads what others wrote."""
        job = self.job
        ours = (holding.panel, holding.server_uuid) == (job.config.panel.name, job.server.uuid)
        return ours and (holding.store in job.stores or holding.store in job.others)

    async def _journal(self, records: Sequence[CopyRecord], seconds: float = 0.0) -> None:
        """Keep in the journal what became of copies; that is history, and holds nothing up."""
        if not records:
            return
        self.visits.context.on_copies(records, seconds)
        try:
            await self.visits.context.journal.record_copies(records)
        except StateError as error:
            log.warning("copies_not_journalled", server=self._server, text=error.text)


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
