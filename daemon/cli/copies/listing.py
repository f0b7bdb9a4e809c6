"""`copies list`: which copies were last seen in which store, without asking panel or stores."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

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
from daemon.core.copies_queue import StoreTrouble
from daemon.core.model import Action
from daemon.core.proof import Proofs
from daemon.core.units import format_duration, format_moment, format_size
from daemon.documents.copies import ShelfListed, listed
from daemon.errors import Exit, StateError
from daemon.state import Journal, engine_for, looked_into
from daemon.status.copies import trouble_text

if TYPE_CHECKING:
    from rich.text import Text

Found = list[tuple[ServerConfig, list[ShelfListed]]]
Troubles = Mapping[str, StoreTrouble]

LATELY = timedelta(hours=1)
"""A store that was seen within this time needs no word on that."""


def list_copies(settings: Settings, names: Sequence[str], *, store: str | None, as_json: bool) -> int:
    """List the copies of these servers, or of all."""
    config = begin(settings, need_panels=False)
    stores = [one.name for one in stores_meant(config, store)]
    now = SystemClock().now()
    found, troubles = asyncio.run(_found(config, stores, names, now))
    if as_json:
        write_json(listed(found))
    else:
        _show(found, troubles, now)
    return Exit.DONE


async def _found(config: Config, stores: Sequence[str], names: Sequence[str], now: datetime) -> tuple[Found, Troubles]:
    """Return what was seen of each server, and the stores that are in trouble."""
    engine = engine_for(config.state)
    shelves = Shelves(engine.catalogue, SystemClock())
    found: Found = []
    troubles: Troubles = {}
    owners = await owners_in(config, stores)
    servers = await owners.named(names)
    if not names:
        await owners.say_lacking()
    async with looked_into(engine, despite_trouble=True) as journal:
        with suppress(StateError):
            troubles = (await journal.copy_queue()).troubles
        looking = _Looking(config, journal, shelves, now)
        for server in servers:
            seen = await shelves.known(stores, server.panel.name, server.id)
            found.append((server, [await looking.listed(server, store, shelf) for store, shelf in seen]))
    return found, troubles


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


def _show(found: Found, troubles: Troubles, now: datetime) -> None:
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
        show(table(columns, rows, right=("size",)), *notes, *_ages(found, troubles, now))
    else:
        show(cell("no copies were seen; `copies rescan` looks into the stores"))


def _ages(found: Found, troubles: Troubles, now: datetime) -> "Iterator[Text]":
    """Yield how old what is shown of a store may be, where that is long ago or the store is in trouble."""
    seen: dict[str, datetime] = {}
    for one in (shelf for _, shelves in found for shelf in shelves):
        seen[one.store] = min(one.shelf.seen_at, seen.get(one.store, one.shelf.seen_at))
    for store, at in seen.items():
        trouble = troubles.get(store)
        if trouble is None and now - at <= LATELY:
            continue
        ago = f"last seen {format_duration(max(now - at, timedelta(0)))} ago"
        yield cell(f"{store}: {ago}{f'; {trouble_text(trouble)}' if trouble else ''}", "yellow" if trouble else "dim")


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
