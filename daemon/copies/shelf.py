"""What one store holds of one server, as it was when it was last looked at; and how it is looked at.

The manifests are read once: one that stands as it was read before is not read again. What must hold: a listing is whole
or an error, and a manifest that cannot be read makes no copy.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from daemon.copies.errors import ManifestError
from daemon.copies.manifest import LARGEST, Manifest, read_manifest
from daemon.core.copies_found import Condition, Found, Sighting, StoredObject, lonely, sightings, sort_out
from daemon.core.copies_layout import MANIFEST, folder_of, read_folder
from daemon.core.copy import Copy
from daemon.stores.base import Entry, Store

AT_ONCE = 8
"""How many manifests are read at the same time."""

Stamp = tuple[int, datetime]
"""What shows that an object is unchanged: its size, and when it was written."""


@dataclass(frozen=True)
class Shelf:
    """The whole copies of one server in one store, by the key of their data; what is damaged, in words; what is loose.

    `seen_at` is when the store was listed, by our own clock. `stamps` are those of the manifests. `lonely` are the
    damaged copies that are a manifest without data. `begun` is what was begun, not finished. `locks` say until when
    this installation locked a copy.
    """

    seen_at: datetime
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    loose: Mapping[str, Sighting] = field(default_factory=dict)
    lonely: Mapping[str, Sighting] = field(default_factory=dict)
    begun: Mapping[str, Sighting] = field(default_factory=dict)
    locks: Mapping[str, datetime] = field(default_factory=dict)

    def copies(self) -> tuple[Copy, ...]:
        """Return them as the core judges them, oldest first."""
        return tuple(manifest.as_copy() for _, manifest in sorted(self.manifests.items()))

    def locked_copies(self) -> tuple[Copy, ...]:
        """Return the same with the locks that this installation set; the store itself may know of longer ones."""
        return tuple(replace(copy, locked_until=self.locks.get(copy.name.data)) for copy in self.copies())

    def foreign(self, installation: str) -> int:
        """Count the copies that another installation wrote."""
        return sum(one.installation != installation for one in self.manifests.values())

    def adopted(self, installation: str) -> "Shelf":
        """Return the same with every copy as that installation's own, whoever wrote it.

        A manifest that is read again, since it was changed, tells who wrote it again.
        """
        manifests = {key: one.model_copy(update={"installation": installation}) for key, one in self.manifests.items()}
        return replace(self, manifests=manifests)

    def with_copy(self, manifest: Manifest) -> "Shelf":
        """Return the same with one more, which was just made."""
        key = manifest.stored.key
        damaged = {other: text for other, text in self.damaged.items() if other != key}
        return replace(self, manifests={**self.manifests, key: manifest}, damaged=damaged)


_WrittenSighting = tuple[int, AwareDatetime | None, AwareDatetime]


class _Written(BaseModel):
    """A shelf as it is remembered."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_: int = 1
    seen_at: AwareDatetime
    manifests: dict[str, Manifest]
    stamps: dict[str, tuple[int, AwareDatetime]]
    damaged: dict[str, str]
    loose: dict[str, _WrittenSighting]
    lonely: dict[str, _WrittenSighting] = {}
    begun: dict[str, _WrittenSighting] = {}
    locks: dict[str, AwareDatetime] = {}


def write_shelf(shelf: Shelf) -> str:
    """Return the shelf as text."""
    return _Written(
        seen_at=shelf.seen_at,
        manifests=dict(shelf.manifests),
        stamps=dict(shelf.stamps),
        damaged=dict(shelf.damaged),
        loose=_written(shelf.loose),
        lonely=_written(shelf.lonely),
        begun=_written(shelf.begun),
        locks=dict(shelf.locks),
    ).model_dump_json(by_alias=True)


def read_shelf(text: str) -> Shelf | None:
    """Return what was written; None where it cannot be read, since it is a cache."""
    try:
        known = _Written.model_validate_json(text)
    except ValidationError:
        return None
    seen = (known.loose, known.lonely, known.begun)
    loose, alone, begun = ({key: Sighting(*one) for key, one in kept.items()} for kept in seen)
    return Shelf(known.seen_at, known.manifests, known.stamps, known.damaged, loose, alone, begun, known.locks)


