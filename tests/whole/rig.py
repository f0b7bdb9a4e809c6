"""One panel in memory, one client, one configuration, on virtual time: what tests of whole rotations are made with."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from daemon.config.load import load
from daemon.config.values import Config, PanelConfig, ServerConfig
from daemon.panel.client import PanelClient
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome
from daemon.rotation.rotate import rotate
from daemon.rotation.run import RotationContext
from daemon.rotation.setup import open_context
from daemon.sandbox.app import PanelApp
from daemon.sandbox.orders import Call, ConnectionLostError
from daemon.sandbox.records import Server
from daemon.sandbox.scenes import KEY, own_name
from daemon.sandbox.world import World
from daemon.state import Trigger, engine_for
from daemon.state.local.journal import SqliteJournal
from tests.at_once import at_once, sqlite
from tests.virtual import VirtualClock

POLICY: Mapping[str, Any] = {
    "schedule": "0 4 * * *",
    "scope": "own",
    "keep": {"last": 3},
    "max_deletions": -1,
}


class InProcess(httpx.AsyncBaseTransport):
    """Hands requests to the sandbox's app, and keeps httpx's promises: lost connections and read timeouts."""

    def __init__(self, app: PanelApp) -> None:
        self._transport = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        seconds = request.extensions["timeout"]["read"]
        answer = asyncio.ensure_future(self._transport.handle_async_request(request))
        try:
            return await asyncio.wait_for(asyncio.shield(answer), seconds)  # a server goes on without its client
        except ConnectionLostError as lost:
            raise httpx.ReadError(str(lost), request=request) from lost
        except TimeoutError as slow:
            raise httpx.ReadTimeout("no answer", request=request) from slow


class Rig:
    """A world with one server under test, and all that a rotation of it needs."""

    def __init__(
        self, world: World, server: Server, clock: VirtualClock, folder: Path, *, state: bool = True, **policy: Any
    ) -> None:
        self.world = world
        self.server = server
        self.clock = clock
        self.folder = folder
        self.state = state
        self.app = PanelApp(world)
        self.config = self.configure(**policy)
        self.client = self.open_client(self.config.panel)
        self.context = self.open_context()

    def configure(self, **policy: Any) -> ServerConfig:
        """The server's configuration by that policy, put in force."""
        self.config = configuration(self.folder, {"survival": self.server}, state=self.state, **policy).servers[
            "survival"
        ]
        return self.config

    def open_client(self, panel: PanelConfig) -> PanelClient:
        """A client that talks to the world in this process."""
        return PanelClient(
            panel.name,
            panel.url,
            panel.api_key,
            clock=self.clock,
            reserve=panel.reserve,
            transport=InProcess(self.app),
            randomness=random.Random(1),
        )

    def open_context(self) -> RotationContext:
        """Tools as a new process would open them, on the same state folder."""
        engine = engine_for(self.folder / "state" if self.state else None)
        return at_once(open_context(engine, self.clock, self.current_config, random.Random(7)))

    def current_config(self, name: str) -> ServerConfig | None:
        """The configuration of a server at this moment; neighbours keep theirs."""
        run = self.context.under_way.get(name)
        return self.config if name == self.config.name else run.config if run else None

    @property
    def journal(self) -> SqliteJournal:
        """The journal of the tools."""
        return sqlite(self.context.journal)

    def neighbour(self, name: str) -> ServerConfig:
        """Another server on the same node, configured in the same way."""
        server = self.world.add_server(name, owner=self.server.owner, node=self.server.node)
        return replace(self.config, name=name, id=server.identifier)

    def fill(self, count: int, *, locked: bool = False) -> list[str]:
        """Put good backups of the policy's own onto the panel, one a day; return their names, oldest first."""
        names = []
        for day in range(count, 0, -1):
            made = self.world.now() - timedelta(days=day)
            names.append(own_name("survival", made, day))
            self.world.add_backup(self.server, names[-1], created_at=made, locked=locked, by="history")
        return names

    async def rotate(
        self,
        trigger: Trigger = "manual",
        start_at: datetime | None = None,
        *,
        of: ServerConfig | None = None,
        max_deletions: int | None = None,
        with_tools: RotationContext | None = None,
    ) -> Outcome:
        """One rotation of the server, or of another, by the configuration in force."""
        order = Order(of or self.config, trigger, start_at, max_deletions=max_deletions)
        return await rotate(order, self.client, with_tools or self.context)

    def requests(self, call: Call | None = None) -> int:
        """How many requests the panel saw, of one kind or of all."""
        return self.app.requests(*([] if call is None else [call]))

    def names(self) -> list[str]:
        """The names of the backups that are there, in the panel's order."""
        return [backup.name for backup in self.server.backups.values()]

    async def close(self) -> None:
        """Close the client and the journal."""
        await self.client.aclose()
        await self.context.close()


def start_with_the_clock_set(rig: Rig, by: timedelta) -> None:
    """Set the clock that daemon and panel share, before the daemon starts anew."""
    rig.clock.start += by
    rig.clock.first = rig.clock.start
    rig.client = rig.open_client(rig.config.panel)


def configuration(
    folder: Path, servers: Mapping[str, Server], *, state: bool = True, tables: str = "", **policy: Any
) -> Config:
    """A configuration as the daemon reads it: one panel, one policy, those servers, and other tables as TOML."""
    text = "\n".join(
        [
            f'state_dir = "{folder / "state" if state else "none"}"',
            "[panels.main]",
            'url = "https://panel.example.com"',
            "[policies.standard]",
            *_lines({**POLICY, **policy}),
            *(f'[servers.{name}]\nid = "{server.identifier}"' for name, server in servers.items()),
            tables,
        ]
    )
    file = folder / "config.toml"
    file.write_text(text)
    return load(file, {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY})


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in table.items()]


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_lines(value)) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
