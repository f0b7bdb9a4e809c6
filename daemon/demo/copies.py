"""The copies, once the panel is gone: the stores are looked into as on a new machine, and each copy is read back."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.clock import Clock
from daemon.config.values import Config
from daemon.copies.fetch import fetch_to
from daemon.copies.manifest import Manifest
from daemon.copies.shelf import Shelf, look_at_all
from daemon.core.units import format_size
from daemon.errors import BackupdError
from daemon.stores.base import Store
from daemon.stores.open import open_store

COLUMNS = ("server", "copies", "bytes", "newest")


@dataclass(frozen=True, slots=True)
class ReadBack:
    """One copy as its store gave it back: whose it is, and the SHA-1 of what came; empty if it did not come whole."""

    server: str
    backup_uuid: str
    backup: str
    size: int
    sha1: str


async def read_back(config: Config, clock: Clock, spool_in: Path) -> list[ReadBack]:
    """Read every copy in every store to its end, the oldest of a server first; raises StoreError."""
    found = []
    for each in config.stores.values():
        async with open_store(each.settings) as store:
            shelves = await look_at_all(store, _nothing_known, clock.now())
            for shelf in shelves.values():
                found += [await _read(store, manifest, spool_in) for _, manifest in sorted(shelf.manifests.items())]
    return found


def rows(copies: Iterable[ReadBack]) -> list[Sequence[str]]:
    """Return one row a server, as COLUMNS has it."""
    of_server: dict[str, list[ReadBack]] = {}
    for copy in copies:
        of_server.setdefault(copy.server, []).append(copy)
    return [
        (server, str(len(copies)), format_size(sum(copy.size for copy in copies)), copies[-1].backup)
        for server, copies in sorted(of_server.items())
    ]


async def _nothing_known(_panel: str, _server: str) -> Shelf | None:
    return None


async def _read(store: Store, manifest: Manifest, spool_in: Path) -> ReadBack:
    sha1, told = hashlib.sha1(usedforsecurity=False), manifest.backup
    try:
        await fetch_to(store, manifest, sha1.update, (), spool_in=spool_in)
    except BackupdError:
        return ReadBack(manifest.server.name, told.uuid, told.name, told.bytes, "")
    return ReadBack(manifest.server.name, told.uuid, told.name, told.bytes, sha1.hexdigest())
