"""What members of a cluster must not do with stores and proofs that they share."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import daemon.copies.shelf
import daemon.copying.visit
from daemon.copies.shelf import Shelf
from daemon.copies.work import OwnProcess
from daemon.copies.workers import AskLeave
from daemon.copying.copying import Copying
from daemon.core.copies_layout import MANIFEST
from daemon.state.postgres import fence
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.members import Members
from daemon.stores.base import Entry, Store
from tests.simulation.builds.registry import PATCH, broken, looked_at_once, original, together
from tests.simulation.process import PROCESS

STANDING = {"member stands still before a deletion in a store": 0.4}
PROMOTED = {"database promoted with a copy in hand": 0.4}
STOPPED = {"member stopped with an archive in hand": 0.3}
REBALANCED = {"member stopped and started": 0.5, "store slow": 0.8}


@broken("a member that was replaced records what it saw in a store", "20", insist=STOPPED, cluster=True)
def _records_under_any_epoch() -> AbstractContextManager[Any]:
    @asynccontextmanager
    async def fenced(_: Members, connection: Connection) -> AsyncIterator[None]:
        async with connection.transaction():
            yield

    return PATCH(Members, "fenced", fenced)


@broken("two members copy the same server at once", "20", cluster=True)
def _copies_beside_others() -> AbstractContextManager[Any]:
    @asynccontextmanager
    async def alone(*_: Any) -> AsyncIterator[None]:
        yield

    return PATCH(daemon.copying.visit, "alone", alone)


@broken("after a promotion nobody locks a server's copies", "20", insist=PROMOTED, cluster=True)
def _forgets_the_lock_of_copies() -> AbstractContextManager[Any]:
    real = original(daemon.copying.visit, "alone")

    @asynccontextmanager
    async def alone(*which: Any) -> AsyncIterator[None]:
        cluster: Any = PROCESS.get().simulation
        async with AsyncExitStack() as held:
            if cluster.promoted_at == float("-inf"):
                await held.enter_async_context(real(*which))
            yield

    return PATCH(daemon.copying.visit, "alone", alone)


@broken("a node is given away while a server there is copied", "20", insist=REBALANCED, first=20, cluster=True)
def _gives_what_is_copied() -> AbstractContextManager[Any]:
    nothing = property(lambda _: None, lambda _, __: None)
    return together(PATCH(Copying, "at_work", nothing, create=True), PATCH(Members, "parts_in_use", frozenset()))


@broken(
    "a node is given away with the locks of servers that have left it",
    "20",
    insist={"server transferred": 0.8, "backup never ends": 0.6},
    first=104,
    cluster=True,
)
def _forgets_where_its_locks_are() -> AbstractContextManager[Any]:
    return PATCH(Members, "parts_in_use", frozenset())


@broken("a member that was replaced records a proof", "20", insist=STOPPED, first=20, cluster=True)
def _proves_under_any_epoch() -> AbstractContextManager[Any]:
    real = original(fence, "as_member")

    def as_member(change: str, *, acts: bool = True) -> str:
        return str(real(change, acts=False))

    return PATCH(fence, "as_member", as_member)


@broken("a store is pruned however long ago the lease was renewed", "20", insist=STANDING, first=36, cluster=True)
def _prunes_without_a_lease() -> AbstractContextManager[Any]:
    return together(PATCH(OwnProcess, "_both", lambda self, leave: leave), looked_at_once())


@broken(
    "a store is pruned by the lease from before the journal was asked", "20", insist=STANDING, first=36, cluster=True
)
def _asks_the_journal_last() -> AbstractContextManager[Any]:
    def both(self: OwnProcess, leave: AskLeave) -> AskLeave:
        async def asked() -> str:
            return await self._leave() or await leave()

        return asked

    return together(PATCH(OwnProcess, "_both", both), looked_at_once())


@broken("a copy that the database lost is not seen in its store", "16", insist=PROMOTED, first=1, cluster=True)
def _sees_what_was_recorded() -> AbstractContextManager[Any]:
    real = original(daemon.copies.shelf, "_sorted")

    async def _sorted(store: Store, listed: Sequence[Entry], before: Shelf | None, *rest: Any) -> Shelf:
        """Read no manifest that this daemon has not written: the others cost a request each."""
        known = listed if before is None else [entry for entry in listed if _is_known(entry.key, before)]
        shelf: Shelf = await real(store, known, before, *rest)
        return shelf

    return PATCH(daemon.copies.shelf, "_sorted", _sorted)


def _is_known(key: str, before: Shelf) -> bool:
    data = key.removesuffix(MANIFEST)
    return key == data or any(data in known for known in (before.manifests, before.lost, before.damaged))
