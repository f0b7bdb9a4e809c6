"""Files in their real formats, and the ways in which each of them is damaged."""

import gzip
import io
import random
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from daemon.proof.region import SECTOR
from tests.proof.worlds import (
    BEDROCK,
    JAVA,
    added,
    chunk,
    database,
    manifest,
    moved,
    nbt,
    packed,
    place,
    region,
    table,
    taken,
    tar,
)

Damaged = bytes | None
"""What is left of a file; None for no file."""


@dataclass(frozen=True)
class Format:
    """One kind of file: in which server's `files`, and by which path, it is looked at.

    `older` is what the disk had in its place before. `sectors` are two of its sectors, `bit` is a place amid its data.
    `own` are the damages that each format has in its own way.
    """

    files: Mapping[str, bytes]
    path: str
    data: bytes
    older: bytes
    sectors: tuple[int, int]
    bit: int
    own: Mapping[str, Damaged]

    def archive(self, damaged: Damaged) -> bytes:
        """An archive of the server's files, with this one so."""
        rest = {path: data for path, data in self.files.items() if path != self.path}
        return gzip.compress(tar(rest if damaged is None else {**rest, self.path: damaged}), 1)


def overwritten(data: bytes, begin: int, by: bytes) -> bytes:
    """Other bytes from there on."""
    return data[:begin] + by + data[begin + len(by) :]


def half(data: bytes, older: bytes) -> bytes:
    """The first half is new; the rest is what was there before."""
    middle = len(data) // 2 // SECTOR * SECTOR
    return data[:middle] + older[middle : len(data)]


def exchanged(data: bytes, one: int, other: int) -> bytes:
    """Two sectors, each where the other should be."""
    first, second = data[one : one + SECTOR], data[other : other + SECTOR]
    return overwritten(overwritten(data, one, second), other, first)


