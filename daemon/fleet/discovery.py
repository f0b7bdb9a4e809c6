"""Discovered servers: found on a panel by `[panels.NAME.discover]`, and covered by its policy.

`covered` is the one place that makes the effective configuration from the written one and the panels' lists. Configured
servers take precedence. A discovered server's name is the panel's identifier, which never changes and is unique on a
panel. Nothing is ever deleted from a server that vanished, since it is no longer in any configuration.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from daemon.clock import Clock
from daemon.config.values import Config, DiscoverConfig, PanelConfig, ServerConfig
from daemon.core.model import Server
from daemon.fleet.clients import Clients
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.panel.errors import PanelError
from daemon.state import Rotation

log = get_logger()

AGAIN_SECONDS = 60.0
VANISHED = "it is not rotated any more, and nothing of it is deleted"

Listings = Mapping[str, Sequence[Server]]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The effective configuration, and, by identifier, why selected servers are not in it."""

    config: Config
    skipped: Mapping[str, str]


def covered(config: Config, listings: Listings) -> Coverage:
    """Given the written configuration and the panels' lists, return the effective one; a panel without a list adds
    nothing.
    """
    servers = dict(config.servers)
    uuids: set[str] = set()
    skipped: dict[str, str] = {}
    for panel, discover in config.discover.items():
        for server in listings.get(panel, ()):
            if not discover.selection.holds(server) or configured(config, panel, server) or server.uuid in uuids:
                continue
            if why := _obstacle(server, servers):
                skipped[server.identifier] = why
                continue
            uuids.add(server.uuid)
            servers[server.identifier] = _server(config, panel, discover, server)
    return Coverage(replace(config, servers=servers), skipped)


def configured(config: Config, panel: str, server: Server) -> ServerConfig | None:
    """Given a written configuration, return its server for this one of the panel; the panel's uuid decides."""
    identifier, uuid, url = server.identifier.lower(), server.uuid.lower(), config.panels[panel].url.lower()
    same = (
        one
        for one in config.servers.values()
        if one.id == uuid or (one.id == identifier and one.panel.url.lower() == url)
    )
    return next(same, None)


def _obstacle(server: Server, servers: Mapping[str, ServerConfig]) -> str | None:
    """Return why a selected server cannot be covered; None if it can."""
    if server.backup_limit == 0:
        return "the panel allows it no backups"
    if server.identifier in servers:
        return "another server has its identifier for a name: configure one of the two by hand"
    return None


def _server(config: Config, panel: str, discover: DiscoverConfig, server: Server) -> ServerConfig:
    name = server.identifier
    return ServerConfig(name, name, config.panels[panel], discover.policy, f"panels.{panel}.discover", discovered=True)


def remembered(config: Config, rotations: Iterable[Rotation]) -> Config:
    """Given journalled rotations, return the configuration that was in effect then, without asking a panel: a
    discovered server's name is the beginning of its uuid.
    """
    servers = dict(config.servers)
    for row in rotations:
        before = discovered_before(config, row.panel, row.server_uuid)
        if before is not None and row.server == before.name:
            servers.setdefault(before.name, before)
    return replace(config, servers=servers)


def discovered_before(config: Config, panel: str, uuid: str) -> ServerConfig | None:
    """Return a server that a panel with discovery had, as it is covered if it is selected still; None for one that is
    configured, or on a panel without discovery.
    """
    discover = config.discover.get(panel)
    seen = Server(uuid, uuid[:8], "", node="", backup_limit=1)
    if discover is None or configured(config, panel, seen):
        return None
    return _server(config, panel, discover, seen)


async def look(config: Config, clients: Mapping[str, PanelClient]) -> tuple[Coverage, dict[str, PanelError]]:
    """Ask every panel with discovery once; return the effective configuration, and the panels' errors."""
    listings: dict[str, Sequence[Server]] = {}
    errors: dict[str, PanelError] = {}

    async def ask(panel: str) -> None:
        try:
            listings[panel] = await clients[panel].servers()
        except PanelError as error:
            errors[panel] = error

    await asyncio.gather(*(ask(panel) for panel in config.discover))
    return covered(config, listings), errors


