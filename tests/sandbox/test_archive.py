"""The files behind the backups: real archives of an exact size, the same every time, or wrong in one way only."""

import gzip
import hashlib
import io
import tarfile
import zlib

import pytest

from daemon.sandbox.archive import REGION_HEADER, Archive, Flavour

SIZES = [400, 657, 3_000, 3_100, 3_604, 20_000, 65_553, 65_554, 131_073, 1_000_003]


def content(size: int, flavour: Flavour = Flavour.WHOLE, seed: str = "seed") -> bytes:
    """All bytes of an archive."""
    return b"".join(Archive(seed, size, flavour).pieces())


def unpacked(data: bytes) -> dict[str, int]:
    """Name and length of every file in it, all of them read to the end."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as tar:
        files = {member.name: tar.extractfile(member) for member in tar}
        return {name: len(file.read()) for name, file in files.items() if file is not None}


@pytest.mark.parametrize("size", SIZES)
def test_an_archive_has_exactly_its_size_and_unpacks(size: int) -> None:
    """Small or large, on either side of the edges of blocks."""
    data = content(size)
    assert len(data) == size
    region = "world/region/r.0.0.mca" if size > 2 * REGION_HEADER else "world/data/raids.dat"
    assert list(unpacked(data)) == ["server.properties", region]


def test_nearly_all_of_a_large_archive_is_its_files() -> None:
    """The size is not made up by filling alone."""
    assert sum(unpacked(content(1_000_000)).values()) > 990_000


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    """What is told before the download is true of it."""
    assert content(20_000) == content(20_000)
    assert content(20_000) != content(20_000, seed="another")


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("size", [500, 20_000])
def test_the_checksum_is_that_of_the_bytes_in_every_flavour(flavour: Flavour, size: int) -> None:
    """What is wrong inside is not told by sha1 or size."""
    data = content(size, flavour)
    assert len(data) == size
    assert Archive("seed", size, flavour).digest("sha1") == hashlib.sha1(data, usedforsecurity=False).hexdigest()


def test_no_piece_is_large() -> None:
    """Memory stays the same whatever the size."""
    assert max(len(piece) for piece in Archive("seed", 3_000_000).pieces()) < 70_000


def test_what_is_too_small_for_an_archive_is_noise_of_that_size() -> None:
    """A suspiciously small backup can have any size, down to nothing."""
    assert len(content(100)) == 100
    assert content(0) == b""


def test_a_cut_one_ends_in_the_middle_of_the_gzip_stream() -> None:
    """Reading it to the end fails."""
    with pytest.raises(EOFError):
        gzip.decompress(content(20_000, Flavour.CUT))


def test_a_cut_tar_is_a_sound_gzip_stream_whose_tar_ends_too_early() -> None:
    """gzip finds nothing, tar does."""
    data = content(20_000, Flavour.CUT_TAR)
    assert gzip.decompress(data)
    with pytest.raises(tarfile.ReadError):
        unpacked(data)


def test_a_bad_crc_is_found_by_gzip_alone() -> None:
    """The bytes are all there."""
    data = content(20_000, Flavour.BAD_CRC)
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(data)
    assert zlib.decompressobj(-15).decompress(data[data.index(b"\x00", 10) + 1 :])


def test_an_escaping_one_names_a_file_outside() -> None:
    """As a hostile archive would."""
    assert "../../outside.dat" in unpacked(content(20_000, Flavour.ESCAPING))
