"""Whether the members of a cluster would decide alike on a server, or in a store (invariant 20).

Each member publishes its opinion: the version of this core's decisions, and a digest of what is configured for each
server and store. Where the opinions of two that act differ, neither deletes: an upgrade, or a change of the
configuration, reaches one member after the other.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from daemon.core.digest import hashed
from daemon.core.shares import Member
from daemon.core.words import first_few

DECISIONS = 1
"""Raise this with every change that makes the core delete what it kept, or keep what it deleted."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a member decides by: the version of the decisions, and for each server's and store's key a digest of what is
    configured for it.

    `digest` is of both: two with the same digest agree on everything.
    """

    decisions: int
    rules: Mapping[str, str]
    digest: str

    @classmethod
    def of(cls, rules: Mapping[str, str], decisions: int = DECISIONS) -> "Opinion":
        """Return the opinion of a member with these rules."""
        return cls(
            decisions, rules, hashed("\n".join((str(decisions), *(f"{key} {rules[key]}" for key in sorted(rules)))))
        )


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Where members would decide differently: on the servers and in the stores of these `keys`, or everywhere, since
    they run different `versions` of the decisions.
    """

    keys: frozenset[str] = frozenset()
    versions: bool = False

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return self.versions or bool(self.keys)


AGREED = Disagreement()

VERSIONS = "members of the cluster run versions that decide differently"
UNCOMPARED = "the cluster's database did not say whether its members would decide alike, so nothing is deleted"
CONFIGURATIONS = "members of the cluster have different configurations of"

NAMED = 5
"""How many servers and stores are named in a sentence; more are counted."""


def server_key(url: str, identifier: str) -> str:
    """Return the key by which all members know a server, whatever each calls it: its panel's URL, and the first 8
    characters of its id, which are the same in the short form and the long one.
    """
    return f"{url} {identifier[:8].lower()}"


def discover_key(panel: str) -> str:
    """Return the key by which all members know the servers that are discovered on a panel."""
    return f"panels.{panel}.discover"


def store_key(name: str) -> str:
    """Return the key by which all members know a store."""
    return f"store {name}"


def disagreement(opinions: Collection[Opinion | None]) -> Disagreement:
    """Given the opinion of each member that acts, None for one without, return where they differ.

    A member without an opinion runs a version that knows of none. A server that only some of them have counts.
    """
    said = {one.digest: one for one in opinions if one is not None}
    if None in opinions or len({one.decisions for one in said.values()}) > 1:
        return Disagreement(versions=True)
    first, *others = said.values() or (None,)
    if first is None:
        return AGREED
    return Disagreement(frozenset(key for one in others for key, _ in first.rules.items() ^ one.rules.items()))


def of_those_that_act(
    opinions: Mapping[Member, Opinion], sharing: Collection[Member], held: Mapping[str, Member]
) -> dict[Member, Opinion | None]:
    """Given what members said, which of them take nodes, and who holds what, return the opinions that count.

    One that has just joined, and has neither said anything nor taken anything, does not act yet. One that was sent out
    and has handed over does not act any more.
    """
    acting = {*held.values(), *(one for one in sharing if one in opinions)}
    return {one: opinions.get(one) for one in sorted(acting)}


def differing_on(where: Disagreement, *keys: str) -> str:
    """Return why nothing is deleted on a server, or of it in a store; empty if all agree on these keys."""
    if where.versions:
        return f"{VERSIONS}, so nothing is deleted"
    return "" if where.keys.isdisjoint(keys) else f"{CONFIGURATIONS} it, so nothing is deleted"


def in_words(where: Disagreement, names: Mapping[str, str]) -> str:
    """Return a disagreement as a sentence, with the servers' `names` by their keys, as far as they are known."""
    if where.versions:
        return VERSIONS
    return f"{CONFIGURATIONS} {listed(where.keys, names)}"


def listed(keys: Collection[str], names: Mapping[str, str]) -> str:
    """Return the first few of these keys by name, as far as it is known, and how many more there are."""
    return first_few(sorted(names.get(key, key) for key in keys), NAMED)
