"""Archives that are made to do harm, as streams: none lies anywhere as a whole."""

import tarfile
import zlib
from collections.abc import Iterator
from itertools import repeat

from daemon.transfer.tar import BLOCK

MIB = 2**20
END = bytes(2 * BLOCK)


def header(name: str = "world/level.dat", size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    """One header as GNU writes it; a size that octal digits cannot say is binary."""
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = size, kind, target
    return made.tobuf(tarfile.GNU_FORMAT)


def said(size: bytes, name: str = "a") -> bytes:
    """A header whose field of the size has these bytes."""
    made = bytearray(header(name))
    made[124:136] = size.ljust(12, b"\0")
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def extension(kind: bytes, data: bytes) -> bytes:
    """A long name, or pax records, for the next entry or for all."""
    return header("x", len(data), kind) + data + bytes(-len(data) % BLOCK)


def entry(name: str, data: bytes) -> bytes:
    """A file."""
    return header(name, len(data)) + data + bytes(-len(data) % BLOCK)


def gzipped(*parts: bytes, level: int = 6) -> Iterator[bytes]:
    """The parts, packed into one stream."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()


def repeated(first: bytes, again: bytes, times: int) -> Iterator[bytes]:
    """A stream that unpacks to the first part, and to the other one so many times; without an end.

    What is packed of the other one is the same each time, so it costs nothing to make.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = packer.compress(again) + packer.flush(zlib.Z_FULL_FLUSH)
    yield from repeat(packed, times)


def sparse() -> bytes:
    """The header of a sparse file whose map goes on behind it."""
    made = bytearray(header("x", BLOCK, tarfile.GNUTYPE_SPARSE))
    made[482] = 1
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def map_that_goes_on() -> bytes:
    """A block of a sparse file's map, which says that another one follows."""
    return bytes(504) + b"\1" + bytes(7)


def many(name: str, count: int, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    """So many headers without data, whose names begin with a number of their own."""
    first = bytearray(header(f"{0:07d}{name}", kind=kind, target=target))
    zeros, checksum = sum(b"0" * 7), int(first[148:154], 8)
    made = bytearray()
    for number in range(count):
        digits = b"%07d" % number
        first[:7] = digits
        first[148:154] = b"%06o" % (checksum - zeros + sum(digits))
        made += first
    return bytes(made)
