"""The calls about one server: sent as `Transport` sends them. If the server's state prevents one, the state is looked
up.

A 409 says so in the panel's own language (APP_LOCALE), so its words do not tell which state it is. The server's view
does, and answers in every state. The state decides whether to wait, to skip or to alert.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from daemon.core.model import Server
from daemon.panel.answers import Answer, ApiCall
from daemon.panel.errors import PanelError, ServerStateError
from daemon.panel.transport import Transport

View: TypeAlias = Callable[[str], Awaitable[Server]]


class ServerCalls:
    """The calls. `view` views the server of a refused call, once."""

    def __init__(self, requests: Transport, view: View) -> None:
        self._transport = requests
        self._view = view

    async def read(self, call: ApiCall) -> Answer:
        """Read as `Transport.read` does; a ServerStateError has its obstacle."""
        return await self._tell(self._transport.read, call)

    async def write(self, call: ApiCall) -> Answer:
        """Write as `Transport.write` does; a ServerStateError has its obstacle."""
        return await self._tell(self._transport.write, call)

    async def once(self, call: ApiCall) -> Answer:
        """Send as `Transport.once` does; a ServerStateError has its obstacle."""
        return await self._tell(self._transport.once, call)

    async def _tell(self, send: Callable[[ApiCall], Awaitable[Answer]], call: ApiCall) -> Answer:
        try:
            return await send(call)
        except ServerStateError as error:
            conflict = error
        raise await self._with_obstacle(call, conflict)

    async def _with_obstacle(self, call: ApiCall, conflict: ServerStateError) -> ServerStateError:
        """Return the error with the obstacle that the view shows; unchanged if it shows none any more."""
        _, _, server_id, *_ = call.path.split("/")
        try:
            obstacle = (await self._view(server_id)).obstacle
        except PanelError:
            return conflict
        if obstacle is None:
            return conflict
        text = f"{conflict.text} (the server is {obstacle})"
        return ServerStateError(text, obstacle=obstacle, status=conflict.status)
