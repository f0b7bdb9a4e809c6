"""Where a store's copy of a backup comes from: the node that has it, or another store that has a copy.

What must hold: what is encrypted is carried over as it is, and only to a store for the same recipients, since nobody
here can read it; and no way is left untried that may work.

The order. First copies in folders: reading one costs nothing, and the node, where games run, has no work with it. Then
the node. Only then stores that are reached over a network, since many services charge for what is read from them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Recipients = frozenset[str]
"""For whom a copy is encrypted; empty for a plain one."""


@dataclass(frozen=True, slots=True)
class Held:
    """A whole copy of a backup in a store. `near` says that the store is a folder of this machine."""

    store: str
    recipients: Recipients
    near: bool

    def serves(self, recipients: Recipients) -> bool:
        """Return whether a copy for these recipients can be made of it."""
        return not self.recipients or self.recipients == recipients


@dataclass(frozen=True, slots=True)
class Way:
    """A way to bring a backup to these stores: from the store `source`, None for the node."""

    source: str | None
    stores: tuple[str, ...]


def ways(held: Iterable[Held], targets: Mapping[str, Recipients], *, on_panel: bool) -> tuple[Way, ...]:
    """Return all ways to bring a backup to the stores `targets`, the best first.

    A store is named in each way that could fill it: the next one is for what the one before did not bring about.
    `on_panel` says that the panel has the backup.
    """
    there = sorted((one for one in held if one.store not in targets), key=lambda one: bool(one.recipients))
    near = [_way(one, targets) for one in there if one.near]
    far = [_way(one, targets) for one in there if not one.near]
    node = [Way(None, tuple(targets))] if on_panel else []
    return tuple(way for way in (*near, *node, *far) if way.stores)


def _way(one: Held, targets: Mapping[str, Recipients]) -> Way:
    return Way(one.store, tuple(name for name, recipients in targets.items() if one.serves(recipients)))
