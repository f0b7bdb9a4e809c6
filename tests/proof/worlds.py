"""Worlds in the games' real formats, made piece by piece: regions, NBT, LevelDB's files and SQLite's."""

import gzip
import io
import random
import sqlite3
import struct
import tarfile
import zlib
from collections.abc import Mapping
from contextlib import closing

from daemon.proof.leveldb import MAGIC
from daemon.proof.region import SECTOR


def text(value: str) -> bytes:
    """A string of NBT's."""
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def nbt(order: str = ">", noise: bytes = b"") -> bytes:
    """A document with a tag of every kind, lists in lists, and as many bytes as wanted."""

    def pack(form: str, *values: float) -> bytes:
        return struct.pack(order + form, *values)

    def named(kind: int, name: str, payload: bytes) -> bytes:
        data = name.encode()
        return bytes([kind]) + pack("H", len(data)) + data + payload

    short_lists = bytes([9]) + pack("i", 2) + bytes([1]) + pack("i", 1) + b"\1" + bytes([0]) + pack("i", 0)
    compounds = bytes([10]) + pack("i", 2) + named(1, "a", b"\1") + b"\0" + b"\0"
    tags = [
        named(1, "byte", b"\1"),
        named(2, "short", pack("h", 2)),
        named(3, "int", pack("i", 3)),
        named(4, "long", pack("q", 4)),
        named(5, "float", pack("f", 5.0)),
        named(6, "double", pack("d", 6.0)),
        named(7, "bytes", pack("i", len(noise)) + noise),
        named(8, "string", pack("H", 5) + b"world"),
        named(9, "lists", short_lists),
        named(9, "compounds", compounds),
        named(10, "inner", named(8, "x", pack("H", 0)) + b"\0"),
        named(11, "ints", pack("i", 2) + pack("ii", 1, 2)),
        named(12, "longs", pack("i", 1) + pack("q", 1)),
    ]
    return bytes([10]) + pack("H", 0) + b"".join(tags) + b"\0"


def java_level() -> bytes:
    """A level.dat of Minecraft Java."""
    return gzip.compress(nbt())


def bedrock_level() -> bytes:
    """A level.dat of Bedrock: its version, its length, and NBT in the other order."""
    document = nbt("<")
    return struct.pack("<ii", 10, len(document)) + document


def chunk(seed: int = 0, size: int = 6000) -> bytes:
    """The NBT of one chunk, which hardly compresses."""
    return nbt(noise=random.Random(seed).randbytes(size))


def packed(data: bytes, kind: int) -> bytes:
    """A chunk as it lies in the file: its length, its compression, and it."""
    body = gzip.compress(data) if kind == 1 else zlib.compress(data) if kind == 2 else data
    return struct.pack(">IB", len(body) + 1, kind) + body


def region(chunks: Mapping[int, bytes] | None = None, *, padded: bool = True) -> bytearray:
    """A region file of these chunks, as they lie in it, by their index; forty packed by zlib where none are given."""
    if chunks is None:
        chunks = {index: packed(chunk(index), 2) for index in range(40)}
    locations, sectors = bytearray(SECTOR), bytearray()
    for index, data in chunks.items():
        begins, count = 2 + len(sectors) // SECTOR, -(-len(data) // SECTOR)
        locations[4 * index : 4 * index + 4] = struct.pack(">I", begins << 8 | min(count, 255))
        sectors += data + (bytes(-len(data) % SECTOR) if padded or index != max(chunks) else b"")
    times = struct.pack(">I", 1_700_000_000) * 1024
    return locations + times + sectors


def place(data: bytes | bytearray, index: int) -> tuple[int, int]:
    """The first sector of a chunk, and how many."""
    entry = int.from_bytes(data[4 * index : 4 * index + 4])
    return entry >> 8, entry & 0xFF


def moved(data: bytearray, index: int, sector: int, sectors: int) -> bytearray:
    """The region with that chunk said to be elsewhere."""
    data[4 * index : 4 * index + 4] = struct.pack(">I", sector << 8 | sectors)
    return data


def number(value: int) -> bytes:
    """A number as LevelDB writes it: seven bits a byte, the lowest first."""
    low, more = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + number(more) if more else bytes([low])


