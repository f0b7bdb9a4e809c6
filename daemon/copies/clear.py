"""What is in the way of a copy in a store, and is none itself: taken away.

What must hold (invariant 13): two looks at least 48 hours apart found it unchanged. Data that lies beside a manifest is
never deleted here, however damaged either looks: it may be the last copy.
"""

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime

from daemon.copies.shelf import Shelf, read_beside
from daemon.core.copies_found import leftovers
from daemon.core.copies_layout import MANIFEST
from daemon.stores.base import Store
from daemon.stores.errors import ObjectLockedError, ObjectMissingError


async def clear_loose(store: Store, shelf: Shelf, now: datetime) -> None:
    """Delete data that never got its manifest; raises StoreError. What is locked stays."""
    for key in leftovers(shelf.loose, now):
        with suppress(ObjectLockedError):
            await store.delete(key)


async def clear_lonely(
    store: Store, shelf: Shelf, wanted: Collection[str], installation: str, now: datetime
) -> frozenset[str]:
    """Delete the manifests of `wanted` data that is gone, if that installation wrote them; return the data's keys.

    Raises StoreError. What is locked stays.
    """
    cleared = set()
    for key in leftovers(shelf.lonely, now):
        if key not in wanted:
            continue
        manifest = await read_beside(store, key, shelf.lonely[key].size)
        if manifest is None or manifest.installation != installation or not await _is_missing(store, key):
            continue
        with suppress(ObjectLockedError):
            await store.delete(key + MANIFEST)
            cleared.add(key)
    return frozenset(cleared)


async def _is_missing(store: Store, key: str) -> bool:
    """Whether there is no such object; a listing may be late, and so it is asked for by its name."""
    try:
        await store.head(key)
    except ObjectMissingError:
        return True
    return False
