"""A node with a console, over real HTTP and on real time: for tests of what reads it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import SecretStr

from daemon.clock import SystemClock
from daemon.panel.client import PanelClient
from daemon.panel.console import ConsoleError, open_console
from daemon.panel.server_files import ConsoleAccess
from daemon.sandbox.console import ConsoleSocket
from daemon.sandbox.records import Power, Server
from daemon.sandbox.scenes import KEY, one_server
from daemon.sandbox.serve import SandboxServer
from daemon.sandbox.settings import pelican
from daemon.sandbox.world import World


@dataclass
class Node:
    """A panel and a node with one server that runs, over real HTTP and on real time."""

    world: World
    server: Server
    sandbox: SandboxServer
    client: PanelClient
    given: list[str] = field(default_factory=list)
    address: str | None = None
    on_give: Callable[[], None] = lambda: None

    async def give(self) -> ConsoleAccess:
        """Ask the panel for access; `address` takes the place of the node's."""
        access = await self.client.files.console(self.server.identifier)
        self.given.append(access.token.get_secret_value())
        self.on_give()
        return access if self.address is None else replace(access, address=self.address)

    @asynccontextmanager
    async def opened(self, panel: str | None = None, **options: Any) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of the console."""
        opening = open_console(self.give, panel=panel or self.sandbox.url, clear=False, **options)
        async with opening as console, aclosing(console.lines()) as lines:
            yield lines

    async def refusal(self, panel: str | None = None, **options: Any) -> ConsoleError:
        """Why the console cannot be read, or not to its end."""
        with pytest.raises(ConsoleError) as caught:  # noqa: PT012 — which of the two raises it does not matter
            async with asyncio.timeout(20), self.opened(panel, **options) as lines:
                async for _ in lines:
                    pass
        assert not any(token in str(caught.value) for token in self.given)
        return caught.value


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """A Pelican, whose panel gives five tokens a minute."""
    world, server = one_server(SystemClock(), settings=pelican())
    world.add_key(KEY, server.owner)
    server.power = Power.RUNNING
    server.console = ["Loading", "\x1b[32mDone (1.2s)!\x1b[0m"]
    async with SandboxServer(world) as sandbox:
        panel = PanelClient("main", sandbox.url, SecretStr(KEY), clock=world.clock)
        async with panel:
            yield Node(world, server, sandbox, panel)


def tokens_hold(monkeypatch: pytest.MonkeyPatch, left: Callable[[int], float]) -> list[str]:
    """Let the n-th token that the node takes hold for `left(n)` seconds, however long it has it; return those taken."""
    taken: list[str] = []
    authenticate = ConsoleSocket._authenticate

    async def take(socket: ConsoleSocket, token: str) -> None:
        taken.append(token)
        await authenticate(socket, token)

    monkeypatch.setattr(ConsoleSocket, "_authenticate", take)
    monkeypatch.setattr(ConsoleSocket, "_left", lambda _: left(len(taken)))
    return taken


def says_once_asked(node: Node, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Let the server say these right after the node was asked for its lines, so that they are sent as they are said."""
    hear = ConsoleSocket._hear

    async def say(socket: ConsoleSocket, message: dict[str, Any]) -> None:
        await hear(socket, message)
        if message["event"] == "send logs":
            node.server.console.extend(lines)

    monkeypatch.setattr(ConsoleSocket, "_hear", say)
