"""One header of a tar. An ordinary one is read here, in a tenth of the time that `tarfile` takes; it reads the others.

What must hold: every block is read as `tarfile` would read it. Ordinary is only what most programs write: regular files
and folders, each number in digits, in one of two formats.
"""

import re
import tarfile
import zlib
from dataclasses import dataclass

_ORDINARY = re.compile(
    rb"(?:[0-7]{7}\0){3}(?P<size>[0-7]{11})\0[0-7]{11}\0(?P<sum>[0-7]{6})\0 (?P<type>[05])", re.DOTALL
)
"""Mode, owner and group, size, time, checksum and type, from the hundredth byte on."""

_NUMBERS, _DEVICES = 100, slice(329, 345)
_NO_DEVICES = (bytes(16), b"0000000\x00" * 2)
_NAME, _SUM, _PREFIX = slice(0, 100), slice(148, 156), slice(345, 500)
_HALF = 256
_SPACES = 8 * ord(" ")
"""The checksum is computed as if its own field held spaces."""


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of a header that are used."""

    name: str
    size: int
    type: bytes
    linkname: str = ""

    def isreg(self) -> bool:
        """Return whether it is of a regular file."""
        return self.type in tarfile.REGULAR_TYPES


def read_header(block: bytes) -> Header:
    """Read a block of 512 bytes; raises tarfile.HeaderError if it is no header."""
    ordinary = _ORDINARY.match(block, _NUMBERS)
    if ordinary and block[_DEVICES] in _NO_DEVICES and int(ordinary["sum"], 8) == _checksum(block):
        kind = ordinary["type"]
        name = _text(block[_NAME])
        if kind == tarfile.DIRTYPE:
            name = name.rstrip("/")
        if block[_PREFIX.start]:
            name = f"{_text(block[_PREFIX])}/{name}"
        return Header(name, int(ordinary["size"], 8), kind)
    read = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    return Header(read.name, read.size, read.type, read.linkname)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _checksum(block: bytes) -> int:
    """Return the sum of all bytes: the lower half of Adler-32, less one, which no sum of 257 bytes exceeds."""
    both = (zlib.adler32(block[:_HALF]) & 0xFFFF) + (zlib.adler32(block[_HALF:]) & 0xFFFF) - 2
    return both - sum(block[_SUM]) + _SPACES
