"""A server's files, its process and its console, typed: what a restore onto another server asks of the panel.

The panel hands each call on to the server's node. A write is never repeated here: after OutcomeUnknownError or
NodeError, a look at the files tells what became of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from daemon.core.files import FileEntry, Power
from daemon.panel.decode import nothing, understood
from daemon.panel.endpoints import Endpoints
from daemon.panel.server_calls import ServerCalls
from daemon.panel.wire import read_console, read_disk, read_files, read_link, read_power, read_uptime


@dataclass(frozen=True, slots=True)
class ConsoleAccess:
    """Where a node's websocket is, and the token that opens it."""

    address: str
    token: SecretStr


class ServerFiles:
    """The calls for files and power of one panel's servers."""

    def __init__(self, endpoints: Endpoints, calls: ServerCalls) -> None:
        self._endpoints = endpoints
        self._calls = calls

    async def list(self, server_id: str, folder: str = "/") -> tuple[FileEntry, ...]:
        """Return what is in a folder; NotFoundError or NodeError where there is none, by the kind of panel."""
        call = self._endpoints.files(server_id, folder)
        return understood(call, await self._calls.read(call), read_files)

    async def pull(self, server_id: str, link: SecretStr, folder: str, name: str) -> None:
        """Let the node fetch a file. It goes on by itself: only the list of files shows whether it comes."""
        call = self._endpoints.pull(server_id, link.get_secret_value(), folder, name)
        nothing(call, await self._calls.write(call))

    async def decompress(self, server_id: str, folder: str, name: str) -> None:
        """Unpack an archive into its folder; the answer comes at the end, or after the panel's quarter of an hour."""
        call = self._endpoints.decompress(server_id, folder, name)
        nothing(call, await self._calls.write(call))

    async def delete(self, server_id: str, folder: str, names: Sequence[str]) -> None:
        """Delete files and folders from a folder."""
        call = self._endpoints.delete_files(server_id, folder, names)
        nothing(call, await self._calls.write(call))

    async def upload_link(self, server_id: str) -> SecretStr:
        """Return a signed URL to which the node takes one upload. It is a secret, and expires within minutes."""
        call = self._endpoints.upload(server_id)
        return SecretStr(understood(call, await self._calls.read(call), read_link))

    async def signal(self, server_id: str, signal: str) -> None:
        """Ask the server's process to "start" or "stop", or "kill" it."""
        call = self._endpoints.power(server_id, signal)
        nothing(call, await self._calls.write(call))

    async def console(self, server_id: str) -> ConsoleAccess:
        """Return access to the server's console at its node."""
        call = self._endpoints.websocket(server_id)
        address, token = understood(call, await self._calls.read(call), read_console)
        return ConsoleAccess(address, SecretStr(token))

    async def power(self, server_id: str) -> Power:
        """Return whether the server's process runs."""
        call = self._endpoints.resources(server_id)
        return understood(call, await self._calls.read(call), read_power)

    async def running(self, server_id: str) -> tuple[Power, float | None]:
        """Return whether the server's process runs, and for how many seconds; None where the node does not tell."""
        call = self._endpoints.resources(server_id)
        answer = await self._calls.read(call)
        return understood(call, answer, read_power), understood(call, answer, read_uptime)

    async def disk_used(self, server_id: str) -> int | None:
        """Return how many bytes the server's files take, as its node counted last; None if that is not told."""
        call = self._endpoints.resources(server_id)
        return understood(call, await self._calls.read(call), read_disk)
