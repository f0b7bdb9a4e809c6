"""A panel with one backup over real HTTP, folders that are stores, and the way from the one to the others."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from daemon.copies.branch import Target
from daemon.copies.feed import node_feed
from daemon.copies.make import Made, Origin, Targets, copy_backup
from daemon.copies.source import node_source
from daemon.copies.spool_room import NO_ROOM, SpoolRoom
from daemon.core.model import Backup
from daemon.panel.client import PanelClient
from daemon.sandbox import records
from daemon.sandbox.orders import Fault
from daemon.sandbox.scenes import KEY, one_server
from daemon.sandbox.serve import SandboxServer, in_background
from daemon.stores.base import Store
from daemon.stores.open import open_store
from daemon.stores.values import DirectoryLocation, StoreSettings
from daemon.transfer.receive import Source
from tests.fakes import FakeClock
from tests.stores.conftest import directory, rclone, s3, s3_service, sftp, sftp_service  # noqa: F401 — fixtures
from tests.transfer.conftest import ProgressListener

SIZE = 3_000_000


@dataclass
class Rig:
    """All of it. `folder` holds the stores, each in a folder of its name."""

    sandbox: SandboxServer
    server: records.Server
    record: records.Backup
    clock: FakeClock
    client: PanelClient
    folder: Path
    held: AsyncExitStack
    listener: ProgressListener = field(default_factory=ProgressListener)
    room: SpoolRoom = NO_ROOM

    @property
    def data(self) -> bytes:
        """The true file."""
        return b"".join(self.record.archive.pieces())

    @property
    def origin(self) -> Origin:
        """Whose backup it is."""
        return Origin("installation-1", "main", self.server.uuid, "survival", "Survival World")

    async def backup(self) -> Backup:
        """The backup as the panel tells it."""
        return await self.client.backup(self.server.identifier, self.record.uuid)

    async def store(self, name: str) -> Store:
        """A folder of that name, open."""
        place = DirectoryLocation(self.folder / name)
        place.path.mkdir(exist_ok=True)
        return await self.held.enter_async_context(open_store(StoreSettings(name, place), clock=self.clock))

    async def target(self, name: str, *recipients: str) -> Target:
        """A store that is copied to."""
        return Target(name, await self.store(name), recipients)

    def source(self, backup: Backup) -> Source:
        """Where the file comes from."""
        return node_source(
            self.client, self.server.identifier, backup, clock=self.clock, listener=self.listener, clear=True
        )

    async def copy(self, *targets: Target) -> Made:
        """Copy the backup to these."""
        backup = await self.backup()
        return await copy_backup(
            node_feed(self.source(backup)), backup, self.origin, Targets(targets, self.room), self.clock
        )

    def order(self, fault: Fault, **how: Any) -> None:
        """Let that happen to the next download."""
        self.sandbox.world.faults.order(fault, on="file", **how)

    def files(self, name: str) -> list[str]:
        """What lies in a store, whatever it is, sorted."""
        root = self.folder / name
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture
async def rig(clock: FakeClock, tmp_path: Path) -> AsyncIterator[Rig]:
    """One backup of 3 MB on a node."""
    world, server = one_server(clock)
    record = world.add_backup(server, "b", size=SIZE)
    with in_background(world) as sandbox:
        client = PanelClient("main", sandbox.url, SecretStr(KEY), clock=clock)
        async with AsyncExitStack() as held:
            yield Rig(sandbox, server, record, clock, client, tmp_path, held)
        await client.aclose()
