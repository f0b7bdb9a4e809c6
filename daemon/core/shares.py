"""Who of several members acts for which part of the fleet: spread evenly, with as few moves as possible.

A part that a member holds stays with it, unless it holds more than its fair number. A part that nobody holds goes to
the member that rendezvous hashing ranks first among those that hold too few. So all members that see the same leases
come to the same result without a word to each other, and one that comes or goes moves no part but those that it must.
Not every member can reach every panel (`core/cut_off`); then it is as even as that allows.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping

from daemon.core.digest import hashed
from daemon.core.spread import Kind, spread

Member = tuple[str, int]
"""A member's name, and its epoch: no two have the same."""

FLEET = "fleet"
"""The part that is of no panel: what is looked at once for the whole fleet."""

NODE = "node "
"""Before a panel's name and a node's."""

PANEL = "panel "
"""Before a panel's name."""


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
    return f"{PANEL}{panel}"


def node_part(panel: str, node: str) -> str:
    """Return the part of the servers on a node."""
    return f"{NODE}{panel}/{node_key(node)}"


def node_of(part: str) -> tuple[str, str] | None:
    """Return the panel's name and the node's of such a part; None for any other part."""
    if not part.startswith(NODE):
        return None
    panel, _, node = part.removeprefix(NODE).partition("/")  # no panel's name holds a slash
    return panel, node


def panel_of(part: str) -> str | None:
    """Return the panel's name of a part; None for one that is of no panel."""
    if (found := node_of(part)) is not None:
        return found[0]
    return part.removeprefix(PANEL) if part.startswith(PANEL) else None


def shared_out(
    parts: Collection[str],
    members: Collection[Member],
    held: Mapping[str, Member],
    only_for: Mapping[str, Collection[Member]] = {},
) -> dict[str, Member]:
    """Given all parts, the live members, and who of them holds what, return which member is to hold each part.

    No two members differ by more than one part, if any may hold each. A part that is `only_for` some live members goes
    to one of those; then it is as even as can be. Nothing is returned where there is no member.
    """
    if not members:
        return {}
    kinds: defaultdict[Kind, list[str]] = defaultdict(list)
    for part in sorted(parts):
        kinds[tuple(sorted(only_for.get(part, members)))].append(part)
    owned = {
        kind: {one: [part for part in alike if held.get(part) == one] for one in kind} for kind, alike in kinds.items()
    }
    counted = {kind: {one: len(has) for one, has in each.items()} for kind, each in owned.items()}
    total = {one: sum(each.get(one, 0) for each in counted.values()) for one in members}
    fullest = sorted(members, key=lambda one: (-total[one], one))
    rooms = spread({kind: len(alike) for kind, alike in kinds.items()}, counted, fullest)
    shared: dict[str, Member] = {}
    for kind, alike in kinds.items():
        shared |= _by_room(alike, owned[kind], rooms[kind])
    return shared


def _by_room(
    parts: Collection[str], owned: Mapping[Member, Collection[str]], rooms: Mapping[Member, int]
) -> dict[str, Member]:
    """Return who is to hold each of these parts, given how many of them each member is to hold."""
    room = dict(rooms)
    shared: dict[str, Member] = {}
    for one, has in owned.items():
        for part in _ranked(has, one)[: room[one]] if len(has) > room[one] else has:
            shared[part] = one
            room[one] -= 1
    for part in sorted(set(parts) - shared.keys()):
        one = max((one for one in room if room[one]), key=lambda one: (_weight(part, one), one))
        shared[part] = one
        room[one] -= 1
    return shared


def _ranked(parts: Collection[str], one: Member) -> list[str]:
    """Return the parts, those first that are this member's by their hashes more than others are."""
    return sorted(parts, key=lambda part: (_weight(part, one), part), reverse=True)


def _weight(part: str, one: Member) -> str:
    """Return the rank of a member for a part: by its name, so that a restart does not change it."""
    return hashed(f"{part}\0{one[0]}")
