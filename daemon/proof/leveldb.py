"""The tables of Bedrock's database: each is one, as far as its index tells.

The format is LevelDB's own (doc/impl.md and doc/table_format.md of its sources), with the compressions that Mojang's
adds. Blocks have a CRC-32C each, which the standard library cannot compute; the compressed ones that are sampled are
inflated, which finds nearly as much.
"""

import re
import zlib
from collections.abc import Callable, Iterator

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
"""The last eight bytes of every table."""

FOOTER = 48
LARGEST_TABLE = 8 * 2**20  # bytes of a table that is kept to be read whole; the game writes 2 MiB
SAMPLED = 8
"""One block of so many is inflated; which ones depends on the salt, so that in time every block is."""

_MANIFEST = re.compile(rb"(MANIFEST-[0-9]{6,20})\n?")
LONGEST_CURRENT = 64  # bytes
_TRAILER = 5  # bytes behind each block: its compression, and a CRC
_NONE, _ZLIB, _RAW = 0, 2, 4
_COMPRESSIONS = frozenset(range(5))  # also Snappy and Zstandard, which are not looked into
_WINDOWS = {_ZLIB: zlib.MAX_WBITS, _RAW: -zlib.MAX_WBITS}
_LARGEST_BLOCK = 16 * 2**20  # bytes, inflated
_VARINT_BYTES = 10


class TableError(ValueError):
    """It is no whole table, or no whole list of tables; the text says why."""


class TableReader:
    """One table; of a large one only the end is looked at. `salt` chooses the blocks that are inflated.

    `tell` is called once if something is wrong with it.
    """

    def __init__(self, size: int, salt: int, tell: Callable[[str], None]) -> None:
        self._size = size
        self._salt = salt
        self._tell = tell
        self._kept = size if size <= LARGEST_TABLE else FOOTER
        self._data = bytearray()

    def add(self, piece: bytes) -> None:
        """Keep the last bytes, or all of them."""
        self._data += piece
        if len(self._data) > self._kept:
            del self._data[: -self._kept]

    def end(self) -> None:
        """A table that is empty, or ends otherwise, was not written to its end."""
        try:
            self._check(bytes(self._data))
        except TableError as error:
            self._tell(str(error))
        self._data.clear()

    def _check(self, data: bytes) -> None:
        if not self._size:
            raise TableError("an empty table")
        if not data.endswith(MAGIC):
            raise TableError("the table was not written to its end")
        begin, size = _index(data[-FOOTER:])
        if begin + size + _TRAILER + FOOTER > self._size:
            raise TableError("the table's index is past its end")
        if len(data) == self._size:
            index = _inflated(data[begin : begin + size], data[begin + size])
            if index is None:
                raise TableError("the table's index cannot be read")
            self._check_blocks(data, index)

    def _check_blocks(self, data: bytes, index: bytes) -> None:
        """Look at each block, and into those that are sampled; none may lie upon another."""
        free = 0
        for number, (begin, size) in enumerate(_handles(index)):
            if begin < free or begin + size + _TRAILER + FOOTER > len(data):
                raise TableError(f"block {number} is not where the index says")
            kind, free = data[begin + size], begin + size + _TRAILER
            if kind not in _COMPRESSIONS:
                raise TableError(f"block {number} is compressed in no known way ({kind})")
            if (number + self._salt) % SAMPLED == 0 and _inflated(data[begin : begin + size], kind) is None:
                raise TableError(f"block {number} cannot be inflated")


def manifest_named(current: bytes) -> str | None:
    """Given the content of CURRENT, return the manifest that it names; None if it names none."""
    found = _MANIFEST.fullmatch(current)
    return found[1].decode() if found else None


def _index(footer: bytes) -> tuple[int, int]:
    """Return where the index is, and how many bytes it has, by the second of a footer's two pairs of numbers."""
    numbers = Numbers(footer)
    _, _, begin, size = (numbers.take() for _ in range(4))
    return begin, size


def _handles(index: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each block is, and how many bytes it has, by the values of an index block; their keys matter not."""
    restarts = int.from_bytes(index[-4:], "little")
    entries = Numbers(index[: max(0, len(index) - 4 * (restarts + 1))])
    while entries.left:
        _shared, key, size = (entries.take() for _ in range(3))
        entries.skip(key)
        value = Numbers(entries.skip(size))
        yield value.take(), value.take()


def _inflated(block: bytes, kind: int) -> bytes | None:
    """Return what is in a block; None if it is damaged, and nothing where no reader is for its compression."""
    if kind == _NONE:
        return block
    if kind not in _WINDOWS:
        return b""
    stream = zlib.decompressobj(_WINDOWS[kind])
    try:
        data = stream.decompress(block, _LARGEST_BLOCK)
    except zlib.error:
        return None
    return data if stream.eof else None


class Numbers:
    """Numbers of LevelDB's: seven bits a byte, the lowest first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def left(self) -> int:
        """How many bytes there still are."""
        return len(self._data) - self._place

    def take(self) -> int:
        """Read one; raises TableError."""
        value = 0
        for shift in range(0, 7 * _VARINT_BYTES, 7):
            (byte,) = self.skip(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 — the bit that says that more bytes follow
                return value
        raise TableError("a number in the table's index has no end")

    def skip(self, size: int) -> bytes:
        """Read so many bytes; raises TableError."""
        if size > self.left:
            raise TableError("the table's index ends in the middle")
        self._place += size
        return self._data[self._place - size : self._place]
