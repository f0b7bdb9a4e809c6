"""Where the bytes of a file go, and a thread that takes them there while the next ones are read from the network."""

import queue
import threading
from types import TracebackType
from typing import Protocol, Self

from daemon.transfer.expected import Tally

MOST_WAITING = 4  # batches of 1 MiB or so


class Sink(Protocol):
    """Takes the bytes of one file, from its beginning on."""

    @property
    def tally(self) -> Tally:
        """The tally of what was taken so far."""
        ...

    @property
    def rewinds(self) -> bool:
        """Whether it can begin again with another content than before."""
        ...

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        ...

    def restart(self) -> None:
        """Forget everything: the file begins again."""
        ...


class WriterThread:
    """Gives pieces to a sink in a thread of its own; what the sink raises is raised by the next call here."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pieces: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Return once everything was taken, also after an error: the transfer can be continued from there."""
        self._pieces.put(None)
        self._thread.join()
        if kind is None or issubclass(kind, Exception):
            self._raise()

    def put(self, piece: bytes) -> None:
        """Give a piece to the sink; wait while too much is queued."""
        self._raise()
        self._pieces.put(piece)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error from None

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._error is None:
                try:
                    self._sink.add(piece)
                except Exception as error:  # noqa: BLE001 — it is raised where it is waited for
                    self._error = error
