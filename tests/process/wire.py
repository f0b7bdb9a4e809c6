"""What lies between a daemon and a server, to be cut, or to hold what is on its way."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import partial
from pathlib import Path


class Way(StrEnum):
    """The direction of what is passed on, seen from the daemon."""

    THERE = "there"
    BACK = "back"


class Wire:
    """A port of our own, and what is passed on between it and the port of the server.

    `sees` is called with what the daemon sends, as soon as it was sent.
    """

    def __init__(self, target: int, sees: Callable[[bytes], None] = lambda _: None) -> None:
        self.target = target
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
        _stop(self._listening)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self.carry(near)

    def carry(self, near: socket.socket) -> None:
        """Let this connection go over the wire, though it was not made to its port."""
        self._in_thread(partial(self._connect, near))

    def _connect(self, near: socket.socket) -> None:
        with near:
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
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


class Crossing:
    """One port for several processes: a connection to it goes over the wire of the process that made it.

    `wire_of` is given what `/proc/net/tcp` calls the inode of that process's socket.
    """

    def __init__(self, wire_of: Callable[[str], Wire]) -> None:
        self._wire_of = wire_of
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        _stop(self._listening)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, (_, port) = self._listening.accept()
                inode = _inode(port, self.port)
                if inode == "0":  # the process was killed meanwhile
                    near.close()
                else:
                    self._wire_of(inode).carry(near)


def _stop(listening: socket.socket) -> None:
    """Let nobody connect any more, and who waits for that go on."""
    with suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def _inode(port: int, to: int) -> str:
    """Return the inode of the socket at that port of this machine that is connected to the other one; "0" if none."""
    ends = f"0100007F:{port:04X} 0100007F:{to:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
    return next((words[9] for words in lines if " ".join(words[1:3]) == ends), "0")


def has_socket(process: int, inode: str) -> bool:
    """Return whether that process has the socket open."""
    with suppress(OSError):
        for handle in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                if handle.readlink() == Path(f"socket:[{inode}]"):
                    return True
    return False


@contextmanager
def crossing(wire_of: Callable[[str], Wire]) -> Iterator[Crossing]:
    """A crossing, until the end of the block."""
    made = Crossing(wire_of)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def wire(target: int, sees: Callable[[bytes], None] = lambda _: None) -> Iterator[Wire]:
    """A wire to the server at that port, until the end of the block."""
    made = Wire(target, sees)
    try:
        yield made
    finally:
        made.close()
