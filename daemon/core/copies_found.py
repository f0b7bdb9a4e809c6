"""What a store's listing holds: whole copies, incomplete ones, and what is none of ours.

What must hold (invariant 13): a copy counts only if it is whole: its manifest exists, can be read, and states the size
that the data has. What a crash leaves is no copy, and is cleared away once two looks at least 48 hours apart found it
unchanged. But data that was known as a whole copy is damaged once its manifest is gone, and stays. A key that is not
ours to the letter is foreign, and is never touched.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from daemon.core.copies_layout import CopyName, read_key

CLEARED_AFTER = timedelta(hours=48)
"""How long an incomplete copy must have stayed unchanged before it is cleared away."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a store's listing. `modified` is by the store's own clock, None if the store does not say."""

    key: str
    size: int
    modified: datetime | None = None


class Condition(StrEnum):
    """What a copy is, by its listing and manifest. UNREAD: both objects exist, and the manifest is yet to be read."""

    WHOLE = "whole"
    UNREAD = "unread"
    INCOMPLETE = "incomplete"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Found:
    """One copy in a listing: its data and its manifest, None for one that is missing, and the condition of the copy."""

    name: CopyName
    condition: Condition
    data: StoredObject | None
    manifest: StoredObject | None

    @property
    def text(self) -> str:
        """What is wrong with it, for people; empty where nothing is known to be."""
        if self.condition is Condition.INCOMPLETE:
            return "without a manifest: it was not finished, or is being written"
        if self.condition is not Condition.DAMAGED:
            return ""
        if self.manifest is None:
            return "its manifest is gone"
        return "its data is gone" if self.data is None else "its manifest cannot be read, or tells another size"


@dataclass(frozen=True, slots=True)
class Sighting:
    """An object that belongs to no whole copy; it has not changed `since` that moment."""

    size: int
    modified: datetime | None
    since: datetime


def sort_out(
    objects: Iterable[StoredObject], sizes: Mapping[str, int | None], were_whole: Mapping[str, int]
) -> tuple[tuple[Found, ...], tuple[str, ...]]:
    """Given a store's listing, return the copies in it, the oldest of each server first, and the keys that are foreign.

    `sizes` holds the size of the data as each manifest states it, in bytes, by the key of the manifest: None for a
    manifest that cannot be read, nothing for one that was not read yet. `were_whole` holds, by the key of the data,
    the size of the data of each copy that was known as whole, but for those that we ourselves were deleting.
    """
    pairs: dict[str, tuple[CopyName, dict[bool, StoredObject]]] = {}
    foreign = []
    for one in objects:
        if (known := read_key(one.key)) is None:
            foreign.append(one.key)
            continue
        name, is_manifest = known
        pairs.setdefault(name.data, (name, {}))[1][is_manifest] = one
    found = (
        _found(name, pair.get(False), pair.get(True), sizes, were_whole) for _, (name, pair) in sorted(pairs.items())
    )
    return tuple(found), tuple(foreign)


def _found(
    name: CopyName,
    data: StoredObject | None,
    manifest: StoredObject | None,
    sizes: Mapping[str, int | None],
    were_whole: Mapping[str, int],
) -> Found:
    if manifest is None:
        was_whole = data is not None and were_whole.get(name.data) == data.size
        condition = Condition.DAMAGED if was_whole else Condition.INCOMPLETE
    elif data is None:
        condition = Condition.DAMAGED
    elif manifest.key not in sizes:
        condition = Condition.UNREAD
    else:
        condition = Condition.WHOLE if sizes[manifest.key] == data.size else Condition.DAMAGED
    return Found(name, condition, data, manifest)


def sightings(
    found: Iterable[Found], before: Mapping[str, Sighting], now: datetime, *, live: Collection[str] = ()
) -> dict[str, Sighting]:
    """Given a listing, return the data in it that has no manifest, by key, and since when each has not changed.

    `before` is what this returned at the last look. `live` are the keys that this process is writing now.
    """
    loose = (one.data for one in found if one.condition is Condition.INCOMPLETE)
    return {one.key: _sighting(one, before.get(one.key), now) for one in loose if one and one.key not in live}


def lonely(found: Iterable[Found], before: Mapping[str, Sighting], now: datetime) -> dict[str, Sighting]:
    """Given a listing, return the manifests in it that have no data, by the key of that data, and since when each has
    not changed. `before` is what this returned at the last look.
    """
    alone = ((one.name.data, one.manifest) for one in found if one.data is None and one.manifest)
    return {key: _sighting(manifest, before.get(key), now) for key, manifest in alone}


def begun(unfinished: Iterable[StoredObject], before: Mapping[str, Sighting], now: datetime) -> dict[str, Sighting]:
    """Given all that was begun in a store and not finished, by keys that tell one from another, return since when each
    has not changed. `before` is what the look before this one returned.
    """
    return {one.key: _sighting(one, before.get(one.key), now) for one in unfinished}


def _sighting(one: StoredObject, before: Sighting | None, now: datetime) -> Sighting:
    if before is not None and (before.size, before.modified) == (one.size, one.modified):
        return before
    return Sighting(one.size, one.modified, now)


def leftovers(seen: Mapping[str, Sighting], now: datetime) -> tuple[str, ...]:
    """Given the last look's sightings, return the keys to clear away: nobody has written them for 48 hours."""
    return tuple(key for key, one in seen.items() if now - one.since >= CLEARED_AFTER)
