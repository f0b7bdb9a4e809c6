"""Which copies the catalogue knows as whole: their data is never cleared away, whatever becomes of their manifests
(invariant 13).

Worked out a second time, from what each store showed to a process, and from when that wrote the catalogue.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from daemon.stores.base import Entry
from tests.simulation.oracle import Row

MANIFEST = ".json"
Place = tuple[str, str]
"""A store, and a server by its uuid."""


class KnownWhole:
    """Remembers the size of the data of each copy that the catalogue knows as whole, or knew until its manifest was
    gone.
    """

    def __init__(self) -> None:
        self._shown: dict[tuple[str, Place], tuple[Mapping[str, int], Mapping[str, int]]] = {}
        self._known: defaultdict[Place, dict[str, int]] = defaultdict(dict)

    def shown(self, process: str, place: Place, entries: Sequence[Entry], whole: Sequence[Row]) -> None:
        """A store shows a process what it has of a server, and which of it are whole copies."""
        sizes = {entry.key: entry.size for entry in entries}
        self._shown[process, place] = sizes, {row.uuid: sizes[row.uuid] for row in whole}

    def written(self, process: str, place: Place) -> None:
        """The catalogue holds what was shown last: what was known, and lies there alone as it did, stays known."""
        if (process, place) not in self._shown:
            return
        sizes, whole = self._shown[process, place]
        stays = {
            key: size
            for key, size in self._known[place].items()
            if sizes.get(key) == size and key + MANIFEST not in sizes
        }
        self._known[place] = {**stays, **whole}

    def forget(self) -> None:
        """The catalogue is again what it was earlier: what it knows now is not worked out."""
        self._shown.clear()
        self._known.clear()

    def knows(self, place: Place, key: str, size: int) -> bool:
        """Whether data of that size is known to be that of a whole copy."""
        return self._known[place].get(key) == size
