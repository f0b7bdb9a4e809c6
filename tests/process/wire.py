"""What lies between a daemon and a server, to be cut, or to hold what is on its way."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import partial


class Way(StrEnum):
    """The direction of what is passed on, seen from the daemon."""

    THERE = "there"
    BACK = "back"


class Wire:
    """A port of our own, and what is passed on between it and the port of the server.

    `sees` is called with what the daemon sends, as soon as it was sent.
    """

    def __init__(self, target: int, sees: Callable[[bytes], None] = lambda _: None) -> None:
        self._target = target
        self._sees = sees
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._flowing = {way: threading.Event() for way in Way}
        self._open = True
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.mend()
        self._in_thread(self._accept)

    def cut(self) -> None:
        """Cut all connections, and let no new ones through."""
        with self._lock:
            self._open = False
            for end in self._ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def hold(self, way: Way) -> None:
        """Hold all that goes this way."""
        self._flowing[way].clear()

    def mend(self) -> None:
        """Let new connections through, and all that was held."""
        with self._lock:
            self._open = True
        for flowing in self._flowing.values():
            flowing.set()

    def close(self) -> None:
        """End it."""
        self.cut()
        for flowing in self._flowing.values():
            flowing.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self._in_thread(partial(self._connect, near))

    def _connect(self, near: socket.socket) -> None:
        with near:
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # nobody is there
                return
            with far:
                with self._lock:
                    if not self._open:
                        return
                    self._ends |= {near, far}
                back = self._in_thread(lambda: self._pass_on(far, near, Way.BACK))
                self._pass_on(near, far, Way.THERE)
                back.join()
                with self._lock:
                    self._ends -= {near, far}

    def _pass_on(self, source: socket.socket, target: socket.socket, way: Way) -> None:
        """Pass on what comes, and its end, which is held too."""
        with suppress(OSError):
            while chunk := source.recv(65536):
                if way is Way.THERE:
                    self._sees(chunk)
                self._flowing[way].wait()
                target.sendall(chunk)
        self._flowing[way].wait()
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _in_thread(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread


@contextmanager
def wire(target: int, sees: Callable[[bytes], None] = lambda _: None) -> Iterator[Wire]:
    """A wire to the server at that port, until the end of the block."""
    made = Wire(target, sees)
    try:
        yield made
    finally:
        made.close()
