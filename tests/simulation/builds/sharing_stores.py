"""What members of a cluster must not do with stores and proofs that they share."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import daemon.copying.visit
from daemon.copying.copying import Copying
from daemon.state.postgres import fence
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.members import Members
from tests.simulation.builds.registry import PATCH, broken, original

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


@broken("a node is given away while a server there is copied", "20", insist=REBALANCED, first=20, cluster=True)
def _gives_what_is_copied() -> AbstractContextManager[Any]:
    nothing = property(lambda _: None, lambda _, __: None)
    return PATCH(Copying, "at_work", nothing, create=True)


@broken("a member that was replaced records a proof", "20", insist=STOPPED, first=20, cluster=True)
def _proves_under_any_epoch() -> AbstractContextManager[Any]:
    real = original(fence, "as_member")

    def as_member(change: str, *, acts: bool = True) -> str:
        return str(real(change, acts=False))

    return PATCH(fence, "as_member", as_member)
