"""The panel's API, typed: each method asks one endpoint and returns values of the core, or raises `PanelError`.

A read (`reader`) may be repeated, a write never blindly. If an answer is lost, creating and restoring raise
OutcomeUnknownError; deleting and locking settle it by reading. Nothing here decides what to delete.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pydantic import SecretStr

from daemon.clock import Clock
from daemon.core.cut_off import Contact
from daemon.core.model import Backup
from daemon.panel.configured import Configured
from daemon.panel.decode import new_backup, nothing, said_locked, this_backup
from daemon.panel.errors import (
    LEFT_OPEN,
    CreationThrottledError,
    NoBackupHostError,
    NodeError,
    NotFoundError,
    OutcomeUnknownError,
    PanelError,
    PanelTroubleError,
    PermissionLackingError,
)
from daemon.panel.hindrance import Hindrance, unhindered
from daemon.panel.pages import backup_pages
from daemon.panel.rate_limiter import Budget, Portion, RateLimiter, undivided
from daemon.panel.reader import PanelReader
from daemon.panel.reconcile import (
    DELETE_SECONDS,
    SETTLE_SECONDS,
    not_deleted,
    settle_create,
    settle_delete,
    settle_toggle,
)
from daemon.panel.server_files import ServerFiles
from daemon.panel.throttle import CreationThrottle
from daemon.panel.transport import Transport

if TYPE_CHECKING:
    import httpx

MOST_TOGGLES = 3


class PanelClient(PanelReader):
    """A client with one key for one panel. All tasks that use the key share it, since they share its API limit.

    `all_servers` asks for every server of the panel instead of those of the key's user, which only an administrator's
    key may see. `files` has the calls for a server's files and its process. No write leaves for which `hindrance` has a
    reason. `portion` returns what of the API limit is this process's, at a moment of the monotonic clock.
    `key_from` says in words where the key comes from.
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
        key_from: str = "",
        verify: ssl.SSLContext | None = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
        randomness: Random | None = None,
        tell: Callable[[str], None] = lambda _: None,
        hindrance: Hindrance = unhindered,
        portion: Callable[[float], Portion] = undivided,
    ) -> None:
        self._limiter = RateLimiter(reserve, portion=portion)
        requests = Transport(
            url,
            api_key,
            clock=clock,
            limiter=self._limiter,
            verify=verify,
            transport=transport,
            randomness=randomness,
            waits=lambda seconds: tell(f"panel {name}: waiting {seconds:.0f} s for room below its API limit"),
            hindrance=hindrance,
            configured=Configured(name, url, key_from),
        )
        super().__init__(name, requests, clock, all_servers=all_servers)
        self.files = ServerFiles(self._endpoints, self._calls)
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
    def contact(self) -> Contact:
        """When the panel answered last, and since when it answers nothing."""
        return self._transport.contact

    @property
    def throttled_seconds(self) -> float:
        """For how many seconds requests have waited below the API limit, all together."""
        return self._transport.throttled_seconds

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

    async def delete(
        self,
        server_id: str,
        uuid: str,
        *,
        not_after: float = float("inf"),
        still: Callable[[], None] = lambda: None,
    ) -> bool:
        """Delete a backup; return True if it was deleted, False if it was already gone. It goes before others that
        wait. `still` is called right before it leaves, and raises whatever forbids it by then.

        If the answer is lost, or is not the panel's own empty one, look for the backup: once if the panel itself
        answered, else for some seconds. Believe that it is gone only while its server is visible, since a key that lost
        access gets 404 for everything.

        Raises HeldBackError if it could not leave before `not_after` (of the monotonic clock); NotFoundError if the
        server is not visible; PanelTroubleError or NodeError if the panel itself failed and the backup is still there;
        OutcomeUnknownError or ForeignPanelError if it may still be done.
        """
        call = replace(self._endpoints.delete(server_id, uuid), urgent=True, not_after=not_after, still=still)
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
