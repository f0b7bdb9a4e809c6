"""Unpacking gzip as it comes, a bounded piece at a time, so that neither a large file nor a bomb needs memory.

Every member's CRC and length are checked (by zlib), and that the last one is complete.
"""

import zlib
from collections.abc import Callable

PIECE = 2**20
SLICE = 2**14  # packed bytes that zlib is given at once: it copies what is left of them behind each member
MOST_RATIO = 100  # unpacked to packed; worlds reach 30, deflate can do a thousand
FREE = 2**30  # unpacked bytes that no ratio is asked of

_AUTOMATIC_GZIP = 16 + zlib.MAX_WBITS


class GzipError(Exception):
    """It is no complete gzip file; the text says what is wrong with it."""


class Unpacker:
    """Give packed bytes to `add`; it gives what they unpack to to `take`. Call `end` when there are no more."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._member = zlib.decompressobj(_AUTOMATIC_GZIP)
        self._begun = False  # whether this member has any byte
        self._members = 0
        self.packed = 0
        self.unpacked = 0

    def add(self, piece: bytes) -> None:
        """Unpack the bytes; raises GzipError."""
        for place in range(0, len(piece), SLICE):
            self._add(piece[place : place + SLICE])

    def _add(self, piece: bytes) -> None:
        self.packed += len(piece)
        while piece:
            piece = self._next_member(piece) if self._member.eof or not self._begun else self._inflated(piece)

    def end(self) -> None:
        """Raise GzipError if the file is not complete."""
        if self._begun and not self._member.eof:
            raise GzipError("the gzip stream ends in the middle")
        if not self._members:
            raise GzipError("it holds no gzip stream")

    def _next_member(self, piece: bytes) -> bytes:
        """Begin a member of the file; zeros may pad the end of one."""
        if self._members:
            piece = piece.lstrip(b"\0")
        if piece:
            self._member, self._begun = zlib.decompressobj(_AUTOMATIC_GZIP), True
            self._members += 1
            return self._inflated(piece)
        return b""

    def _inflated(self, piece: bytes) -> bytes:
        """Unpack one bounded piece; return the bytes that were not read."""
        try:
            unpacked = self._member.decompress(piece, PIECE)
        except zlib.error as error:
            raise GzipError(f"the gzip stream is damaged ({_words(error)})") from None
        self.unpacked += len(unpacked)
        if self.unpacked > max(FREE, MOST_RATIO * self.packed):
            raise GzipError(f"it unpacks to more than {MOST_RATIO} times its size, and is not unpacked any further")
        self._take(unpacked)
        return self._member.unused_data if self._member.eof else self._member.unconsumed_tail


def _words(error: zlib.error) -> str:
    """Return zlib's own words: "Error -3 while decompressing data: incorrect data check" becomes its last part."""
    return str(error).rpartition(": ")[2]
