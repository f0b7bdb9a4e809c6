"""A backup to a stream that takes nothing back, and the thread that serves a sink."""

import errno
import io
import itertools
from collections.abc import Iterator

import pytest

from daemon.panel.download import HostError
from daemon.sandbox import faults
from daemon.sandbox.records import Storage
from daemon.transfer.download import download_to
from daemon.transfer.errors import DiskError, WrongFileError
from daemon.transfer.expected import Tally
from daemon.transfer.sinks import Sink, WriterThread
from daemon.transfer.stdout import StreamSink
from tests.transfer.conftest import SIZE, Rig


@pytest.mark.parametrize("storage", [Storage.NODE, Storage.S3])
@pytest.mark.parametrize("breaks", [0, 1, 3])
def test_a_stream_gets_the_file_once(rig: Rig, storage: Storage, breaks: int) -> None:
    """However often the transfer breaks; what comes again is passed over."""
    rig.server.storage = storage
    rig.order(faults.cut(), times=breaks) if breaks else None
    stream = io.BytesIO()
    download_to(rig.source(), rig.expected, stream)
    assert stream.getvalue() == rig.data


def test_a_wrong_checksum_is_told_at_the_end(rig: Rig) -> None:
    """Everything is written then; it is not fetched once more."""
    rig.server.storage = Storage.S3
    rig.record.claimed_checksum = "sha1:" + "0" * 40
    rig.order(faults.cut())
    stream = io.BytesIO()
    with pytest.raises(WrongFileError):
        download_to(rig.source(), rig.expected, stream)
    assert (len(stream.getvalue()), rig.links) == (SIZE, 2)


def test_a_file_that_changed_under_way_is_not_patched_together() -> None:
    """The beginning that comes again must be the one that is written."""
    stream = io.BytesIO()
    sink = StreamSink(stream)
    sink.add(b"abc")
    sink.restart()
    with pytest.raises(WrongFileError, match="changed"):
        sink.add(b"abdef")
    assert stream.getvalue() == b"abc"


def test_what_was_written_is_remembered_over_several_breaks() -> None:
    """Also where a later one is the earlier one."""
    stream = io.BytesIO()
    sink = StreamSink(stream)
    for pieces in ([b"abcd"], [b"a", b"b"], [b"ab", b"c"], [b"abc", b"defg"], [b"abcdefghi"]):
        sink.restart()
        for piece in pieces:
            sink.add(piece)
    assert stream.getvalue() == b"abcdefghi"
    assert sink.tally.size == 9


def test_a_reader_that_went_away_is_told() -> None:
    """As any trouble of the output."""

    class Closed(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(DiskError, match="the output cannot be written: Broken pipe"):
        StreamSink(Closed()).add(b"abc")


class Odd:
    """A sink that fails at a certain piece."""

    rewinds = True

    def __init__(self, at: bytes | None = None) -> None:
        self.tally = Tally()
        self.taken: list[bytes] = []
        self._at = at

    def add(self, piece: bytes) -> None:
        if piece == self._at:
            raise DiskError("broken")
        self.taken.append(piece)

    def restart(self) -> None:
        self.taken.clear()


def pour(pieces: Iterator[bytes], sink: Sink) -> None:
    """Give all of it to the sink."""
    with WriterThread(sink) as behind:
        for piece in pieces:
            behind.put(piece)


def test_a_sink_gets_everything_before_the_context_ends() -> None:
    """In order, and also what came before the stream broke."""
    sink = Odd()

    def broken() -> Iterator[bytes]:
        yield from (b"%d" % number for number in range(100))
        raise HostError("the connection broke")

    with pytest.raises(HostError):
        pour(broken(), sink)
    assert sink.taken == [b"%d" % number for number in range(100)]


def test_what_a_sink_raises_is_raised_here() -> None:
    """By the next piece or at the end, and nothing is given to it any more."""
    sink = Odd(at=b"1")
    with pytest.raises(DiskError):
        pour(iter([b"0", b"1", b"2"]), sink)
    assert sink.taken == [b"0"]
    with pytest.raises(DiskError):
        pour(itertools.repeat(b"0"), Odd(at=b"0"))
