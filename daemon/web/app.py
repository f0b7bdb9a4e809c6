"""The addresses: health, readiness, metrics, the status, and the pages. They only show, and only to GET and HEAD."""

import json
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from daemon.config.values import HttpConfig
from daemon.documents.status import status
from daemon.errors import StateError
from daemon.state import CopyRecord, Rotation
from daemon.status.copies import IDENTIFIER
from daemon.status.fleet_status import FleetStatus
from daemon.status.metrics import CONTENT_TYPE, Metrics
from daemon.web.fleet_page import FleetPage
from daemon.web.guard import AccessGuard
from daemon.web.html import tag
from daemon.web.parts import STYLE_HASH, page
from daemon.web.server_page import server_page
from daemon.web.shared import Shared
from daemon.web.store_page import StoreView, store_page

SHOWN_ROTATIONS = 10
SHOWN_RECORDS = 1000
UNAVAILABLE = 503

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


def make_app(fleet_status: FleetStatus, config: Callable[[], HttpConfig], *, shared_seconds: float = 0.0) -> ASGIApp:
    """Return the daemon's HTTP; `config` gives what is in force at that moment. An answer serves all who ask for the
    same while it is made and for `shared_seconds` after; of health and readiness each is made anew.
    """
    answers = _Answers(fleet_status, Shared(shared_seconds))
    routes = [
        Route("/healthz", answers.healthz),
        Route("/readyz", answers.readyz),
        Route("/metrics", answers.metrics),
        Route("/api/status", answers.status),
        Route("/", answers.fleet),
        Route("/servers/{name}", answers.server),
        Route("/stores/{name}", answers.store),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
    app.router.redirect_slashes = False
    return AccessGuard(app, config, HEADERS)


class _Answers:
    """One method an address."""

    def __init__(self, fleet_status: FleetStatus, shared: Shared) -> None:
        self._fleet_status = fleet_status
        self._shared = shared
        self._metrics = Metrics(fleet_status)
        self._fleet_page = FleetPage(fleet_status)

    async def healthz(self, _: Request) -> Response:
        """Alive: the event loop answers, and the scheduler lets no start pass by."""
        stalled = self._fleet_status.stalled()
        return PlainTextResponse("\n".join(stalled or ["alive"]) + "\n", UNAVAILABLE if stalled else 200)

    async def readyz(self, _: Request) -> Response:
        """Return whether the daemon can do its work, and why not."""
        await self._fleet_status.look_at_state()
        ailments = self._fleet_status.ailments()
        lines = [*ailments, *self._fleet_status.notes()] or ["ready"]
        return PlainTextResponse("\n".join(lines) + "\n", UNAVAILABLE if ailments else 200)

    async def metrics(self, _: Request) -> Response:
        """For Prometheus."""
        return Response(await self._shared.get("/metrics", self._metrics.exposition), media_type=CONTENT_TYPE)

    async def status(self, _: Request) -> Response:
        """For scripts."""

        async def made() -> bytes:
            servers, stores = await self._fleet_status.servers(), await self._fleet_status.stores()
            return json.dumps(status(self._fleet_status, servers, stores), separators=(",", ":")).encode()

        return Response(await self._shared.get("/api/status", made), media_type="application/json")

    async def fleet(self, request: Request) -> Response:
        """For people."""

        async def made() -> bytes:
            return (await self._fleet_page.render(refresh=_refresh(request))).encode()

        return HTMLResponse(await self._shared.get(_address(request), made))

    async def server(self, request: Request) -> Response:
        """For people who want to know more of one server."""

        async def made() -> bytes:
            return (await self._server_page(request.path_params["name"], refresh=_refresh(request))).encode()

        return HTMLResponse(await self._shared.get(_address(request), made))

    async def _server_page(self, name: str, *, refresh: bool) -> str:
        status = await self._fleet_status.server(name)
        if status is None:
            raise HTTPException(404, "There is no server of this name in the configuration.")
        try:
            rotations: list[Rotation] | None = await self._fleet_status.rotations(name, SHOWN_ROTATIONS)
        except StateError:
            rotations = None
        trend, copies = (
            await self._fleet_status.tracker.trend(name),
            await self._fleet_status.stores_with(status.server),
        )
        return server_page(status, trend, rotations, copies, refresh=refresh)

    async def store(self, request: Request) -> Response:
        """For people who want to know more of one store."""

        async def made() -> bytes:
            return (await self._store_page(request.path_params["name"], refresh=_refresh(request))).encode()

        return HTMLResponse(await self._shared.get(_address(request), made))

    async def _store_page(self, name: str, *, refresh: bool) -> str:
        status = next((one for one in await self._fleet_status.stores() if one.name == name), None)
        if status is None:
            raise HTTPException(404, "There is no store of this name in the configuration.")
        try:
            records: list[CopyRecord] | None = await self._fleet_status.copy_records(name, SHOWN_RECORDS)
        except StateError:
            records = None
        queue = (await self._fleet_status.tracker.copies.seen()).queue
        view = StoreView(
            status,
            {(one.panel.name, one.id[:IDENTIFIER]): one.name for one in self._fleet_status.config.servers.values()},
            [one for one in queue.waiting.values() if one.store == name],
            records,
            self._fleet_status.tracker.clock.now(),
        )
        return store_page(view, refresh=refresh)


def _address(request: Request) -> str:
    """Return what a page is asked for by: its path, and whether it shall ask for itself again."""
    return f"{request.url.path}?{_refresh(request)}"


def _refresh(request: Request) -> bool:
    return "refresh" in request.query_params


async def _refused(_: Request, error: Exception) -> Response:
    """Nothing here, or not by this method."""
    status_code = error.status_code if isinstance(error, HTTPException) else 500
    words = error.detail if isinstance(error, HTTPException) else ""
    headers = error.headers if isinstance(error, HTTPException) else None
    header = tag("header", tag("p", tag("a", "ptero-backupd", href="/"), class_="brand"), tag("h1", words))
    return HTMLResponse(page(words, header, tone="warn"), status_code, headers)
