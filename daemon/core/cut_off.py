"""When a member of a cluster is cut off from a panel, and who may hold what is of that panel then (invariant 20).

A panel that is down answers no member, so nothing changes hands before another member has had the time to notice that.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from daemon.core.shares import Member, panel_of
from daemon.core.words import first_few

NEVER = float("-inf")
NAMED = 5

Cut = tuple[Member, str]
"""A member, and the name of a panel from which it is cut off."""


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds: for how long no request of a member is answered, though some are made, before it says that it is cut
    off; how long it makes none before it asks for the sake of an answer; and for how long it must be alone in what it
    says. The others ask within a second or two then, and wait for an answer for 70 s at most.
    """

    unanswered: float = 120.0
    between: float = 60.0
    alone: float = 90.0


@dataclass(frozen=True, slots=True)
class Contact:
    """When a panel last answered this process, whatever it answered, and when the first and the last of its requests
    since then got no answer; by the monotonic clock.
    """

    answered: float = NEVER
    first_lost: float = NEVER
    last_lost: float = NEVER

    def with_answer(self, now: float) -> "Contact":
        """Return what is known once the panel has answered."""
        return Contact(answered=now)

    def with_loss(self, now: float) -> "Contact":
        """Return what is known once a request got no answer."""
        return replace(self, first_lost=self.first_lost if self.is_lost else now, last_lost=now)

    @property
    def is_lost(self) -> bool:
        """Whether the last request got no answer."""
        return self.last_lost > NEVER

    def is_cut_off(self, patience: Patience, *, doubted: bool) -> bool:
        """Return whether no request was answered for long. Where another member says that it is cut off, the panel is
        `doubted`, and one request is enough.
        """
        return self.is_lost and (doubted or self.last_lost - self.first_lost >= patience.unanswered)

    def is_to_be_asked(self, now: float, patience: Patience, *, doubted: bool) -> bool:
        """Return whether it is time to ask, since the last request got no answer, or another member's did not."""
        return (self.is_lost or doubted) and now - max(self.answered, self.last_lost) >= patience.between


def alone(said: Mapping[Member, Collection[str]], members: Collection[Member]) -> frozenset[Cut]:
    """Given from which panels each member says that it is cut off, return of which of them another live one says
    nothing.
    """
    return frozenset(
        (one, panel)
        for one in members
        for panel in said.get(one, ())
        if any(panel not in said.get(other, ()) for other in members)
    )


def only_for(
    parts: Collection[str],
    members: Collection[Member],
    held: Mapping[str, Member],
    said: Mapping[Member, Collection[str]],
    lasting: Collection[Cut],
) -> dict[str, frozenset[Member]]:
    """Return who may hold each part of a panel from which a live member says that it is cut off; any may hold others.

    Those that reach the panel may. Who does not keeps what it holds, until that is `lasting`: since long enough it is
    alone in it. Where nobody reaches the panel, any may hold what nobody holds.
    """
    cut = {panel: {one for one in members if panel in said.get(one, ())} for each in said.values() for panel in each}
    found: dict[str, frozenset[Member]] = {}
    for part in parts:
        panel, holder = panel_of(part), held.get(part)
        if panel is not None and (off := cut.get(panel)):
            keeps = {holder} if holder in off and (holder, panel) not in lasting else set()
            found[part] = frozenset((set(members) - off) | keeps) or frozenset(members)
    return found


def in_words(said: Mapping[Member, Collection[str]], members: Collection[Member]) -> list[str]:
    """Return a sentence for each panel from which some of the live members are cut off."""
    sentences = []
    for panel in sorted({panel for one in members for panel in said.get(one, ())}):
        off = sorted(name for name, epoch in members if panel in said.get((name, epoch), ()))
        if len(off) == len(members):
            sentences.append(f"no member of the cluster reaches panel {panel}")
        else:
            who = f"member {off[0]} does" if len(off) == 1 else f"members {first_few(off, NAMED)} do"
            sentences.append(f"{who} not reach panel {panel}, so others are to act for its nodes")
    return sentences
