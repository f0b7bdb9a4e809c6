"""Reading a region file of Minecraft Java as it comes: its header, where each chunk lies, and some chunks' contents.

The format is that of the Minecraft wiki's page "Region file format": 1,024 locations (3 bytes for the first sector, one
for how many), 1,024 times, and then chunks: a length, a byte for the compression, and NBT. A file that was torn while a
server wrote it, or while a backup read it, has chunks out of place, cut or empty. The game writes the time of a chunk
whenever it writes its location, and leaves it when it takes the chunk out; so a header of zeros lost its chunks.

A chunk of more than a megabyte lies in a file of its own beside the region, whose name is told to whoever sees all
files. What LZ4 or a mod has packed is not unpacked: only that it lies within its place is looked at.
"""

import posixpath
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from daemon.proof.findings import Findings

SECTOR = 4096
HEADER = 2 * SECTOR
CHUNKS = 1024
SAMPLED = 8
"""One chunk of so many is inflated; which ones depends on the salt, so that in time every chunk is."""

LARGEST_CHUNK = 64 * 2**20  # bytes, inflated
_GZIP, _ZLIB, _NONE, _LZ4, _CUSTOM = 1, 2, 3, 4, 127
_EXTERNAL = 0x80  # the chunk is in a file of its own, beside the region, and has a length of 1 here
_NAME = re.compile(r"r\.(-?\d{1,9})\.(-?\d{1,9})\.mca")
_WINDOWS = {_GZIP: 16 + zlib.MAX_WBITS, _ZLIB: zlib.MAX_WBITS}
_MOST_SECTORS = 255
"""That many or more: Spigot, Paper and Forge tell how long a larger chunk is by its length alone."""

_NO_SECTOR = 2**24  # more than a location can say
_TERRAIN = "region"
"""The folder from which the game never removes chunks. Entities and points of interest it removes, even the last."""

