"""What is in the way of a copy in a store, and is none itself: taken away.

What must hold (invariant 13): two looks at least 48 hours apart found it unchanged, and right before each deletion
somebody was asked who knows of freezes and leases. Data that lies beside a manifest is never deleted here, however
damaged either looks: it may be the last copy. A crash leaves a thing or two, so that much data without manifests is
not what crashes left: then none of it goes. What a store refuses to delete hinders no other, and is noted as
`undeleted`; what is locked goes at a later look, once its lock has ended.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from daemon.copies.errors import CopyError
from daemon.copies.results import Cleared
from daemon.copies.shelf import Shelf, read_beside
from daemon.copies.undeleted import Undeleted
from daemon.copies.workers import AskLeave, always
from daemon.core.copies_found import Sighting, StoredObject, begun, leftovers
from daemon.core.copies_layout import MANIFEST, folder_of, read_key
from daemon.stores.base import Capability, Store, Unfinished
from daemon.stores.errors import ObjectLockedError, ObjectMissingError, StorePermissionError, StoreRefusedError

LEFTOVER = "what is left of a copy that was not finished"
"""What all of this is called where it could not be deleted."""

MOST_CLEARED = 3
"""So much data without a manifest, of one server in one look, may be what crashes left."""

UNFINISHED = "an upload that was not finished"
LOOSE = "data without a manifest"
LONELY = "a manifest whose data is gone"

_BETWEEN = "\n"  # no key holds one


@dataclass
class Clearing:
    """The clearing of one look: what went, and what hindered it.

    `leave` is asked right before each deletion; once it says why not, nothing more goes (invariants 17 and 20). `most`
    data may go that has no manifest, or none does.
    """

    leave: AskLeave = always
    most: int = MOST_CLEARED
    cleared: list[Cleared] = field(default_factory=list)
    undeleted: Undeleted = field(default_factory=Undeleted)
    hindrance: str = ""
    loose: int = 0
    """How much data stays, since it is too much to be what crashes left."""

    async def may_go_on(self) -> bool:
        """Ask whether something may be deleted at this moment."""
        if self.hindrance or self.undeleted.are_too_many:
            return False
        self.hindrance = await self.leave()
        return not self.hindrance

    def note(self, key: str, what: str, seen: Sighting) -> None:
        """Note that something was cleared away."""
        self.cleared.append(Cleared(key, seen.size, what, seen.since))

    def problems(self) -> list[CopyError]:
        """Return what is to be told of what stays."""
        told = self.undeleted.as_error(LEFTOVER)
        much = CopyError(f"{self.loose} copies' data without manifests, of which nothing is cleared away", hint=_MUCH)
        return [*([told] if told else ()), *([much] if self.loose else ())]


async def look_for_begun(store: Store, panel: str, server: str, shelf: Shelf, now: datetime) -> Shelf:
    """Return the shelf with what was begun for that server and not finished; raises StoreError.

    A key that may not ask for it finds nothing: then the store's owner has to clear up.
    """
    if Capability.UNFINISHED in store.lacks:
        return shelf
    try:
        found = await store.unfinished(folder_of(panel, server))
    except (StorePermissionError, StoreRefusedError):
        return shelf
    ours = (one for one in found if read_key(one.key) is not None)
    objects = (StoredObject(f"{one.key}{_BETWEEN}{one.id}", one.size, one.changed) for one in ours)
    return replace(shelf, begun=begun(objects, shelf.begun, now))


async def clear_leftovers(store: Store, shelf: Shelf, now: datetime, clearing: Clearing) -> None:
    """Clear away what was begun, and data that never got its manifest; raises StoreError."""
    await clear_begun(store, shelf, now, clearing)
    await clear_loose(store, shelf, now, clearing)


async def clear_begun(store: Store, shelf: Shelf, now: datetime, clearing: Clearing) -> None:
    """Remove what a kill left half stored; raises StoreError. What changed since it was seen stays."""
    for name in leftovers(shelf.begun, now):
        key, _, id_ = name.partition(_BETWEEN)
        seen = shelf.begun[name]
        if seen.modified is None:
            continue
        if not await clearing.may_go_on():
            break
        with clearing.undeleted.noted():
            if await store.clear(Unfinished(key, id_, seen.size, seen.modified)):
                clearing.note(key, UNFINISHED, seen)


async def clear_loose(store: Store, shelf: Shelf, now: datetime, clearing: Clearing) -> None:
    """Delete data that never got its manifest; raises StoreError."""
    keys = leftovers(shelf.loose, now)
    if len(keys) > clearing.most:
        clearing.loose = len(keys)
        return
    for key in keys:
        if not await clearing.may_go_on():
            break
        with clearing.undeleted.noted(), suppress(ObjectLockedError):
            await store.delete(key)
            clearing.note(key, LOOSE, shelf.loose[key])


async def clear_lonely(
    store: Store, shelf: Shelf, wanted: Collection[str], now: datetime, clearing: Clearing, *, installation: str
) -> frozenset[str]:
    """Delete the manifests of `wanted` data that is gone, if that installation wrote them; return the data's keys.

    Raises StoreError.
    """
    cleared = set()
    for key in leftovers(shelf.lonely, now):
        if key not in wanted:
            continue
        if clearing.undeleted.are_too_many:
            break
        with clearing.undeleted.noted(), suppress(ObjectLockedError, ObjectMissingError):
            manifest = await read_beside(store, key, shelf.lonely[key].size)
            if manifest is None or manifest.installation != installation or not await _is_missing(store, key):
                continue
            if not await clearing.may_go_on():
                break
            await store.delete(key + MANIFEST)
            clearing.note(key + MANIFEST, LONELY, shelf.lonely[key])
            cleared.add(key)
    return frozenset(cleared)


async def _is_missing(store: Store, key: str) -> bool:
    """Return whether there is no such object; a listing may be late, and so it is asked for by its name."""
    try:
        await store.head(key)
    except ObjectMissingError:
        return True
    return False


_MUCH = (
    "a crash leaves one or two: look what took the manifests away, and bring them back if you can; `copies prune "
    "SERVER --max-deletions N` clears up to N of them away"
)
