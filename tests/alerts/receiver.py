"""A receiver on loopback: a plain HTTP server that keeps what it is sent and answers as it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

OK = "HTTP/1.1 200 OK\r\n"


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """Its body, as JSON."""
        return json.loads(self.body)


@dataclass
class Receiving:
    """What was received, and what will be answered: `answers` one each, then 200; None closes without an answer."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[str | None] = field(default_factory=list)
    silent: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request of a connection, answer, and close it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.splitlines()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = first.split()
        self.requests.append(Request(method, target, headers, body))
        if self.silent:
            await reader.read()
        answer = self.answers.pop(0) if self.answers else OK
        if answer is not None:
            writer.write(f"{answer}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiving]:
    """A receiver that listens until the end of the block."""
    there = Receiving()
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    there.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield there
    finally:
        server.close()


def status(line: str, **headers: str) -> str:
    """An answer with that status line, such as "503 Service Unavailable"."""
    return f"HTTP/1.1 {line}\r\n" + "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
