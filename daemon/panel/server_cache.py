"""Servers as the panel showed them a moment ago: one reading of its list serves all who ask about the same time.

Who asks waits a blink for others who start together. Where as many servers were asked for within the last minute as the
list has pages, it costs no more than a view of each: it is read once, and each page is handed out as it comes.
Otherwise, and for whatever the list does not show, each looks at its own server: a key may see more servers than its
list holds (an administrator's does), and every refusal is the panel's word on that one server.

The list brings good news only. A server that it shows hindered, without backups or without a node is looked at by
itself; a list that fails is not tried again for a minute, and each then looks by itself. So one odd answer never stops
more than one server (invariant 12). What was seen is used for a minute, as a listing is before a deletion;
nothing is deleted on the strength of it, and a server that was suspended meanwhile answers 409 to the next request.

The list is read by a task of its own, so that who gives up waiting takes nothing from the others. It goes before what
waits for the API limit, since many wait for it. httpx is not known here, and nothing decides what becomes of a server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from daemon.clock import Clock
from daemon.core.model import Server
from daemon.panel.errors import PanelError
from daemon.panel.listing import Fetch, Page, read_pass

FRESH_SECONDS = 60.0
BLINK = 0.05  # seconds; who starts together does not ask in one and the same moment
COMPANY = 2  # a single view is a smaller answer than a list: one who is alone never reads it


class _TooDearError(Exception):
    """The list has more pages than there are servers to look at."""


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A server, and the moment (of the monotonic clock) at which the panel was asked, or before."""

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
        """Read no further; who still waits looks for himself."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _remembered(self, key: str) -> Server | None:
        """The server, where it was seen within the last minute."""
        seen = self._seen.get(key)
        return seen.server if seen and self._is_recent(seen.at) else None

    def _is_recent(self, moment: float) -> bool:
        return self._clock.monotonic() - moment <= FRESH_SECONDS

    async def _listed(self, key: str) -> Server | None:
        """The server as the list shows it now; None where the list is not read, or does not show it free."""
        if key in self._unlisted or self._clock.monotonic() < self._no_list_before:
            return None
        if key not in self._waiting:
            self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="reading the server list")
        return await asyncio.shield(self._waiting[key])

    async def _read(self) -> None:
        """Read the list where it is the cheaper way; in the end nobody waits any more."""
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
        """Whether so many pages cost no more than views: as many servers as of late will be asked for again."""
        self._asked = {key: at for key, at in self._asked.items() if self._is_recent(at)}
        return len(self._asked) >= max(COMPANY, pages)

    async def _hand_out(self, number: int) -> Page[Server]:
        """Read one page, and let those go on who wait for a server on it."""
        page = await self._fetch(number)
        self._unlisted -= self._remember(page.rows.values(), page.sent_at)
        if number == 1 and page.rows and page.total is not None:
            self._pages = -(-page.total // len(page.rows))
            if not self._is_worth(self._pages):
                raise _TooDearError
        return page

    def _remember(self, servers: Iterable[Server], at: float) -> set[str]:
        """Remember those that nothing hinders, let those go on who wait for them, and return all their ids."""
        free = (server for server in servers if server.obstacle is None and server.backup_limit and server.node)
        fresh = (_Sighting(server, at) for server in free)
        sightings = {key: sighting for sighting in fresh for key in _ids(sighting.server)}
        self._seen |= sightings
        for key, seen in sightings.items():
            self._answer(key, seen.server)
        return set(sightings)

    def _answer(self, key: str, server: Server | None) -> None:
        """Let those go on who wait for this server."""
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            waiting.set_result(server)


def _ids(server: Server) -> tuple[str, str]:
    """What a server may be asked for by."""
    return server.uuid.lower(), server.identifier.lower()
