"""Walking a tar as it comes: every header is read, the data passed over; nothing is written, and nothing kept.

The formats are those of POSIX (ustar, pax) and GNU, as tar(5) describes them; single headers are read by `tarfile`.
What must hold: a header that asks for much memory is refused, and what is remembered of names is bounded.
"""

import re
import tarfile
from dataclasses import dataclass, field

BLOCK = tarfile.BLOCKSIZE
ZEROS = bytes(BLOCK)
LONGEST_EXTENSION = 2**20  # bytes of a long name or of pax records
MOST_NAMED = 10  # of each complaint; the rest is counted
MOST_LINKS = 10_000  # that lead outside and are remembered, since a name below one leads outside too

_LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_PAX = {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}
_PAX_KEYS = {b"path": "path", b"linkpath": "linkpath", b"size": "size", b"GNU.sparse.name": "sparse name"}
_RECORD_LENGTH = re.compile(rb"([0-9]{1,7}) ")
_SIZE = re.compile(r"[0-9]{1,19}")
_SPARSE_MORE, _SPARSE_STILL_MORE = 482, 504  # where a GNU sparse header says that blocks with more of it follow


class TarError(Exception):
    """It is no whole tar; the text says what is wrong with it."""


@dataclass(slots=True)
class Names:
    """So many names, the first of them remembered."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < MOST_NAMED:
            self.first.append(name[:200])


class Walker:
    """`add` the bytes of a tar, `end` when there are no more; then it knows what the tar holds.

    `files` and `bytes` count regular files and what is in them; `entries` counts everything. `escaping` are names that
    lead out of the folder that the tar is unpacked in, `outward` symbolic links whose targets lie outside of it.
    """

    def __init__(self) -> None:
        self.files = 0
        self.bytes = 0
        self.entries = 0
        self.escaping = Names()
        self.outward = Names()
        self._links: set[str] = set()
        self._rest = bytearray()  # a block, or an extension, that has not come whole yet
        self._wanted = BLOCK
        self._skip = 0
        self._extension: bytes | None = None  # the type of the extension that is being read
        self._sparse = False
        self._said: dict[str, str] = {}  # what extensions say about the next entry
        self._zeros = 0
        self._ended = False

    def add(self, piece: bytes) -> None:
        """Walk on; raises TarError."""
        place, length = 0, len(piece)
        while place < length and not self._ended:
            if self._skip and not self._sparse:
                step = min(self._skip, length - place)
                self._skip -= step
            else:
                step = min(self._wanted - len(self._rest), length - place)
                self._rest += piece[place : place + step]
                if len(self._rest) == self._wanted:
                    block, self._rest, self._wanted = bytes(self._rest), bytearray(), BLOCK
                    self._block(block)
            place += step

    def end(self) -> None:
        """Raise TarError where the tar is not whole; one block of zeros at the end is enough."""
        if self._zeros == 0:
            raise TarError("the tar ends in the middle")

    def _block(self, block: bytes) -> None:
        """Read what has come whole."""
        if self._sparse:
            self._sparse = bool(block[_SPARSE_STILL_MORE])
        elif self._extension:
            self._extended(block)
        elif block == ZEROS:
            self._zeros += 1
            self._ended = self._zeros == 2  # noqa: PLR2004 — as POSIX says; what follows is filling
        else:
            self._header(block)

    def _header(self, block: bytes) -> None:
        """Read one header."""
        self._zeros = 0  # a lone block of zeros ends nothing, as for tar(1)
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
        except tarfile.HeaderError as error:
            raise TarError(f"after {self.entries} entries there is no header of a tar ({error})") from None
        if header.size < 0:
            raise TarError("a header says a negative size")
        if header.type in _LONG or header.type in _PAX or header.type == tarfile.XGLTYPE:
            self._extend(header)
        else:
            self._entry(header, block)

    def _extend(self, header: tarfile.TarInfo) -> None:
        """Prepare for what a header says about the next one."""
        if header.size > LONGEST_EXTENSION:
            raise TarError(f"a header wants {header.size} bytes for names")
        self._wanted = _padded(header.size)
        self._extension = header.type if self._wanted else None
        self._wanted = self._wanted or BLOCK

    def _extended(self, data: bytes) -> None:
        """Read it. A pax header for the whole tar (`g`) says nothing of single names."""
        kind, self._extension = self._extension, None
        if kind in _LONG:
            self._said.setdefault(_LONG[kind], data.split(b"\0")[0].decode("utf-8", "replace"))
        elif kind in _PAX:
            self._said.update(_pax(data))

    def _entry(self, header: tarfile.TarInfo, block: bytes) -> None:
        """Count one entry, look at its name, and pass over its data."""
        said, self._said = self._said, {}
        name = said.get("sparse name") or said.get("path") or header.name
        size = int(said.get("size", header.size))
        self.entries += 1
        if header.isreg():
            self.files += 1
            self.bytes += size
        has_data = header.isreg() or header.type not in tarfile.SUPPORTED_TYPES
        self._skip = _padded(size) if has_data else 0
        self._sparse = header.type == tarfile.GNUTYPE_SPARSE and bool(block[_SPARSE_MORE])
        self._look(header, name, said.get("linkpath") or header.linkname)

    def _look(self, header: tarfile.TarInfo, name: str, target: str) -> None:
        """Note where a name, or the target of a link, leads outside."""
        if self._is_outside(name) or (header.islnk() and self._is_outside(target)):
            self.escaping.add(name)
        elif header.issym() and _leaves(target if target.startswith("/") else f"{name}/../{target}"):
            self.outward.add(name)
            self._links.add(_plain(name))
            if len(self._links) > MOST_LINKS:
                raise TarError(f"more than {MOST_LINKS} links lead out of the folder")

    def _is_outside(self, name: str) -> bool:
        """Whether the name leads out of the folder, by itself or through a link before it."""
        if _leaves(name):
            return True
        parts = _plain(name).split("/") if self._links else []
        return any("/".join(parts[:count]) in self._links for count in range(1, len(parts)))


def _leaves(name: str) -> bool:
    """Whether a name, taken from a folder, leads out of it."""
    if name.startswith("/"):
        return True
    if ".." not in name:
        return False
    depth = 0
    for part in name.split("/"):
        depth += (part not in {"", ".", ".."}) - (part == "..")
        if depth < 0:
            return True
    return False


def _plain(name: str) -> str:
    """The name without what means nothing in it."""
    return "/".join(part for part in name.split("/") if part not in {"", "."})


def _padded(size: int) -> int:
    """The size in whole blocks."""
    return -(-size // BLOCK) * BLOCK


def _pax(data: bytes) -> dict[str, str]:
    """Given pax records ("LENGTH KEY=VALUE\\n" each), return those that matter here; raises TarError."""
    said = {}
    place = 0
    while found := _RECORD_LENGTH.match(data, place):
        record = data[place : place + int(found[1])]
        key, equals, value = record[found.end() - place : -1].partition(b"=")
        if not equals or len(record) != int(found[1]) or not record.endswith(b"\n"):
            raise TarError("a pax header cannot be read")
        if key in _PAX_KEYS:
            said[_PAX_KEYS[key]] = value.decode("utf-8", "replace")
        place += len(record)
    if data[place:].strip(b"\0") or not _SIZE.fullmatch(said.get("size", "0")):
        raise TarError("a pax header cannot be read")
    return said
