"""What one key sees of a panel: every read of the API, and by which clock the panel goes.

What must hold: a read changes nothing, so it may be repeated.
"""

from dataclasses import replace
from datetime import datetime

from pydantic import SecretStr

from daemon.clock import Clock
from daemon.core.model import Backup, Listing, Server
from daemon.core.restores import RESTORES, Activity
from daemon.panel.answers import ApiCall
from daemon.panel.decode import this_backup, understood
from daemon.panel.endpoints import Endpoints
from daemon.panel.errors import Lacking, NotFoundError, PanelError, PermissionLackingError
from daemon.panel.listing import read_listing, read_passes
from daemon.panel.pages import backup_pages, server_pages
from daemon.panel.rights import Rights
from daemon.panel.server_cache import ServerCache
from daemon.panel.server_calls import ServerCalls
from daemon.panel.transport import Transport
from daemon.panel.wire import read_activities, read_link, read_server


class PanelReader:
    """Reads from one panel. `all_servers` asks for every server of it instead of those of the key's user."""

    def __init__(self, name: str, requests: Transport, clock: Clock, *, all_servers: bool) -> None:
        self.name = name
        self._clock = clock
        self._all_servers = all_servers
        self._transport = requests
        self._endpoints = Endpoints(name, all_servers=all_servers)
        self._calls = ServerCalls(requests, self._look)
        listing = server_pages(self._endpoints.servers(urgent=True), requests.once, self._now)
        self._server_cache = ServerCache(clock, listing, self.server)
        self._rights = Rights(clock, self.server)

    def panel_now(self) -> datetime | None:
        """Return the panel's clock now; None before its first answer."""
        return self._transport.panel_clock.now()

    def _now(self) -> datetime:
        return self.panel_now() or self._clock.now()

    def clock_doubt(self) -> str:
        """Return why nothing may be deleted by the panel's clock as it is now; empty if it can be trusted."""
        return self._transport.panel_clock.doubt(self._now(), self._clock.monotonic())

    async def servers(self) -> tuple[Server, ...]:
        """Return every server that the key can see, without permissions.

        Raises PermissionLackingError if all servers are asked for and none is listed, as for a key that is no
        administrator's.
        """
        latest, _ = await read_passes(server_pages(self._endpoints.servers(), self._transport.read, self._now))
        if self._all_servers and not latest.rows:
            text = f"panel {self.name}, listing all its servers: it shows none, so the key is no administrator's"
            raise PermissionLackingError(text, kind=Lacking.ADMINISTRATOR)
        return tuple(latest.rows.values())

    async def knock(self) -> None:
        """Ask once for as little as there is, to see whether anything is answered; raises PanelError."""
        call = self._endpoints.servers()
        await self._transport.once(replace(call, query={**call.query, "per_page": "1"}))

    async def seen_server(self, server_id: str) -> Server:
        """Return one server as it was within the last minute, perhaps without permissions; many can ask at once."""
        return await self._server_cache.see(server_id)

    async def may_delete(self, server_id: str, seen: Server) -> bool:
        """Return whether the key may delete backups on this server, which was just seen as `seen`."""
        return await self._rights.may_delete(server_id, seen)

    async def server(self, server_id: str, *, urgent: bool = False) -> Server:
        """Return one server with the key's permissions on it; the panel answers even while it is busy or suspended."""
        call = self._endpoints.server(server_id, urgent=urgent)
        return understood(call, await self._transport.read(call), read_server)

    async def backups(self, server_id: str) -> Listing:
        """Return every backup of a server, in up to three passes over all pages."""
        listing, _ = await self.dated_backups(server_id)
        return listing

    async def dated_backups(self, server_id: str) -> tuple[Listing, float]:
        """Return every backup of a server, and a moment (of the monotonic clock) that the listing is not older than.

        It is the moment at which the request left: before that, it may have waited long for the API limit.
        """
        fetch = backup_pages(self._endpoints.backups(server_id), self._calls.read, self._now)
        listing, read_at = await read_listing(fetch)
        doubt = self._transport.panel_clock.doubt(listing.taken_at, read_at)
        return replace(listing, doubt=doubt), read_at

    async def backup(self, server_id: str, uuid: str, *, urgent: bool = False) -> Backup:
        """Return one backup; raises NotFoundError if there is none. An urgent look goes before others that wait."""
        call = self._endpoints.backup(server_id, uuid, urgent=urgent)
        return this_backup(call, await self._calls.read(call), uuid)

    async def download_link(self, server_id: str, uuid: str) -> SecretStr:
        """Return a signed URL for one download. It is a secret, and expires with its first use or within minutes."""
        call = self._endpoints.download(server_id, uuid)
        return SecretStr(understood(call, await self._calls.read(call), read_link))

    async def restore_log(self, server_id: str) -> tuple[Activity, ...]:
        """Return what a server's activity log says of its latest restores, newest first; older panels keep no log."""
        call = self._endpoints.activity(server_id, RESTORES)
        return understood(call, await self._calls.read(call), read_activities)

    async def is_gone(self, server_id: str, uuid: str) -> bool:
        """Return whether the panel shows the server, but no such backup."""
        try:
            await self.backup(server_id, uuid, urgent=True)
        except NotFoundError:
            return await self._is_seen(server_id)
        return False

    async def _look(self, server_id: str) -> Server:
        """View the server once, urgently, without a retry."""
        call = self._endpoints.server(server_id, urgent=True)
        return understood(call, await self._transport.once(call), read_server)

    async def _see(self, look: ApiCall, uuid: str) -> Backup:
        """View the backup once, without a retry."""
        return this_backup(look, await self._calls.once(look), uuid)

    async def _is_seen(self, server_id: str) -> bool:
        """Return whether the panel shows the server."""
        try:
            await self.server(server_id, urgent=True)
        except PanelError:
            return False
        return True
