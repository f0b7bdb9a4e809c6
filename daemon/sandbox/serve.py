"""The sandbox over real HTTP, on two ports: the panel, and the host of the downloads.

Nothing here handles signals inside somebody else's process: uvicorn's own handling is never entered, nor its main
loop, so that a server starts and stops at once. Only `serve`, which owns its process, listens to SIGINT and SIGTERM.
"""

import asyncio
import contextlib
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from typing import Self

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import Server

from daemon.clock import SystemClock
from daemon.sandbox.app import PanelApp
from daemon.sandbox.node import NodeApp
from daemon.sandbox.orders import ConnectionLostError, Loss
from daemon.sandbox.scenes import demo
from daemon.sandbox.world import World

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
REACHABLE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 — where one that listens everywhere is found


class SandboxServer:
    """`async with SandboxServer(world) as server:` — the panel is at `server.url`, downloads at `server.node_url`.

    Port 0 takes any free one. Every node of the world is told `node_url` at the start.
    """

    def __init__(self, world: World, *, host: str = "127.0.0.1", port: int = 0, node_port: int = 0) -> None:
        self.world = world
        self.app = PanelApp(world)
        self.node_app = NodeApp(world)
        self._host = host
        self._panel = _Listener(self.app, host, port)
        self._node = _Listener(self.node_app, host, node_port)

    @property
    def url(self) -> str:
        """Where the panel is."""
        return self._panel.url

    @property
    def node_url(self) -> str:
        """Where downloads are."""
        return self._node.url

    async def __aenter__(self) -> Self:
        """Listen; raises OSError if a port is taken."""
        await self._panel.start()
        try:
            await self._node.start()
        except OSError:
            await self._panel.stop()
            raise
        self.world.serve_nodes_at(self.node_url)
        self.world.panel_url = self.url
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once; answers that are under way are broken off."""
        await self._panel.stop()
        await self._node.stop()


class _Listener:
    """One port with one app behind it."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._app = app
        self._address = (host, port)
        config = Config(
            self._answer,
            interface="asgi3",
            http="h11",
            ws="websockets-sansio" if find_spec("websockets") else "none",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,  # the world's clock goes by itself
            server_header=False,
            proxy_headers=False,
        )
        self._server = Server(config)
        self._stopping = False
        self.url = ""

    async def start(self) -> None:
        listening = socket.create_server(self._address, family=_family(self._address[0]))
        host, port = listening.getsockname()[:2]
        host = REACHABLE.get(host, host)
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._server.config.load()
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup(sockets=[listening])

    async def stop(self) -> None:
        self._stopping = True
        for server in self._server.servers:
            server.close()
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        tasks = list(self._server.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self._server.servers:
            await server.wait_closed()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except ConnectionLostError as lost:
            self._break(scope["client"], lost.loss)
            await _disconnected(receive)
        except ClientDisconnect:  # in the middle of its request: there is nobody to answer
            return
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            await _disconnected(receive)

    def _break(self, client: tuple[str, int], loss: Loss) -> None:
        """Close the caller's connection: after what was sent, or with a reset that throws it away."""
        for connection in list(self._server.server_state.connections):
            if getattr(connection, "client", None) != tuple(client):
                continue
            if loss is Loss.RESET:
                raw = connection.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                connection.transport.abort()
            else:
                connection.transport.close()


async def _disconnected(receive: Receive) -> None:
    """Return once the connection is gone: before that, uvicorn would answer 500 for an app that returns nothing."""
    while (await receive())["type"] not in {"http.disconnect", "websocket.disconnect"}:
        pass


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@contextlib.contextmanager
def in_background(world: World, *, port: int = 0) -> Iterator[SandboxServer]:
    """The sandbox in a thread of its own, for tests of code that owns the event loop or has none.

    Raises OSError if the port is taken.
    """
    started: Future[SandboxServer] = Future()
    done = threading.Event()

    def ended(life: Future[None]) -> None:
        if not started.done():
            started.set_exception(life.exception())

    async def live() -> None:
        async with SandboxServer(world, port=port) as server:
            started.set_result(server)
            await asyncio.to_thread(done.wait)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, live()).add_done_callback(ended)
        try:
            yield started.result()
        finally:
            done.set()


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    world: World | None = None,
    ready: Callable[[SandboxServer], None] = lambda _: None,
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called once it listens. Raises OSError if the port is taken."""

    async def live() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with SandboxServer(world or demo(SystemClock()), host=host, port=port) as server:
            ready(server)
            await stop.wait()

    asyncio.run(live())
