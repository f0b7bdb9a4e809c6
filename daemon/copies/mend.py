"""Manifests that somebody took away, written back from what the catalogue knows.

What must hold (invariant 13): only where the store says by their names that the data stands as it was known, and that
no manifest does, and under a name that is still free then; only what this installation wrote. Whatever goes wrong is
told, and holds up nothing else: a store that is full has to be pruned.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime

from daemon.copies.errors import CopyError
from daemon.copies.manifest import Manifest, write_manifest
from daemon.copies.results import Mended
from daemon.copies.settle import stands
from daemon.copies.shelf import Shelf
from daemon.core.copies_layout import MANIFEST
from daemon.errors import BackupdError
from daemon.stores.base import Store
from daemon.stores.errors import ObjectExistsError, ObjectMissingError


@dataclass(slots=True)
class Mending:
    """What came of it: the shelf as it is now, whose manifests were written back, and what ended that early."""

    shelf: Shelf
    mended: list[Mended] = field(default_factory=list)
    error: CopyError | None = None


async def write_back(store: Store, shelf: Shelf, installation: str, lock_until: datetime | None) -> Mending:
    """Write back the manifests that were lost, each locked until then; raises nothing."""
    done = Mending(shelf)
    for key, manifest in sorted(shelf.lost.items()):
        if manifest.installation != installation:
            continue
        try:
            if await _is_written(store, manifest, lock_until):
                done.shelf = done.shelf.with_copy(manifest)
                done.mended.append(Mended(manifest.backup.uuid, manifest.backup.name, key))
        except BackupdError as error:
            text = f"the manifest of {key}, which is gone, could not be written back: {error.text}"
            done.error = CopyError(text, hint=error.hint)
            break
    return done


async def _is_written(store: Store, manifest: Manifest, lock_until: datetime | None) -> bool:
    """Write a manifest back if it is missing beside its data; return whether it was; raises StoreError."""
    key = manifest.stored.key
    try:
        await store.head(key + MANIFEST)
    except ObjectMissingError:
        pass
    else:
        return False  # it stands, and cannot be read
    try:
        if (await store.head(key)).entry.size != manifest.stored.bytes:
            return False
    except ObjectMissingError:
        return False
    text = write_manifest(manifest)
    try:
        await store.put(key + MANIFEST, _once(text), size=len(text), lock_until=lock_until)
    except ObjectExistsError:
        return False
    except BackupdError:
        if not await stands(store, key + MANIFEST, text, len(text)):  # else only the answer was lost
            raise
    return True


async def _once(text: bytes) -> AsyncGenerator[bytes, None]:
    yield text
