"""One client for each panel of a running daemon.

A reload that changes a panel gets a new client. The old one serves the rotations that use it, and is closed when the
last of them has ended.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from daemon.config.values import PanelConfig
from daemon.panel.client import PanelClient

OpenClient = Callable[[PanelConfig], PanelClient]


class Clients:
    """The clients of all panels, each opened when it is first needed."""

    def __init__(self, open_client: OpenClient) -> None:
        self._open_client = open_client
        self._clients: dict[str, tuple[PanelConfig, PanelClient]] = {}
        self._users: dict[PanelClient, int] = {}
        self._retired: set[PanelClient] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def lend(self, panel: PanelConfig) -> PanelClient:
        """Return the panel's client; the caller must give it back."""
        known = self._clients.get(panel.name)
        if known is None or known[0] != panel:
            if known is not None:
                self._retired.add(known[1])
            known = self._clients[panel.name] = (panel, self._open_client(panel))
        client = known[1]
        self._users[client] = self._users.get(client, 0) + 1
        return client

    def give_back(self, client: PanelClient) -> None:
        """Take a client back; close it if it is retired and nobody uses it."""
        self._users[client] -= 1
        self._close_unused()

    @contextmanager
    def lent(self, panel: PanelConfig) -> Iterator[PanelClient]:
        """Lend the panel's client until the end of the block."""
        client = self.lend(panel)
        try:
            yield client
        finally:
            self.give_back(client)

    def follow(self, panels: Mapping[str, PanelConfig]) -> None:
        """Retire the clients of panels that are gone or changed."""
        for name, (panel, client) in list(self._clients.items()):
            if panels.get(name) != panel:
                self._retired.add(client)
                del self._clients[name]
        self._close_unused()

    def opened(self) -> dict[str, PanelClient]:
        """Return the clients in use, by their panel's name."""
        return {name: client for name, (_, client) in self._clients.items()}

    async def close(self) -> None:
        """Close every client."""
        for client in (*self.opened().values(), *self._retired):
            await client.aclose()
        await asyncio.gather(*self._closing)

    def _close_unused(self) -> None:
        for client in [client for client in self._retired if not self._users.get(client)]:
            self._retired.discard(client)
            task = asyncio.create_task(client.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
