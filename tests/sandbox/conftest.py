"""What the sandbox's tests share: a client that speaks to it over real HTTP."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from daemon.sandbox.records import Backup, Server
from daemon.sandbox.scenes import KEY
from daemon.sandbox.serve import SandboxServer
from daemon.sandbox.world import World

CONTEXT = ssl.create_default_context()
HEADERS = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}


@dataclass(frozen=True)
class Caller:
    """Somebody who calls the sandbox; `http` is a plain client without the panel's key."""

    sandbox: SandboxServer
    http: httpx.AsyncClient

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One call with the scene's key; `path` goes on from `/api/client`."""
        return await self.http.request(method, f"{self.sandbox.url}/api/client{path}", headers=HEADERS, **options)

    async def backups(self, server: Server, **query: int) -> list[dict[str, Any]]:
        """The attributes of one page of backups."""
        answer = await self.call("GET", f"/servers/{server.identifier}/backups", params=query)
        return [row["attributes"] for row in answer.json()["data"]]

    async def create(self, server: Server, **fields: Any) -> httpx.Response:
        """Ask for a backup."""
        return await self.call("POST", f"/servers/{server.identifier}/backups", json=fields)

    async def view(self, server: Server, backup: str) -> dict[str, Any]:
        """The attributes of one backup."""
        answer = await self.call("GET", f"/servers/{server.identifier}/backups/{backup}")
        attributes: dict[str, Any] = answer.json()["attributes"]
        return attributes

    async def link(self, server: Server, backup: Backup) -> str:
        """A link to the file of a backup."""
        answer = await self.call("GET", f"/servers/{server.identifier}/backups/{backup.uuid}/download")
        url: str = answer.json()["attributes"]["url"]
        return url

    async def control(self, method: str, path: str = "", **options: Any) -> httpx.Response:
        """One order to the sandbox; `path` goes on from `/sandbox`."""
        return await self.http.request(method, f"{self.sandbox.url}/sandbox{path}", **options)


@asynccontextmanager
async def over_http(world: World) -> AsyncIterator[Caller]:
    """Serve `world` on 127.0.0.1 for as long as the block lasts."""
    async with SandboxServer(world) as sandbox, httpx.AsyncClient(verify=CONTEXT, trust_env=False) as http:
        yield Caller(sandbox, http)
