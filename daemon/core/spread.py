"""How many parts of each kind each member is to hold, where not every member may hold every kind.

The numbers are as even as that allows and, of all that are, those that keep the most parts where they are: a flow of
least cost. Parts are added one at a time, each by the cheapest way: to a member with room, or to one that makes room by
passing a part of another kind on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

_Member = tuple[str, int]
"""As in `core/shares`, which asks here."""

Kind = tuple[_Member, ...]
"""The members that may hold a part, in their order: all parts of which the same may are alike."""

Numbers = Mapping[Kind, Mapping[_Member, int]]

_Way = tuple[tuple[Kind, _Member], ...]
"""A part of the first kind goes to the first member, which passes one of the second kind to the second, and so on."""


def spread(sizes: Mapping[Kind, int], owned: Numbers, members: Sequence[_Member]) -> dict[Kind, dict[_Member, int]]:
    """Given how many parts of each kind there are, and how many of them each member holds, return how many it is to
    hold. Of those that are alike, the first of the `members` gets more.
    """
    numbers = {kind: dict.fromkeys(kind, 0) for kind in sorted(sizes)}
    place = {one: number for number, one in enumerate(members)}
    load: Counter[_Member] = Counter()
    for kind in numbers:
        for _ in range(sizes[kind]):
            ways = _ways(kind, numbers, owned)
            last = min(ways, key=lambda one: (load[one], ways[one][0], place[one]))
            load[last] += 1
            before: _Member | None = None
            for passed, one in ways[last][1]:
                numbers[passed][one] += 1
                if before is not None:
                    numbers[passed][before] -= 1
                before = one
    return numbers


def _ways(first: Kind, numbers: Numbers, owned: Numbers) -> dict[_Member, tuple[int, _Way]]:
    """Return the cheapest way of one more part of a kind to each member that it can reach, and what it costs: how many
    parts fewer stay where they are.
    """
    ways: dict[_Member, tuple[int, _Way]] = {
        one: (-(numbers[first][one] < owned[first][one]), ((first, one),)) for one in first
    }
    found = len(numbers) > 1
    while found:
        found = False
        for one, (cost, way) in list(ways.items()):
            for kind, has in numbers.items():
                if not has.get(one):
                    continue
                passed_on = cost + (has[one] <= owned[kind][one])
                for other in kind:
                    costs = passed_on - (has[other] < owned[kind][other])
                    if other not in ways or costs < ways[other][0]:
                        ways[other] = costs, (*way, (kind, other))
                        found = True
    return ways
