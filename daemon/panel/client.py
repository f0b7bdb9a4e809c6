"""The panel's calls that a rotation is made of, typed: values of the core come back, `PanelError` is raised.

A read may be repeated, a write never blindly: creating and restoring say that their outcome is unknown where the answer
was lost, deleting and locking settle that by reading. Nothing here decides what to delete.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import SecretStr

from daemon.clock import Clock
from daemon.core.model import Backup, Listing, Server
from daemon.panel.answers import Answer, Call
from daemon.panel.decode import new_backup, nothing, said_locked, this_backup, understood
from daemon.panel.error_map import CREATION_MARGIN
from daemon.panel.errors import (
    LEFT_OPEN,
    CreationThrottledError,
    ForeignPanelError,
    Lacking,
    NoBackupHostError,
    NodeError,
    NotFoundError,
    OutcomeUnknownError,
    PanelError,
    PanelTroubleError,
    PermissionLackingError,
    StrangeAnswerError,
)
from daemon.panel.listing import (
    BACKUPS_PER_PAGE,
    LARGEST_LIST,
    SERVERS_PER_PAGE,
    Fetch,
    Page,
    backup_page,
    read_listing,
    read_passes,
    server_page,
)
from daemon.panel.rate_limiter import Budget, RateLimiter
from daemon.panel.reconcile import DELETE_SECONDS, SETTLE_SECONDS, settle_create, settle_delete, settle_toggle
from daemon.panel.rights import Rights
from daemon.panel.server_cache import ServerCache
from daemon.panel.server_calls import ServerCalls
from daemon.panel.transport import Transport
from daemon.panel.wire import is_id, read_link, read_server

if TYPE_CHECKING:
    import httpx

MOST_TOGGLES = 3

Row = TypeVar("Row")
Send = Callable[[Call], Awaitable[Answer]]


class PanelClient:
    """One key to one panel, to be shared by all tasks that use it: they share its API limit.

    `all_servers` asks for every server of the panel instead of those of the key's user, which an administrator's key
    may see; the panel lists none to any other.
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
    ) -> None:
        self.name = name
        self._clock = clock
        self._all_servers = all_servers
        self._limiter = RateLimiter(reserve)
        self._transport = Transport(
            url,
            api_key,
            clock=clock,
            limiter=self._limiter,
            verify=verify,
            transport=transport,
            randomness=randomness,
            waits=lambda seconds: tell(f"panel {name}: waiting {seconds:.0f} s for room below its API limit"),
        )
        self._calls = ServerCalls(self._transport, self._look)
        self._server_cache = ServerCache(clock, self._server_pages(self._transport.once, urgent=True), self.server)
        self._rights = Rights(clock, self.server)
        self._throttled_until: dict[str, float] = {}

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
        """How many answers of each class there were so far: "2xx" to "5xx", and "none" where the answer was lost."""
        return self._transport.answers

    @property
    def throttled_seconds(self) -> float:
        """How long requests have waited for their turn, so that the API limit is never met, all together."""
        return self._transport.throttled_seconds

    def panel_now(self) -> datetime | None:
        """The panel's clock now; None before its first answer."""
        return self._transport.panel_clock.now()

    def clock_doubt(self) -> str:
        """Say why nothing may be deleted by what the panel's clock shows now; nothing where it can be trusted."""
        clock = self._transport.panel_clock
        return clock.doubt(clock.now() or self._clock.now(), self._clock.monotonic())

    # Reading

    async def servers(self) -> tuple[Server, ...]:
        """Return every server that the key can see, without permissions.

        PermissionLackingError where all servers are asked for and none is listed, as to whoever is no administrator.
        """
        latest, _ = await read_passes(self._server_pages(self._transport.read))
        if self._all_servers and not latest.rows:
            text = f"panel {self.name}, listing all its servers: it shows none, so the key is no administrator's"
            raise PermissionLackingError(text, kind=Lacking.ADMINISTRATOR)
        return tuple(latest.rows.values())

    async def seen_server(self, server_id: str) -> Server:
        """Return one server as it was within the last minute, perhaps without permissions; for many who ask at once."""
        return await self._server_cache.see(server_id)

    async def may_delete(self, server_id: str, seen: Server) -> bool:
        """Whether the key may delete backups on this server, which `seen_server` or `server` showed a moment ago."""
        return await self._rights.may_delete(server_id, seen)

    async def server(self, server_id: str, *, urgent: bool = False) -> Server:
        """Return one server with the key's permissions on it; answered even while it is busy or suspended."""
        call = replace(self._call("GET", f"viewing server {server_id}", server_id), urgent=urgent)
        return understood(call, await self._transport.read(call), read_server)

    async def backups(self, server_id: str) -> Listing:
        """Return every backup of a server, in up to three passes over all pages."""
        listing, _ = await self.dated_backups(server_id)
        return listing

    async def dated_backups(self, server_id: str) -> tuple[Listing, float]:
        """Return every backup of a server, and the moment (of the monotonic clock) that the listing is not older than.

        That is when the request left, not when it was to be made: it may have waited long for the API limit.
        """
        listing, read_at = await read_listing(self._backup_pages(server_id, self._calls.read))
        doubt = self._transport.panel_clock.doubt(listing.taken_at, read_at)
        return replace(listing, doubt=doubt), read_at

    async def backup(self, server_id: str, uuid: str, *, urgent: bool = False) -> Backup:
        """Return one backup; NotFoundError where there is none such. An urgent look goes before others that wait."""
        return await self._viewed(self._view(server_id, uuid, urgent=urgent), uuid, self._calls.read)

    async def download_link(self, server_id: str, uuid: str) -> SecretStr:
        """Return a signed URL for one download: used up by one use or within minutes, and a secret meanwhile."""
        action = f"asking for a download of backup {uuid} of server {server_id}"
        call = self._call("GET", action, server_id, "backups", uuid, "download")
        return SecretStr(understood(call, await self._calls.read(call), read_link))

    # Writing

    async def create(
        self,
        server_id: str,
        *,
        name: str,
        ignored: Sequence[str] = (),
        locked: bool = False,
        on_send: Callable[[], None] | None = None,
    ) -> Backup:
        """Ask once for a backup; return it as the panel took it: look at its name, lock and ignored lines.

        `on_send` is called just before the panel is asked, again where the API limit had it asked a second time.
        OutcomeUnknownError: go on with `settle_create`. CreationThrottledError also without asking, while the throttle
        is known to last. NoBackupHostError where a 404 is not about the server.
        """
        # Newline-separated, whatever the specification says: the panel takes a comma list for one pattern.
        body = {"name": name, "is_locked": locked} | ({"ignored": "\n".join(ignored)} if ignored else {})
        call = self._call("POST", f"creating a backup of server {server_id}", server_id, "backups", body=body)
        call = replace(call, on_send=on_send)
        self._look_at_throttle(call, server_id)
        try:
            return new_backup(call, await self._calls.write(call))
        except CreationThrottledError as error:
            self._throttled_until[server_id] = self._clock.monotonic() + (error.retry_after or CREATION_MARGIN)
            raise
        except NotFoundError as error:
            missing = error
        raise await self._without_host(server_id, missing)

    async def _without_host(self, server_id: str, missing: NotFoundError) -> PanelError:
        """What a 404 to a create means: where the server is there, it is not what is missing."""
        try:
            await self._look(server_id)
        except PanelError:
            return missing
        text = f"{missing.text} (the server is there: the panel has no host that keeps backups for its node)"
        return NoBackupHostError(text, status=missing.status)

    def _look_at_throttle(self, call: Call, server_id: str) -> None:
        """Raise where the server's creation throttle is known to last."""
        seconds = self._throttled_until.get(server_id, float("-inf")) - self._clock.monotonic()
        if seconds > 0:
            text = f"{call.action}: the panel's creation throttle lasts for another {seconds:.0f} s"
            raise CreationThrottledError(text, retry_after=seconds)

    async def settle_create(self, server_id: str, name: str, *, until: float = SETTLE_SECONDS) -> Backup | None:
        """List until a backup of that name appears, for `until` seconds; None where it surely did not.

        OutcomeUnknownError where the last list could not be read, or not as a whole.
        """
        action = f"panel {self.name}, looking for backup {name} of server {server_id}"
        fetch = self._backup_pages(server_id, self._calls.once, urgent=True)
        return await settle_create(self._clock, action, fetch, name, until=until)

    async def set_lock(self, server_id: str, uuid: str, locked: bool) -> Backup:
        """Lock or unlock a backup. The panel only toggles, so it is read first, and the answer is looked at.

        OutcomeUnknownError where the answer was lost, and the backup is not seen to be so within half a minute.
        """
        action = f"{'locking' if locked else 'unlocking'} backup {uuid} of server {server_id}"
        call = self._call("POST", action, server_id, "backups", uuid, "lock")
        backup = await self.backup(server_id, uuid)
        for _ in range(MOST_TOGGLES):
            if said_locked(call.action, backup) is locked:
                return backup
            try:
                backup = this_backup(call, await self._calls.write(call), uuid)
            except OutcomeUnknownError as error:
                look = self._view(server_id, uuid, urgent=True)
                view = partial(self._viewed, look, uuid, self._calls.once)
                return await settle_toggle(self._clock, look.action, view, locked, error)
        if said_locked(call.action, backup) is locked:
            return backup
        raise PanelTroubleError(f"{call.action}: it does not stay so; somebody else keeps changing it")

    async def restore(self, server_id: str, uuid: str, *, truncate: bool) -> None:
        """Ask once for a restore; `truncate` deletes the server's files first. The panel says only that it began."""
        action, body = f"restoring backup {uuid} of server {server_id}", {"truncate": truncate}
        call = self._call("POST", action, server_id, "backups", uuid, "restore", body=body)
        nothing(call, await self._calls.write(call))

    async def delete(self, server_id: str, uuid: str, *, not_after: float = float("inf")) -> bool:
        """Delete a backup: True when it was deleted, False when it was gone already. It goes before others that wait.

        HeldBackError where it could not leave before `not_after`, a moment of the monotonic clock. Where the answer was
        lost, or is not the panel's own empty one, the backup is looked for: once where the panel itself spoke, else for
        some seconds. That it is gone is believed while its server is to be seen: whoever lost access to that is told
        404 of everything on it. NotFoundError where it is not; PanelTroubleError or NodeError where the panel itself
        failed and the backup still stands; OutcomeUnknownError or ForeignPanelError where it may still be done.
        """
        call = self._call("DELETE", f"deleting backup {uuid} of server {server_id}", server_id, "backups", uuid)
        call = replace(call, urgent=True, not_after=not_after)
        try:
            nothing(call, await self._calls.write(call))
            self._throttled_until.pop(server_id, None)  # a Pelican's throttle no longer counts what was deleted: ask
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
        look = self._view(server_id, uuid, urgent=True)
        view = partial(self._viewed, look, uuid, self._calls.once)
        gone = await settle_delete(self._clock, look.action, view, until=0 if spoken else DELETE_SECONDS)
        if gone and await self._is_seen(server_id):
            return True
        raise _not_deleted(trouble, stands=gone is False)

    async def is_gone(self, server_id: str, uuid: str) -> bool:
        """Whether the panel knows no such backup, though it shows the server."""
        try:
            await self.backup(server_id, uuid, urgent=True)
        except NotFoundError:
            return await self._is_seen(server_id)
        return False

    async def _look(self, server_id: str) -> Server:
        """Return the server by one urgent look, which is not tried again."""
        call = replace(self._call("GET", f"viewing server {server_id}", server_id), urgent=True)
        return understood(call, await self._transport.once(call), read_server)

    async def _is_seen(self, server_id: str) -> bool:
        """Whether the panel shows the server."""
        try:
            await self.server(server_id, urgent=True)
        except PanelError:
            return False
        return True

    # Calls

    def _call(self, method: str, action: str, *path: str, body: Mapping[str, object] | None = None) -> Call:
        """Return the call for a path below `/servers/`."""
        return Call(method, self._path(action, *path), f"panel {self.name}, {action}", body=body)

    def _view(self, server_id: str, uuid: str, *, urgent: bool) -> Call:
        """Return the call that looks at one backup."""
        call = self._call("GET", f"viewing backup {uuid} of server {server_id}", server_id, "backups", uuid)
        return replace(call, urgent=urgent)

    @staticmethod
    async def _viewed(call: Call, uuid: str, send: Send) -> Backup:
        return this_backup(call, await send(call), uuid)

    def _path(self, action: str, *segments: str) -> str:
        """Return the path below `/servers/`; NotFoundError, and nothing sent, where an id is none.

        A server's is written in lower case, as panels make them: whatever a person wrote, a Pelican's SQLite knows no
        other.
        """
        for text in segments:
            if not is_id(text):
                raise NotFoundError(f"panel {self.name}, {action}: {text[:40]!r} is no id")
        server_id, *rest = segments
        return "/servers/" + "/".join((server_id.lower(), *rest))

    def _server_pages(self, send: Send, *, urgent: bool = False) -> Fetch[Server]:
        """Return what fetches page n of the server list."""
        query = {"type": "admin-all"} if self._all_servers else {}
        call = Call("GET", "", f"panel {self.name}, listing the servers", query=query, urgent=urgent)
        return self._pages(call, SERVERS_PER_PAGE, server_page, send)

    def _backup_pages(self, server_id: str, send: Send, *, urgent: bool = False) -> Fetch[Backup]:
        """Return what fetches page n of a server's backups."""
        call = self._call("GET", f"listing the backups of server {server_id}", server_id, "backups")
        return self._pages(replace(call, urgent=urgent), BACKUPS_PER_PAGE, backup_page, send)

    def _pages(
        self, call: Call, per_page: int, read: Callable[[object, datetime], Page[Row]], send: Send
    ) -> Fetch[Row]:
        """Return what fetches page n of a list; StrangeAnswerError where all since page 1 are too large together."""
        size = 0

        async def fetch(number: int) -> Page[Row]:
            nonlocal size
            this = replace(call, query={**call.query, "per_page": str(per_page), "page": str(number)})
            answer = await send(this)
            size = len(answer.body) + (size if number > 1 else 0)
            if size > LARGEST_LIST:
                raise StrangeAnswerError(f"{call.action}: the list is larger than {LARGEST_LIST >> 20} MiB")
            taken_at = answer.date or self.panel_now() or self._clock.now()
            page = understood(this, answer, lambda document: read(document, taken_at))
            return replace(page, sent_at=answer.sent_at)

        return fetch


def _not_deleted(trouble: PanelError, *, stands: bool) -> PanelError:
    """Given what a DELETE met, and whether its backup was seen to stand since, return the error that says both.

    What the panel itself called failed is not done any more once the backup is seen after it.
    """
    if not stands or isinstance(trouble, ForeignPanelError):
        return trouble
    kind, said = (PanelTroubleError, trouble.__cause__) if trouble.spoken else (type(trouble), trouble)
    return kind(f"{said}; it is still there", status=trouble.status, retry_after=trouble.retry_after)