def _written(seen: Mapping[str, Sighting]) -> dict[str, _WrittenSighting]:
    return {key: (one.size, one.modified, one.since) for key, one in seen.items()}


async def look_into(
    store: Store, panel: str, server: str, before: Shelf | None, now: datetime, *, live: Sequence[str] = ()
) -> Shelf:
    """List what a store holds of one server; raises StoreError. `before` saves reading what has not changed."""
    entries = await store.list_all(folder_of(panel, server))
    return await _sorted(store, entries, before, now, live)


Counted = Callable[[int, int], None]
"""Hears how many of how many servers were looked at."""


def uncounted(_done: int, _of: int) -> None:
    """Hear of it, and do nothing."""


async def look_at_all(
    store: Store,
    before: Callable[[str, str], Awaitable[Shelf | None]],
    now: datetime,
    counted: Counted = uncounted,
) -> dict[tuple[str, str], Shelf]:
    """List a whole store; return what it holds of each panel and server; raises StoreError."""
    folders: dict[tuple[str, str], list[Entry]] = {}
    for entry in await store.list_all():
        folder = read_folder(entry.key.rpartition("/")[0] + "/")
        if folder is not None:
            folders.setdefault(folder, []).append(entry)
    shelves: dict[tuple[str, str], Shelf] = {}
    counted(0, len(folders))
    for folder, entries in folders.items():
        shelves[folder] = await _sorted(store, entries, await before(*folder), now)
        counted(len(shelves), len(folders))
    return shelves


async def _sorted(
    store: Store, entries: Sequence[Entry], before: Shelf | None, now: datetime, live: Sequence[str] = ()
) -> Shelf:
    stamps = {entry.key: (entry.size, entry.modified) for entry in entries if entry.key.endswith(MANIFEST)}
    known = {
        key: manifest
        for key, manifest in (before.manifests if before else {}).items()
        if before and before.stamps.get(key + MANIFEST) == stamps.get(key + MANIFEST, ())
    }
    objects = [StoredObject(entry.key, entry.size, entry.modified) for entry in entries]
    sizes: dict[str, int | None] = {key + MANIFEST: manifest.stored.bytes for key, manifest in known.items()}
    found, _ = sort_out(objects, sizes)
    unread = [one for one in found if one.condition is Condition.UNREAD]
    for key, manifest in (await _read_all(store, unread)).items():
        sizes[key + MANIFEST] = None if manifest is None else manifest.stored.bytes
        if manifest is not None:
            known[key] = manifest
    found, _ = sort_out(objects, sizes)
    whole = {one.name.data for one in found if one.condition is Condition.WHOLE}
    damaged = {one.name.data: one.text for one in found if one.condition is Condition.DAMAGED}
    loose = sightings(found, before.loose if before else {}, now, live=live)
    alone = lonely(found, before.lonely if before else {}, now)
    begun = before.begun if before else {}
    locks = {key: until for key, until in (before.locks if before else {}).items() if key in known}
    return Shelf(now, {key: known[key] for key in sorted(whole)}, stamps, damaged, loose, alone, begun, locks)


async def _read_all(store: Store, found: Sequence[Found]) -> dict[str, Manifest | None]:
    """Return the manifests of these, a few at a time; None for what is no manifest."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def read(one: Found) -> tuple[str, Manifest | None]:
        async with turns:
            size = one.manifest.size if one.manifest else 0
            return one.name.data, await read_beside(store, one.name.data, size)

    return dict(await asyncio.gather(*map(read, found)))


async def read_beside(store: Store, key: str, size: int) -> Manifest | None:
    """Read the manifest of that size beside the data of that key; None where it is none of it; raises StoreError."""
    if size > LARGEST:
        return None
    text = bytearray()
    async with aclosing(store.get(key + MANIFEST)) as pieces:
        async for piece in pieces:
            text += piece
            if len(text) > LARGEST:  # whatever its size was said to be
                return None
    try:
        return read_manifest(bytes(text), key)
    except ManifestError:
        return None
