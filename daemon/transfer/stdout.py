"""A stream such as stdout as the target: it takes nothing back."""

from typing import BinaryIO

from daemon.transfer.errors import WrongFileError, disk_error
from daemon.transfer.expected import USUAL, Tally


class StreamSink:
    """A sink that writes to a stream. If the file begins again, it skips what was written before, provided that it
    comes exactly the same.
    """

    rewinds = False

    def __init__(self, stream: BinaryIO, algorithm: str = USUAL) -> None:
        self.tally = Tally(algorithm)
        self._stream = stream
        self._written = Tally(algorithm)

    def add(self, piece: bytes) -> None:
        """Write the bytes, or as many as were not written yet."""
        known = max(0, self._written.size - self.tally.size)
        if known:
            self.tally.add(piece[:known])
            if self.tally.size == self._written.size and self.tally.checksum != self._written.checksum:
                raise WrongFileError("the file changed while it was fetched, and its beginning is already written")
        if rest := piece[known:]:
            self._write(rest)
            self.tally.add(rest)

    def restart(self) -> None:
        """Remember what was written, and begin to compare."""
        if self.tally.size > self._written.size:
            self._written = self.tally
        self.tally = Tally(self._written.algorithm)

    def _write(self, piece: bytes) -> None:
        try:
            self._stream.write(piece)
            self._stream.flush()
        except OSError as error:
            failure = disk_error(error, "the output cannot be written")
            raise failure from None
