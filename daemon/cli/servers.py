"""`servers`: what the keys can see, and which of it is configured."""

import asyncio
from collections.abc import Sequence

from daemon.cli.context import begin
from daemon.cli.documents import invisible, visible
from daemon.cli.options import Settings
from daemon.cli.output import say_error, write_json
from daemon.cli.tables import show, table
from daemon.clock import SystemClock
from daemon.config.values import Config, ServerConfig
from daemon.core.model import Server
from daemon.errors import Exit
from daemon.panel.client import PanelClient
from daemon.panel.errors import PanelError
from daemon.rotation.tools import open_clients

Seen = tuple[str, Sequence[Server] | PanelError]


def show_servers(settings: Settings, *, as_json: bool) -> int:
    """Show every server on every panel of the configuration."""
    return asyncio.run(_servers(settings, as_json=as_json))


async def _servers(settings: Settings, *, as_json: bool) -> int:
    config = begin(settings, need_servers=False)
    seen = await _look(config)
    failed = [(panel, found) for panel, found in seen if isinstance(found, PanelError)]
    rows = [
        (panel, server, _configured(config, panel, server))
        for panel, found in seen
        if not isinstance(found, PanelError)
        for server in found
    ]
    if as_json:
        write_json({"servers": [visible(*row) for row in rows], "errors": [invisible(*each) for each in failed]})
    else:
        _show(rows)
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

    async with open_clients(config.panels.values(), SystemClock()) as clients:
        return await asyncio.gather(*(see(name, client) for name, client in clients.items()))


def _configured(config: Config, panel: str, server: Server) -> ServerConfig | None:
    """The configured server that this is, if it is one."""
    ids = {server.identifier.lower(), server.uuid.lower()}
    same = (one for one in config.servers.values() if one.panel.name == panel and one.id in ids)
    return next(same, None)


def _show(rows: Sequence[tuple[str, Server, ServerConfig | None]]) -> None:
    columns = ("panel", "id", "name", "node", "limit", "state", "configured")
    cells = (
        (panel, server.identifier, server.name, server.node, server.backup_limit, server.obstacle or "ok", _as(config))
        for panel, server, config in rows
    )
    show(table(columns, cells, right=("limit",)))


def _as(config: ServerConfig | None) -> str:
    return "-" if config is None else f"as {config.name}, policy {config.policy.name}"
