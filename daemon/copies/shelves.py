"""The shelves that are remembered, of every store and server; and a look into a store, which renews them."""

from collections.abc import Iterator, Sequence

from daemon.clock import Clock
from daemon.copies.manifest import Manifest
from daemon.copies.shelf import Shelf, look_at_all, look_into, read_shelf, write_shelf
from daemon.state.local.catalogue import Catalogue
from daemon.stores.base import Store


class Shelves:
    """The catalogue, as shelves."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock

    def of(self, store: str, panel: str, server: str) -> Shelf | None:
        """Return what was last seen; None where nothing is remembered."""
        return read_shelf(self._catalogue.read(store, panel, server))

    def known(self, stores: Sequence[str], panel: str, server: str) -> Iterator[tuple[str, Shelf]]:
        """Yield the stores in which something of this server was seen, in that order, with what was.

        `server` is a uuid, or the identifier that one begins with.
        """
        there = self._catalogue.known()
        for store in stores:
            for kept_in, its_panel, uuid in there:
                meant = (kept_in, its_panel) == (store, panel) and uuid.startswith(server)
                if meant and (shelf := self.of(store, panel, uuid)) is not None:
                    yield store, shelf

    def in_store(self, store: str) -> list[Shelf]:
        """Return all that was last seen in a store."""
        found = (self.of(*place) for place in self._catalogue.known() if place[0] == store)
        return [shelf for shelf in found if shelf is not None]

    async def look(self, name: str, store: Store, panel: str, server: str) -> Shelf:
        """Look into a store for one server's copies, and remember them; raises StoreError, StateError."""
        shelf = await self.see(name, store, panel, server)
        self.remember(name, panel, server, shelf)
        return shelf

    async def see(self, name: str, store: Store, panel: str, server: str) -> Shelf:
        """Look into a store for one server's copies; raises StoreError."""
        return await look_into(store, panel, server, self.of(name, panel, server), self._clock.now())

    def remember(self, name: str, panel: str, server: str, shelf: Shelf) -> None:
        """Remember what was seen; raises StateError."""
        self._catalogue.write(name, panel, server, write_shelf(shelf))

    async def rescan(self, name: str, store: Store) -> list[Shelf]:
        """Look at all of a store, remember what is there and nothing else; raises StoreError, StateError."""
        seen = await look_at_all(store, lambda panel, server: self.of(name, panel, server), self._clock.now())
        for panel, server in seen:
            self._catalogue.write(name, panel, server, write_shelf(seen[panel, server]))
        for kept_in, panel, server in self._catalogue.known():
            if kept_in == name and (panel, server) not in seen:
                self._catalogue.forget(name, panel, server)
        return list(seen.values())

    def add(self, name: str, manifest: Manifest) -> None:
        """Remember a copy that was just made; raises StateError."""
        panel, server = manifest.server.panel, manifest.server.uuid
        shelf = self.of(name, panel, server) or Shelf(self._clock.now())
        self.remember(name, panel, server, shelf.with_copy(manifest))
