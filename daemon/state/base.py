"""What a state engine offers the rest of the daemon: a journal (`journal`), locks, which daemon runs, how the members
of a cluster share the fleet, and the catalogue of copies.

A call is awaited if its result decides something, or if a database over a network would have to be waited for. What
must hold:

A call that fails raises StateError, or JournalBusyError if the trouble passes by itself; the next call tries again. A
cancelled call may be done all the same.

Nothing secret may be stored: no key, no signed URL.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from daemon.core.agreement import Opinion
from daemon.state.journal import Journal
from daemon.state.values import (
    ClusterSeen,
    Holding,
    SharesSeen,
    ShelfRecord,
    StateNote,
    UnderWay,
)


class Locks(Protocol):
    """One rotation at a time per server, across the tasks and processes that share the state."""

    def held(self, server_uuid: str, part: str | None = None) -> AbstractAsyncContextManager[None]:
        """Hold the server's lock, which ends with the block, or with the process, however that ends.

        In a cluster it is only given to the member that holds that `part` of the fleet, and ends with that as well.
        Raises ServerBusyError at once if another holds either; StateError if it cannot be taken.
        """
        ...

    async def is_held(self, server_uuid: str) -> bool:
        """Return whether the server is known to be rotated now; never takes the lock, and raises nothing."""
        ...

    async def check(self) -> None:
        """Find out whether locks can be taken, and create none; raises StateError if they cannot."""
        ...


class Presence(Protocol):
    """Which daemons run on the state. Trouble with it stops no daemon; the daemon is just not known."""

    def known(self) -> AbstractAsyncContextManager[int | None]:
        """Be known as a daemon; give the process id of another one that is known, or None."""
        ...

    async def daemon(self) -> int | None:
        """Return the process id of a daemon that is known to run; None if there is none."""
        ...


class Shares(Protocol):
    """How the daemons of a cluster share the fleet: each part is held by one of them at most (invariant 20)."""

    async def look(self) -> SharesSeen:
        """Return how it is shared out now; raises StateError."""
        ...

    async def at_work(self, part: str) -> bool:
        """Return whether a live member holds the lock of a server within a part: it is rotated, or copied. Raises
        StateError.
        """
        ...

    async def under_way(self) -> Sequence[UnderWay]:
        """Return the rotations that other live processes have under way. Raises StateError."""
        ...

    def in_use(self) -> Collection[str]:
        """Return the parts within which this process holds the lock of a server."""
        ...

    async def take(self, part: str) -> bool:
        """Hold a part, unless another live member does; return whether we do. Raises StateError."""
        ...

    async def give(self, part: str) -> None:
        """Let another member take a part at once, and with it the servers' locks within it. Raises StateError."""
        ...

    async def publish(self, opinion: Opinion) -> None:
        """Let all members know what this one goes by; ask nothing of the database if they do. Raises StateError."""
        ...

    async def tell_cut_off(self, panels: AbstractSet[str]) -> None:
        """Let all members know which panels this one cannot reach, as `publish` does. Raises StateError."""
        ...

    async def place(self, panel: str, nodes: Mapping[str, str]) -> None:
        """Let all members know the nodes of some of a panel's servers, by their configured ids. Raises StateError."""
        ...


class Membership(Protocol):
    """A cluster as an operator sees it, and the members that are sent out. Every call may raise StateError."""

    async def seen(self) -> ClusterSeen:
        """Return the whole cluster as it is now; make no tables."""
        ...

    async def send_out(self, name: str) -> None:
        """Let a member hand over what it holds, and take nothing more."""
        ...

    async def evict(self, name: str) -> list[int]:
        """Send a member out, and end all that it holds at once; return the epochs that ended."""
        ...

    async def call_back(self, name: str) -> bool:
        """Let it act again; return whether it was out."""
        ...


class Leadership(Protocol):
    """This process as one of the daemons on one state, which share the work (invariant 20)."""

    @property
    def shares(self) -> Shares | None:
        """How the fleet is shared; None if this daemon is alone, and so acts for all of it."""
        ...

    @property
    def membership(self) -> Membership | None:
        """The cluster as an operator sees it; None if there is none."""
        ...

    async def join(self) -> None:
        """Be one of them; raises StateError if that cannot be."""
        ...

    async def lost(self) -> None:
        """Return when others may act for what we act for."""
        ...

    async def give_up(self) -> None:
        """Leave, so that others can act for what we held at once."""
        ...

    def hindrance(self, *, creates: bool) -> str:
        """Return why no write may leave for a panel now; empty if one may. `creates` says that it makes a backup."""
        ...


class Catalogue(Protocol):
    """What was last seen in the stores of copies, and this installation's id. Every call may raise StateError.

    All but the id is a cache of what the stores hold, and of what was adopted there: what is damaged is as if absent,
    and reading creates nothing.
    """

    async def installation(self) -> str:
        """Return this installation's id, which every manifest names; made at the first call, and kept."""
        ...

    async def shelf(self, store: str, panel: str, server_uuid: str) -> ShelfRecord | None:
        """Return what was last seen of a server in a store; None if nothing is known."""
        ...

    async def shelves(self, panel: str, server_id: str) -> list[ShelfRecord]:
        """Return, by store, what was last seen of the panel's server whose uuid is `server_id`, or begins so."""
        ...

    async def holdings(self, store: str | None = None) -> list[Holding]:
        """Return what a store was seen to hold of each server, or every store: in one query, without the details."""
        ...

    async def remember(self, record: ShelfRecord) -> None:
        """Record what was seen of a server in a store, in place of what was known."""
        ...

    async def replace(self, store: str, records: Iterable[ShelfRecord]) -> None:
        """Record what was seen in a store, in place of all that was known of it: all of it or nothing."""
        ...


class Engine(Protocol):
    """Where state is kept. It opens nothing until it is asked."""

    @property
    def locks(self) -> Locks:
        """Its locks."""
        ...

    @property
    def presence(self) -> Presence:
        """Its daemons."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """Its catalogue of copies."""
        ...

    @property
    def leadership(self) -> Leadership:
        """This process as a member of a cluster."""
        ...

    async def open(self) -> Journal:
        """Open the journal, creating it if it is missing; raises StateError if that is impossible."""
        ...

    async def look(self) -> Journal | None:
        """Open the journal for reading; None if there is none, since reading creates none. Raises StateError."""
        ...

    async def check(self) -> Sequence[StateNote]:
        """Find out whether journal and locks can be kept, and create nothing; StateError says why not. Return what an
        operator should know of the place.
        """
        ...

    def close(self) -> None:
        """Release what the engine itself needs, after all earlier calls; its journals are closed first."""
        ...
