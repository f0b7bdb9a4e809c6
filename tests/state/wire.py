"""What lies between a daemon and its database, to be cut, stopped, or played tricks on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from daemon.config.values import ClusterConfig

Alter = Callable[[bytes], bytes]


@dataclass
class Wire:
    """A connection by way of a port of our own."""

    target: int
    port: int = 0
    open: bool = True
    accepted: int = 0
    alter: Alter = bytes
    loses_ends: bool = False
    """Whether the end of a connection does not arrive, as behind a firewall that has forgotten it."""

    _ends: list[asyncio.StreamWriter] = field(default_factory=list)

    def through(self, cluster: ClusterConfig) -> ClusterConfig:
        """The same database, by this wire."""
        parts = urlsplit(cluster.url.get_secret_value())
        place = parts.netloc.replace(str(self.target), str(self.port))
        return replace(cluster, url=SecretStr(urlunsplit(parts._replace(netloc=place))))

    def cut(self) -> None:
        """Cut all connections, and let no new ones through."""
        self.open = False
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes from either side."""
        self.accepted += 1
        if not self.open:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        self._ends += [writer, back]
        await asyncio.gather(self._pass_on(reader, back, bytes), self._pass_on(there, writer, self.alter))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, alter: Alter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(alter(chunk))
        if not self.loses_ends:
            writer.close()


@asynccontextmanager
async def wire(target: int, alter: Alter = bytes) -> AsyncIterator[Wire]:
    """A wire to the server at that port, until the end of the block."""
    made = Wire(target, alter=alter)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.cut()
        await server.wait_closed()


def as_a_pooler_does(chunk: bytes) -> bytes:
    """Answer with a process of our own, in BackendKeyData: pgbouncer 1.18 was seen to do so in every mode."""
    before, key, after = chunk.partition(b"K\x00\x00\x00\x0c")
    return before + key + b"\x00\x00\x00\x01" + after[4:] if key else chunk
