"""Archives that are made to do harm, as streams: none lies anywhere as a whole."""

import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat

from daemon.proof.region import HEADER, SAMPLED, SECTOR
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


# The worst of them ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bounds:
    """What a reader bears: MiB that anything may unpack to, links, and names of worlds and databases."""

    mib: int
    links: int
    names: int

    @property
    def too_many(self) -> int:
        """How many MiB are unpacked no further."""
        return self.mib + self.mib // 16 + 1


@dataclass(frozen=True)
class Hostile:
    """An archive that is worse than the bounds that it is given, and what is told of it."""

    stream: Callable[[Bounds], Iterator[bytes]]
    words: str


def _name_of_all(name: bytes) -> bytes:
    """Pax records that say the name of each entry that follows."""
    record = b" path=" + name + b"\n"
    size = len(record) + 6
    return extension(tarfile.XGLTYPE, b"%d" % size + record)


def _bomb() -> bytes:
    """A region whose chunks inflate to more than any chunk: eight of them, since one of eight is inflated a day."""
    packed = b"".join(gzipped(b"\x0a" + bytes(65 * MIB), level=9))
    sectors = -(-(len(packed) + 5) // SECTOR)
    chunk = struct.pack(">IB", len(packed) + 1, 1) + packed.ljust(sectors * SECTOR - 5, b"\0")
    places = b"".join(struct.pack(">I", 2 + number * sectors << 8 | sectors) for number in range(SAMPLED))
    return places.ljust(HEADER, b"\0") + chunk * SAMPLED


TOO_MUCH, TOO_MANY_PARTS = "unpacks to more than 100 times", "as no real one has"
HOSTILE: Mapping[str, Hostile] = {
    "zeros by the TiB": Hostile(lambda at: repeated(header("a", 2**40), bytes(MIB), at.too_many), TOO_MUCH),
    "gzip in gzip": Hostile(lambda at: gzipped(*repeated(b"", bytes(MIB), at.too_many)), "there is no header of a tar"),
    "ten million entries": Hostile(
        lambda _: repeated(b"", header("a/", kind=tarfile.DIRTYPE) * 2048, 10**7 // 2048), TOO_MUCH
    ),
    "a sparse map without end": Hostile(
        lambda at: repeated(sparse(), map_that_goes_on() * 2048, at.too_many), TOO_MUCH
    ),
    "long names one after the other": Hostile(
        lambda at: repeated(b"", extension(tarfile.GNUTYPE_LONGNAME, b"a" * MIB), at.too_many), TOO_MUCH
    ),
    "a negative size": Hostile(lambda _: gzipped(header("a", -1), END), "says a negative size"),
    "a most negative size": Hostile(lambda _: gzipped(said(b"\xff" + bytes(11)), END), "says a negative size"),
    "a size that no disk has": Hostile(
        lambda _: gzipped(said(b"\x80" + b"\xff" * 11), END), "the tar ends in the middle"
    ),
    "octal digits to the brim": Hostile(lambda _: gzipped(said(b"7" * 12), END), "the tar ends in the middle"),
    "no octal digits": Hostile(lambda _: gzipped(said(b"99999999999"), END), "there is no header of a tar"),
    "pax records of a gigabyte": Hostile(
        lambda at: repeated(header("x", 2**30, tarfile.XHDTYPE), bytes(MIB), at.too_many),
        "a header wants 1073741824 bytes for names",
    ),
    "pax records of a gigabyte in all": Hostile(
        lambda at: repeated(
            b"", extension(tarfile.XHDTYPE, b"1048576 comment=".ljust(MIB - 1, b"a") + b"\n"), at.too_many
        ),
        TOO_MUCH,
    ),
    "a pax size of twenty digits": Hostile(
        lambda _: gzipped(extension(tarfile.XHDTYPE, b"29 size=99999999999999999999\n"), header("a"), END),
        "a pax header cannot be read",
    ),
    "a pax size below zero": Hostile(
        lambda _: gzipped(extension(tarfile.XHDTYPE, b"11 size=-9\n"), header("a"), END),
        "a pax header cannot be read",
    ),
    "a name of more than a megabyte": Hostile(
        lambda _: gzipped(header("x", MIB + 1, tarfile.GNUTYPE_LONGNAME), bytes(2 * MIB)),
        "a header wants 1048577 bytes for names",
    ),
    "a name of a megabyte for each entry": Hostile(
        lambda _: gzipped(_name_of_all(b"a" * 500_000), header("a") * 2000, END), TOO_MANY_PARTS
    ),
    "a name of many parts for each entry": Hostile(
        lambda _: gzipped(_name_of_all(b"a/" * 250_000), header("a") * 20, END), TOO_MANY_PARTS
    ),
    "a name out of the tree": Hostile(
        lambda _: gzipped(entry("../../etc/cron.d/x", b"x"), END), "leads out of the folder"
    ),
    "a link out of the tree, and a name through it": Hostile(
        lambda _: gzipped(header("l", 0, tarfile.SYMTYPE, "/etc"), entry("l/passwd", b"x"), END),
        "leads out of the folder: l/passwd",
    ),
    "links without end": Hostile(
        lambda at: gzipped(many("l", at.links + 1, tarfile.SYMTYPE, "x"), END, level=1), "more than {0.links} links"
    ),
    "worlds without end": Hostile(
        lambda at: gzipped(many("/" + "d" * 72 + "/session.lock", at.names + 1000), END, level=1),
        "more than {0.names} worlds and databases",
    ),
    "a chunk that is a bomb": Hostile(
        lambda _: gzipped(entry("world/region/r.0.0.mca", _bomb()), END), "more than 64 MiB"
    ),
    "a level.dat that is a bomb": Hostile(
        lambda _: gzipped(entry("world/level.dat", b"".join(gzipped(bytes(20 * MIB)))), END),
        "world/level.dat: more than 16777216 bytes",
    ),
}
