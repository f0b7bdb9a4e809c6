"""The panel's API, typed: each method asks one endpoint and returns values of the core, or raises `PanelError`.

A read may be repeated, a write never blindly. If an answer is lost, creating and restoring raise OutcomeUnknownError;
deleting and locking settle it by reading. Nothing here decides what to delete.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pydantic import SecretStr

from daemon.clock import Clock
from daemon.core.model import Backup, Listing, Server
from daemon.core.restores import RESTORES, Activity
from daemon.panel.answers import ApiCall
from daemon.panel.decode import new_backup, nothing, said_locked, this_backup, understood
from daemon.panel.endpoints import Endpoints
from daemon.panel.errors import (
    LEFT_OPEN,
    CreationThrottledError,
    Lacking,
    NoBackupHostError,
    NodeError,
    NotFoundError,
    OutcomeUnknownError,
    PanelError,
    PanelTroubleError,
    PermissionLackingError,
)
from daemon.panel.hindrance import Hindrance, unhindered
from daemon.panel.listing import (
    read_listing,
    read_passes,
)
from daemon.panel.pages import backup_pages, server_pages
from daemon.panel.rate_limiter import Budget, RateLimiter, undivided
from daemon.panel.reconcile import (
    DELETE_SECONDS,
    SETTLE_SECONDS,
    not_deleted,
    settle_create,
    settle_delete,
    settle_toggle,
)
from daemon.panel.rights import Rights
from daemon.panel.server_cache import ServerCache
from daemon.panel.server_calls import ServerCalls
from daemon.panel.server_files import ServerFiles
from daemon.panel.throttle import CreationThrottle
from daemon.panel.transport import Transport
from daemon.panel.wire import read_activities, read_link, read_server

if TYPE_CHECKING:
    import httpx

MOST_TOGGLES = 3


class PanelClient:
    """A client with one key for one panel. All tasks that use the key share it, since they share its API limit.

    `all_servers` asks for every server of the panel instead of those of the key's user, which only an administrator's
    key may see. `files` has the calls for a server's files and its process. No write leaves for which `hindrance` has a
    reason. `fraction` returns which fraction of the API limit is this process's, at a moment of the monotonic clock.
    """

    def __init__(
        self,
        name: str,
        url: str,
        api_key: SecretStr,
        *,
        clock: Clock,
        reserve: float = 0.2,
        all_servers: bool = False,
        verify: ssl.SSLContext | None = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
        randomness: Random | None = None,
        tell: Callable[[str], None] = lambda _: None,
        hindrance: Hindrance = unhindered,
        fraction: Callable[[float], float] = undivided,
    ) -> None:
        self.name = name
        self._clock = clock
        self._all_servers = all_servers
        self._limiter = RateLimiter(reserve, fraction=fraction)
        self._transport = Transport(
            url,
            api_key,
            clock=clock,
            limiter=self._limiter,
            verify=verify,
            transport=transport,
            randomness=randomness,
            waits=lambda seconds: tell(f"panel {name}: waiting {seconds:.0f} s for room below its API limit"),
            hindrance=hindrance,
        )
        self._endpoints = Endpoints(name, all_servers=all_servers)
        self._calls = ServerCalls(self._transport, self._look)
        self.files = ServerFiles(self._endpoints, self._calls)
        listing = server_pages(self._endpoints.servers(urgent=True), self._transport.once, self._now)
        self._server_cache = ServerCache(clock, listing, self.server)
        self._rights = Rights(clock, self.server)
        self._throttle = CreationThrottle(clock)

    def __repr__(self) -> str:
        return f"<PanelClient {self.name}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._server_cache.aclose()
        await self._transport.aclose()

    @property
    def budget(self) -> Budget | None:
        """The API limit and what is left of it, as the panel last said; None before it said so."""
        return self._limiter.budget

    @property
    def requests(self) -> int:
        """How many requests were sent so far."""
        return self._transport.count

    @property
    def answers(self) -> Mapping[str, int]:
        """How many answers of each class there were so far: "2xx" to "5xx", and "none" if there was no answer."""
        return self._transport.answers

    @property
    def throttled_seconds(self) -> float:
        """For how many seconds requests have waited below the API limit, all together."""
        return self._transport.throttled_seconds

    def panel_now(self) -> datetime | None:
        """Return the panel's clock now; None before its first answer."""
        return self._transport.panel_clock.now()

    def _now(self) -> datetime:
        return self.panel_now() or self._clock.now()

    def clock_doubt(self) -> str:
        """Return why nothing may be deleted by the panel's clock as it is now; empty if it can be trusted."""
        return self._transport.panel_clock.doubt(self._now(), self._clock.monotonic())

    # Reading

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

    # Writing

    async def create(
        self,
        server_id: str,
        *,
        name: str,
        ignored: Sequence[str] = (),
        locked: bool = False,
        on_send: Callable[[], Awaitable[None]] | None = None,
    ) -> Backup:
        """Ask once for a backup, and return it as the panel stored it: check its name, lock and ignored files.

        `on_send` is awaited right before the panel is asked, and again if the API limit turned the first request away.
        After OutcomeUnknownError, go on with `settle_create`. CreationThrottledError may come without a request, while
        the throttle is known to last. NoBackupHostError means that a 404 is not about the server.
        """
        call = self._endpoints.create(server_id, name=name, ignored=ignored, locked=locked)
        call = replace(call, on_send=on_send)
        self._throttle.check(server_id, call.action)
        try:
            return new_backup(call, await self._calls.write(call))
        except CreationThrottledError as error:
            self._throttle.refused(server_id, error)
            raise
        except NotFoundError as error:
            missing = error
        raise await self._without_host(server_id, missing)

    async def _without_host(self, server_id: str, missing: NotFoundError) -> PanelError:
        """Return what a 404 to a create means: if the server is there, it is not what is missing."""
        try:
            await self._look(server_id)
        except PanelError:
            return missing
        text = f"{missing.text} (the server is there: the panel has no host that keeps backups for its node)"
        return NoBackupHostError(text, status=missing.status)

    async def settle_create(self, server_id: str, name: str, *, until: float = SETTLE_SECONDS) -> Backup | None:
        """List until a backup of that name appears, for `until` seconds; return None if it surely does not exist.

        Raises OutcomeUnknownError if the last list could not be read completely.
        """
        action = f"panel {self.name}, looking for backup {name} of server {server_id}"
        fetch = backup_pages(self._endpoints.backups(server_id, urgent=True), self._calls.once, self._now)
        return await settle_create(self._clock, action, fetch, name, until=until)

    async def set_lock(self, server_id: str, uuid: str, locked: bool) -> Backup:
        """Lock or unlock a backup. The panel only toggles, so read the lock first, and check the answer.

        Raises OutcomeUnknownError if the answer was lost and the lock is not seen to be right within half a minute.
        """
        call = self._endpoints.toggle_lock(server_id, uuid, locked=locked)
        backup = await self.backup(server_id, uuid)
        for _ in range(MOST_TOGGLES):
            if said_locked(call.action, backup) is locked:
                return backup
            try:
                backup = this_backup(call, await self._calls.write(call), uuid)
            except OutcomeUnknownError as error:
                look = self._endpoints.backup(server_id, uuid, urgent=True)
                return await settle_toggle(self._clock, look.action, partial(self._see, look, uuid), locked, error)
        if said_locked(call.action, backup) is locked:
            return backup
        raise PanelTroubleError(f"{call.action}: it does not stay so; somebody else keeps changing it")

    async def restore(self, server_id: str, uuid: str, *, truncate: bool) -> None:
        """Ask once for a restore; `truncate` deletes the server's files first. The panel says only that it began."""
        call = self._endpoints.restore(server_id, uuid, truncate=truncate)
        nothing(call, await self._calls.write(call))

    async def delete(self, server_id: str, uuid: str, *, not_after: float = float("inf")) -> bool:
        """Delete a backup; return True if it was deleted, False if it was already gone. It goes before others that
        wait.

        If the answer is lost, or is not the panel's own empty one, look for the backup: once if the panel itself
        answered, else for some seconds. Believe that it is gone only while its server is visible, since a key that lost
        access gets 404 for everything.

        Raises HeldBackError if it could not leave before `not_after` (of the monotonic clock); NotFoundError if the
        server is not visible; PanelTroubleError or NodeError if the panel itself failed and the backup is still there;
        OutcomeUnknownError or ForeignPanelError if it may still be done.
        """
        call = replace(self._endpoints.delete(server_id, uuid), urgent=True, not_after=not_after)
        try:
            nothing(call, await self._calls.write(call))
            self._throttle.deleted(server_id)
            return True
        except PermissionLackingError:
            self._rights.refused(server_id)
            raise
        except NotFoundError:
            if await self._is_seen(server_id):
                return False
            raise
        except (NodeError, *LEFT_OPEN) as error:
            trouble = error
        spoken = trouble.spoken or isinstance(trouble, NodeError)
        look = self._endpoints.backup(server_id, uuid, urgent=True)
        until = 0 if spoken else DELETE_SECONDS
        gone = await settle_delete(self._clock, look.action, partial(self._see, look, uuid), until=until)
        if gone and await self._is_seen(server_id):
            return True
        raise not_deleted(trouble, stands=gone is False)

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
