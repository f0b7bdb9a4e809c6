"""What transfers are tested with: a panel and its node over real HTTP, and a watcher that remembers."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from daemon.core.model import Backup
from daemon.panel.client import PanelClient
from daemon.panel.download import FileHost
from daemon.sandbox import records
from daemon.sandbox.orders import Fault
from daemon.sandbox.scenes import KEY, one_server
from daemon.sandbox.serve import SandboxServer, in_background
from daemon.transfer.expected import Expected
from daemon.transfer.receive import Source
from tests.fakes import FakeClock

SIZE = 300_000


@dataclass
class ProgressListener:
    """Remembers what it was told; `at` is called with each position."""

    said_: list[str] = field(default_factory=list)
    at: Callable[[int], None] = lambda _: None

    def moved(self, size: int) -> None:
        self.at(size)

    def said(self, text: str) -> None:
        self.said_.append(text)

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.said_)


@dataclass
class Rig:
    """A panel with one backup, and the way to it. `links` counts those that were asked for."""

    sandbox: SandboxServer
    server: records.Server
    record: records.Backup
    clock: FakeClock
    runner: asyncio.Runner
    client: PanelClient
    folder: Path
    listener: ProgressListener = field(default_factory=ProgressListener)
    links: int = 0

    @property
    def path(self) -> Path:
        """Where to download to."""
        return self.folder / "b.tar.gz"

    @property
    def part(self) -> Path:
        """What is written until then."""
        return self.folder / "b.tar.gz.part"

    @property
    def data(self) -> bytes:
        """The true file."""
        return b"".join(self.record.archive.pieces())

    @property
    def backup(self) -> Backup:
        """The backup as the panel tells it."""
        return self.runner.run(self.client.backup(self.server.identifier, self.record.uuid))

    @property
    def expected(self) -> Expected:
        """What the panel says of it."""
        return Expected.of(self.backup)

    @property
    def naps(self) -> list[float]:
        """The pauses between tries."""
        return self.clock.naps

    def link(self) -> SecretStr:
        """A new link from the panel."""
        self.links += 1
        return self.runner.run(self.client.download_link(self.server.identifier, self.record.uuid))

    def source(self, *, silence_seconds: float = 5.0, link: Callable[[], SecretStr] | None = None) -> Source:
        """Where the file comes from."""
        return Source(
            host=FileHost(clock=self.clock, silence_seconds=silence_seconds),
            link=link or self.link,
            pause=lambda seconds: self.runner.run(self.clock.sleep(seconds)),
            listener=self.listener,
        )

    def order(self, fault: Fault, **how: Any) -> None:
        """Let that happen to the next download."""
        self.sandbox.world.faults.order(fault, on="file", **how)


@pytest.fixture
def rig(clock: FakeClock, tmp_path: Path) -> Iterator[Rig]:
    """One backup of 300 KB on a node."""
    world, server = one_server(clock)
    record = world.add_backup(server, "b", size=SIZE)
    with ExitStack() as held:
        sandbox = held.enter_context(in_background(world))
        runner = held.enter_context(asyncio.Runner())
        client = PanelClient("main", sandbox.url, SecretStr(KEY), clock=clock)
        yield Rig(sandbox, server, record, clock, runner, client, tmp_path)
        runner.run(client.aclose())
        assert sandbox.node_app.keys_seen == [], "the panel's key was sent to the node"


def sha1(data: bytes) -> str:
    """As the panel would say it, without the prefix."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def expected(data: bytes, *, checked: bool = True) -> Expected:
    """What a panel would say of these bytes."""
    return Expected(len(data), f"sha1:{sha1(data)}" if checked else None, None if checked else "unknown")