class Discovery:
    """Looks at the panels regularly, and passes the effective configuration on when it changes.

    `clients` are those of the rotations, so that all share one API limit; `obey` is called with the configuration. If a
    panel does not answer, or a server is missing in one look only, nothing changes.
    """

    def __init__(self, clock: Clock, clients: Clients, obey: Callable[[Config], None]) -> None:
        self._clock = clock
        self._clients = clients
        self._obey = obey
        self._written: Config | None = None
        self._in_force: Mapping[str, ServerConfig] = {}
        self._seen: dict[str, tuple[Sequence[Server], Sequence[Server]]] = {}
        self._said: set[tuple[str, str]] = set()
        self._looking: list[asyncio.Task[None]] = []

    def follow(self, config: Config) -> None:
        """Take over a written configuration: apply what follows from it at once, and look at the panels again."""
        self.stop()
        self._seen = {panel: seen for panel, seen in self._seen.items() if _unmoved(panel, self._written, config)}
        self._written = config
        effective = self._covered().config
        self._in_force = effective.servers
        self._obey(effective)
        self._looking = [asyncio.create_task(self._look_now_and_then(panel)) for panel in config.discover]

    def stop(self) -> None:
        """Stop looking."""
        for task in self._looking:
            task.cancel()

    async def _look_now_and_then(self, panel: str) -> None:
        written = self.written
        every = written.discover[panel].every.total_seconds()
        while True:
            found = False
            try:
                found = await self._look(panel, written.panels[panel])
            except Exception:
                log.exception("discovery_bug", panel=panel)
            await self._clock.sleep(every if found else min(every, AGAIN_SECONDS))

    async def _look(self, panel: str, config: PanelConfig) -> bool:
        """Look once; return whether the panel answered."""
        try:
            with self._clients.lent(config) as client:
                servers = await client.servers()
        except PanelError as error:
            log.warning("discovery_failed", panel=panel, text=error.text, consequence="the servers known are covered")
            return False
        self._seen[panel] = servers, self._seen.get(panel, ((), ()))[0]
        coverage = self._covered()
        self._say(coverage)
        if coverage.config.servers != self._in_force:
            self._obey(coverage.config)
            self._in_force = coverage.config.servers
        return True

    def _covered(self) -> Coverage:
        return covered(self.written, {panel: _united(*seen) for panel, seen in self._seen.items()})

    @property
    def written(self) -> Config:
        """The configuration that was followed last, without what was discovered."""
        if self._written is None:
            raise AssertionError("nothing is followed yet")
        return self._written

    def _say(self, coverage: Coverage) -> None:
        """Log what is new and what is gone, each once."""
        now, before = coverage.config.servers, self._in_force
        for name in now.keys() - before.keys():
            log.info("server_discovered", server=name, panel=now[name].panel.name, policy=now[name].policy.name)
        for name in before.keys() - now.keys():
            log.warning("server_vanished", server=name, panel=before[name].panel.name, consequence=VANISHED)
        for name, why in coverage.skipped.items():
            if (name, why) not in self._said:
                log.warning("server_skipped", server=name, reason=why)
        self._said = set(coverage.skipped.items())


def _united(latest: Sequence[Server], before: Sequence[Server]) -> Sequence[Server]:
    """Return what the last two looks showed; for a server in both, the later one counts."""
    return tuple({server.uuid: server for server in (*before, *latest)}.values())


def _unmoved(panel: str, before: Config | None, now: Config) -> bool:
    """Return whether what was seen of a panel is still right under a new configuration."""
    return (
        before is not None
        and panel in now.discover
        and panel in before.panels
        and before.panels[panel].url == now.panels[panel].url
    )
