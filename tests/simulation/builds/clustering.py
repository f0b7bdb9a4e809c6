"""What members of a cluster must not do: broken fences, shares and lives."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from daemon.core.shares import Member
from daemon.fleet.sharing import Sharing
from daemon.fleet.standing import Standing
from daemon.panel.answers import Answer, ApiCall
from daemon.panel.transport import Transport
from daemon.state.postgres import members, promotion
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.engine import PostgresLocks
from daemon.state.postgres.members import Members
from tests.simulation.builds.registry import PATCH, broken, original

STANDING = {"member stands still before a write that it announced": 0.4}
PROMOTED = {"database promoted": 0.3}
REBALANCED = {"member stopped and started": 0.5, "backup ends late": 0.6}


@broken("a write leaves however long ago the lease was renewed", "20", insist=STANDING, first=3, cluster=True)
def _has_no_margin() -> AbstractContextManager[Any]:
    return PATCH(Members, "hindrance", lambda self, *, creates: "")


@broken("an announcement is written after its request", "20", cluster=True)
def _announces_afterwards() -> AbstractContextManager[Any]:
    real = Transport.once

    async def once(self: Transport, call: ApiCall) -> Answer:
        answer = await real(self, replace(call, on_send=None))
        if call.on_send is not None:
            await call.on_send()
        return answer

    return PATCH(Transport, "once", once)


@broken("a node is given away while something is done there", "turn", insist=REBALANCED, first=3, cluster=True)
def _gives_what_is_busy() -> AbstractContextManager[Any]:
    return PATCH(Sharing, "_busy", lambda self: set())


@broken("a member acts for servers on nodes of others", "20", insist={"server transferred": 0.6}, first=3, cluster=True)
def _locks_anywhere() -> AbstractContextManager[Any]:
    real = PostgresLocks.held
    return PATCH(PostgresLocks, "held", lambda self, server_uuid, part="": real(self, server_uuid))


@broken(
    "a member that was sent out takes nodes all the same",
    "20",
    insist={"member evicted": 0.6},
    cluster=True,
)
def _takes_what_it_was_sent_out_of() -> AbstractContextManager[Any]:
    return PATCH(Standing, "out", property(lambda self: False, lambda self, out: None), create=True)


@broken("nobody takes over what a dead member held", "live", cluster=True)
def _takes_nothing_over() -> AbstractContextManager[Any]:
    real = Sharing._takable

    def takable(self: Sharing, parts: Any, wanted: Mapping[str, Member], seen: Any) -> Any:
        return iter(()) if self._mine else real(self, parts, wanted, seen)

    return PATCH(Sharing, "_takable", takable)


@broken("a member that was replaced never notices", "live", insist={"member stands still": 0.6}, cluster=True)
def _never_notices() -> AbstractContextManager[Any]:
    return PATCH(Members, "lose", lambda self: None)


@broken("a promotion of the database is not noticed", "20", insist=PROMOTED, cluster=True)
def _notices_no_promotion() -> AbstractContextManager[Any]:
    real = original(promotion, "_is_known")

    async def is_known(connection: Connection, here: tuple[str, str], query: str) -> bool:
        await real(connection, here, query)
        return True

    return PATCH(promotion, "_is_known", is_known)


@broken("epochs go on after a promotion as if none was lost", "20", insist=PROMOTED, cluster=True)
def _gives_epochs_again() -> AbstractContextManager[Any]:
    return PATCH(promotion, "EPOCHS", 0)


@broken("a member deletes right after a promotion", "20", insist=PROMOTED, first=14, cluster=True)
def _is_not_quiet() -> AbstractContextManager[Any]:
    return PATCH(members, "WRITE_SECONDS", float("-inf"))
