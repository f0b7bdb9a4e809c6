"""What members of a cluster must not do: broken fences, shares and lives."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from daemon.alerts import Alerts
from daemon.alerts.claims import Claims
from daemon.alerts.message import Message
from daemon.fleet.sharing import Sharing
from daemon.fleet.standing import Standing
from daemon.panel.answers import Answer, ApiCall
from daemon.panel.transport import Transport
from daemon.state.postgres import alerts, members, promotion
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.engine import PostgresLocks
from daemon.state.postgres.members import Members
from tests.simulation.builds.registry import PATCH, broken, looked_at_once, original, together

STANDING = {"member stands still before a write that it announced": 0.4}
KILLED_TELLING = {"backup fails": 0.6, "receiver of alerts slow": 0.6, "member killed with an alert in hand": 0.6}
TOLD_TWICE = {"backup fails": 0.6, "receiver of alerts down": 0.4, "member stopped and started": 0.3}
PROMOTED = {"database promoted": 0.3}
REBALANCED = {"member stopped and started": 0.5, "backup ends late": 0.6}


@broken("a write leaves however long ago the lease was renewed", "20", insist=STANDING, first=345, cluster=True)
def _has_no_margin() -> AbstractContextManager[Any]:
    return together(PATCH(Members, "hindrance", lambda self, *, creates: ""), looked_at_once())


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
    return together(PATCH(Sharing, "_busy", lambda self: set()), PATCH(Members, "parts_in_use", frozenset()))


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

    def takable(self: Sharing, parts: Any, shared: Any, seen: Any) -> Any:
        return iter(()) if self._mine else real(self, parts, shared, seen)

    return PATCH(Sharing, "_takable", takable)


@broken("a member that was replaced never notices", "live", insist={"member stands still": 0.6}, cluster=True)
def _never_notices() -> AbstractContextManager[Any]:
    return PATCH(Members, "lose", lambda self: None)


@broken("a promotion of the database is not noticed", "20", insist=PROMOTED, cluster=True)
def _notices_no_promotion() -> AbstractContextManager[Any]:
    looked, known = original(promotion, "_here"), original(promotion, "_known")
    seen: list[tuple[str, str] | None] = [None]

    async def here(connection: Connection, title: str) -> tuple[str, str] | None:
        seen[0] = await looked(connection, title)
        return seen[0]

    async def before(connection: Connection, query: str) -> tuple[str, str] | None:
        return None if await known(connection, query) is None else seen[0]

    return together(PATCH(promotion, "_here", here), PATCH(promotion, "_known", before))


@broken("epochs go on after a promotion as if none was lost", "20", insist=PROMOTED, cluster=True)
def _gives_epochs_again() -> AbstractContextManager[Any]:
    return PATCH(promotion, "EPOCHS", 0)


@broken("a member deletes right after a promotion", "20", insist=PROMOTED, first=14, cluster=True)
def _is_not_quiet() -> AbstractContextManager[Any]:
    return PATCH(members, "WRITE_SECONDS", float("-inf"))


@broken("an alert is sent without a claim", "once", insist=TOLD_TWICE, cluster=True)
def _claims_nothing() -> AbstractContextManager[Any]:
    async def claim(_: Claims, __: str, messages: Sequence[Message]) -> Sequence[Message]:
        return messages

    return PATCH(Claims, "claim", claim)


@broken("an alert that was sent is not forgotten", "once", insist=TOLD_TWICE, cluster=True)
def _forgets_nothing() -> AbstractContextManager[Any]:
    async def arrived(_: Claims, __: str, ___: Sequence[Message]) -> None:
        """Note nothing."""

    return PATCH(Claims, "arrived", arrived)


@broken("an alert that a dead member had in hand stays with it", "news", insist=KILLED_TELLING, cluster=True)
def _claims_for_ever() -> AbstractContextManager[Any]:
    return PATCH(alerts, "CLAIM", timedelta(days=30))


@broken("nobody is told of a promotion", "news", insist=PROMOTED, cluster=True)
def _tells_no_promotion() -> AbstractContextManager[Any]:
    async def look_at_cluster(_: Alerts) -> None:
        """Look at nothing."""

    return PATCH(Alerts, "_look_at_cluster", look_at_cluster)
