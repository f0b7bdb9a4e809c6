"""Servers as the panel showed them a moment ago: one reading of its list serves all callers at about the same time.

A caller waits briefly for others that start together. If as many servers were asked for within the last minute as the
list has pages, the list costs no more than a view of each: it is read once, and each page serves its callers as it
comes. Otherwise, and for any server that the list does not show, each caller views its own server: a key may see more
servers than its list holds (an administrator's does), and each refusal is the panel's word on that one server.

The list is trusted only for good news. A server that it shows busy, without backups or without a node is viewed by
itself. A list that fails is not tried again for a minute, and each caller then views its own server. So one odd answer
never stops more than one server (invariant 12). What was seen is used for a minute, as a listing is before a deletion.
Nothing is deleted because of it, and a server that was suspended meanwhile answers 409 to the next request.

A separate task reads the list, so a caller that gives up takes nothing from the others. Its requests are urgent, since
many wait for it. httpx is not known here, and nothing decides what becomes of a server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from daemon.clock import Clock
from daemon.core.model import Server
from daemon.panel.errors import PanelError
from daemon.panel.listing import Fetch, Page, read_pass

FRESH_SECONDS = 60.0
BLINK = 0.05  # seconds; callers that start together do not ask at exactly the same moment
COMPANY = 2  # a single view is a smaller answer than a list: one who is alone never reads it


class _TooDearError(Exception):
    """The list has more pages than there are servers to look at."""


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A server, and a moment (of the monotonic clock) not later than the panel's answer."""

    server: Server
    at: float


class ServerCache:
    """What one key sees of one panel's servers. `fetch` reads a page of the list, `view` a single server."""

    def __init__(self, clock: Clock, fetch: Fetch[Server], view: Callable[[str], Awaitable[Server]]) -> None:
        self._clock = clock
        self._fetch = fetch
        self._view = view
        self._seen: dict[str, _Sighting] = {}
        self._unlisted: set[str] = set()
        self._pages = 1
        self._no_list_before = float("-inf")
        self._asked: dict[str, float] = {}
        self._waiting: dict[str, asyncio.Future[Server | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def see(self, server_id: str) -> Server:
        """Return the server as it was within the last minute; raises PanelError as a view of it does."""
        key = server_id.lower()
        if key not in self._unlisted:
            self._asked[key] = self._clock.monotonic()
        known = self._remembered(key) or await self._listed(key)
        if known is not None:
            return known
        at = self._clock.monotonic()
        server = await self._view(server_id)
        self._remember([server], at)
        return server

    async def aclose(self) -> None:
        """Stop reading; callers that still wait view their own server."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _remembered(self, key: str) -> Server | None:
        """Return the server if it was seen within the last minute."""
        seen = self._seen.get(key)
        return seen.server if seen and self._is_recent(seen.at) else None

    def _is_recent(self, moment: float) -> bool:
        return self._clock.monotonic() - moment <= FRESH_SECONDS

    async def _listed(self, key: str) -> Server | None:
        """Return the server as the list shows it; None if the list is not read, or does not show it free."""
        if key in self._unlisted or self._clock.monotonic() < self._no_list_before:
            return None
        if key not in self._waiting:
            self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="reading the server list")
        return await asyncio.shield(self._waiting[key])

    async def _read(self) -> None:
        """Read the list if it is the cheaper way, and at the end answer all that still wait."""
        try:
            await self._clock.sleep(BLINK)
            if self._is_worth(self._pages):
                self._seen = {key: seen for key, seen in self._seen.items() if self._is_recent(seen.at)}
                waited = set(self._waiting)
                self._pages = (await read_pass(self._hand_out)).pages
                self._unlisted |= waited & self._waiting.keys()
        except _TooDearError:
            pass
        except PanelError:
            self._no_list_before = self._clock.monotonic() + FRESH_SECONDS
        finally:
            self._reading = None
            for key in tuple(self._waiting):
                self._answer(key, None)

    def _is_worth(self, pages: int) -> bool:
        """Return whether this many pages cost no more than views, if as many servers are asked for as lately."""
        self._asked = {key: at for key, at in self._asked.items() if self._is_recent(at)}
        return len(self._asked) >= max(COMPANY, pages)

    async def _hand_out(self, number: int) -> Page[Server]:
        """Read one page, and answer those that wait for a server on it."""
        page = await self._fetch(number)
        self._unlisted -= self._remember(page.rows.values(), page.sent_at)
        if number == 1 and page.rows and page.total is not None:
            self._pages = -(-page.total // len(page.rows))
            if not self._is_worth(self._pages):
                raise _TooDearError
        return page

    def _remember(self, servers: Iterable[Server], at: float) -> set[str]:
        """Remember those that nothing hinders, answer those that wait for them, and return all their ids."""
        free = (server for server in servers if server.obstacle is None and server.backup_limit and server.node)
        fresh = (_Sighting(server, at) for server in free)
        sightings = {key: sighting for sighting in fresh for key in _ids(sighting.server)}
        self._seen |= sightings
        for key, seen in sightings.items():
            self._answer(key, seen.server)
        return set(sightings)

    def _answer(self, key: str, server: Server | None) -> None:
        """Answer those that wait for this server."""
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            waiting.set_result(server)


def _ids(server: Server) -> tuple[str, str]:
    """Return the ids by which a server may be asked for."""
    return server.uuid.lower(), server.identifier.lower()
