"""Receive a stream. If it breaks, continue with a new link, from where it broke or from the beginning.

What must hold: a link is used once; tries without progress are bounded; a wrong checksum of a file that was put
together from several streams proves nothing, so the file is fetched again as a whole.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from daemon.core.backoff import Backoff
from daemon.core.units import format_size
from daemon.panel.download import FileHost, HostError, LinkRefusedError, RangeRefusedError, Stream
from daemon.panel.errors import PanelError
from daemon.transfer.errors import WrongFileError
from daemon.transfer.expected import Expected
from daemon.transfer.progress import ProgressListener
from daemon.transfer.sinks import Sink, WriterThread

TRIES = 5  # in a row that bring the file no further
FEW_TRIES = 2  # the same, where more would be of little use
PAUSES = Backoff(1.0, 8.0)
"""Seconds before a new link is asked for: a connection that broke is mostly there again, and the fifth try is the last.
"""
PROGRESS = 2**20  # so many more bytes are further


@dataclass(frozen=True)
class Source:
    """Where a backup's file comes from. `link` asks the panel for a new link, `pause` waits for that many seconds."""

    host: FileHost
    link: Callable[[], SecretStr]
    pause: Callable[[float], None]
    listener: ProgressListener


class Transfer:
    """One file on its way from its source to a sink, which may hold the beginning of it already."""

    def __init__(self, source: Source, sink: Sink, expected: Expected) -> None:
        self._source = source
        self._sink = sink
        self._expected = expected
        self._etag: str | None = None
        self._pieced = sink.tally.size > 0
        self._whole = False  # the host refused to go on: the next stream begins at 0, whatever the sink holds
        self.continues = self._pieced  # whether a later transfer could begin where this one broke

    def run(self) -> str | None:
        """Fetch the file; return what is wrong with what came, or None. Raises HostError, PanelError, TransferError."""
        self._persist()
        difference = self._expected.difference(self._sink.tally)
        if difference is None or not self._pieced or not self._sink.rewinds:
            return difference
        self._source.listener.said(f"put together, {difference}; fetching it again as a whole")
        self._restart()
        self._persist()
        return self._expected.difference(self._sink.tally)

    def _persist(self) -> None:
        """Try until the stream came to its end."""
        furthest, tries = self._sink.tally.size, 0
        while self._sink.tally.size < self._expected.size:
            try:
                return self._try()
            except (HostError, PanelError) as error:
                size = self._sink.tally.size
                tries = 0 if size >= furthest + PROGRESS else tries + 1
                if not error.transient or tries >= _patience(error):
                    raise
                failure = error
            furthest = max(furthest, size)
            self._recover(failure, tries)
        return None

    def _recover(self, failure: HostError | PanelError, tries: int) -> None:
        """Report the failure, and wait a little."""
        if isinstance(failure, RangeRefusedError):
            self._restart()
            self._whole = True
        there = f" after {format_size(self._sink.tally.size)}" if self._sink.tally.size else ""
        self._source.listener.said(f"{failure.text}{there}; trying again with a new link")
        asked = failure.retry_after if isinstance(failure, PanelError) else None
        self._source.pause(max(asked or 0.0, PAUSES.pause(tries)))

    def _try(self) -> None:
        """Read one stream to its end."""
        known = not self._whole and (self._etag or self._expected.checksum)
        start = self._sink.tally.size if known else 0
        with self._source.host.open(self._source.link(), start=start, etag=self._etag) as stream:
            self._begin_at(stream.start)
            self.continues = stream.continues
            self._etag = stream.etag
            if stream.total not in {None, self._expected.size}:
                panel = f"the panel says {self._expected.size}"
                raise WrongFileError(f"the host has a file of {stream.total} bytes, and {panel}")
            self._pour(stream)
        if not stream.delimited and self._sink.tally.size < self._expected.size:
            raise HostError("the connection ended before the file did")

    def _begin_at(self, start: int) -> None:
        """Report where the stream begins, unless it is the beginning, and let the sink begin there."""
        self._whole = False
        if there := self._sink.tally.size:
            words = f"going on after {format_size(start)}" if start else "the host begins again at the beginning"
            self._source.listener.said(words)
        if start:
            self._pieced = True
        elif there:
            self._restart()

    def _restart(self) -> None:
        """Let the sink begin again."""
        self._sink.restart()
        self._pieced, self._etag = False, None

    def _pour(self, stream: Stream) -> None:
        """Give the sink what the stream brings, but never much more than the file should be."""
        there = stream.start
        with WriterThread(self._sink) as sink:
            for piece in stream.pieces:
                sink.put(piece)
                there += len(piece)
                self._source.listener.moved(there)
                if there > self._expected.size:
                    return


def _patience(error: HostError | PanelError) -> int:
    """Return how many tries that kind of failure is worth; the client has already retried requests to the panel."""
    return FEW_TRIES if isinstance(error, LinkRefusedError | PanelError) else TRIES
