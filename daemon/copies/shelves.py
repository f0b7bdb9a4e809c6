"""The shelves that are remembered, of every store and server; and a look into a store, which renews them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from daemon.clock import Clock
from daemon.copies.manifest import Manifest
from daemon.copies.shelf import Counted, Shelf, look_at_all, look_into, read_shelf, uncounted, write_shelf
from daemon.errors import StateError
from daemon.state import Catalogue, Holding, ShelfRecord
from daemon.stores.base import Store


class Shelves:
    """The catalogue, as shelves."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock

    async def installation(self) -> str:
        """Return this installation's id; raises StateError."""
        return await self._catalogue.installation()

    async def of(self, store: str, panel: str, server: str) -> Shelf | None:
        """Return what was last seen; None where nothing is remembered, or it cannot be read: it is a cache."""
        with suppress(StateError):
            if (known := await self._catalogue.shelf(store, panel, server)) is not None:
                return read_shelf(known.detail)
        return None

    async def known(self, stores: Sequence[str], panel: str, server: str) -> list[tuple[str, Shelf]]:
        """Return the stores in which something of this server was seen, in that order, with what was; raises
        StateError.

        `server` is a uuid, or the identifier that one begins with.
        """
        found = await self._catalogue.shelves(panel, server)
        seen = [(one.holding.store, read_shelf(one.detail)) for one in found if one.holding.store in stores]
        shelves = [(store, shelf) for store, shelf in seen if shelf is not None]
        return sorted(shelves, key=lambda one: stores.index(one[0]))

    async def holdings(self, store: str) -> list[Holding]:
        """Return what a store was last seen to hold of each server; raises StateError."""
        return await self._catalogue.holdings(store)

    async def everywhere(self) -> list[Holding]:
        """Return the same of all stores; raises StateError."""
        return await self._catalogue.holdings()

    async def look(self, name: str, store: Store, panel: str, server: str) -> Shelf:
        """Look into a store for one server's copies, and remember them; raises StoreError, StateError."""
        shelf = await self.see(name, store, panel, server)
        await self.remember(name, panel, server, shelf)
        return shelf

    async def see(self, name: str, store: Store, panel: str, server: str) -> Shelf:
        """Look into a store for one server's copies; raises StoreError."""
        return await look_into(store, panel, server, await self.of(name, panel, server), self._clock.now())

    async def remember(self, name: str, panel: str, server: str, shelf: Shelf) -> None:
        """Remember what was seen; raises StateError."""
        await self._catalogue.remember(_record(name, panel, server, shelf))

    async def mark_going(self, name: str, panel: str, server: str, going: frozenset[str]) -> None:
        """Remember that these copies are about to be deleted, so that a kill between the two objects of one does not
        make it look damaged. It is forgotten at the next look if the manifest still stands. Raises StateError.
        """
        if (shelf := await self.of(name, panel, server)) is not None:
            await self.remember(name, panel, server, replace(shelf, going=going | shelf.going))

    async def rescan(self, name: str, store: Store, counted: Counted = uncounted) -> list[Holding]:
        """Look at all of a store, remember what is there and nothing else; raises StoreError, StateError."""
        seen = await look_at_all(store, partial(self.of, name), self._clock.now(), counted)
        records = [_record(name, panel, server, shelf) for (panel, server), shelf in sorted(seen.items())]
        await self._catalogue.replace(name, records)
        return [record.holding for record in records]

    async def adopt(self, name: str, panel: str, server: str) -> int:
        """Take all copies of a server in a store as this installation's own; return how many were others'.

        That holds as long as it is remembered here: the manifests stay as they are, since they may be locked. The
        caller holds the lock of the server's copies. Raises StateError.
        """
        shelf, ours = await self.of(name, panel, server), await self.installation()
        foreign = shelf.foreign(ours) if shelf else 0
        if shelf is not None and foreign:
            await self.remember(name, panel, server, shelf.adopted(ours))
        return foreign

    async def add(self, name: str, manifest: Manifest) -> None:
        """Remember a copy that was just made; raises StateError."""
        panel, server = manifest.server.panel, manifest.server.uuid
        shelf = await self.of(name, panel, server) or Shelf(self._clock.now())
        await self.remember(name, panel, server, shelf.with_copy(manifest))


def _record(store: str, panel: str, server: str, shelf: Shelf) -> ShelfRecord:
    """Return what the catalogue holds of a shelf."""
    manifests = shelf.manifests.values()
    holding = Holding(
        store=store,
        panel=panel,
        server_uuid=server,
        seen_at=shelf.seen_at,
        copies=len(manifests),
        bytes=sum(one.stored.bytes for one in manifests),
        newest=max((one.backup.created_at for one in manifests), default=None),
    )
    return ShelfRecord(holding, write_shelf(shelf))
