"""Between the daemon's HTTP client and the panel in memory: latency, lost connections, and who is to be told.

A request takes its way, is done at the panel, and its answer takes its way back. The panel goes on with what it was
asked for though the one who asked has given up or is dead, as a real one does.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import copy_context
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import httpx
from structlog.contextvars import get_contextvars

from daemon.sandbox.app import PanelApp
from daemon.sandbox.orders import ConnectionLostError, Loss
from tests.simulation.clocks import TrueClock
from tests.simulation.recorder import ORIGIN, Exchange, Recorder

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any


class Caller(Protocol):
    """A process that makes requests."""

    name: str

    def now(self) -> datetime:
        """What its machine's clock shows."""
        ...

    def tick(self, where: str) -> None:
        """Something happens at which the process may be killed."""
        ...

    def check_alive(self) -> None:
        """Raise CancelledError where the process is dead."""
        ...


Reply = tuple[int, list[tuple[bytes, bytes]], bytes, Loss | None]
"""Status, headers, body, and how it is lost on its way back."""


class Answered(Protocol):
    """Somebody who acts when the panel has answered, before the answer arrives."""

    def __call__(self, exchange: Exchange) -> None: ...


class Panel:
    """The panel's end of every wire. `cut_off` says of a process whether nothing gets from it to the panel and back."""

    def __init__(self, app: PanelApp, recorder: Recorder, clock: TrueClock, latency: random.Random) -> None:
        self.app = app
        self.recorder = recorder
        self.clock = clock
        self.latency = latency
        self.slowness = 0.3
        self.on_answer: list[Answered] = []
        self.on_sent: Answered = lambda _exchange: None
        self.cut_off: Callable[[str], bool] = lambda _process: False
        self.working: set[asyncio.Future[Reply]] = set()
        self.leaks: list[str] = []
        self._context = copy_context()

    def asked(self, exchange: Exchange, request: httpx.Request, body: bytes) -> "asyncio.Task[Reply]":
        """Begin to do what is asked: the panel's own work, whatever becomes of the process that asks."""
        served = self.serve(exchange, request, body)
        working = asyncio.get_running_loop().create_task(served, context=self._context.copy())
        self.working.add(working)
        working.add_done_callback(self.working.discard)
        return working

    async def serve(self, exchange: Exchange, request: httpx.Request, body: bytes) -> Reply:
        """Do what is asked, after its way here; the answer has its own way back."""
        ORIGIN.set(exchange)
        await self.clock.sleep(self.latency.random() * self.slowness)
        answer = await self._app(request, body)
        exchange.done, exchange.status = self.clock.monotonic(), answer[0]
        for act in self.on_answer:
            act(exchange)
        await self.clock.sleep(self.latency.random() * self.slowness)
        return answer

    async def _app(self, request: httpx.Request, body: bytes) -> Reply:
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
            "server": (request.url.host, 443),
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
    """One process's end of its wire, for a client that was opened for one address and one key."""

    def __init__(self, panel: Panel, caller: Caller, *, url: str, key: str) -> None:
        self._panel = panel
        self._caller = caller
        self._host = httpx.URL(url).host
        self._key = key
        self._dated: tuple[datetime, float] | None = None
        self._dated_first: float | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for its answer."""
        recorder, caller = self._panel.recorder, self._caller
        caller.check_alive()
        if self._panel.cut_off(caller.name):  # nothing leaves: nobody has to hear of it
            await self._panel.clock.sleep(request.extensions["timeout"]["connect"])
            raise httpx.ConnectTimeout("no way to the panel", request=request)
        body = await request.aread()
        server = get_contextvars().get("server")
        exchange = recorder.sent(caller.name, server, request, body)
        if request.url.host != self._host or exchange.key != self._key:
            self._panel.leaks.append(f"a request for {self._host} went to {request.url.host}, or had another key")
        self._panel.on_sent(exchange)
        answer = self._panel.asked(exchange, request, body)
        caller.tick("a request left")
        try:
            status, headers, content, loss = await asyncio.wait_for(
                asyncio.shield(answer), request.extensions["timeout"]["read"]
            )
        except TimeoutError as slow:
            recorder.lost(exchange, "no answer in time")
            raise httpx.ReadTimeout("no answer", request=request) from slow
        caller.check_alive()
        caller.tick("an answer arrives")
        if exchange.dateless:
            headers = [(name, value) for name, value in headers if name.lower() != b"date"]
        if self._panel.cut_off(caller.name):
            loss, status = Loss.SILENT, 0
        if loss is not None:
            recorder.lost(exchange, loss.value)
        if loss is Loss.SILENT or (loss is not None and not status):
            raise httpx.ReadError("connection reset", request=request)
        if loss is None:
            if self._dated_first is None and not exchange.dateless:
                self._dated_first = exchange.done
            exchange.dated_first = self._dated_first
            recorder.received(exchange, status, content, self._panel_now(dict(headers)))
        return httpx.Response(status, headers=headers, stream=_Body(content, loss, request), request=request)

    def _panel_now(self, headers: Mapping[bytes, bytes]) -> datetime:
        """The panel's now, as the client must take it: by the answer, else counted on from the last that said it."""
        seconds = self._panel.clock.monotonic()
        if b"date" in headers:
            self._dated = _date(headers[b"date"]), seconds
        if self._dated is None:
            return self._caller.now()
        date, then = self._dated
        return date + timedelta(seconds=seconds - then)


@lru_cache(maxsize=256)
def _date(header: bytes) -> datetime:
    return parsedate_to_datetime(header.decode())


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
