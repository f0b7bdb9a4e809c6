"""Hostile archives: each is told as bad, in words, and none is unpacked further than its size allows.

What such a process takes of the machine's memory is tested in tests/copying/test_hostile.py.
"""

import struct
import tarfile
from collections.abc import Callable, Iterator

import pytest

from daemon.proof import sane
from daemon.proof.sane import SanityCheck
from daemon.transfer import gzip as unpacking
from daemon.transfer import tar as walking
from daemon.transfer.tar import BLOCK
from daemon.transfer.verify import ArchiveReader
from tests.transfer import hostile
from tests.transfer.conftest import expected
from tests.transfer.hostile import END, MIB, entry, extension, gzipped, header, many, repeated, said

FREE = 2 * MIB
"""Bytes that these may unpack to, where others have a gigabyte."""

Stream = Callable[[], Iterator[bytes]]

HOSTILE: dict[str, tuple[Stream, str]] = {
    "zeros by the TiB": (lambda: repeated(header("a", 2**40), bytes(MIB), 8), "unpacks to more than 100 times"),
    "gzip in gzip": (lambda: gzipped(*repeated(b"", bytes(MIB), 8)), "there is no header of a tar"),
    "entries without end": (lambda: repeated(b"", header() * 2048, 8), "unpacks to more than 100 times"),
    "a sparse map without end": (
        lambda: repeated(hostile.sparse(), hostile.map_that_goes_on() * 2048, 8),
        "unpacks to more than 100 times",
    ),
    "long names one after the other": (
        lambda: repeated(b"", extension(tarfile.GNUTYPE_LONGNAME, b"a" * MIB), 8),
        "unpacks to more than 100 times",
    ),
    "a negative size": (lambda: gzipped(header("a", -1), END), "says a negative size"),
    "a most negative size": (lambda: gzipped(said(b"\xff" + bytes(11)), END), "says a negative size"),
    "a size that no disk has": (lambda: gzipped(said(b"\x80" + b"\xff" * 11), END), "the tar ends in the middle"),
    "octal digits to the brim": (lambda: gzipped(said(b"7" * 12), END), "the tar ends in the middle"),
    "no octal digits": (lambda: gzipped(said(b"99999999999"), END), "there is no header of a tar"),
    "pax records of a gigabyte": (
        lambda: gzipped(header("x", 2**30, tarfile.XHDTYPE), bytes(MIB)),
        "a header wants 1073741824 bytes for names",
    ),
    "a pax size of twenty digits": (
        lambda: gzipped(extension(tarfile.XHDTYPE, b"29 size=99999999999999999999\n"), header("a"), END),
        "a pax header cannot be read",
    ),
    "a name of more than a megabyte": (
        lambda: gzipped(header("x", MIB + 1, tarfile.GNUTYPE_LONGNAME), bytes(2 * MIB)),
        "a header wants 1048577 bytes for names",
    ),
    "a name of a megabyte for each entry": (
        lambda: gzipped(_name_of_all(b"a" * 500_000), header("a") * 2000, END),
        "as no real one has",
    ),
    "a name of many parts for each entry": (
        lambda: gzipped(_name_of_all(b"a/" * 250_000), header("a") * 20, END),
        "as no real one has",
    ),
    "a name out of the tree": (lambda: gzipped(entry("../../etc/cron.d/x", b"x"), END), "leads out of the folder"),
    "a link out of the tree, and a name through it": (
        lambda: gzipped(header("l", 0, tarfile.SYMTYPE, "/etc"), entry("l/passwd", b"x"), END),
        "leads out of the folder: l/passwd",
    ),
    "links without end": (lambda: gzipped(many("l", 40, tarfile.SYMTYPE, "x"), END), "more than 30 links"),
    "worlds without end": (
        lambda: gzipped(many("/session.lock", 40), END),
        "more than 30 worlds and databases",
    ),
    "a chunk that is a bomb": (lambda: gzipped(entry("world/region/r.0.0.mca", _bomb()), END), "more than 64 MiB"),
    "a level.dat that is a bomb": (
        lambda: gzipped(entry("world/level.dat", b"".join(gzipped(bytes(20 * MIB)))), END),
        "world/level.dat: more than 16777216 bytes",
    ),
}


def _name_of_all(name: bytes) -> bytes:
    """Pax records that say the name of each entry that follows."""
    record = b" path=" + name + b"\n"
    size = len(record) + 6
    return extension(tarfile.XGLTYPE, b"%d" % size + record)


def _bomb() -> bytes:
    """A region whose only chunk inflates to more than any chunk."""
    chunk = b"".join(gzipped(b"\x0a" + bytes(65 * MIB), level=9))
    sectors = -(-(len(chunk) + 5) // 4096)
    places = struct.pack(">I", 2 << 8 | sectors).ljust(8192, b"\0")
    return places + struct.pack(">IB", len(chunk) + 1, 1) + chunk.ljust(sectors * 4096 - 5, b"\0")


@pytest.mark.parametrize(("stream", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_told_as_such(stream: Stream, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, and read no further than its size allows."""
    monkeypatch.setattr(unpacking, "FREE", FREE)
    monkeypatch.setattr(walking, "FREE_PARTS", 100_000)
    monkeypatch.setattr(walking, "MOST_LINKS", 30)
    monkeypatch.setattr(sane, "MOST_REMEMBERED", 30)
    reader = ArchiveReader(inspect=SanityCheck)
    for piece in stream():
        reader.add(piece)
    problems = reader.finding(expected(b"x"), None).problems
    assert words in "; ".join(problem.text for problem in problems)
    assert all(len(problem.text) < 3000 for problem in problems)
    assert reader._archive.unpacker.unpacked <= max(FREE, 100 * reader.tally.size) + unpacking.PIECE
    assert reader._archive.walker.parts <= 100_000 + 500_000 + 100 * reader._archive.walker.entries


def test_a_name_counts_by_its_length_as_well_as_by_its_parts() -> None:
    """A name without a slash is no less work, and a real one is no more than its parts."""
    for name, parts in (("a/b/c", 3), ("a" * 90, 1), ("a" * 2560, 11)):
        walker = walking.Walker()
        walker.add(extension(tarfile.GNUTYPE_LONGNAME, name.encode() + b"\0") + header("x"))
        assert walker.parts == parts + 1
    assert BLOCK == 512
