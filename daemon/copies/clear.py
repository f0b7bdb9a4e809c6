"""What is in the way of a copy in a store, and is none itself: taken away.

What must hold (invariant 13): two looks at least 48 hours apart found it unchanged. Data that lies beside a manifest is
never deleted here, however damaged either looks: it may be the last copy. What a store refuses to delete hinders no
other, and is noted as `undeleted`; what is locked goes at a later look, once its lock has ended.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from daemon.copies.shelf import Shelf, read_beside
from daemon.copies.undeleted import Undeleted
from daemon.core.copies_found import StoredObject, begun, leftovers
from daemon.core.copies_layout import MANIFEST, folder_of, read_key
from daemon.stores.base import Capability, Store, Unfinished
from daemon.stores.errors import ObjectLockedError, ObjectMissingError, StorePermissionError, StoreRefusedError

LEFTOVER = "what is left of a copy that was not finished"
"""What all of this is called where it could not be deleted."""

_BETWEEN = "\n"  # no key holds one


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


async def clear_leftovers(store: Store, shelf: Shelf, now: datetime, *, undeleted: Undeleted) -> tuple[str, ...]:
    """Clear away both, and return the keys; raises StoreError."""
    begun = await clear_begun(store, shelf, now, undeleted=undeleted)
    return (*begun, *await clear_loose(store, shelf, now, undeleted=undeleted))


async def clear_begun(store: Store, shelf: Shelf, now: datetime, *, undeleted: Undeleted) -> list[str]:
    """Remove what a kill left half stored; raises StoreError. What changed since it was seen stays."""
    cleared = []
    for name in leftovers(shelf.begun, now):
        key, _, id_ = name.partition(_BETWEEN)
        seen = shelf.begun[name]
        if seen.modified is None or undeleted.are_too_many:
            continue
        with undeleted.noted():
            if await store.clear(Unfinished(key, id_, seen.size, seen.modified)):
                cleared.append(key)
    return cleared


async def clear_loose(store: Store, shelf: Shelf, now: datetime, *, undeleted: Undeleted) -> list[str]:
    """Delete data that never got its manifest; raises StoreError."""
    cleared = []
    for key in leftovers(shelf.loose, now):
        if undeleted.are_too_many:
            break
        with undeleted.noted(), suppress(ObjectLockedError):
            await store.delete(key)
            cleared.append(key)
    return cleared


async def clear_lonely(
    store: Store, shelf: Shelf, wanted: Collection[str], installation: str, now: datetime, *, undeleted: Undeleted
) -> frozenset[str]:
    """Delete the manifests of `wanted` data that is gone, if that installation wrote them; return the data's keys.

    Raises StoreError.
    """
    cleared = set()
    for key in leftovers(shelf.lonely, now):
        if key not in wanted:
            continue
        if undeleted.are_too_many:
            break
        with undeleted.noted(), suppress(ObjectLockedError, ObjectMissingError):
            manifest = await read_beside(store, key, shelf.lonely[key].size)
            if manifest is None or manifest.installation != installation or not await _is_missing(store, key):
                continue
            await store.delete(key + MANIFEST)
            cleared.add(key)
    return frozenset(cleared)


async def _is_missing(store: Store, key: str) -> bool:
    """Return whether there is no such object; a listing may be late, and so it is asked for by its name."""
    try:
        await store.head(key)
    except ObjectMissingError:
        return True
    return False
