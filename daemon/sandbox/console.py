"""The websocket of a server's console, as a node speaks it: JSON objects with an `event` and its `args`.

Nothing is told before the caller has sent a valid token, and nothing once that has run out: then each event is replaced
by `jwt error`. The node's own behaviour (wings 1.11, `router/websocket`) is followed.
"""

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from daemon.sandbox.links import read_token
from daemon.sandbox.orders import ConnectionLostError, Fault, Loss
from daemon.sandbox.records import Power, Server
from daemon.sandbox.world import World

GLANCE_SECONDS = 0.02
"""Real time between looks at the world: its own clock may jump."""

LOG_LINES = 150
"""How many lines of the console a node sends to whoever asks for its log."""

EXPIRING_SECONDS = 60.0
CLOSED_LINES = 1
"""After how many lines a connection breaks, if it was ordered to."""


class ConsoleSocket:
    """One connection to the console of `server`, which suffers `fault`."""

    def __init__(self, world: World, server: Server, socket: WebSocket, fault: Fault) -> None:
        self._world = world
        self._server = server
        self._socket = socket
        self._fault = fault
        self._claims: dict[str, Any] | None = None
        self._power: Power | None = None
        self._told_expiring = False
        self._console = server.console
        self._next = 0
        """The first line of the console that was not sent yet."""

    async def run(self) -> None:
        """Serve it until the caller goes, or the connection breaks as was ordered."""
        await self._socket.accept()
        received = asyncio.ensure_future(self._socket.receive_text())
        try:
            while True:
                await asyncio.wait([received], timeout=GLANCE_SECONDS)
                self._world.settle()
                if received.done():
                    await self._hear(json.loads(received.result()))
                    received = asyncio.ensure_future(self._socket.receive_text())
                if self._claims is not None:
                    await self._tell()
        except WebSocketDisconnect:
            return
        finally:
            received.cancel()

    async def _hear(self, message: dict[str, Any]) -> None:
        arguments = message.get("args") or []
        if message["event"] == "auth":
            await self._authenticate("".join(arguments))
        elif message["event"] == "send logs" and self._server.power is not Power.OFFLINE:
            for line in self._server.console[-LOG_LINES:]:
                await self._send("console output", line)

    async def _authenticate(self, token: str) -> None:
        claims = read_token(token, self._world.now())
        if self._fault.name == "token_refused" or claims is None or claims["server_uuid"] != self._server.uuid:
            await self._write("jwt error", "Error Event [0]: jwt: created too far in past (denylist)")
            return
        if self._claims is None:
            self._console, self._next = self._server.console, len(self._server.console)
        self._claims, self._told_expiring = claims, False
        await self._write("auth success")

    async def _tell(self) -> None:
        """Send what has happened since the last time."""
        if self._server.power is not self._power:
            self._power = self._server.power
            await self._send("status", self._power)
        if self._console is not self._server.console:  # it was started again
            self._console, self._next = self._server.console, 0
        for line in self._console[self._next :]:
            self._next += 1
            await self._send("console output", line)
            if self._next >= CLOSED_LINES and self._fault.loss is Loss.CUT:
                await self._socket.close(1001)
                raise WebSocketDisconnect(1001)
            if self._next >= CLOSED_LINES and self._fault.loss is not None:
                raise ConnectionLostError(self._fault.loss)
        early = min(EXPIRING_SECONDS, self._world.settings.socket_token_seconds / 2)
        if not self._told_expiring and self._left() < early:
            self._told_expiring = True
            await self._send("token expiring")

    def _left(self) -> float:
        """Return how many seconds the token still holds."""
        assert self._claims is not None  # noqa: S101 — the caller has looked
        return float(self._claims["exp"]) - self._world.now().timestamp()

    async def _send(self, event: str, *arguments: str) -> None:
        """Send an event, or what a node sends in its place once the token has run out."""
        if self._left() < 0:
            await self._write("jwt error", "jwt: exp claim is invalid")
        else:
            await self._write(event, *arguments)

    async def _write(self, event: str, *arguments: str) -> None:
        await self._socket.send_json({"event": event, "args": list(arguments)})
