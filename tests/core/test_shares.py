"""How the fleet is shared out among the members of a cluster."""

from collections import Counter
from collections.abc import Mapping
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.shares import FLEET, NODE, Member, node_key, node_of, node_part, panel_of, panel_part, shared_out

PARTS = st.sets(st.text("abcdef/ ", min_size=1, max_size=4), max_size=40)
MEMBERS = st.sets(st.tuples(st.sampled_from("pqrst"), st.integers(1, 9)), min_size=1, max_size=6)


@st.composite
def fleets(draw: st.DrawFn) -> tuple[set[str], set[Member], dict[str, Member]]:
    """Some parts, some members, and who holds what, however unevenly; some holders are dead."""
    parts, members = draw(PARTS), draw(MEMBERS)
    holders = st.sampled_from([*sorted(members), ("dead", 0), None])
    held = {part: one for part in sorted(parts) if (one := draw(holders)) is not None}
    return parts, members, held


def loads(shared: Mapping[str, Member], members: set[Member]) -> list[int]:
    """How many parts each member has."""
    counted = Counter(shared.values())
    return [counted[one] for one in sorted(members)]


@given(fleets())
def test_each_part_has_one_live_member_and_none_has_more_than_one_part_beyond_another(
    fleet: tuple[set[str], set[Member], dict[str, Member]],
) -> None:
    """Whoever holds what before."""
    parts, members, held = fleet
    shared = shared_out(parts, members, held)
    assert shared.keys() == parts
    assert set(shared.values()) <= members
    found = loads(shared, members)
    assert max(found) - min(found) <= 1


@given(fleets())
def test_no_more_is_moved_than_evenness_asks_for(fleet: tuple[set[str], set[Member], dict[str, Member]]) -> None:
    """Each member keeps what it holds, up to its number; and what is shared out stays as it is."""
    parts, members, held = fleet
    shared = shared_out(parts, members, held)
    few, more = divmod(len(parts), len(members))
    before = sorted((sum(held.get(part) == one for part in parts) for one in members), reverse=True)
    kept = sum(min(number, few + (place < more)) for place, number in enumerate(before))
    assert sum(held.get(part) == one for part, one in shared.items()) == kept
    assert shared_out(parts, members, shared) == shared


@st.composite
def restricted(
    draw: st.DrawFn,
) -> tuple[list[str], list[Member], dict[str, Member], dict[str, frozenset[Member]]]:
    """A small fleet of which some parts are for some members alone, by the panel that they are of."""
    parts = draw(st.lists(st.sampled_from("abcdefg"), max_size=6, unique=True))
    members = draw(st.lists(st.sampled_from([("p", 1), ("q", 2), ("r", 3)]), min_size=1, unique=True))
    holders = st.sampled_from([*members, ("dead", 0), None])
    held = {part: one for part in parts if (one := draw(holders)) is not None}
    some = st.frozensets(st.sampled_from(members), min_size=1)
    panels = draw(st.lists(some, min_size=1, max_size=3))
    return parts, members, held, {part: draw(st.sampled_from(panels)) for part in parts if draw(st.booleans())}


@given(restricted())
def test_where_not_all_may_hold_a_part_it_is_as_even_as_can_be_and_then_as_few_move_as_can(
    fleet: tuple[list[str], list[Member], dict[str, Member], dict[str, frozenset[Member]]],
) -> None:
    """Of all ways in which the parts can be held, none is better; and what is shared out stays as it is."""
    parts, members, held, only_for = fleet

    def merit(shared: Mapping[str, Member]) -> tuple[list[int], int]:
        return sorted(loads(shared, {*members}), reverse=True), sum(
            held.get(part) != one for part, one in shared.items()
        )

    shared = shared_out(parts, members, held, only_for)
    assert shared.keys() == set(parts)
    assert all(one in only_for.get(part, members) for part, one in shared.items())
    ways = product(*(only_for.get(part, members) for part in parts))
    assert merit(shared) == min(merit(dict(zip(parts, way, strict=True))) for way in ways)
    assert shared_out(parts, members, shared, only_for) == shared


@given(restricted(), st.randoms(use_true_random=False))
def test_where_not_all_may_hold_a_part_all_members_come_to_the_same(
    fleet: tuple[list[str], list[Member], dict[str, Member], dict[str, frozenset[Member]]], order: Random
) -> None:
    """In whatever order they learn of anything."""
    parts, members, held, only_for = fleet
    mixed = list(parts), list(members), list(held.items()), list(only_for.items())
    for one in mixed:
        order.shuffle(one)
    again = shared_out(mixed[0], mixed[1], dict(mixed[2]), dict(mixed[3]))
    assert again == shared_out(parts, members, held, only_for)


