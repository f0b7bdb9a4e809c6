"""A panel with one server over real HTTP, folders that are stores, and what the daemon copies with."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from daemon.config.load import load
from daemon.config.values import Config, ServerConfig
from daemon.copies.jobs import Job
from daemon.copies.results import CopyDone
from daemon.panel.client import PanelClient
from daemon.rotation.preview import preview
from daemon.rotation.run import RotationContext
from daemon.rotation.setup import open_context
from daemon.sandbox import records
from daemon.sandbox.scenes import KEY, history, one_server
from daemon.sandbox.serve import SandboxServer, in_background
from daemon.state import ShelfRecord, engine_for
from tests.fakes import FakeClock
from tests.transfer.conftest import ProgressListener


@dataclass
class Listener(ProgressListener):
    """Remembers which copies it was told of; `at_copy` is called with each store."""

    done: list[CopyDone] = field(default_factory=list)
    seen: list[ShelfRecord] = field(default_factory=list)
    at_copy: Callable[[str], None] = lambda _: None

    async def copied(self, done: CopyDone, seen: ShelfRecord) -> None:
        self.done.append(done)
        self.seen.append(seen)
        self.at_copy(done.store)


@dataclass
class Rig:
    """All of it. The stores are the folders `nas` and `usb` in `folder`."""

    sandbox: SandboxServer
    server: records.Server
    clock: FakeClock
    client: PanelClient
    context: RotationContext
    folder: Path
    stores: str = ""

    def config(self, stores: Mapping[str, str] = {"nas": "", "usb": ""}) -> Config:
        """A configuration of the server with these stores, each with more keys as TOML."""
        key = self.folder / "main.key"
        key.write_text(KEY)
        key.chmod(0o600)
        named = ", ".join(f'"{name}"' for name in stores)
        lines = [
            f'state_dir = "{self.folder / "state"}"',
            f'[panels.main]\nurl = "{self.sandbox.url}"\napi_key_file = "main.key"',
            f'[policies.standard]\nschedule = "0 4 * * *"\nscope = "own"\nkeep = {{ last = 9 }}\ncopies = [{named}]',
            f'[servers.survival]\nid = "{self.server.identifier}"',
            *(f'[stores.{name}]\nurl = "{self.place(name).as_uri()}"\n{more}' for name, more in stores.items()),
        ]
        file = self.folder / "config.toml"
        file.write_text("\n\n".join(lines))
        return load(file, {})

    def place(self, name: str) -> Path:
        """The folder of a store, made if it is missing."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    async def job(self, config: Config | None = None) -> Job:
        """The server as the panel shows it now."""
        config = config or self.config()
        server: ServerConfig = config.servers["survival"]
        seen = await preview(server, self.client, self.context.journal, self.clock)
        return Job(server, seen.server, seen.listing, seen.plan.verdicts, config.stores, (), "installation-1")

    def files(self, name: str) -> list[str]:
        """What lies in a store, whatever it is, sorted."""
        root = self.folder / name
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture
async def rig(clock: FakeClock, tmp_path: Path) -> AsyncIterator[Rig]:
    """Three good backups of the server, one a day."""
    world, server = one_server(clock)
    now = clock.now().replace(microsecond=0)
    history(world, server, [now - timedelta(days=days) for days in (3, 2, 1)])
    with in_background(world) as sandbox:
        async with AsyncExitStack() as held:
            client = await held.enter_async_context(PanelClient("main", sandbox.url, SecretStr(KEY), clock=clock))
            engine = engine_for(tmp_path / "state")
            context = await open_context(engine, clock, lambda _: None, random.Random(0))
            held.push_async_callback(context.close)
            yield Rig(sandbox, server, clock, client, context, tmp_path)
