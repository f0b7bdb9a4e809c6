"""The calls of one server: sent as `Transport` sends them, and where its state is in the way, the state is looked at.

A 409 says so in the panel's own language (APP_LOCALE), so its words tell nobody which state it is. The server's view
tells, and answers in every state. Whether to wait, to skip or to call somebody hangs on that.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from daemon.core.model import Server
from daemon.panel.answers import Answer, Call
from daemon.panel.errors import PanelError, ServerStateError
from daemon.panel.transport import Transport

View: TypeAlias = Callable[[str], Awaitable[Server]]


class ServerCalls:
    """`view` looks once at the server of a refused call."""

    def __init__(self, requests: Transport, view: View) -> None:
        self._transport = requests
        self._view = view

    async def read(self, call: Call) -> Answer:
        """As `Transport.read`; ServerStateError with its obstacle."""
        return await self._tell(self._transport.read, call)

    async def write(self, call: Call) -> Answer:
        """As `Transport.write`; ServerStateError with its obstacle."""
        return await self._tell(self._transport.write, call)

    async def once(self, call: Call) -> Answer:
        """As `Transport.once`; ServerStateError with its obstacle."""
        return await self._tell(self._transport.once, call)

    async def _tell(self, send: Callable[[Call], Awaitable[Answer]], call: Call) -> Answer:
        try:
            return await send(call)
        except ServerStateError as error:
            conflict = error
        raise await self._with_obstacle(call, conflict)

    async def _with_obstacle(self, call: Call, conflict: ServerStateError) -> ServerStateError:
        """Return the error with the obstacle that the view shows; as it is where none is to be seen any more."""
        _, _, server_id, *_ = call.path.split("/")
        try:
            obstacle = (await self._view(server_id)).obstacle
        except PanelError:
            return conflict
        if obstacle is None:
            return conflict
        text = f"{conflict.text} (the server is {obstacle})"
        return ServerStateError(text, obstacle=obstacle, status=conflict.status)
