"""The files behind the backups: real `.tar.gz` bytes, made anew from a seed each time, a piece at a time.

The same seed, size and flavour always give the same bytes; memory stays constant whatever the size. The size comes
out exactly: the tar goes into stored (not compressed) deflate blocks, whose length is known beforehand, and what is
left over goes into gzip's comment field.
"""

import hashlib
import random
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

BLOCK = 512
STORED_BLOCK = 65_535
GZIP_FRAME = 10 + 1 + 8  # header, the comment's end, CRC and length
END_OF_TAR = bytes(2 * BLOCK)
REGION_HEADER = 8192
MODS_CHUNK = b"\x00\x00\x00\x01\x7f"  # its length, and a compression of its own
TEXT = b"motd=A sandbox server\nmax-players=20\n"


class Flavour(StrEnum):
    """What is wrong with a file, if anything. In each of them the panel's checksum is that of these very bytes."""

    WHOLE = "whole"
    CUT = "cut"  # the gzip stream ends in the middle
    CUT_TAR = "cut_tar"  # the gzip stream is sound, the tar in it ends in the middle
    BAD_CRC = "bad_crc"  # gzip's own checksum is wrong
    ESCAPING = "escaping"  # a name in it leads out of the folder
    TORN = "torn"  # its region file says of a chunk that it lies beyond the end


@dataclass(frozen=True, slots=True)
class Archive:
    """A file of exactly `size` bytes. Under some 400 bytes no archive fits, and it is noise."""

    seed: str
    size: int
    flavour: Flavour = Flavour.WHOLE

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes, in pieces of at most 64 KiB or so."""
        if self.flavour is not Flavour.CUT:
            return self._whole()
        return _first(self._whole(), self.size)

    def digest(self, algorithm: str) -> str:
        """Return the true checksum by that algorithm of hashlib's, in hex."""
        return _digest(self, algorithm)

    def _whole(self) -> Iterator[bytes]:
        size = self.size * 2 if self.flavour is Flavour.CUT else self.size
        tar_size = _tar_that_fits(size)
        if tar_size is None:
            return self._compressed(size)
        return self._stored(size, tar_size)

    def _stored(self, size: int, tar_size: int) -> Iterator[bytes]:
        """Yield a gzip stream of stored blocks, filled up by the comment to `size`."""
        yield _gzip_header(size - GZIP_FRAME - _stored_size(tar_size))
        crc = 0
        left = tar_size
        for block in _regroup(self._tar(tar_size), STORED_BLOCK):
            crc = zlib.crc32(block, crc)
            left -= len(block)
            yield struct.pack("<BHH", left == 0, len(block), len(block) ^ 0xFFFF) + block
        yield self._trailer(crc, tar_size)

    def _compressed(self, size: int) -> Iterator[bytes]:
        """Yield a small one: the smallest tar, compressed, with the comment filling up."""
        tar = b"".join(self._tar(_SMALLEST_TAR))
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(tar) + packer.flush()
        filling = size - GZIP_FRAME - len(packed)
        if filling < 0:
            yield random.Random(self.seed).randbytes(size)  # noqa: S311 — noise, not a secret
            return
        yield _gzip_header(filling) + packed + self._trailer(zlib.crc32(tar), len(tar))

    def _trailer(self, crc: int, tar_size: int) -> bytes:
        if self.flavour is Flavour.BAD_CRC:
            crc ^= 1
        return struct.pack("<II", crc, tar_size & 0xFFFFFFFF)

    def _tar(self, tar_size: int) -> Iterator[bytes]:
        """Yield a tar of exactly `tar_size` bytes: a text, and a file of the rest, a region if it can be one."""
        rest = tar_size - _SMALLEST_TAR
        promised = rest
        if self.flavour is Flavour.CUT_TAR:
            promised += 10 * BLOCK  # the header promises more than there is, and no end follows
        yield _file_header("server.properties", len(TEXT)) + TEXT + bytes(-len(TEXT) % BLOCK)
        escaping = self.flavour is Flavour.ESCAPING
        region = "world/region/r.0.0.mca" if rest >= REGION_HEADER else "world/data/raids.dat"
        yield _file_header("../../outside.dat" if escaping else region, promised)
        yield from self._region(rest)
        yield END_OF_TAR

    def _region(self, length: int) -> Iterator[bytes]:
        """Yield a region file of one chunk that a mod has packed, into which nobody looks; without a chunk where only
        the header fits, and noise alone where that does not.
        """
        if length < REGION_HEADER:
            yield from self._noise(length)
            return
        chunk = MODS_CHUNK if length > REGION_HEADER else b""
        place = b"\xff\xff\xff\x01" if self.flavour is Flavour.TORN else b"\x00\x00\x02\x01" if chunk else bytes(4)
        yield place + bytes(REGION_HEADER - len(place)) + chunk
        yield from self._noise(length - REGION_HEADER - len(chunk))

    def _noise(self, length: int) -> Iterator[bytes]:
        """Bytes that look random and differ from piece to piece, quickly."""
        block = random.Random(self.seed).randbytes(min(length, STORED_BLOCK))  # noqa: S311 — noise, not a secret
        for number, start in enumerate(range(0, length, STORED_BLOCK)):
            counter = number.to_bytes(8, "big")
            yield (counter + block[8:])[: length - start]


_SMALLEST_TAR = 3 * BLOCK + len(END_OF_TAR)


def _tar_that_fits(size: int) -> int | None:
    """Return the largest tar whose stored gzip stream is not larger than `size`; None where none fits."""
    tar_size = (size - GZIP_FRAME) // BLOCK * BLOCK
    while tar_size > _SMALLEST_TAR and GZIP_FRAME + _stored_size(tar_size) > size:
        tar_size -= BLOCK
    return tar_size if tar_size > _SMALLEST_TAR else None


def _stored_size(length: int) -> int:
    """Return how long `length` bytes are in stored deflate blocks."""
    return length + 5 * -(-length // STORED_BLOCK)


def _gzip_header(comment: int) -> bytes:
    """Return a gzip header without name and time, with a comment of that many characters."""
    return b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\xff" + b" " * comment + b"\x00"


def _file_header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.GNU_FORMAT)


def _regroup(pieces: Iterator[bytes], length: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces of `length`, the last one shorter."""
    held = b""
    for piece in pieces:
        held += piece
        while len(held) >= length:
            yield held[:length]
            held = held[length:]
    if held:
        yield held


def _first(pieces: Iterator[bytes], length: int) -> Iterator[bytes]:
    """Yield the first `length` bytes."""
    for piece in pieces:
        yield piece[:length]
        length -= len(piece)
        if length <= 0:
            return


@lru_cache(maxsize=4096)
def _digest(archive: Archive, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for piece in archive.pieces():
        digest.update(piece)
    return digest.hexdigest()
