"""Reading NBT only to know that it is whole: the tags of Minecraft Java (big-endian, in gzip) and of Bedrock.

The format is that of the Minecraft wiki's page "NBT format". A document is bounded in size and depth, as the game
bounds it.
"""

import struct
import zlib

LARGEST = 16 * 2**20  # bytes, unpacked; a level.dat has some kilobytes, one with many mods some hundred
DEEPEST = 512  # levels, the game's own bound

END, BYTE, SHORT, INT, LONG, FLOAT, DOUBLE, BYTES, STRING, LIST, COMPOUND, INTS, LONGS = range(13)
_SIZES = {BYTE: 1, SHORT: 2, INT: 4, LONG: 8, FLOAT: 4, DOUBLE: 8}
_ARRAYS = {BYTES: 1, INTS: 4, LONGS: 8}


class NbtError(ValueError):
    """It is no whole document; the text says why."""


def check_level(data: bytes) -> str:
    """Given a level.dat, return the game that it is of: "Minecraft Java" or "Minecraft Bedrock"; raises NbtError."""
    if data.startswith(b"\x1f\x8b"):
        check(_unpacked(data))
        return "Minecraft Java"
    if len(data) > 8 and int.from_bytes(data[4:8], "little") == len(data) - 8:  # noqa: PLR2004 — its two header fields
        check(data[8:], little=True)
        return "Minecraft Bedrock"
    raise NbtError("neither gzip nor Bedrock's header begins it")


def check(data: bytes, *, little: bool = False) -> None:
    """Read a whole document; raises NbtError."""
    reader = _Document(data, "<" if little else ">")
    if reader.number("B") != COMPOUND:
        raise NbtError("no compound tag begins it")
    reader.skip(reader.number("H"))
    reader.compound()


def _unpacked(data: bytes) -> bytes:
    member = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        document = member.decompress(data, LARGEST)
    except zlib.error as error:
        raise NbtError(f"its gzip is damaged ({str(error).rpartition(': ')[2]})") from None
    if not member.eof:
        raise NbtError("its gzip ends in the middle" if not member.unconsumed_tail else f"more than {LARGEST} bytes")
    return document


class _Document:
    """A document, and how far it was read. Compounds and lists within each other are on a stack, not on Python's."""

    def __init__(self, data: bytes, order: str) -> None:
        self._data = data
        self._order = order
        self._place = 0

    def skip(self, size: int) -> None:
        """Pass over that many bytes."""
        if size > len(self._data) - self._place:
            raise NbtError(f"it ends in the middle, after {len(self._data)} bytes")
        self._place += size

    def number(self, form: str) -> int:
        """Read one whole number of that form of `struct`."""
        begin = self._place
        self.skip(struct.calcsize("=" + form))
        (value,) = struct.unpack_from(self._order + form, self._data, begin)
        return int(value)

    def compound(self) -> None:
        """Read what is in a compound, to its end."""
        open_tags: list[tuple[int, int]] = [(COMPOUND, 0)]  # a compound; or the kind of a list's elements, and how many
        while open_tags:
            kind, left = open_tags.pop()
            if kind == COMPOUND and left == 0:
                kind = self.number("B")
                if kind == END:
                    continue
                self.skip(self.number("H"))
                open_tags.append((COMPOUND, 0))
            elif left > 1:
                open_tags.append((kind, left - 1))
            self._value(kind, open_tags)
            if len(open_tags) > DEEPEST:
                raise NbtError(f"more than {DEEPEST} levels deep")

    def _value(self, kind: int, open_tags: list[tuple[int, int]]) -> None:
        """Read one value, or note what is open now."""
        if kind in _SIZES:
            self.skip(_SIZES[kind])
        elif kind == STRING:
            self.skip(self.number("H"))
        elif kind in _ARRAYS:
            self.skip(self._count() * _ARRAYS[kind])
        elif kind == COMPOUND:
            open_tags.append((COMPOUND, 0))
        elif kind == LIST:
            self._list(open_tags)
        else:
            raise NbtError(f"byte {self._place - 1} is no tag")

    def _list(self, open_tags: list[tuple[int, int]]) -> None:
        kind, count = self.number("B"), self._count()
        if kind in _SIZES:
            self.skip(count * _SIZES[kind])
        elif count and kind == END:
            raise NbtError("a list of nothing has elements")
        elif count:
            self._room(count)
            open_tags.append((kind, count))

    def _room(self, count: int) -> None:
        """An element takes a byte at least: a list that cannot be whole is not begun."""
        if count > len(self._data) - self._place:
            raise NbtError(f"it ends in the middle, after {len(self._data)} bytes")

    def _count(self) -> int:
        count = self.number("i")
        if count < 0:
            raise NbtError("an array of a negative length")
        return count
