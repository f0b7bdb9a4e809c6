"""Between the daemon's HTTP client and the panel in memory: latency, lost connections, and who is to be told.

A request takes its way, is done at the panel, and its answer takes its way back. The panel goes on with what it was
asked for though the one who asked has given up or is dead, as a real one does.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

import httpx
from structlog.contextvars import get_contextvars

from daemon.sandbox.app import PanelApp
from daemon.sandbox.orders import ConnectionLostError, Loss
from tests.simulation.clocks import TrueClock
from tests.simulation.witness import ORIGIN, Exchange, Witness

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

HOST = "panel.example.com"


class Caller(Protocol):
    """A process that makes requests."""

    name: str

    def tick(self, where: str) -> None:
        """Something happens at which the process may be killed."""
        ...

    def check_alive(self) -> None:
        """Raise CancelledError where the process is dead."""
        ...


class Answered(Protocol):
    """Somebody who acts when the panel has answered, before the answer arrives."""

    def __call__(self, exchange: Exchange) -> None: ...


class Panel:
    """The panel's end of every wire."""

    def __init__(self, app: PanelApp, witness: Witness, clock: TrueClock, latency: random.Random) -> None:
        self.app = app
        self.witness = witness
        self.clock = clock
        self.latency = latency
        self.slowness = 0.3
        self.on_answer: list[Answered] = []
        self.on_sent: Answered = lambda _exchange: None
        self.working: set[asyncio.Future[object]] = set()
        self.leaks: list[str] = []

    async def serve(
        self, exchange: Exchange, request: httpx.Request, body: bytes
    ) -> tuple[int, list, bytes, Loss | None]:
        """Do what is asked, after its way here; the answer has its own way back."""
        ORIGIN.set(exchange)
        await self.clock.sleep(self.latency.random() * self.slowness)
        answer = await self._app(request, body)
        exchange.done, exchange.status = self.clock.monotonic(), answer[0]
        for act in self.on_answer:
            act(exchange)
        await self.clock.sleep(self.latency.random() * self.slowness)
        return answer

    async def _app(self, request: httpx.Request, body: bytes) -> tuple[int, list, bytes, Loss | None]:
        sent: list[MutableMapping[str, Any]] = []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path,
            "root_path": "",
            "query_string": request.url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": (HOST, 443),
            "client": ("192.0.2.7", 50000),
        }

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: "MutableMapping[str, Any]") -> None:
            sent.append(message)

        loss = None
        try:
            await self.app(scope, receive, send)
        except ConnectionLostError as lost:
            loss = lost.loss
        status, headers = (sent[0]["status"], list(sent[0]["headers"])) if sent else (0, [])
        return status, headers, b"".join(message.get("body", b"") for message in sent[1:]), loss


class Wire(httpx.AsyncBaseTransport):
    """One process's end of its wire."""

    def __init__(self, panel: Panel, caller: Caller) -> None:
        self._panel = panel
        self._caller = caller

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for its answer."""
        witness, caller = self._panel.witness, self._caller
        caller.check_alive()
        if request.url.host != HOST:
            self._panel.leaks.append(f"a request went to {request.url.host}")
        body = await request.aread()
        server = get_contextvars().get("server")
        exchange = witness.sent(caller.name, server, request, body)
        self._panel.on_sent(exchange)
        answer = asyncio.ensure_future(self._panel.serve(exchange, request, body))
        self._panel.working.add(answer)
        answer.add_done_callback(self._panel.working.discard)
        caller.tick("a request left")
        try:
            status, headers, content, loss = await asyncio.wait_for(
                asyncio.shield(answer), request.extensions["timeout"]["read"]
            )
        except TimeoutError as slow:
            witness.lost(exchange, "no answer in time")
            raise httpx.ReadTimeout("no answer", request=request) from slow
        caller.check_alive()
        caller.tick("an answer arrives")
        if loss is not None:
            witness.lost(exchange, loss.value)
        if loss is Loss.SILENT or (loss is not None and not status):
            raise httpx.ReadError("connection reset", request=request)
        if loss is None:
            date = dict(headers).get(b"date")
            witness.received(exchange, status, content, parsedate_to_datetime(date.decode()) if date else None)
        return httpx.Response(status, headers=headers, stream=_Body(content, loss, request), request=request)


class _Body(httpx.AsyncByteStream):
    """An answer's body, which may break off."""

    def __init__(self, content: bytes, loss: Loss | None, request: httpx.Request) -> None:
        self._content = content
        self._loss = loss
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._content:
            yield self._content
        if self._loss is Loss.CUT:
            raise httpx.RemoteProtocolError("peer closed the connection", request=self._request)
        if self._loss is not None:
            raise httpx.ReadError("connection reset", request=self._request)
