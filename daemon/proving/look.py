"""What of one server is to be proven: by what its panel shows now, and by what was last seen in its stores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.clock import Clock
from daemon.config.values import ServerConfig, StoreConfig
from daemon.copies.jobs import Job, ToProve
from daemon.copies.shelf import read_shelf
from daemon.core.model import Completeness, Scope
from daemon.core.proof import PANEL
from daemon.core.proof_due import Due, StoredCopy, Why, due
from daemon.panel.client import PanelClient
from daemon.rotation.preview import Preview, preview
from daemon.state import Engine, Journal, ShelfRecord


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """One server as it stands: its panel's view, what is remembered of its stores, and what is due, in order."""

    preview: Preview
    shelves: tuple[ShelfRecord, ...]
    due: tuple[Due, ...]

    def reading(
        self, what: Due, stores: Mapping[str, StoreConfig], installation: str, now: datetime
    ) -> tuple[Job, ToProve]:
        """Return job and request for a worker that reads a backup or a copy; `stores` are all configured ones."""
        seen, rules = self.preview, self.preview.config.policy.prove
        needed = {what.store: stores[what.store]} if what.store else {}
        remembered = tuple(one for one in self.shelves if one.holding.store in needed)
        job = Job(seen.config, seen.server, seen.listing, seen.plan.verdicts, needed, remembered, installation)
        expected = rules.expect if rules else ()
        return job, ToProve(what.backup, what.level, now.toordinal(), what.store, expected, bytes=what.bytes)


async def look(config: ServerConfig, client: PanelClient, journal: Journal, engine: Engine, clock: Clock) -> ServerSeen:
    """Look at a server; changes nothing, and raises PanelError and StateError."""
    seen = await preview(config, client, journal, clock)
    shelves = tuple(
        one
        for one in (await engine.catalogue.shelves(config.panel.name, seen.server.uuid) if config.policy.copies else ())
        if one.holding.store in config.policy.copies
    )
    rules = config.policy.prove
    return ServerSeen(
        seen,
        shelves,
        due(
            config.name,
            rules,
            seen.plan.verdicts,
            proofs=seen.proven.proofs,
            now=clock.now(),
            copies=copies_of(shelves),
            scope=config.policy.scope,
        )
        if rules
        else (),
    )


def copies_of(shelves: Sequence[ShelfRecord]) -> Iterator[StoredCopy]:
    """Yield the whole copies that were last seen in the stores."""
    for record in shelves:
        shelf = read_shelf(record.detail)
        for one in shelf.manifests.values() if shelf else ():
            made, store = one.backup, record.holding.store
            yield StoredCopy(made.uuid, made.name, store, one.stored.bytes, made.created_at, one.proof.at)


def newest(seen: Preview) -> Due | None:
    """Return the newest good backup, as it is read when somebody asks for it; None if there is none."""
    policy = seen.config.policy
    good = (one.backup for one in seen.plan.verdicts if one.whole and (one.own or policy.scope is Scope.ALL))
    backup = next(good, None)
    if backup is None or backup.created_at is None or policy.prove is None:
        return None
    rules, made = policy.prove, backup.created_at
    what = (seen.config.name, backup.uuid, backup.name, backup.bytes, made)
    return Due(*what, made + rules.newest_within, made, rules.newest_within, Why.NEWEST, rules.level)


async def forget_gone(seen: ServerSeen, journal: Journal) -> None:
    """Forget the readings of what is gone, as far as listing and stores tell; raises StateError."""
    listing = seen.preview.listing
    present = {record.holding.store: {one.backup for one in copies_of([record])} for record in seen.shelves}
    if listing.completeness is Completeness.COMPLETE:
        present[PANEL] = {one.uuid for one in listing.backups}
    gone = seen.preview.proven.proofs.forgettable(present)
    if gone:
        await journal.forget_proofs(seen.preview.server.uuid, gone)
