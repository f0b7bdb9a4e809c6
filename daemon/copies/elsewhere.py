"""The copies that other stores hold of a server, as they were last seen: from these a store can be filled.

Only what this installation wrote counts, since what is encrypted is carried over unread, by what its manifest tells.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from daemon.config.values import StoreConfig
from daemon.copies.manifest import Manifest
from daemon.copies.shelves import Shelves
from daemon.core.copies_ways import Held, Recipients
from daemon.core.model import Backup
from daemon.stores.values import DirectoryLocation
from daemon.transfer.errors import NotGoodError
from daemon.transfer.expected import Expected

InStore = tuple[Held, Manifest]
"""A copy in a store, and its manifest."""


@dataclass(frozen=True)
class Elsewhere:
    """Looks for copies in other stores, by the catalogue."""

    shelves: Shelves
    stores: Mapping[str, StoreConfig]
    installation: str

    async def backups_for(self, store: str, panel: str, server: str) -> list[Backup]:
        """Return the backups of a server of which another store holds a copy that this one could be filled from."""
        recipients = recipients_of(self.stores[store])
        return [
            manifest.as_copy().backup
            for held, manifest in await self._held(panel, server)
            if held.store != store and held.serves(recipients)
        ]

    async def copies_of(self, backup: Backup, panel: str, server: str) -> dict[str, InStore]:
        """Return the copies of that very backup, by store: their manifests tell of it what the panel does."""
        with suppress(NotGoodError):
            expected = Expected.of(backup)
            return {
                held.store: (held, manifest)
                for held, manifest in await self._held(panel, server)
                if manifest.backup.uuid == backup.uuid
                and (manifest.backup.bytes, manifest.backup.checksum) == (expected.size, expected.checksum)
            }
        return {}

    async def _held(self, panel: str, server: str) -> list[InStore]:
        found = []
        for name, config in self.stores.items():
            shelf = await self.shelves.of(name, panel, server)
            near = isinstance(config.settings.location, DirectoryLocation)
            for manifest in shelf.manifests.values() if shelf else ():
                if manifest.installation == self.installation:
                    told = manifest.encryption
                    found.append((Held(name, frozenset(told.recipients if told else ()), near), manifest))
        return found


def recipients_of(store: StoreConfig) -> Recipients:
    """Return the recipients for whom a store's copies are encrypted."""
    return frozenset(store.recipients)
