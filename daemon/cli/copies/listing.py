"""`copies list`: which copies were last seen in which store, without asking panel or stores."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.cli.context import begin
from daemon.cli.copies.places import stores_meant
from daemon.cli.copies.whose import owners_in
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say_error, write_json
from daemon.cli.ui.tables import cell, is_wide, show, table
from daemon.clock import SystemClock
from daemon.config.values import Config, ServerConfig
from daemon.copies.judged import judge_copies
from daemon.copies.manifest import Manifest
from daemon.copies.shelf import Shelf
from daemon.copies.shelves import Shelves
from daemon.core.applied import NOTHING
from daemon.core.copies_prune import Pruning
from daemon.core.model import Action
from daemon.core.proof import Proofs
from daemon.core.units import format_moment, format_size
from daemon.documents.copies import ShelfListed, listed
from daemon.errors import Exit, StateError
from daemon.state import Journal, engine_for, looked_into

Found = list[tuple[ServerConfig, list[ShelfListed]]]


def list_copies(settings: Settings, names: Sequence[str], *, store: str | None, as_json: bool) -> int:
    """List the copies of these servers, or of all."""
    config = begin(settings, need_panels=False)
    stores = [one.name for one in stores_meant(config, store)]
    now = SystemClock().now()
    found = asyncio.run(_found(config, stores, names, now))
    if as_json:
        write_json(listed(found))
    else:
        _show(found, now)
    return Exit.DONE


async def _found(config: Config, stores: Sequence[str], names: Sequence[str], now: datetime) -> Found:
    engine = engine_for(config.state)
    shelves = Shelves(engine.catalogue, SystemClock())
    found: Found = []
    owners = await owners_in(config, stores)
    servers = await owners.named(names)
    if not names:
        await owners.say_lacking()
    async with looked_into(engine, despite_trouble=True) as journal:
        looking = _Looking(config, journal, shelves, now)
        for server in servers:
            seen = await shelves.known(stores, server.panel.name, server.id)
            found.append((server, [await looking.listed(server, store, shelf) for store, shelf in seen]))
    return found


@dataclass(frozen=True, slots=True)
class _Looking:
    """What all shelves are looked at with."""

    config: Config
    journal: Journal
    shelves: Shelves
    now: datetime

    async def listed(self, server: ServerConfig, store: str, shelf: Shelf) -> ShelfListed:
        """Return what the store's rules say of the copies, and what was proven of them; a journal that cannot be read
        costs only that.
        """
        uuid = next((one.server.uuid for one in shelf.manifests.values()), None)
        locks = self.config.stores[store].object_lock is not None
        try:
            if uuid is not None:
                proofs = Proofs(one.proof for one in await self.journal.proofs(uuid))
                decided = await self._decided(server, uuid, store, shelf) if store in server.policy.copies else None
                return ShelfListed(store, shelf, decided, proofs, locks=locks)
        except StateError as error:
            say_error(error, about=f"{server.name}, {store}")
        return ShelfListed(store, shelf, None, Proofs(), locks=locks)

    async def _decided(self, server: ServerConfig, uuid: str, store: str, shelf: Shelf) -> Pruning:
        return judge_copies(
            shelf.locked_copies(),
            server,
            self.config.stores[store],
            installation=await self.shelves.installation(),
            applied=await self.journal.applied(uuid, store) or NOTHING,
            accepted=await self.journal.accepted(uuid),
            now=self.now,
        )


COLUMNS = ("server", "store", "made", "backup", "size", "proof")


def _show(found: Found, now: datetime) -> None:
    rows: list[tuple[object, ...]] = []
    notes = []
    for server, shelves in found:
        for one in shelves:
            newest_first = sorted(one.shelf.manifests.items(), reverse=True)
            rows += [(server.name, one.store, *_row(one, manifest, server, now)) for _, manifest in newest_first]
            for key, text in one.shelf.damaged.items():
                rows.append((server.name, one.store, "", key.rpartition("/")[2], "", text))
            told = (one.decided.refused, one.decided.waits) if one.decided else ()
            notes += [cell(f"{server.name} in {one.store}: {text}", "yellow") for text in told if text]
    if rows:
        columns = (*COLUMNS, "rules") if is_wide() else COLUMNS
        show(table(columns, rows, right=("size",)), *notes)
    else:
        show(cell("no copies were seen; `copies rescan` looks into the stores"))


def _row(one: ShelfListed, manifest: Manifest, server: ServerConfig, now: datetime) -> tuple[object, ...]:
    """Return a copy's cells behind its store's; on a narrow terminal what the rules say stands below the name."""
    made, name = format_moment(manifest.backup.created_at, server.policy.zone), manifest.backup.name
    size, proof, rules = format_size(manifest.stored.bytes), _proof(one, manifest), _rules(one, manifest, server, now)
    if is_wide():
        return made, name, size, proof, rules
    return made, cell("\n").join((cell(name), cell(rules, "dim"))), size, proof


def _proof(one: ShelfListed, manifest: Manifest) -> str:
    """Return how a copy was proven last, or what is wrong with it; else how it was when it was made."""
    last = one.proof(manifest)
    if last is not None and last.problems and not last.accepted:
        return f"{last.asked.value} failed: {'; '.join(last.problems)}"
    level = last.reached.value if last and last.reached else manifest.proof.level
    return level + (", unverified" if manifest.proof.unverified else "")


def _rules(one: ShelfListed, manifest: Manifest, server: ServerConfig, now: datetime) -> str:
    """Return what the store's rules say of a copy, and until when it is locked for all that is known."""
    verdict = one.verdicts.get(manifest.stored.key)
    if verdict is None:
        return "-"
    said = [reason.text for reason in verdict.reasons]
    until = one.shelf.locks.get(manifest.stored.key)
    if until is None and one.locks and verdict.action is Action.DELETE:
        said.append("unless its lock, which is looked at then, has not ended")
    elif until is not None and until > now and "locked" not in {reason.rule for reason in verdict.reasons}:
        said.append(f"locked in the store until {format_moment(until, server.policy.zone)}")
    return f"{verdict.action.value}: {'; '.join(said)}"
