"""The panel's calls that rotation is made of, typed: values of the core come back, `PanelError` is raised.

A read may be repeated, a write never blindly: creating answers or says that its outcome is unknown, deleting and
locking settle a lost answer by reading. Nothing here decides what to delete.
"""

import re
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from daemon.clock import Clock
from daemon.core.model import Backup, Completeness, Listing, Server
from daemon.panel.answers import CREATE_SECONDS, Answer, Call
from daemon.panel.errors import (
    CreationThrottledError,
    ForeignPanelError,
    NotFoundError,
    OutcomeUnknownError,
    PanelError,
    PanelTroubleError,
    StrangeAnswerError,
)
from daemon.panel.pacing import Budget, Pace
from daemon.panel.pages import PER_PAGE, Page, backup_page, read_listing, read_passes
from daemon.panel.requests import Requests
from daemon.panel.translate import CREATION_MARGIN
from daemon.panel.wire import UnreadableError, is_backup, read_backup, read_link, read_rows, read_server

if TYPE_CHECKING:
    import httpx

SETTLE_SECONDS = 120.0
MOST_TOGGLES = 3
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")

Value = TypeVar("Value")


class PanelClient:
    """One key to one panel, to be shared by all tasks that use it: they share its API limit."""

    def __init__(
        self,
        name: str,
        url: str,
        api_key: SecretStr,
        *,
        clock: Clock,
        reserve: float = 0.2,
        verify: ssl.SSLContext | None = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
        randomness: Random | None = None,
    ) -> None:
        self.name = name
        self._clock = clock
        self._pace = Pace(reserve)
        self._requests = Requests(
            url, api_key, clock=clock, pace=self._pace, verify=verify, transport=transport, randomness=randomness
        )
        self._throttled: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<PanelClient {self.name} at {urlsplit(self._requests.base).hostname}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._requests.aclose()

    @property
    def budget(self) -> Budget | None:
        """The API limit and what is left of it, as the panel last said; None before it said so."""
        return self._pace.budget

    @property
    def requests(self) -> int:
        """How many requests were sent so far."""
        return self._requests.count

    def panel_now(self) -> datetime | None:
        """The panel's clock now; None before its first answer."""
        return self._requests.panel_now()

    # -- reading ---------------------------------------------------------------------------------------------------

    async def servers(self) -> tuple[Server, ...]:
        """Return every server that the key can see, without permissions."""
        latest, _ = await read_passes(self._pages("", "listing the servers", _server_page))
        return tuple(latest.rows.values())

    async def server(self, server_id: str) -> Server:
        """Return one server with the key's permissions on it; answered even while the server is busy or suspended."""
        call = self._call("GET", f"viewing server {server_id}", server_id)
        return _understood(call, read_server, (await self._requests.read(call)).document)

    async def backups(self, server_id: str) -> Listing:
        """Return every backup of a server, in up to three passes over all pages."""
        path = self._call("GET", "", server_id, "backups").path
        return await read_listing(self._pages(path, f"listing the backups of server {server_id}", backup_page))

    async def backup(self, server_id: str, uuid: str) -> Backup:
        """Return one backup; NotFoundError where there is none such."""
        call = self._call("GET", f"viewing backup {uuid} of server {server_id}", server_id, "backups", uuid)
        return _the_backup(call, await self._requests.read(call), uuid)

    async def download_link(self, server_id: str, uuid: str) -> SecretStr:
        """Return a signed URL for one download: it is used up by one use or within minutes, and it is a secret."""
        call = self._call(
            "GET", f"asking for backup {uuid} of server {server_id}", server_id, "backups", uuid, "download"
        )
        return SecretStr(_understood(call, read_link, (await self._requests.read(call)).document))

    # -- writing ---------------------------------------------------------------------------------------------------

    async def create(self, server_id: str, *, name: str, ignored: Sequence[str] = (), locked: bool = False) -> Backup:
        """Ask once for a backup; return it as the panel took it: look at its name, lock and ignored lines.

        OutcomeUnknownError: see `settle_create`. CreationThrottledError also without a request, while it is known.
        """
        call = self._call("POST", f"creating a backup of server {server_id}", server_id, "backups")
        self._look_at_throttle(call, server_id)
        # Newline-separated, whatever the specification says: the panel takes a comma list for one pattern.
        body = {"name": name, "is_locked": locked} | ({"ignored": "\n".join(ignored)} if ignored else {})
        call = Call(call.method, call.path, call.doing, body=body, seconds=CREATE_SECONDS)
        try:
            answer = await self._requests.write(call)
        except CreationThrottledError as error:
            self._throttled[server_id.lower()] = self._clock.monotonic() + (error.retry_after or CREATION_MARGIN)
            raise
        return _made(call, answer)

    def _look_at_throttle(self, call: Call, server_id: str) -> None:
        """Raise where the server's creation throttle is known to last."""
        seconds = self._throttled.get(server_id.lower(), 0.0) - self._clock.monotonic()
        if seconds > 0:
            text = f"{call.doing}: the panel's creation throttle lasts for another {seconds:.0f} s; nothing was sent"
            raise CreationThrottledError(text, status=429, retry_after=seconds)

    async def settle_create(self, server_id: str, name: str, *, until: float = SETTLE_SECONDS) -> Backup | None:
        """List until a backup of that name appears, for `until` seconds; None where it did not.

        OutcomeUnknownError where the last list could not be read, or not as a whole.
        """
        deadline = self._clock.monotonic() + until
        delay = 2.0
        while True:
            listing = await self._listing_if_possible(server_id)
            found = [backup for backup in listing.backups if backup.name == name.strip()] if listing else []
            if found:
                return found[0]
            left = deadline - self._clock.monotonic()
            if left <= 0:
                break
            await self._clock.sleep(min(delay, left))
            delay = min(2 * delay, 15.0)
        if listing is None or listing.completeness is Completeness.PARTIAL:
            raise OutcomeUnknownError(
                f"panel {self.name}, looking for backup {name} of server {server_id}: the list could not be read"
            )
        return None

    async def _listing_if_possible(self, server_id: str) -> Listing | None:
        """Return the listing; None where passing trouble hinders it."""
        try:
            return await self.backups(server_id)
        except PanelError as error:
            if not error.transient:
                raise
            return None

    async def set_lock(self, server_id: str, uuid: str, locked: bool) -> Backup:
        """Lock or unlock a backup: the panel only toggles, so it is read first and the answer is looked at."""
        call = self._call(
            "POST",
            f"{'locking' if locked else 'unlocking'} backup {uuid} of server {server_id}",
            server_id,
            "backups",
            uuid,
            "lock",
        )
        backup = await self.backup(server_id, uuid)
        for _ in range(MOST_TOGGLES):
            if backup.locked is locked:
                return backup
            try:
                backup = _the_backup(call, await self._requests.write(call), uuid)
            except OutcomeUnknownError:
                backup = await self.backup(server_id, uuid)
        if backup.locked is locked:
            return backup
        raise PanelTroubleError(f"{call.doing}: somebody else keeps changing it")

    async def restore(self, server_id: str, uuid: str, *, truncate: bool) -> None:
        """Ask once for a restore; `truncate` deletes the server's files first. The panel says only that it began."""
        call = self._call(
            "POST", f"restoring backup {uuid} of server {server_id}", server_id, "backups", uuid, "restore"
        )
        call = Call(call.method, call.path, call.doing, body={"truncate": truncate}, seconds=CREATE_SECONDS)
        _nothing(call, await self._requests.write(call))

    async def delete(self, server_id: str, uuid: str) -> bool:
        """Delete a backup: True when it was deleted, False when it was gone already.

        OutcomeUnknownError where the answer was lost and the backup is still there, or cannot be read.
        """
        call = self._call("DELETE", f"deleting backup {uuid} of server {server_id}", server_id, "backups", uuid)
        try:
            _nothing(call, await self._requests.write(call))
        except NotFoundError:
            return False
        except OutcomeUnknownError as error:
            unknown = error
        else:
            return True
        try:
            await self.backup(server_id, uuid)
        except NotFoundError:
            return True
        except PanelError:
            pass
        raise unknown

    # -- calls -----------------------------------------------------------------------------------------------------

    def _call(self, method: str, doing: str, *path: str) -> Call:
        """Return the call below `/servers/`; an id that is none is not sent at all."""
        doing = f"panel {self.name}, {doing}"
        for part in path:
            if not _ID.fullmatch(part):
                raise NotFoundError(f"{doing}: {part[:40]!r} is no id")
        return Call(method, "/servers/" + "/".join(path), doing)

    def _pages(self, path: str, doing: str, read: Callable[[object, datetime], Page[Value]]) -> Any:  # noqa: ANN401
        """Return what fetches page n of a list."""

        async def fetch(number: int) -> Page[Value]:
            query = {"per_page": str(PER_PAGE), "page": str(number)}
            call = Call("GET", path, f"panel {self.name}, {doing}", query=query)
            answer = await self._requests.read(call)
            taken_at = answer.date or self._clock.now()
            return _understood(call, lambda document: read(document, taken_at), answer.document)

        return fetch


