"""`servers`: what the keys can see, and which of it is covered: configured, discovered, or not."""

import asyncio
from collections.abc import Mapping, Sequence

from daemon.cli.context import begin
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, say_error, write_json
from daemon.cli.ui.tables import show, table
from daemon.clock import SystemClock
from daemon.config.values import Config, ServerConfig
from daemon.core.model import Server
from daemon.documents.commands import invisible, visible
from daemon.errors import Exit
from daemon.fleet.discovery import configured, covered
from daemon.panel.client import PanelClient
from daemon.panel.errors import PanelError
from daemon.rotation.setup import open_clients

ALL_SERVERS = 'servers = "all"'

Seen = tuple[str, Sequence[Server] | PanelError]
Row = tuple[str, Server, ServerConfig | None, str | None]


def show_servers(settings: Settings, *, as_json: bool) -> int:
    """Show every server on every panel of the configuration."""
    return asyncio.run(_servers(settings, as_json=as_json))


async def _servers(settings: Settings, *, as_json: bool) -> int:
    config = begin(settings, need_servers=False)
    seen = await _look(config)
    failed = [(panel, found) for panel, found in seen if isinstance(found, PanelError)]
    listings = {panel: found for panel, found in seen if not isinstance(found, PanelError)}
    rows = _rows(config, listings)
    if as_json:
        write_json({"servers": [visible(*row) for row in rows], "errors": [invisible(*each) for each in failed]})
    else:
        _show(rows)
        for panel in (name for name, listing in listings.items() if not listing):
            say(f"{panel}: the key sees no server; an administrator's sees those of others with {ALL_SERVERS}")
        for panel, error in failed:
            say_error(error, about=panel)
    if not failed:
        return Exit.DONE
    return Exit.FAILED if len(failed) == len(seen) else Exit.SOME_FAILED


async def _look(config: Config) -> list[Seen]:
    async def see(name: str, client: PanelClient) -> Seen:
        try:
            return name, await client.servers()
        except PanelError as error:
            return name, error

    async with open_clients(config.panels.values(), SystemClock(), say) as clients:
        return await asyncio.gather(*(see(name, client) for name, client in clients.items()))


def _rows(config: Config, listings: Mapping[str, Sequence[Server]]) -> list[Row]:
    """Yield every server with the configuration that covers it, or why none does."""
    coverage = covered(config, listings)
    found = {(one.panel.name, one.id): one for one in coverage.config.servers.values() if one.discovered}
    return [
        (
            panel,
            server,
            configured(config, panel, server) or found.get((panel, server.identifier)),
            coverage.skipped.get(server.identifier),
        )
        for panel, listing in listings.items()
        for server in listing
    ]


def _show(rows: Sequence[Row]) -> None:
    columns = ("panel", "id", "name", "node", "limit", "state", "covered")
    cells = (
        (panel, server.identifier, server.name, server.node, server.backup_limit, server.obstacle or "ok", _as(by, why))
        for panel, server, by, why in rows
    )
    show(table(columns, cells, right=("limit",)))


def _as(by: ServerConfig | None, why: str | None) -> str:
    if by is None:
        return f"no: {why}" if why else "no"
    return f"discovered, policy {by.policy.name}" if by.discovered else f"as {by.name}, policy {by.policy.name}"
