"""On which node each server is, as far as the members of a cluster know it, and who of them looks for that.

A member asks the panels that it holds, and tells all others; so does a rotation that sees a server elsewhere.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from daemon.clock import Clock
from daemon.config.values import Config, PanelConfig, ServerConfig
from daemon.core.shares import FLEET, node_key, node_part, panel_part
from daemon.errors import JournalBusyError, StateError
from daemon.fleet.clients import Clients
from daemon.fleet.isolation import surviving
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.panel.errors import PanelError
from daemon.state import Shares

log = get_logger()

PLACE_SECONDS = 600.0
"""How often the panels are asked which nodes the servers are on. A rotation looks by itself."""

AGAIN_SECONDS = 60.0
"""After a panel that did not answer."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the servers of a configuration are: the part of each, by name, and all `parts` of the fleet.

    `sought` are the servers whose nodes are known, or were looked for, and `unsought` the panels that have others. Two
    are equal only if they are one.
    """

    config: Config
    part: Mapping[str, str]
    parts: frozenset[str]
    sought: frozenset[str]
    unsought: frozenset[str]


class Placement:
    """Where the servers are. What is known of them is gone through only after it has changed."""

    def __init__(self, shares: Shares, clients: Clients, clock: Clock) -> None:
        self._shares = shares
        self._clients = clients
        self._clock = clock
        self._nodes: dict[Key, str] = {}
        self._sought: set[Key] = set()
        self._sighted: dict[str, tuple[ServerConfig, str]] = {}
        self._again_at: dict[str, float] = {}
        self._asking: asyncio.Task[None] | None = None
        self._places: Places | None = None

    def stop(self) -> None:
        """Look for nothing more."""
        if self._asking is not None:
            self._asking.cancel()

    def learn(self, placed: Mapping[Key, str]) -> None:
        """Take in where some servers are now."""
        if new := {key: node for key, node in placed.items() if self._nodes.get(key) != node}:
            self._nodes.update(new)
            self._places = None

    def of(self, config: Config) -> Places:
        """Return where the servers of that configuration are; the same value as long as nothing has changed."""
        if self._places is None or self._places.config is not config:
            self._places = self._gone_through(config)
        return self._places

    def sighted(self, server: ServerConfig, node: str) -> None:
        """Take note of the node of a server that is about to be rotated, if that is news; perhaps it is back."""
        key = node_key(node)
        if self._nodes.get(_key(server)) != key or server.name in self._sighted:
            self._sighted[server.name] = server, key

    async def tell(self, under_way: Collection[str]) -> None:
        """Let all members know where servers were seen, each after the rotation that saw it has ended.

        One that the database refuses holds no other up; raises StateError in the end.
        """
        refused: StateError | None = None
        for name in sorted(self._sighted.keys() - set(under_way)):
            sighting = server, node = self._sighted[name]
            try:
                await self._shares.place(server.panel.name, {server.id: node})
                if self._sighted.get(name) is sighting:  # it may have been seen again meanwhile
                    del self._sighted[name]
                self.learn({_key(server): node})  # as the others do now
            except JournalBusyError:
                raise  # it is out of reach for the others too
            except StateError as error:
                refused = error
        if refused is not None:
            raise refused

    def look(self, config: Config, mine: Collection[str]) -> None:
        """Now and then look for the servers of the panels whose parts are `mine`, one panel at a time."""
        if self._asking is not None and not self._asking.done():
            return
        unsought, now = self.of(config).unsought, self._clock.monotonic()
        for name, panel in config.panels.items():
            if panel_part(name) in mine and (name in unsought or now >= self._again_at.get(name, 0.0)):
                servers = [one for one in config.servers.values() if one.panel.name == name]
                if servers:
                    self._asking = asyncio.create_task(self._ask(panel, servers), name="looking for nodes")
                    return
                self._again_at[name] = now + PLACE_SECONDS

    def _gone_through(self, config: Config) -> Places:
        part, sought, unsought = {}, set(), set()
        for server in config.servers.values():
            node = self._nodes.get(_key(server))
            panel = server.panel.name
            part[server.name] = panel_part(panel) if node is None else node_part(panel, node)
            if node is not None or _key(server) in self._sought:
                sought.add(server.name)
            else:
                unsought.add(panel)
        parts = {FLEET, *map(panel_part, config.panels), *part.values()}
        return Places(config, part, frozenset(parts), frozenset(sought), frozenset(unsought))

    async def _ask(self, panel: PanelConfig, servers: Collection[ServerConfig]) -> None:
        again = AGAIN_SECONDS
        with surviving(panel=panel.name), self._clients.lent(panel) as client:
            try:
                await self._shares.place(panel.name, await self._found(client, servers))
                again = PLACE_SECONDS
            except (PanelError, StateError) as error:
                log.warning("nodes_not_found", panel=panel.name, text=error.text)
        self._again_at[panel.name] = self._clock.monotonic() + again
        self._look_no_more(servers)

    def _look_no_more(self, servers: Iterable[ServerConfig]) -> None:
        self._sought.update(map(_key, servers))
        self._places = None

    async def _found(self, client: PanelClient, servers: Collection[ServerConfig]) -> dict[str, str]:
        """Return the node of each server, by its configured id. One that is not listed is viewed once."""
        listed = await client.servers()
        nodes = {found: node_key(one.node) for one in listed for found in (one.identifier.lower(), one.uuid.lower())}
        found = {one.id: nodes[one.id.lower()] for one in servers if one.id.lower() in nodes}
        for one in servers:
            if one.id not in found and _key(one) not in self._nodes and _key(one) not in self._sought:
                try:
                    found[one.id] = node_key((await client.server(one.id)).node)
                except PanelError as error:
                    log.info("node_not_found", server=one.name, text=error.text)
        return found


def _key(server: ServerConfig) -> Key:
    return server.panel.name, server.id
