"""What one store holds of one server, as it was when it was last looked at; and how it is looked at.

The manifests are read once: one that stands as it was read before is not read again. What must hold: a listing is whole
or an error, and a manifest that cannot be read makes no copy; of data that was known as a whole copy the manifest that
was known is kept for as long as that data stands, unless we ourselves were deleting it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from daemon.copies.errors import ManifestError
from daemon.copies.manifest import LARGEST, Manifest, read_manifest
from daemon.core.copies_found import Condition, Found, Sighting, StoredObject, lonely, sightings, sort_out
from daemon.core.copies_layout import MANIFEST, folder_of, read_folder
from daemon.core.copy import Copy
from daemon.stores.base import Entry, Store
from daemon.stores.errors import ObjectMissingError

AT_ONCE = 8
"""How many manifests are read at the same time."""

Stamp = tuple[int, datetime]
"""What shows that an object is unchanged: its size, and when it was written."""


@dataclass(frozen=True)
class Shelf:
    """The whole copies of one server in one store, by the key of their data; what is damaged, in words; what is loose.

    `seen_at` is when the store was listed, by our own clock. `stamps` are those of the manifests. `lonely` are the
    damaged copies that are a manifest without data. `begun` is what was begun, not finished. `locks` say until when
    this installation locked a copy. `lost` are the manifests that were known of damaged copies whose data stands as it
    did. Copies that are `going` were being deleted, so that their data is loose once their manifests are gone.
    """

    seen_at: datetime
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    loose: Mapping[str, Sighting] = field(default_factory=dict)
    lonely: Mapping[str, Sighting] = field(default_factory=dict)
    begun: Mapping[str, Sighting] = field(default_factory=dict)
    locks: Mapping[str, datetime] = field(default_factory=dict)
    lost: Mapping[str, Manifest] = field(default_factory=dict)
    going: frozenset[str] = frozenset()

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

        def ours(manifests: Mapping[str, Manifest]) -> dict[str, Manifest]:
            return {key: one.model_copy(update={"installation": installation}) for key, one in manifests.items()}

        return replace(self, manifests=ours(self.manifests), lost=ours(self.lost))

    def with_copy(self, manifest: Manifest) -> "Shelf":
        """Return the same with one more, which was just made, or whose manifest was written back."""
        key = manifest.stored.key
        damaged = {other: text for other, text in self.damaged.items() if other != key}
        lost = {other: one for other, one in self.lost.items() if other != key}
        manifests, going = {**self.manifests, key: manifest}, self.going - {key}
        return replace(self, manifests=manifests, damaged=damaged, lost=lost, going=going)


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
    lost: dict[str, Manifest] = {}
    going: frozenset[str] = frozenset()


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
        lost=dict(shelf.lost),
        going=shelf.going,
    ).model_dump_json(by_alias=True)


def read_shelf(text: str) -> Shelf | None:
    """Return what was written; None where it cannot be read, since it is a cache."""
    try:
        known = _Written.model_validate_json(text)
    except ValidationError:
        return None
    seen = (known.loose, known.lonely, known.begun)
    loose, alone, begun = ({key: Sighting(*one) for key, one in kept.items()} for kept in seen)
    return Shelf(
        known.seen_at,
        known.manifests,
        known.stamps,
        known.damaged,
        loose,
        alone,
        begun,
        known.locks,
        known.lost,
        known.going,
    )


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
    store: Store, listed: Sequence[Entry], before: Shelf | None, now: datetime, live: Sequence[str] = ()
) -> Shelf:
    before = before or Shelf(now)
    once = {**before.lost, **before.manifests}
    entries = await _confirmed(store, listed, {key for key in once if key not in before.going})
    stamps = {entry.key: (entry.size, entry.modified) for entry in entries if entry.key.endswith(MANIFEST)}
    known = {
        key: manifest
        for key, manifest in before.manifests.items()
        if before.stamps.get(key + MANIFEST) == stamps.get(key + MANIFEST, ())
    }
    going = frozenset(key for key in before.going if key + MANIFEST not in stamps)
    were_whole = {key: manifest.stored.bytes for key, manifest in once.items() if key not in going}
    objects = [StoredObject(entry.key, entry.size, entry.modified) for entry in entries]
    sizes: dict[str, int | None] = {key + MANIFEST: manifest.stored.bytes for key, manifest in known.items()}
    found, _ = sort_out(objects, sizes, were_whole)
    unread = [one for one in found if one.condition is Condition.UNREAD]
    for key, manifest in (await _read_all(store, unread)).items():
        sizes[key + MANIFEST] = None if manifest is None else manifest.stored.bytes
        if manifest is not None:
            known[key] = manifest
    found, _ = sort_out(objects, sizes, were_whole)
    whole = {one.name.data for one in found if one.condition is Condition.WHOLE}
    damaged = {one.name.data: one for one in found if one.condition is Condition.DAMAGED}
    return Shelf(
        now,
        {key: known[key] for key in sorted(whole)},
        stamps,
        {key: one.text for key, one in damaged.items()},
        sightings(found, before.loose, now, live=live),
        lonely(found, before.lonely, now),
        before.begun,
        {key: until for key, until in before.locks.items() if key in known},
        {key: once[key] for key, one in damaged.items() if one.data and were_whole.get(key) == one.data.size},
        going & {one.name.data for one in found},
    )


async def _confirmed(store: Store, listed: Sequence[Entry], known: Collection[str]) -> Sequence[Entry]:
    """Return a listing in which `known` data without its manifest is as the store says of both, by their names.

    A listing may be late: it may lack a manifest that stands, and show data that is gone.
    """
    there = {entry.key for entry in listed}
    alone = {key for key in known if key in there and key + MANIFEST not in there}
    turns = asyncio.Semaphore(AT_ONCE)

    async def entry_of(key: str) -> Entry | None:
        async with turns:
            with suppress(ObjectMissingError):
                return (await store.head(key)).entry
        return None

    asked = await asyncio.gather(*(entry_of(key) for one in sorted(alone) for key in (one, one + MANIFEST)))
    return [*(entry for entry in listed if entry.key not in alone), *(entry for entry in asked if entry is not None)]


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