_PREFIX = 5  # bytes: the length, and the compression
_COMPOUND = 0x0A


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a chunk lies, in sectors, and which one of the region it is."""

    sector: int
    sectors: int
    index: int

    @property
    def words(self) -> str:
        return f"chunk {self.index % 32},{self.index // 32}"


class RegionReader:
    """One region file. `salt` chooses the chunks that are inflated; `elsewhere` hears which files hold chunks of it."""

    def __init__(self, path: str, size: int, findings: Findings, salt: int, elsewhere: Callable[[str], object]) -> None:
        self._path = path
        self._size = size
        self._findings = findings
        self._salt = salt
        self._elsewhere = elsewhere
        self._read = 0
        self._header = bytearray()
        self._chunks: list[_Place] = []  # those that are still to come, the last first
        self._prefix = bytearray()
        self._inflating: _Inflated | None = None
        self._ends = 0  # where the chunk that is read ends
        if 0 < size < HEADER:
            self._problem(f"{size} bytes, less than its header has")

    def add(self, piece: bytes) -> None:
        """Read on."""
        place = 0
        while place < len(piece):
            place += self._step(memoryview(piece)[place:])

    def end(self) -> None:
        """Its size was known, so everything has been said by now."""
        self._close()

    def _step(self, piece: memoryview) -> int:
        """Read some of the piece; return how many bytes."""
        if self._read < HEADER:
            return self._take_header(piece)
        if self._inflating is not None or self._prefix:
            return self._take_chunk(piece)
        if not self._chunks:
            return self._passed(len(piece))
        begins = self._chunks[-1].sector * SECTOR
        if begins > self._read:
            return self._passed(min(len(piece), begins - self._read))
        return self._take_chunk(piece)

    def _passed(self, size: int) -> int:
        self._read += size
        return size

    def _take_header(self, piece: memoryview) -> int:
        step = min(len(piece), HEADER - self._read)
        self._header += piece[:step]
        if len(self._header) == HEADER:
            self._look_at_header()
        return self._passed(step)

    def _look_at_header(self) -> None:
        """Find out where the chunks are, and leave out what cannot be one."""
        found = []
        for index in range(CHUNKS):
            entry = int.from_bytes(self._header[4 * index : 4 * index + 4])
            if entry:
                found.append(_Place(entry >> 8, entry & 0xFF, index))
        if not found and self._size > HEADER:
            self._look_at_no_chunks()
        self._header.clear()
        found.sort(key=lambda one: one.sector)
        free = HEADER // SECTOR
        for one in found:
            if one.sector < HEADER // SECTOR or not one.sectors:
                self._problem(f"{one.words} has no place of its own (sector {one.sector}, {one.sectors} of them)")
            elif one.sector * SECTOR + _PREFIX > self._size:
                self._problem(f"{one.words} is past the end of the file")
            elif one.sector < free:
                self._problem(f"{one.words} lies upon another one")
            else:
                self._chunks.append(one)
            free = max(free, one.sector + one.sectors)
        self._chunks.reverse()

    def _look_at_no_chunks(self) -> None:
        """Tell if a file that is more than its header lost all its chunks, as it does by a failure of power."""
        if not any(self._header):
            self._problem(f"its header is all zeros, in a file of {self._size} bytes: its chunks cannot be found")
        elif posixpath.basename(posixpath.dirname(self._path)) == _TERRAIN:
            self._problem("its table says that it has no chunks, though chunks were saved in it")

    def _take_chunk(self, piece: memoryview) -> int:
        """Read on in the chunk that begins here, or has begun."""
        if self._inflating is None:
            step = min(len(piece), _PREFIX - len(self._prefix))
            self._prefix += piece[:step]
            if len(self._prefix) == _PREFIX:
                self._begin()
            return self._passed(step)
        step = min(len(piece), self._ends - self._read)
        self._inflating.add(bytes(piece[:step]))
        self._passed(step)
        if self._read == self._ends:
            self._close()
        return step

    def _begin(self) -> None:
        """Look at a chunk's prefix, and begin to inflate it if it is among those that are."""
        chunk = self._chunks.pop()
        length, kind = int.from_bytes(self._prefix[:4]), self._prefix[4]
        self._prefix.clear()
        begins = chunk.sector * SECTOR
        if not length or not kind:
            self._problem(f"{chunk.words} is empty where its data should be")
        elif kind & ~_EXTERNAL not in {*_WINDOWS, _NONE, _LZ4, _CUSTOM} or (kind & _EXTERNAL and length > 1):
            self._problem(f"{chunk.words} is compressed in no known way ({kind})")
        elif kind & _EXTERNAL:
            self._tell_elsewhere(chunk)
        elif length + 4 > (sectors := self._sectors(chunk)) * SECTOR:
            self._problem(f"{chunk.words} is longer than its place: {length} bytes in {sectors} sectors")
        elif begins + 4 + length > self._size:
            self._problem(f"{chunk.words} is cut by the end of the file")
        elif kind in _WINDOWS and (chunk.index + self._salt) % SAMPLED == 0 and length > 1:
            self._inflating = _Inflated(chunk, _WINDOWS[kind])
            self._ends = begins + 4 + length

    def _tell_elsewhere(self, chunk: _Place) -> None:
        """Tell which file holds a chunk; one that is named in the game's way knows by its name where it lies."""
        folder, name = posixpath.split(self._path)
        if region := _NAME.fullmatch(name):
            x, z = (32 * int(at) for at in region.groups())
            self._elsewhere(posixpath.join(folder, f"c.{x + chunk.index % 32}.{z + chunk.index // 32}.mcc"))

    def _sectors(self, chunk: _Place) -> int:
        """Return how many sectors a chunk may take: a large one, all up to the next chunk."""
        if chunk.sectors < _MOST_SECTORS:
            return chunk.sectors
        return (self._chunks[-1].sector if self._chunks else _NO_SECTOR) - chunk.sector

    def _close(self) -> None:
        inflated, self._inflating = self._inflating, None
        if inflated is not None and (damage := inflated.damage()):
            self._problem(f"{inflated.chunk.words} {damage}")

    def _problem(self, text: str) -> None:
        self._findings.add(self._path, text)


class _Inflated:
    """One chunk being inflated, of which nothing is kept but its first byte."""

    def __init__(self, chunk: _Place, window: int) -> None:
        self.chunk = chunk
        self._stream = zlib.decompressobj(window)
        self._size = 0
        self._first: int | None = None
        self._damage = ""

    def add(self, piece: bytes) -> None:
        """Inflate a piece."""
        while piece and not self._damage and not self._stream.eof:
            try:
                data = self._stream.decompress(piece, 2**18)
            except zlib.error as error:
                self._damage = f"cannot be inflated ({str(error).rpartition(': ')[2]})"
                return
            if self._first is None and data:
                self._first = data[0]
            self._size += len(data)
            if self._size > LARGEST_CHUNK:
                self._damage = f"inflates to more than {LARGEST_CHUNK >> 20} MiB"
            piece = self._stream.unconsumed_tail

    def damage(self) -> str:
        """Say what is wrong with it; empty if nothing is."""
        if self._damage:
            return self._damage
        if not self._stream.eof:
            return "ends in the middle"
        return "" if self._first == _COMPOUND else "holds no NBT"
