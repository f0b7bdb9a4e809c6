"""How many connections may be open, for how long, and which one must go: nobody outside may cost a backup or the health
check.

What must hold: the sockets stay far below what the process may open, since each rotation needs some. There is always
room for one more, which may be the orchestrator's probe: the connection that has been idle longest is closed or, if all
are busy, the one that has been busy longest. No connection outlives its deadlines: one for a request's headers, and one
for reading the answer.
"""

import asyncio
import resource
from dataclasses import dataclass
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from daemon.web.guard import OPEN

MOST_CONNECTIONS = 128


@dataclass(frozen=True, slots=True)
class Limits:
    """`connections` may be open at once, of which `requests` may be waiting for an answer or reading it; `backlog` are
    accepted at one time. A request's headers must come within `ask_seconds`, counted from the answer before. Its answer
    must be made and read within `answer_seconds`.
    """

    connections: int = MOST_CONNECTIONS
    requests: int = 32
    backlog: int = 64
    ask_seconds: float = 15.0
    answer_seconds: float = 60.0

    @classmethod
    def of_this_process(cls) -> "Limits":
        """Return an eighth of the files that the process may open, and at most 128."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MOST_CONNECTIONS if files == resource.RLIM_INFINITY else max(4, min(files // 8, MOST_CONNECTIONS))
        return cls(connections=most, requests=max(1, most // 4), backlog=max(1, most // 2))


class Crowd:
    """All connections, the longest idle first. As an app it stands before another and limits its requests."""

    def __init__(self, limits: Limits, app: ASGIApp) -> None:
        self.limits = limits
        self._app = app
        self._connections: dict[Connection, None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; health checks are never counted."""
        busy = sum(connection.busy for connection in self._connections)
        rush = busy > self.limits.requests and scope["path"] not in OPEN
        app = PlainTextResponse("Too many ask at once.\n", 503, {"Retry-After": "1"}) if rush else self._app
        await app(scope, receive, send)

    def connect(self, *arguments: Any, **keywords: Any) -> "Connection":  # noqa: ANN401 — uvicorn's own
        """Return a new connection, for uvicorn."""
        return Connection(self, *arguments, **keywords)

    def enter(self, connection: "Connection") -> None:
        """Add a connection, or move it to the end of the idle ones. If there are too many, close the one that has been
        idle longest, or else the one that has been busy longest.
        """
        self._connections.pop(connection, None)
        self._connections[connection] = None
        if len(self._connections) > self.limits.connections:
            others = [one for one in self._connections if one is not connection]
            next((one for one in others if not one.busy), others[0]).break_off()

    def leave(self, connection: "Connection") -> None:
        """Remove a connection."""
        self._connections.pop(connection, None)


class Connection(H11Protocol):
    """One connection: uvicorn's, with a place in the crowd and a deadline."""

    def __init__(self, crowd: Crowd, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401 — uvicorn's own
        super().__init__(*arguments, **keywords)
        self._crowd = crowd
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is being made, or not yet read completely."""
        return self._answering or self.transport.get_write_buffer_size() > 0

    @property
    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for the first request."""
        super().connection_made(transport)
        self._crowd.enter(self)
        self._within(self._crowd.limits.ask_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room."""
        self._crowd.leave(self)
        self._within(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read; the answer's time begins at the end of the headers."""
        before = self._answering
        super().data_received(data)
        if self._answering and not before:
            self._within(self._crowd.limits.answer_seconds)

    def on_response_complete(self) -> None:
        """Wait for the next request, or until this answer is read, as long as its deadline allows."""
        super().on_response_complete()
        if self._answering:  # the next one was sent along with the one before
            self._within(self._crowd.limits.answer_seconds)
        elif self.transport.get_write_buffer_size() == 0:
            self._within(self._crowd.limits.ask_seconds)
        if not self.transport.is_closing():
            self._crowd.enter(self)

    def break_off(self) -> None:
        """End it now, whatever is left to be sent."""
        self._crowd.leave(self)
        self._within(None)
        self.transport.abort()

    def _within(self, seconds: float | None) -> None:
        """Break off after that many seconds, unless another deadline replaces it; never, if None."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.break_off)