@given(restricted())
def test_each_part_that_is_passed_on_is_one_fewer_to_pass_on(
    fleet: tuple[list[str], list[Member], dict[str, Member], dict[str, frozenset[Member]]],
) -> None:
    """All is computed anew after each: it comes to an end, and goes by no detour."""
    parts, members, held, only_for = fleet

    def moving() -> dict[str, Member]:
        shared = shared_out(parts, members, held, only_for)
        return {part: one for part, one in shared.items() if held.get(part) != one}

    left = moving()
    while left:
        part = min(left)
        held[part] = left[part]
        before, left = len(left), moving()
        assert len(left) == before - 1


@given(fleets(), st.randoms(use_true_random=False))
def test_all_members_come_to_the_same(fleet: tuple[set[str], set[Member], dict[str, Member]], order: Random) -> None:
    """In whatever order they learn of the parts and of each other."""
    parts, members, held = fleet
    mixed = list(parts), list(members), list(held.items())
    for one in mixed:
        order.shuffle(one)
    assert shared_out(mixed[0], mixed[1], dict(mixed[2])) == shared_out(parts, members, held)


@given(PARTS, MEMBERS)
def test_the_parts_of_one_that_leaves_go_to_the_others_and_nothing_else_moves(
    parts: set[str], members: set[Member]
) -> None:
    """The same of one that comes: it gets its number, and no part goes from one of the others to another."""
    newcomer = ("new", 10)
    before = shared_out(parts, members, {})
    both = shared_out(parts, members | {newcomer}, before)
    assert {one for part, one in both.items() if before[part] != one} <= {newcomer}
    after = shared_out(parts, members, {part: one for part, one in both.items() if one != newcomer})
    assert all(after[part] == one for part, one in both.items() if one != newcomer)


def test_without_members_nobody_holds_anything() -> None:
    """This one is cut off from the others."""
    assert shared_out({"a"}, set(), {}) == {}


def test_a_node_is_of_one_panel() -> None:
    """Two panels may name their nodes alike."""
    assert len({node_part("main", "n"), node_part("other", "n"), panel_part("main")}) == 3


@pytest.mark.parametrize("node", ["n\0", "n\n", "n" * 201, "\ud800"])
def test_a_node_that_no_database_takes_goes_by_a_digest(node: str) -> None:
    """A broken panel shows it; it is short, and stays as it is when it comes back from the database."""
    key = node_key(node)
    assert (key.isprintable(), len(key) < 50, node_key(key)) == (True, True, key)
    assert node_part("main", node) == node_part("main", key) != node_part("main", node_key(node + "\0"))


def test_a_part_tells_its_node_if_it_is_one() -> None:
    """A node's name may hold a slash, a panel's may not."""
    assert [node_of(one) for one in (node_part("main", "fsn/1"), panel_part("main"), FLEET)] == [
        ("main", "fsn/1"),
        None,
        None,
    ]


def test_a_part_tells_its_panel_if_it_is_of_one() -> None:
    """A node's, or that of the servers whose node is not known."""
    parts = node_part("main", "fsn/1"), panel_part("main"), FLEET
    assert [panel_of(one) for one in parts] == ["main", "main", None]


def test_other_nodes_go_by_their_names() -> None:
    """However long they may be."""
    assert [node_key(one) for one in ("n", "", "Frankfurt 1 (ß)", "n" * 200)] == ["n", "", "Frankfurt 1 (ß)", "n" * 200]


def test_every_version_calls_a_part_the_same() -> None:
    """Leases are in the database by these names."""
    assert (FLEET, NODE, panel_part("main"), node_part("main", "n")) == ("fleet", "node ", "panel main", "node main/n")
    assert node_key("n\0") == "node-04362c652aecb4af6a32d20533358894"


def test_every_version_shares_out_the_same() -> None:
    """Members of two versions would pass parts to and fro otherwise."""
    one, two, three = members = [("a", 3), ("b", 1), ("c", 2)]
    anew = {"u": three, "v": two, "w": three, "x": one, "y": two, "z": one}
    assert shared_out("uvwxyz", members, {}) == anew
    held = dict.fromkeys("tuvwx", one)
    evened = {"t": one, "u": three, "v": one, "w": three, "x": one, "y": two, "z": two}
    assert shared_out("tuvwxyz", members, held) == evened
