"""Reading a tar as it comes: every header is read, the data given to whom it concerns; nothing is written or kept.

The formats are those of POSIX (ustar, pax) and GNU, as tar(5) describes them; `headers` reads single ones. What must
hold: a header that asks for much memory is refused, what is remembered of names is bounded, and the work grows only
with the bytes, as it does for a real archive: endless names and records are refused.
"""

import posixpath
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from daemon.transfer.headers import Header, read_header
from daemon.transfer.links import MOST_LINKS, Links

BLOCK = tarfile.BLOCKSIZE
ZEROS = bytes(BLOCK)
LONGEST_EXTENSION = 2**20  # bytes of a long name or of pax records
MOST_OUTERMOST, LONGEST_OUTERMOST = 1000, 255  # names at the top of the tar that are remembered, and characters
MOST_NAMED = 10  # of each complaint; the rest is counted
FREE_PARTS, PARTS_AN_ENTRY = 10**6, 100  # of names and records, for the archive and more for each entry
PART = 256  # characters of a name that are as much work as one more part; no file system has longer parts

_LONG = {tarfile.GNUTYPE_LONGNAME: "long name", tarfile.GNUTYPE_LONGLINK: "long link"}
_LINKS = {tarfile.SYMTYPE, tarfile.LNKTYPE}
_PAX = {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}
_PAX_KEYS = {b"path": "path", b"linkpath": "link path", b"size": "size", b"GNU.sparse.name": "sparse name"}
_NAMES, _TARGETS = ("sparse name", "path", "long name"), ("link path", "long link")
_RECORD_LENGTH = re.compile(rb"([0-9]{1,7}) ")
_SIZE = re.compile(r"[0-9]{1,19}")
_SPARSE_MORE, _SPARSE_STILL_MORE = 482, 504  # where a GNU sparse header says that blocks with more of it follow


class Member(Protocol):
    """Who reads one file of the tar. Neither call raises."""

    def add(self, piece: bytes) -> None:
        """Read on."""
        ...

    def end(self) -> None:
        """The file has come whole."""
        ...


OpenMember = Callable[[str, int], Member | None]
"""Given a regular file's name and size, return who reads it; None if nobody does."""


class TarError(Exception):
    """It is no complete tar; the text says what is wrong with it."""