def checksum(data: bytes) -> bytes:
    """LevelDB's: CRC-32C, masked."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def block(entries: Mapping[bytes, bytes], kind: int) -> bytes:
    """A block of a table: entries that share no prefixes, one restart; packed so; and its trailer."""
    plain = b"".join(
        number(0) + number(len(key)) + number(len(value)) + key + value for key, value in entries.items()
    ) + struct.pack("<II", 0, 1)
    packer = zlib.compressobj(wbits=-15 if kind == 4 else 15)
    data = plain if kind == 0 else packer.compress(plain) + packer.flush()
    return data + bytes([kind]) + checksum(data + bytes([kind]))


def table(
    kind: int = 4, *, blocks: int = 10, value: int = 300, zeros: bool = False, apart: bool = True, index_kind: int = 0
) -> bytes:
    """A table of LevelDB's, of blocks packed so: 0 not at all, 2 with zlib, 4 with its bare stream, as Bedrock does.

    Each holds a `value` of so many bytes; where they are not `apart`, the index says that all are in one place.
    """
    noise, data, index = random.Random(value), b"", {}
    for count in range(blocks):
        key = b"%06d" % count
        made = block({key: bytes(value) if zeros else noise.randbytes(value)}, kind)
        index[key] = number(len(data) if apart else 0) + number(len(made) - 5)
        data += made
    handles = b""
    for made in (block({}, 0), block(index, index_kind)):
        handles += number(len(data)) + number(len(made) - 5)
        data += made
    return data + handles.ljust(40, b"\0") + MAGIC


def added(table: int, size: int) -> bytes:
    """That a database has one more table: its level, and its first and last key."""
    bounds = (number(len(key)) + key for key in (b"000000" + bytes(8), b"000009" + bytes(8)))
    return number(7) + number(2) + number(table) + number(size) + b"".join(bounds)


def taken(table: int) -> bytes:
    """That a database has this table no more."""
    return number(6) + number(2) + number(table)


def logged(edit: bytes, kind: int = 1) -> bytes:
    """A record of LevelDB's log, whole, or a part of one."""
    return checksum(bytes([kind]) + edit) + struct.pack("<HB", len(edit), kind) + edit


def manifest(*edits: bytes) -> bytes:
    """A MANIFEST: the comparator, a log, the next file and a sequence, as LevelDB begins one, and then what changed."""
    comparator = b"leveldb.BytewiseComparator"
    begun = number(1) + number(len(comparator)) + comparator + number(2) + number(6) + number(3) + number(7)
    begun += number(4) + number(1234)
    pointer = number(5) + number(2) + number(14) + b"000004" + bytes(8)
    return b"".join(map(logged, (begun, pointer + number(9) + number(0), *edits)))


def database(rows: int = 200, *, page: int = 4096) -> bytes:
    """A database of SQLite's."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute(f"PRAGMA page_size = {page}")
        made.execute("CREATE TABLE player (id INTEGER PRIMARY KEY, name TEXT)")
        made.execute("CREATE INDEX by_name ON player (name)")
        made.executemany("INSERT INTO player (name) VALUES (?)", [(f"player {number}",) for number in range(rows)])
        made.commit()
        return made.serialize()


JAVA: dict[str, bytes] = {
    "./world/level.dat": java_level(),
    "./world/session.lock": "☃".encode(),
    "./world/region/r.0.0.mca": bytes(region()),
    "./world/entities/r.0.0.mca": b"",
    "./world/DIM-1/region/r.0.0.mca": bytes(region({0: packed(chunk(), 1)})),
    "./world/dimensions/mod/moon/region/r.0.0.mca": bytes(region({5: packed(chunk(), 3)})),
    "./plugins/economy/data.db": database(),
    "./server.properties": b"motd=hello\n",
}
BEDROCK: dict[str, bytes] = {
    "worlds/Bedrock level/level.dat": bedrock_level(),
    "worlds/Bedrock level/levelname.txt": b"Bedrock level",
    "worlds/Bedrock level/db/CURRENT": b"MANIFEST-000004\n",
    "worlds/Bedrock level/db/MANIFEST-000004": manifest(added(3, 900), taken(3) + added(5, 3000)),
    "worlds/Bedrock level/db/000005.ldb": table(),
    "worlds/Bedrock level/db/000006.log": b"",
}


def tar(files: Mapping[str, bytes]) -> bytes:
    """A tar of these files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()