COMMON: Mapping[str, Callable[[Format], Damaged]] = {
    "torn: its first half is new, the rest old": lambda one: half(one.data, one.older),
    "a sector of zeros": lambda one: overwritten(one.data, one.sectors[0], bytes(SECTOR)),
    "cut off in the middle": lambda one: one.data[: len(one.data) // 2],
    "two sectors exchanged": lambda one: exchanged(one.data, *one.sectors),
    "one bit changed": lambda one: overwritten(one.data, one.bit, bytes([one.data[one.bit] ^ 1])),
    "garbage after its end": lambda one: one.data + b"rubbish" * 1000,
    "its first sector of zeros": lambda one: overwritten(one.data, 0, bytes(SECTOR)),
    "all of it zeros": lambda one: bytes(len(one.data)),
    "empty: never written": lambda one: b"",
    "missing": lambda one: None,
}
POINTER, KIND, BOMB, OVERLAP = (
    "a pointer past its end",
    "an unknown compression",
    "a bomb: it unpacks to far too much",
    "two entries that overlap",
)
OWN = (POINTER, KIND, BOMB, OVERLAP)


def _region() -> Format:
    new, old = bytes(region()), bytes(region({one: packed(chunk(one + 99, 9000), 2) for one in range(40)}))
    begins = [place(new, index)[0] * SECTOR for index in range(40)]
    bomb = region({0: packed(b"\x0a" + bytes(65 * 2**20), 2)})
    own = {
        POINTER: bytes(moved(region(), 33, 10_000, 1)),
        KIND: overwritten(new, begins[4] + 4, b"\x63"),
        BOMB: bytes(bomb),
        OVERLAP: bytes(moved(region(), 1, *place(new, 0))),
    }
    return Format(JAVA, "./world/region/r.0.0.mca", new, old, (begins[7], begins[8]), begins[5] + 999, own)


def _level() -> Format:
    new, old = (gzip.compress(nbt(noise=random.Random(seed).randbytes(20_000))) for seed in (1, 2))
    longer = b"\x0a\0\0\x07\0\x01x" + struct.pack(">i", 10**9)
    own = {
        POINTER: gzip.compress(longer),
        KIND: overwritten(new, 2, b"\x63"),
        BOMB: gzip.compress(b"\x0a\0\0\x07\0\x01x" + struct.pack(">i", 2**25) + bytes(2**25) + b"\0"),
    }
    return Format(JAVA, "./world/level.dat", new, old, (4096, 8192), 5000, own)


def _table() -> Format:
    new, old = table(blocks=40, value=3000), table(blocks=43, value=2800)
    first = _first_block(new)
    own = {
        POINTER: overwritten(new, len(new) - 48, b"\0\0" + b"\xff\xff\xff\xff\x0f" * 2),
        KIND: overwritten(new, first, b"\x63"),
        BOMB: table(blocks=1, value=20 * 2**20, zeros=True),
        OVERLAP: table(blocks=40, value=3000, apart=False),
    }
    return Format(BEDROCK, "worlds/Bedrock level/db/000005.ldb", new, old, (4096, 49_152), 60_000, own)


def _first_block(data: bytes) -> int:
    """How long the first block is: its compression follows."""
    stream = zlib.decompressobj(-15)
    stream.decompress(data)
    return len(data) - len(stream.unused_data)


def _manifest() -> Format:
    new, old = (manifest(*_changes(first), added(5, 3000)) for first in (100, 500))
    own = {POINTER: overwritten(new, _record(new, 50) + 4, b"\xff\xff")}
    path = "worlds/Bedrock level/db/MANIFEST-000004"
    return Format(BEDROCK, path, new, old, (4096, 8192), _record(new, 60) + 30, own)


def _current() -> Format:
    """A file of some bytes, in one sector."""
    new, old = b"MANIFEST-000004\n", b"MANIFEST-000002\n"
    return Format(BEDROCK, "worlds/Bedrock level/db/CURRENT", new, old, (0, SECTOR), 14, {})


def _changes(first: int) -> Iterator[bytes]:
    """That tables came, and were taken away a little later: as the game merges them."""
    for number in range(first, first + 250):
        yield added(number, 9) + (taken(number - 1) if number > first else b"")
    yield taken(first + 249)


def _record(data: bytes, number: int) -> int:
    """Where the record of that number begins."""
    begins = 0
    for _ in range(number):
        begins += 7 + int.from_bytes(data[begins + 4 : begins + 6], "little")
    return begins


def _database() -> Format:
    new, old = database(3000), database(3000, page=1024)
    own = {
        POINTER: overwritten(new, 4096 + 8, b"\xff\xf0"),
        OVERLAP: overwritten(new, 4096 + 8, new[4098 + 8 : 4100 + 8]),
    }
    return Format(JAVA, "./plugins/economy/data.db", new, old, (8192, 24_576), 40_010, own)


FORMATS: Mapping[str, Format] = {
    "region file": _region(),
    "`level.dat`": _level(),
    "Bedrock's tables": _table(),
    "Bedrock's MANIFEST": _manifest(),
    "Bedrock's CURRENT": _current(),
    "SQLite": _database(),
}


# The archive itself ---------------------------------------------------------------------------------------------------


def _sized(size: int) -> bytes:
    """A tar whose one file is said to have so many bytes."""
    header = tarfile.TarInfo("./world/level.dat")
    header.size = size
    return header.tobuf(tarfile.GNU_FORMAT) + bytes(10_000)


def _archive() -> Format:
    new, old = gzip.compress(tar(JAVA), 1), gzip.compress(tar({**JAVA, "./server.properties": bytes(4000)}), 1)
    zeros = io.BytesIO()
    with gzip.GzipFile(fileobj=zeros, mode="wb", mtime=0) as bomb:
        bomb.write(tar({"./world/region/r.0.0.mca": bytes(2**20)}) * 64)
    own = {
        POINTER: gzip.compress(_sized(2**33)),
        KIND: overwritten(new, 2, b"\x63"),
        BOMB: zeros.getvalue(),
    }
    return Format({}, "", new, old, (4096, 49_152), 60_000, own)


ARCHIVE = _archive()