@dataclass(slots=True)
class Names:
    """A count of names, with the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < MOST_NAMED:
            self.first.append(name[:200])


class Walker:
    """Give the bytes of a tar to `add`, and call `end` when there are no more; then it knows what the tar holds.

    `files` and `bytes` count regular files and their bytes; `entries` counts everything. `escaping` are names that lead
    out of the folder that the tar is unpacked in, `outward` links whose targets are outside of it. `parts` is the work
    so far: the parts of all names, and pax records. `outermost` are the names at its top, of whatever kind;
    `more_outermost` says that it has others that are not remembered. `open_member` is asked for every regular file.
    """

    def __init__(self, open_member: OpenMember = lambda _name, _size: None) -> None:
        self._open_member = open_member
        self._member: Member | None = None
        self._left = 0  # bytes of the member that have not come yet
        self.files = 0
        self.bytes = 0
        self.entries = 0
        self.escaping = Names()
        self.outward = Names()
        self.parts = 0
        self.outermost: set[str] = set()
        self.more_outermost = False
        self._links = Links()
        self._rest = bytearray()  # a block, or an extension, that has not come whole yet
        self._wanted = BLOCK
        self._skip = 0
        self._extension: bytes | None = None  # the type of the extension that is being read
        self._sparse = False
        self._said: dict[str, str] = {}  # what extensions say about the next entry
        self._said_of_all: dict[str, str] = {}  # and about each that follows
        self._zeros = 0
        self._ended = False

    def add(self, piece: bytes) -> None:
        """Read on; raises TarError."""
        place, length = 0, len(piece)
        while place < length and not self._ended:
            if self._skip and not self._sparse:
                step = min(self._skip, length - place)
                self._skip -= step
                if self._member is not None:
                    self._give(piece[place : place + min(step, self._left)])
            elif length - place >= BLOCK and self._wanted == BLOCK and not self._rest:
                step = BLOCK
                self._block(piece[place : place + BLOCK])
            else:
                step = min(self._wanted - len(self._rest), length - place)
                self._rest += piece[place : place + step]
                if len(self._rest) == self._wanted:
                    block, self._rest, self._wanted = bytes(self._rest), bytearray(), BLOCK
                    self._block(block)
            place += step

    def end(self) -> None:
        """Raise TarError if the tar is not complete; one block of zeros at the end is enough."""
        if self._zeros == 0:
            raise TarError("the tar ends in the middle")

    def _give(self, piece: bytes) -> None:
        """Give some bytes to the member, and say so if they are its last."""
        assert self._member is not None  # noqa: S101 — the caller has looked
        self._left -= len(piece)
        self._member.add(piece)
        if not self._left:
            self._member.end()
            self._member = None

    def _block(self, block: bytes) -> None:
        """Process what has come completely."""
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
            header = read_header(block)
        except tarfile.HeaderError as error:
            raise TarError(f"after {self.entries} entries there is no header of a tar ({error})") from None
        if header.size < 0:
            raise TarError("a header says a negative size")
        if header.type in _LONG or header.type in _PAX or header.type == tarfile.XGLTYPE:
            self._extend(header)
        else:
            self._entry(header, block)

    def _extend(self, header: Header) -> None:
        """Prepare for what a header says about the next one."""
        if header.size > LONGEST_EXTENSION:
            raise TarError(f"a header wants {header.size} bytes for names")
        self._wanted = _padded(header.size)
        self._extension = header.type if self._wanted else None
        self._wanted = self._wanted or BLOCK

    def _extended(self, data: bytes) -> None:
        """Process the extension that has come."""
        kind, self._extension = self._extension, None
        if kind in _LONG:
            self._said[_LONG[kind]] = data.partition(b"\0")[0].decode("utf-8", "replace")
            return
        self._work(data.count(b"\n"))
        said = _pax(data)
        if kind in _PAX:
            self._said |= said
        elif "size" in said:
            raise TarError("a header says a size for the whole archive")
        else:
            self._said_of_all |= said

    def _entry(self, header: Header, block: bytes) -> None:
        """Count one entry, look at its name, and pass over its data."""
        said, self._said = self._said, {}
        size, is_file = int(said.get("size", header.size)), header.isreg()
        self.entries += 1
        if is_file:
            self.files += 1
            self.bytes += size
        self._skip = _padded(size) if is_file or header.type not in tarfile.SUPPORTED_TYPES else 0
        self._sparse = header.type == tarfile.GNUTYPE_SPARSE and bool(block[_SPARSE_MORE])
        told = said or self._said_of_all
        names = [*self._either(said, _NAMES), header.name] if told else [header.name]
        if is_file and not self._sparse:
            self._open(names[0], size)
        is_link = header.type in _LINKS
        if told or is_link:
            self._look(header, names, [*self._either(said, _TARGETS), header.linkname] if is_link else [])
        else:
            self._look_at(header.name)

    def _open(self, name: str, size: int) -> None:
        self._member, self._left = self._open_member(name, size), size
        if self._member is not None and not size:
            self._give(b"")

    def _either(self, said: dict[str, str], kinds: tuple[str, ...]) -> Iterator[str]:
        """Return all that is said of one name: which of it counts depends on the unpacking program."""
        return (source[kind] for source in (said, self._said_of_all) for kind in kinds if kind in source)

    def _look_at(self, name: str) -> None:
        """Note if the only name of what is no link leads outside."""
        self._work(_parts(name))
        self._note_outermost(name)
        if self._links.leads_out(name):
            self.escaping.add(name)

    def _look(self, header: Header, names: list[str], targets: list[str]) -> None:
        """Note where a name, or the target of a link, leads outside."""
        is_link = header.type in _LINKS
        names, targets = list(dict.fromkeys(names)), list(dict.fromkeys(targets))
        self._work(sum(map(_parts, (*names, *targets))))
        for name in names:
            self._note_outermost(name)
        through = any(map(self._links.leads_out, targets)) if header.type == tarfile.LNKTYPE else False
        leading = names[0] if through else next(filter(self._links.leads_out, names), None)
        if leading is not None:
            self.escaping.add(leading)
        elif is_link:
            remember = self._links.add if header.type == tarfile.SYMTYPE else self._links.add_hard
            if sum(remember(name, target) for name in names for target in targets):  # each of them, not the first alone
                self.outward.add(names[0])
            if len(self._links) > MOST_LINKS:
                raise TarError(f"it holds more than {MOST_LINKS} links")

    def _note_outermost(self, name: str) -> None:
        top = name.partition("/")[0]
        if top in self.outermost and ".." not in name:
            return  # most names are of a folder that is known
        top = posixpath.normpath(name).partition("/")[0]
        if top in self.outermost or top in {"", ".", ".."}:
            return
        if len(self.outermost) < MOST_OUTERMOST and len(top) <= LONGEST_OUTERMOST:
            self.outermost.add(top)
        else:
            self.more_outermost = True

    def _work(self, parts: int) -> None:
        """Count work before it is done; raises TarError if it is more than a real archive needs."""
        self.parts += parts
        if self.parts > FREE_PARTS + PARTS_AN_ENTRY * self.entries:
            raise TarError(f"after {self.entries} entries its headers have had {self.parts} parts, as no real one has")


def _parts(name: str) -> int:
    """Return how much work a name is."""
    return name.count("/") + 1 + len(name) // PART


def _padded(size: int) -> int:
    """Return the size in whole blocks."""
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
