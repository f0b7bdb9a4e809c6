"""Who of several members acts for which part of the fleet: spread evenly, with as few moves as possible.

A part that a member holds stays with it, unless it holds more than its fair number. A part that nobody holds goes to
the member that rendezvous hashing ranks first among those that hold too few. So all members that see the same leases
come to the same result without a word to each other, and one that comes or goes moves no part but those that it must.
"""

from collections.abc import Collection, Mapping

from daemon.core.digest import hashed

Member = tuple[str, int]
"""A member's name, and its epoch: no two have the same."""

FLEET = "fleet"
"""The part that is of no panel: what is looked at once for the whole fleet."""

NODE = "node "
"""Before a panel's name and a node's."""


LONGEST_NODE = 200
"""Characters of a node's name; a longer one fits no index of the database."""


def node_key(node: str) -> str:
    """Return what the members call a node: its name, or a digest of one that the database may refuse, since the panel
    that shows it is broken or hostile. What it returns stays the same if it is given again.
    """
    if len(node) <= LONGEST_NODE and node.isprintable():
        return node
    return f"node-{hashed(node, 16)}"


def panel_part(panel: str) -> str:
    """Return the part of the servers of a panel whose node is not known."""
    return f"panel {panel}"


def node_part(panel: str, node: str) -> str:
    """Return the part of the servers on a node."""
    return f"{NODE}{panel}/{node_key(node)}"


def node_of(part: str) -> tuple[str, str] | None:
    """Return the panel's name and the node's of such a part; None for any other part."""
    if not part.startswith(NODE):
        return None
    panel, _, node = part.removeprefix(NODE).partition("/")  # no panel's name holds a slash
    return panel, node


def shared_out(parts: Collection[str], members: Collection[Member], held: Mapping[str, Member]) -> dict[str, Member]:
    """Given all parts, the live members, and who of them holds what, return which member is to hold each part.

    No two members differ by more than one part. Nothing is returned where there is no member.
    """
    if not members:
        return {}
    owned = {one: [part for part in parts if held.get(part) == one] for one in members}
    few, more = divmod(len(parts), len(members))
    fullest = sorted(members, key=lambda one: (-len(owned[one]), one))
    room = {one: few + (place < more) for place, one in enumerate(fullest)}
    shared: dict[str, Member] = {}
    for one in fullest:
        for part in _ranked(owned[one], one) if len(owned[one]) > room[one] else owned[one]:
            if room[one]:
                shared[part] = one
                room[one] -= 1
    for part in sorted(set(parts) - shared.keys()):
        one = max((one for one in members if room[one]), key=lambda one: (_weight(part, one), one))
        shared[part] = one
        room[one] -= 1
    return shared


def _ranked(parts: Collection[str], one: Member) -> list[str]:
    """Return the parts, those first that are this member's by their hashes more than others are."""
    return sorted(parts, key=lambda part: (_weight(part, one), part), reverse=True)


def _weight(part: str, one: Member) -> str:
    """Return the rank of a member for a part: by its name, so that a restart does not change it."""
    return hashed(f"{part}\0{one[0]}")