def _server_page(document: object, taken_at: datetime) -> Page[Server]:
    """Given one answer of the server list, return its page."""
    rows, total = read_rows(document)
    return Page({server.uuid: server for server in map(read_server, rows)}, total, taken_at)


def _understood(call: Call, read: Callable[[object], Value], document: object) -> Value:
    """Return the document as a value; StrangeAnswerError where it is none."""
    try:
        return read(document)
    except UnreadableError as error:
        reason = str(error)
    raise StrangeAnswerError(f"{call.doing}: the answer cannot be understood: {reason}")


def _the_backup(call: Call, answer: Answer, uuid: str) -> Backup:
    """Given an answer that must hold this very backup, return it."""
    backup = read_backup(answer.document)
    if backup.uuid.lower() == uuid.lower():
        return backup
    raise _odd(call, answer)


def _made(call: Call, answer: Answer) -> Backup:
    """Given the 2xx answer to a creation, return the new backup."""
    if is_backup(answer.document) and not (backup := read_backup(answer.document)).uuid.startswith("unreadable-"):
        return backup
    raise _odd(call, answer)


def _nothing(call: Call, answer: Answer) -> None:
    """Look that a 2xx answer is empty, as the panel's is where there is nothing to say."""
    if answer.body.strip():
        raise _odd(call, answer)


def _odd(call: Call, answer: Answer) -> PanelError:
    """Given a 2xx answer of the wrong shape, return the error: a fork's job, or no panel's answer at all."""
    if isinstance(answer.document, dict):
        kind = answer.document.get("object") or "unknown"
        return ForeignPanelError(
            f"{call.doing}: answered {answer.status} with an object of kind {kind!r}", status=answer.status
        )
    if call.reads:
        return StrangeAnswerError(f"{call.doing}: answered {answer.status} with no JSON object", status=answer.status)
    text = f"{call.doing}: answered {answer.status} with no JSON object, and nothing says whether it was done"
    return OutcomeUnknownError(text, status=answer.status)
