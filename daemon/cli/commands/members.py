"""Which member of a cluster holds which nodes, and so acts for which servers: for `status`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.cli.commands.standing import Shown
from daemon.core.shares import node_of, node_part
from daemon.documents.commands import Document
from daemon.state import Engine

NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Members:
    """The parts of the fleet that each member holds, by its name."""

    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def member_of(self, shown: Shown) -> str | None:
        """Return who holds the node on which a server was seen last; None if it was not seen, or nobody does."""
        snapshot = shown.history.snapshot
        part = "" if snapshot is None else node_part(shown.panel, snapshot.node)
        return next((name for name, parts in self.parts.items() if part in parts), None)

    def in_words(self, shown: Shown) -> str:
        """Return who acts for a server, or that nobody does; `-` if it is not known where the server is."""
        return self.member_of(shown) or ("-" if shown.history.snapshot is None else NOBODY)

    def documents(self) -> list[Document]:
        """Return each member with the nodes that it holds, as `/api/status` does."""
        found = ((name, sorted(filter(None, map(node_of, parts)))) for name, parts in self.parts.items())
        return [
            {"member": name, "nodes": [{"panel": panel, "node": node} for panel, node in nodes]}
            for name, nodes in found
        ]


async def look_at_members(engine: Engine) -> Members | None:
    """Return what each live member holds, by name; None if the state is no cluster's. Raises StateError."""
    membership = engine.leadership.membership
    if membership is None:
        return None
    seen, parts = await membership.seen(), dict[str, frozenset[str]]()
    acting = {one.epoch for one in seen.acting}
    for one in seen.daemons:  # one that was sent out may still hold something
        if one.holds or one.epoch in acting:
            parts[one.name] = parts.get(one.name, frozenset()).union(one.holds)
    return Members(dict(sorted(parts.items())))
