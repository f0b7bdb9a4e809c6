"""What one visit knows by now, and what it tells of it: to the catalogue, to the journal, and to the log.

What must hold: the copies wait for none of these. The catalogue is a cache, and of copies the journal is a history.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from daemon.config.values import StoreConfig
from daemon.copies.jobs import Job
from daemon.copies.results import Cleared, Failure, Mended
from daemon.core.clocks import jumped
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.rotation.proven import proven_of
from daemon.rotation.run import RotationContext
from daemon.state import CopyEvent, CopyRecord, Holding, ShelfRecord

log = get_logger()


@dataclass
class Ended:
    """How a visit ended, by store. A store that is named in none of these has all that it wants.

    `troubles` are stores that cannot be used, `failed` copies that failed for another reason, and `left` stores for
    which older backups are left. `busy` says that the node makes backups, so that nothing was done.
    """

    troubles: dict[str, Failure] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    busy: bool = False


@dataclass
class Turn:
    """One visit under way. `configured` are the job's stores as configured, whose rates it has a fraction of."""

    context: RotationContext
    job: Job
    configured: Mapping[str, StoreConfig]
    ended: Ended = field(default_factory=Ended)

    @property
    def server(self) -> str:
        """The server's configured name."""
        return self.job.config.name

    def doubt(self) -> str:
        """Return why our clock is not to be trusted by now, if so: copies may have taken hours since the listing."""
        return self.job.listing.doubt or jumped(self.context.clock.was_set_by())

    async def hindrance(self) -> str:
        """Return why nothing of the server is deleted anywhere, empty if it may be: a proof has failed (invariant 17),
        or may have, while the state cannot be used.
        """
        try:
            if (trouble := self.context.state_trouble) is not None:
                raise trouble
            bad = (await proven_of(self.job.config.policy, self.job.server.uuid, self.context.journal)).frozen
        except StateError as error:
            return error.text
        return "" if bad is None else bad.wrong

    async def hindrance_to_clearing(self) -> str:
        """Return why nothing is cleared away in the stores, empty if it may be: members of a cluster differ, or as
        above.
        """
        return self.context.disputed(self.job.config, *self.job.stores) or await self.hindrance()

    def warn(self, problems: Iterable[tuple[str, Failure]]) -> None:
        """Say in the log what is wrong in stores, though they can be used."""
        for store, failure in problems:
            log.warning("copies_problem", server=self.server, store=store, text=failure.text, hint=failure.hint)

    def drop(self, troubles: Mapping[str, Failure]) -> None:
        """Let these stores drop out of the visit."""
        self.ended.troubles.update(troubles)

    async def remember(self, seen: Collection[ShelfRecord]) -> None:
        """Keep in the catalogue what was seen of this server; the copies do not wait for it, since it is a cache."""
        seen = [one for one in seen if self._is_of_job(one.holding)]
        stores = {one.holding.store for one in seen}
        others = tuple(one for one in self.job.remembered if one.holding.store not in stores)
        self.job = replace(self.job, remembered=(*others, *seen))
        try:
            for one in seen:
                await self.context.engine.catalogue.remember(one)
        except StateError as error:
            log.warning("catalogue_not_written", server=self.server, text=error.text)

    def _is_of_job(self, holding: Holding) -> bool:
        """Return whether it is of this server and these stores: the process that tells it reads what others wrote."""
        job = self.job
        ours = (holding.panel, holding.server_uuid) == (job.config.panel.name, job.server.uuid)
        return ours and (holding.store in job.stores or holding.store in job.others)

    def record(self, event: CopyEvent, store: str, text: str = "") -> CopyRecord:
        """Return what the journal keeps, without the backup that it is about."""
        now = self.context.clock.now()
        return CopyRecord(event, now, self.server, self.job.server.uuid, store, text=text)

    async def cleared(self, gone: Iterable[tuple[str, Cleared]]) -> None:
        """Tell what was in the way in stores, and was cleared away."""
        records = []
        for store, one in gone:
            log.info("copy_cleared", server=self.server, store=store, key=one.key, reason=one.what, since=one.since)
            records.append(one.record(self.server, self.job.server.uuid, store, self.context.clock.now()))
        await self.journal(records)

    async def mended(self, done: Iterable[tuple[str, Mended]]) -> None:
        """Tell of manifests that were gone in stores, and were written back."""
        records = []
        for store, one in done:
            log.warning("copy_mended", server=self.server, store=store, backup=one.name, text=one.text)
            records.append(one.record(self.server, self.job.server.uuid, store, self.context.clock.now()))
        await self.journal(records)

    async def journal(self, records: Sequence[CopyRecord], seconds: float = 0.0) -> None:
        """Keep in the journal what became of copies; that is history, and holds nothing up."""
        if not records:
            return
        self.context.on_copies(records, seconds)
        try:
            await self.context.journal.record_copies(records)
        except StateError as error:
            log.warning("copies_not_journalled", server=self.server, text=error.text)
