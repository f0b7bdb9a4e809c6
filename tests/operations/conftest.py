"""Operations by hand run on virtual time, against a panel in memory."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from daemon.core.model import Backup, Verdict
from daemon.operations.operation import Operation
from daemon.panel.client import PanelClient
from daemon.rotation.order import Order
from daemon.rotation.run import Run
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Backup as Row
from daemon.sandbox.records import Change, State, User
from daemon.sandbox.scenes import own_name
from daemon.sandbox.world import World
from tests.whole.conftest import anyio_backend, kind, rig, settings, virtual_clock
from tests.whole.rig import InProcess, Rig

__all__ = ["Hand", "anyio_backend", "hand", "kind", "rig", "settings", "virtual_clock"]


@dataclass
class Hand:
    """An operator at the rig: errands for its server, and what the panel's own ledger says came of them."""

    rig: Rig
    steps: list[str] = field(default_factory=list)
    client: PanelClient | None = None

    def operation(self, *, max_deletions: int | None = None) -> Operation:
        """A new errand, as a new command would begin it."""
        order = Order(self.rig.config, "manual", max_deletions=max_deletions)
        client = self.client or self.rig.client
        return Operation(Run(order, client, self.rig.context, structlog.get_logger()), self.steps.append)

    def as_user(self, *permissions: str) -> None:
        """Go on with the key of a user who has these permissions."""
        world, panel = self.rig.world, self.rig.config.panel
        key = "ptlc_EXAMPLE_reader"
        world.add_key(key, User("reader"))
        self.rig.server.subusers["reader"] = permissions
        self.client = PanelClient(
            panel.name, panel.url, SecretStr(key), clock=self.rig.clock, transport=InProcess(self.rig.app)
        )

    def add(self, name: str | None = None, *, days: int = 1, state: State = State.GOOD, **more: Any) -> Row:
        """A backup that is there already; own unless it is named."""
        made = self.rig.world.now() - timedelta(days=days)
        title = name or own_name("survival", made, days)
        return self.rig.world.add_backup(
            self.rig.server,
            title,
            created_at=made,
            state=state,
            by="history",
            **more,
        )

    async def verdict(self, row: Row) -> Verdict:
        """The verdict on that backup, as an errand sees it."""
        seen = await self.operation().look()
        return next(verdict for verdict in seen.plan.verdicts if verdict.backup.uuid == row.uuid)

    async def backup(self, row: Row) -> Backup:
        """That backup, as an errand sees it."""
        return (await self.verdict(row)).backup

    def did(self, *changes: Change) -> list[str]:
        """The names of what the panel did these to, in order, but for what was there from the beginning."""
        return [entry.name for entry in self.rig.world.ledger if entry.change in changes and entry.by != "history"]

    def rows(self, name: str) -> list[Row]:
        """The panel's backups of that name."""
        return [row for row in self.rig.server.backups.values() if row.name == name]

    def before(self, call: Call, action: Callable[[World], None], *, skip: int = 0, times: int | None = 1) -> None:
        """Let something happen at the panel just before a call."""
        self.rig.world.faults.order(faults.meanwhile(lambda world, _: action(world)), on=call, skip=skip, times=times)


@pytest.fixture
async def hand(rig: Rig) -> AsyncIterator[Hand]:
    """An operator with the owner's key."""
    made = Hand(rig)
    yield made
    if made.client is not None:
        await made.client.aclose()
