"""The leases and the nodes of a cluster in memory: what one database shows all members, and what each asks of it."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from daemon.core.agreement import Opinion
from daemon.core.shares import Member
from daemon.errors import StateError
from daemon.state import SharesSeen, UnderWay


@dataclass
class Table:
    """The leases and the nodes, as one database would hold them for all."""

    held: dict[str, Member] = field(default_factory=dict)
    members: set[Member] = field(default_factory=set)
    out: set[Member] = field(default_factory=set)
    nodes: dict[tuple[str, str], str] = field(default_factory=dict)
    opinions: dict[Member, Opinion] = field(default_factory=dict)
    cut_off: dict[Member, frozenset[str]] = field(default_factory=dict)
    trouble: StateError | None = None
    ended: dict[Member, list[str]] = field(default_factory=dict)
    """The servers whose rotations ended, as far as that was not told to the member yet."""

    refused: set[str] = field(default_factory=set)
    """Parts that cannot be taken, and servers that cannot be placed."""

    refusal: StateError = field(default_factory=lambda: StateError("no row can hold this"))

    taken: int = 0
    placed: int = 0

    def of(self, me: Member) -> "Shares":
        """What a member sees of it."""
        self.members.add(me)
        return Shares(self, me)


@dataclass
class Shares:
    """One member's view of the table."""

    table: Table
    me: Member
    locked: set[str] = field(default_factory=set)
    trouble: StateError | None = None

    async def look(self) -> SharesSeen:
        """All there is."""
        self._must_answer()
        members, out = frozenset(self.table.members), frozenset(self.table.out)
        return SharesSeen(
            self.me,
            members - out,
            dict(self.table.held),
            dict(self.table.nodes),
            frozenset(self.table.ended.pop(self.me, ())),
            members & out,
            dict(self.table.opinions),
            cut_off={one: panels for one, panels in self.table.cut_off.items() if panels},
        )

    async def publish(self, opinion: Opinion) -> None:
        """Everybody learns of it."""
        self._must_answer()
        self.table.opinions[self.me] = opinion

    async def tell_cut_off(self, panels: AbstractSet[str]) -> None:
        """Everybody learns of it."""
        self._must_answer()
        self.table.cut_off[self.me] = frozenset(panels)

    async def at_work(self, part: str) -> bool:
        """Nobody holds a lock."""
        return not part

    async def under_way(self) -> list[UnderWay]:
        """Nothing."""
        return []

    def in_use(self) -> set[str]:
        """Where this member has locks."""
        return self.locked

    async def take(self, part: str) -> bool:
        """The first one has it."""
        self.table.taken += 1
        self._must_fit(part)
        return self.table.held.setdefault(part, self.me) == self.me

    async def give(self, part: str) -> None:
        """Nobody has it."""
        del self.table.held[part]

    async def place(self, panel: str, nodes: Mapping[str, str]) -> None:
        """Everybody learns of it."""
        self.table.placed += 1
        self._must_fit(*nodes)
        self.table.nodes.update({(panel, server): node for server, node in nodes.items()})

    def cut_off(self) -> None:
        """Reach the database no more."""
        self.trouble = StateError("out of reach")

    def die(self) -> None:
        """Have a lease that is over: the others take what it held."""
        self.table.members.discard(self.me)
        self.table.held = {part: one for part, one in self.table.held.items() if one != self.me}

    def _must_answer(self) -> None:
        for trouble in (self.trouble, self.table.trouble):
            if trouble is not None:
                raise trouble

    def _must_fit(self, *values: str) -> None:
        self._must_answer()
        if self.table.refused.intersection(values):
            raise self.table.refusal
