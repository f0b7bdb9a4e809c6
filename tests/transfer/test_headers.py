"""Headers of a tar that are read without `tarfile`: they say what it says, of whatever bytes."""

import tarfile
from typing import Literal

from hypothesis import example, given
from hypothesis import strategies as st

from daemon.transfer.headers import Header, read_header

Form = Literal[0, 1, 2]
FORMATS: tuple[Form, ...] = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
KINDS = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.GNUTYPE_SPARSE, b"x", b"L", b"?")


def by_tarfile(block: bytes) -> Header | str:
    """What the slow way says."""
    try:
        read = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except tarfile.HeaderError as error:
        return str(error)
    link = read.linkname if read.issym() or read.islnk() else ""
    return Header(read.name, read.size, read.type, link)


def by_us(block: bytes) -> Header | str:
    """What the fast one says."""
    try:
        read = read_header(block)
    except tarfile.HeaderError as error:
        return str(error)
    link = read.linkname if read.type in {tarfile.SYMTYPE, tarfile.LNKTYPE} else ""
    return Header(read.name, read.size, read.type, link)


def summed(block: bytes) -> bytes:
    """The block with the checksum that it should have."""
    number = sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")
    return block[:148] + f"{number:06o}\0 ".encode() + block[156:]


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, form: Form = tarfile.USTAR_FORMAT) -> bytes:
    """The last block of a header, as Python writes it."""
    made = tarfile.TarInfo(name)
    made.size, made.type, made.mtime, made.linkname = size, kind, 1_700_000_000, "target"
    return made.tobuf(form, "utf-8", "surrogateescape")[-512:]


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=90),
    st.integers(0, 8**11 - 1),
    st.sampled_from(KINDS),
    st.sampled_from(FORMATS),
    st.lists(st.tuples(st.integers(0, 511), st.integers(0, 255)), max_size=4),
    st.booleans(),
)
@example("folder/" * 20 + "file", 5, tarfile.REGTYPE, tarfile.USTAR_FORMAT, [], True)  # a name in two fields
@example("folder/", 0, tarfile.DIRTYPE, tarfile.GNU_FORMAT, [], True)
@example("a", 0, tarfile.REGTYPE, tarfile.GNU_FORMAT, [(124, 0x80)], True)  # a size in bits
@example("a", 0, tarfile.REGTYPE, tarfile.GNU_FORMAT, [(100, 0x41)], True)  # a mode of no digits
@example("a", 0, tarfile.REGTYPE, tarfile.GNU_FORMAT, [(329, 0x41)], True)
def test_whatever_a_header_holds_the_same_is_said_of_it(  # noqa: PLR0917 — each is drawn
    name: str, size: int, kind: bytes, form: Form, changes: list[tuple[int, int]], sums: bool
) -> None:
    """Names, sizes and kinds, with bytes that are wrong, and a checksum that fits them or does not."""
    block = bytearray(header(name, size, kind, form))
    for place, value in changes:
        block[place] = value
    given_ = summed(bytes(block)) if sums else bytes(block)
    assert by_us(given_) == by_tarfile(given_)


@given(st.binary(min_size=512, max_size=512))
def test_a_block_of_any_bytes_is_read_alike(block: bytes) -> None:
    """With a checksum that fits, which any other reader would go by."""
    assert by_us(summed(block)) == by_tarfile(summed(block))


def test_a_checksum_is_exact_however_large_the_sum_is() -> None:
    """It is told by halves, neither of which reaches what Adler-32 begins again at."""
    block = bytearray(header("file"))
    for start, end in ((0, 100), (157, 257), (265, 329), (345, 500)):  # all that is text
        block[start:end] = b"\xff" * (end - start)
    assert by_us(summed(bytes(block))) == by_tarfile(summed(bytes(block)))
    less = f"{int(summed(bytes(block))[148:154], 8) - 65_521:06o}".encode()  # what Adler-32 could not tell from it
    wrong = summed(bytes(block))[:148] + less + summed(bytes(block))[154:]
    assert by_us(wrong) == by_tarfile(wrong) == "bad checksum"
