"""A host that sends, byte for byte, what a test says: for answers that no sane server gives."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

HANG = b"(hang)"
"""At the end of a script: keep the connection open and send nothing more."""


class Host:
    """Answers one script for each connection, in turn, and keeps the heads of the requests."""

    def __init__(self, scripts: Sequence[bytes]) -> None:
        self.heads: list[str] = []
        self._scripts = list(scripts)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for connection in self._held:
            connection.close()

    def _serve(self) -> None:
        for script in self._scripts:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._held.append(connection)
            self.heads.append(connection.recv(65536).decode())
            with suppress(ConnectionError):  # who has heard enough goes
                connection.sendall(script.removesuffix(HANG))
            if not script.endswith(HANG):
                connection.close()


@contextmanager
def host(*scripts: bytes) -> Iterator[Host]:
    """A host with these answers."""
    made = Host(scripts)
    try:
        yield made
    finally:
        made.close()


def answer(body: bytes = b"", *headers: str, status: str = "200 OK", length: int | None = -1) -> bytes:
    """An answer; its Content-Length is the body's unless another is given, and missing where that is None."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length == -1 else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def part_of(body: bytes, start: int, *headers: str) -> bytes:
    """The 206 answer with the rest of the file."""
    place = f"Content-Range: bytes {start}-{len(body) - 1}/{len(body)}"
    return answer(body[start:], place, *headers, status="206 Partial Content")
