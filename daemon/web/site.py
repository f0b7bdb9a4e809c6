"""Listening for HTTP, inside the daemon's own loop.

uvicorn's own signal handling is never entered, nor its main loop: the daemon alone handles signals, and stops HTTP
last. A reload may move it to another address; if that one is taken, it stays where it was. daemon/web/crowd.py limits
how many may be connected and for how long.
"""

import asyncio
import os
import socket
from dataclasses import dataclass

from uvicorn.config import Config
from uvicorn.server import Server

from daemon.config.values import HttpConfig
from daemon.errors import BackupdError, Exit, ProblemCode
from daemon.log import get_logger
from daemon.status.fleet_status import FleetStatus
from daemon.web.app import make_app
from daemon.web.crowd import Crowd, Limits

log = get_logger()

SHARED_SECONDS = 1.0


class ListenError(BackupdError):
    """The address cannot be listened on."""

    exit_code = Exit.FAILED
    code = ProblemCode.LISTEN
    default_hint = "is another daemon running there? http.listen names the address and the port"


@dataclass(slots=True)
class _Listening:
    server: Server
    config: HttpConfig


class Site:
    """The daemon's HTTP, at one address at a time, or at none."""

    def __init__(self, fleet_status: FleetStatus, limits: Limits | None = None) -> None:
        self._fleet_status = fleet_status
        self._limits = limits or Limits.of_this_process()
        self._now: _Listening | None = None
        self.port = 0

    async def follow(self, config: HttpConfig | None) -> None:
        """Listen as the configuration says; if that fails, raise ListenError and go on as before."""
        if self._now is not None and config is not None and _address(config) == _address(self._now.config):
            self._now.config = config
            return
        before = self._now
        if config is not None:
            self._now = await self._listen(config)
        if before is not None:
            await _stop(before.server)
        if config is None:
            self._now = None

    async def stop(self) -> None:
        """Stop listening; answers under way are broken off."""
        await self.follow(None)

    async def _listen(self, config: HttpConfig) -> _Listening:
        try:
            listening = socket.create_server(_address(config), family=_family(config.host))
        except OSError as error:
            raise ListenError(
                f"{_shown(config)} cannot be listened on: {os.strerror(error.errno) if error.errno else error}"
            ) from error
        app = make_app(self._fleet_status, lambda: made.config, shared_seconds=SHARED_SECONDS)
        made = _Listening(_server(Crowd(self._limits, app)), config)
        made.server.config.load()
        made.server.lifespan = made.server.config.lifespan_class(made.server.config)
        await made.server.startup(sockets=[listening])
        self.port = listening.getsockname()[1]
        log.info("http_listening", address=_shown(config, self.port), asks_for_token=config.token is not None)
        return made


def _server(crowd: Crowd) -> Server:
    config = Config(
        crowd,
        interface="asgi3",
        http=crowd.connect,  # type: ignore[arg-type]  # it is only ever called
        loop="none",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=crowd.limits.backlog,
        timeout_keep_alive=round(crowd.limits.ask_seconds),
    )
    return Server(config)


async def _stop(server: Server) -> None:
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    tasks = list(server.server_state.tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for listening in server.servers:
        await listening.wait_closed()


def _address(config: HttpConfig) -> tuple[str, int]:
    return ("127.0.0.1" if config.host == "localhost" else config.host, config.port)


def _shown(config: HttpConfig, port: int | None = None) -> str:
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"{host}:{config.port if port is None else port}"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
