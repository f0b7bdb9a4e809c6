"""Walking archives as they come: what is counted, what is refused, and that nothing makes it grow."""

import io
import tarfile
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.transfer import gzip as unpacking
from daemon.transfer import tar as walking
from daemon.transfer.gzip import GzipError, Unpacker
from daemon.transfer.tar import BLOCK, TarError, Walker

Entry = tuple[str, bytes]
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "", **pax: str) -> tarfile.TarInfo:
    """One header."""
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname, made.pax_headers = size, kind, target, pax
    return made


def tar_of(*entries: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of these, their data zeros that are no end."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for entry in entries:
            tar.addfile(entry, io.BytesIO(b"\1" * entry.size) if entry.isreg() else None)
    return file.getvalue()


def walked(data: bytes, step: int = 10_000) -> Walker:
    """What walking it finds."""
    walker = Walker()
    for place in range(0, len(data), step):
        walker.add(data[place : place + step])
    walker.end()
    return walker


@pytest.mark.parametrize("form", FORMATS)
def test_files_and_bytes_are_counted(form: int) -> None:
    """Folders, links and devices are entries and no files."""
    entries = (
        info("world", kind=tarfile.DIRTYPE),
        info("world/a", 1000),
        info("world/empty"),
        info("world/b", 512),
        info("link", kind=tarfile.SYMTYPE, target="world/a"),
        info("hard", kind=tarfile.LNKTYPE, target="world/a"),
        info("pipe", kind=tarfile.FIFOTYPE),
    )
    walker = walked(tar_of(*entries, form=form))
    assert (walker.files, walker.bytes, walker.entries) == (3, 1512, 7)
    assert (walker.escaping.count, walker.outward.count) == (0, 0)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_read(form: int) -> None:
    """As GNU writes them and as POSIX does; they can lead outside too."""
    long = "d" * 90 + "/" + "e" * 90 + "/"
    inside, outside = long + "f" * 90, long * 2 + "../" * 9 + "x"
    entries = (
        info(inside, 5),
        info("l", kind=tarfile.SYMTYPE, target="../" + long),
        info("h", kind=tarfile.LNKTYPE, target=outside),
        info(outside, 5),
        info("after", 5),
    )
    walker = walked(tar_of(*entries, form=form))
    assert (walker.files, walker.bytes, walker.entries) == (3, 15, 5)
    assert walker.escaping.first == ["h", outside[:200]]
    assert walker.outward.first == ["l"]


def test_a_size_beyond_the_headers_is_read() -> None:
    """Eight gigabytes and more: GNU's binary form, and pax."""
    large = 9 * 2**30
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        header = info("large", large).tobuf(form)
        walker = Walker()
        walker.add(header)
        for _ in range(large // 2**26):
            walker.add(bytes(2**26))
        walker.add(bytes(2 * BLOCK))
        walker.end()
        assert walker.bytes == large


def test_sparse_files_of_gnu_are_passed_over_whole() -> None:
    """The blocks with more of the map come before the data."""
    header = bytearray(info("sparse", BLOCK, tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    more = bytearray(BLOCK)
    more[504] = 1
    data = bytes(header) + bytes(more) + bytes(BLOCK) + b"\1" * BLOCK + tar_of(info("after", 3))
    walker = walked(data)
    assert (walker.files, walker.bytes, walker.entries) == (2, BLOCK + 3, 2)


def test_sparse_files_of_pax_have_their_true_name_looked_at() -> None:
    """The one in the header is made up."""
    entry = info("GNUSparseFile.0/x", 5)
    entry.pax_headers = {"GNU.sparse.name": "../x", "GNU.sparse.major": "1"}
    assert walked(tar_of(entry)).escaping.first == ["../x"]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../../x", "./../x", "a//../../x", "..", "a/b/../../..", "/", "a/./../../b"]
)
def test_a_name_that_leads_outside_is_noted(name: str) -> None:
    """Absolute, or by dots."""
    assert walked(tar_of(info("a", 1), info(name, 1), form=tarfile.GNU_FORMAT)).escaping.first == [name]


@pytest.mark.parametrize("name", ["a", "./a", "a/../b", "..a", "a../b", "a/b/../../c", "...", "a/."])
def test_a_name_that_stays_inside_is_not(name: str) -> None:
    """Dots alone are no harm."""
    assert walked(tar_of(info(name, 1))).escaping.count == 0


@pytest.mark.parametrize(
    ("name", "target", "outward"),
    [
        ("l", "a", False),
        ("d/l", "../a", False),
        ("d/l", "../../a", True),
        ("l", "/home/container/world", True),
        ("l", "..", True),
        ("./d/e/l", "../../a", False),
        ("./d/e/l", "../../../a", True),
    ],
)
def test_a_link_to_the_outside_is_noted_apart(name: str, target: str, outward: bool) -> None:
    """It writes nothing there by itself."""
    walker = walked(tar_of(info(name, kind=tarfile.SYMTYPE, target=target)))
    assert (walker.outward.count, walker.escaping.count) == (outward, 0)


@pytest.mark.parametrize("name", ["l/x", "./l//x", "l/d/x"])
def test_a_name_through_such_a_link_leads_outside(name: str) -> None:
    """That is how archives escape; also by a hard link."""
    link = info("l", kind=tarfile.SYMTYPE, target="/etc")
    walker = walked(tar_of(link, info(name, 1), info("h", kind=tarfile.LNKTYPE, target=name), info("lx", 1)))
    assert walker.escaping.first == [name, "h"]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten names, and so many links, whether or not they lead outside."""
    walker = walked(tar_of(*(info(f"../{number}") for number in range(50))))
    assert (walker.escaping.count, len(walker.escaping.first)) == (50, 10)
    monkeypatch.setattr(walking, "MOST_LINKS", 5)
    with pytest.raises(TarError, match="more than 5 links"):
        walked(tar_of(*(info(f"l{number}", kind=tarfile.SYMTYPE, target="x") for number in range(6))))


def test_the_names_at_its_top_are_known_whatever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, empty folders, links and what lies deeper; so many of them, and no longer ones than a file system has."""
    entries = [
        *(info("a"), info("./w/b"), info("empty/", kind=tarfile.DIRTYPE), link("here", "a"), hard("too", "a")),
        *(info("pipe", kind=tarfile.FIFOTYPE), info("../up"), info("./", kind=tarfile.DIRTYPE), info("w/c")),
        info("w/../aside"),
    ]
    found = walked(tar_of(*entries))
    assert (found.outermost, found.more_outermost) == ({"a", "w", "empty", "here", "too", "pipe", "aside"}, False)
    assert walked(tar_of(info("x" * 255))).more_outermost is False
    assert walked(tar_of(info("x" * 256))).more_outermost is True
    monkeypatch.setattr(walking, "MOST_OUTERMOST", 2)
    found = walked(tar_of(info("a"), info("b"), info("a")))
    assert (found.outermost, found.more_outermost) == ({"a", "b"}, False)
    found = walked(tar_of(info("a"), info("b"), info("c")))
    assert (found.outermost, found.more_outermost) == ({"a", "b"}, True)


def link(name: str, target: str) -> tarfile.TarInfo:
    """A symbolic link."""
    return info(name, kind=tarfile.SYMTYPE, target=target)


def hard(name: str, target: str) -> tarfile.TarInfo:
    """A hard link."""
    return info(name, kind=tarfile.LNKTYPE, target=target)


@pytest.mark.parametrize(
    ("entries", "outward", "escaping"),
    [
        ([link("s", "/etc"), hard("h", "s"), info("h/x")], ["s", "h"], ["h/x"]),
        ([link("a/b/s", "../.."), hard("h", "a/b/s"), info("h/x")], ["h"], ["h/x"]),
        ([link("a/s", "x"), hard("h", "a/s"), info("h/x")], [], []),
        ([link("s", "/etc"), link("t", "s"), info("t/x")], ["s"], ["t/x"]),
        ([link("t", "s"), link("s", "/etc"), info("t/x")], ["s"], ["t/x"]),
        ([link("s", "."), link("t", "s/.."), info("t/x")], ["t"], ["t/x"]),
        ([link("t", "s/.."), link("s", "."), info("t/x")], ["t"], ["t/x"]),
        ([link("s", "."), info("s/../x")], [], ["s/../x"]),
        ([link("a/b/s", "../.."), link("a/b/s/t", ".."), info("t/x")], ["a/b/s/t"], []),
        ([link("a/s", "../b"), info("a/s/x"), info("b/x")], [], []),
        ([link("s", "/etc"), hard("h", "s/passwd")], ["s"], ["h"]),
    ],
)
def test_links_that_lead_outside_only_together_are_noted(
    entries: list[tarfile.TarInfo], outward: list[str], escaping: list[str]
) -> None:
    """A hard link to a symbolic one, a link to a link in either order, and dots behind one."""
    walker = walked(tar_of(*entries))
    assert (walker.outward.first, walker.escaping.first) == (outward, escaping)


def extension(kind: bytes, data: bytes) -> bytes:
    """What a header says about the next one, or about all."""
    return info("x", len(data), kind).tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % BLOCK)


def test_each_name_that_an_unpacker_may_believe_is_looked_at() -> None:
    """That of a pax header for the whole archive too; some unpackers heed it, some do not."""
    everywhere = extension(tarfile.XGLTYPE, b"19 path=../../evil\n")
    assert walked(everywhere + tar_of(info("a"), info("b"))).escaping.count == 2
    assert walked(everywhere + tar_of(info("/a"))).escaping.count == 1
    linked = extension(tarfile.XGLTYPE, b"22 linkpath=/etc/evil\n")
    assert walked(linked + tar_of(link("a", "b"), hard("c", "b"))).outward.first == ["a"]
    both = extension(tarfile.GNUTYPE_LONGNAME, b"../evil\0") + extension(tarfile.XHDTYPE, b"10 path=a\n")
    assert walked(both + tar_of(info("b"))).escaping.first == ["../evil"]
    sparse = extension(tarfile.XHDTYPE, b"21 GNU.sparse.name=x\n18 path=/etc/evil\n")
    assert walked(sparse + tar_of(info("GNUSparseFile.0/x"))).escaping.first == ["/etc/evil"]


def test_a_comment_for_the_whole_archive_is_no_harm() -> None:
    """As git writes one; a size for the whole archive is what no archiver writes."""
    assert walked(extension(tarfile.XGLTYPE, b"18 comment=abcdef\n") + tar_of(info("a", 7))).bytes == 7
    with pytest.raises(TarError, match="a size for the whole archive"):
        walked(extension(tarfile.XGLTYPE, b"9 size=5\n") + tar_of(info("a", 7)))


DEEP = ("a/" * 500_000).encode() + b"x\0"


def test_the_work_for_a_name_grows_with_its_length_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its parts is looked at once, and none of those behind a link, however many links there are."""
    monkeypatch.setattr(walking, "FREE_PARTS", 10**7)
    walker = Walker()
    walker.add(tar_of(*(link(f"l{number}", "/etc") for number in range(1000))).rstrip(b"\0").ljust(1000 * BLOCK, b"\0"))
    before = walker.parts
    walker.add(extension(tarfile.GNUTYPE_LONGNAME, DEEP) + info("x").tobuf())
    assert walker.parts - before <= 2 * 500_002


@pytest.mark.parametrize(
    "entry",
    [
        extension(tarfile.XHDTYPE, b"9 a=bcde\n" * 10_000),
        extension(tarfile.GNUTYPE_LONGNAME, b"a/" * 50_000 + b"x\0"),
    ],
    ids=["records", "names"],
)
def test_an_archive_of_endless_names_or_records_is_refused_early(entry: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What 2 MB can unpack to would take minutes; real archives have a few records an entry. A tenth of it shows it."""
    monkeypatch.setattr(walking, "FREE_PARTS", walking.FREE_PARTS // 10)
    walker = Walker()
    walker.add(link("l", "/etc").tobuf())
    with pytest.raises(TarError, match="parts"):
        walker.add((entry + info("x").tobuf()) * 20)
    assert walking.FREE_PARTS < walker.parts <= 2 * walking.FREE_PARTS


def test_a_large_archive_with_a_few_records_an_entry_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound grows with the entries."""
    monkeypatch.setattr(walking, "FREE_PARTS", 20)
    data = tar_of(*(info("d" * 60 + f"/{number:060}") for number in range(300)))
    assert walked(data).entries == 300


WHOLE = tar_of(info("a", 700), info("b" * 200, 10), info("c", 1)).rstrip(b"\0")
WHOLE = WHOLE + bytes(-len(WHOLE) % BLOCK)


@pytest.mark.parametrize("end", [*range(0, len(WHOLE), BLOCK), 100, BLOCK + 3, len(WHOLE)])
def test_a_tar_that_is_cut_off_is_noticed(end: int) -> None:
    """Wherever it is, also between two files."""
    with pytest.raises(TarError, match="ends in the middle"):
        walked(WHOLE[:end])


@pytest.mark.parametrize("zeros", [1, 2, 20])
def test_zeros_are_its_end(zeros: int) -> None:
    """One block is enough; what comes after two is filling."""
    assert walked(WHOLE + bytes(zeros * BLOCK)).entries == 3
    assert walked(WHOLE + bytes(2 * BLOCK) + b"filling").entries == 3


def test_a_lone_block_of_zeros_in_the_middle_is_no_end() -> None:
    """Nor is a cut after it whole."""
    assert walked(WHOLE + bytes(BLOCK) + WHOLE + bytes(2 * BLOCK)).entries == 6
    with pytest.raises(TarError):
        walked(WHOLE + bytes(BLOCK) + WHOLE)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\1" * BLOCK, "no header"),
        (info("x", 2**21, tarfile.GNUTYPE_LONGNAME).tobuf(tarfile.GNU_FORMAT), "2097152 bytes for names"),
        (info("x", 2**40, tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT), "bytes for names"),
        (info("x", -5).tobuf(tarfile.GNU_FORMAT), "negative"),
    ],
)
def test_what_is_no_header_is_refused(data: bytes, why: str) -> None:
    """Also one that wants much memory."""
    with pytest.raises(TarError, match=why):
        walked(data)


@pytest.mark.parametrize(
    "records",
    [
        b"12 path",
        b"999 path=x\n",
        b"0 path=x\n",
        b"10 path=xx\n",
        b"7 path\n",
        b"x",
        b"-5 a=b\n",
        b"12 size=\xc2\xb2xx\n",
    ],
)
def test_pax_records_that_cannot_be_read_are_refused(records: bytes) -> None:
    """Whatever is wrong with them."""
    header = info("x", len(records), tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(TarError, match="pax"):
        walked(header + records.ljust(BLOCK, b"\0"))


def test_an_empty_extension_says_nothing() -> None:
    """It has no block of its own."""
    assert walked(extension(tarfile.XHDTYPE, b"") + tar_of(info("a", 1))).escaping.count == 0


@settings(deadline=None)
@given(st.binary(max_size=3000), st.integers(1, 600))
def test_whatever_the_bytes_only_one_error_comes(data: bytes, step: int) -> None:
    """Nothing else leaves the walker."""
    for start in (b"", WHOLE, info("x", 900, tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT)):
        with suppress(TarError):
            walked(start + data, step)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1, max_size=200), st.integers(0, 2000)), max_size=6), st.integers(1, 999))
def test_it_finds_what_tarfile_finds(entries: list[tuple[str, int]], step: int) -> None:
    """However the bytes are cut into pieces."""
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        data = tar_of(*(info(name.replace("\0", "0"), size) for name, size in entries), form=form)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = tar.getmembers()
        walker = walked(data, step)
        assert (walker.entries, walker.bytes) == (len(members), sum(member.size for member in members))


# gzip ----------------------------------------------------------------------------------------------------------------


def packed(data: bytes) -> bytes:
    """One gzip member."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


def unpacked(data: bytes, step: int = 1000) -> bytes:
    """What it unpacks to."""
    out = bytearray()
    unpacker = Unpacker(out.extend)
    for place in range(0, len(data), step):
        unpacker.add(data[place : place + step])
    unpacker.end()
    assert unpacker.unpacked == len(out)
    return bytes(out)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=4), st.integers(1, 500), st.integers(0, 20))
def test_gzip_is_unpacked_whatever_the_pieces(parts: list[bytes], step: int, zeros: int) -> None:
    """One member or several, and zeros behind them."""
    assert unpacked(b"".join(map(packed, parts)) + bytes(zeros), step) == b"".join(parts)


def test_no_byte_is_copied_once_for_each_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte holds fifty thousand empty members; what is behind one is handed on in small pieces."""
    longest = 0
    make = zlib.decompressobj

    class Watched:
        """zlib's object, which copies whatever it does not use."""

        def __init__(self, wbits: int) -> None:
            self._inner = make(wbits)

        def decompress(self, piece: bytes, most: int) -> bytes:
            nonlocal longest
            longest = max(longest, len(piece))
            return self._inner.decompress(piece, most)

        def __getattr__(self, name: str) -> object:
            return getattr(self._inner, name)

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    assert unpacked(packed(b"") * 5000 + packed(b"end"), step=10**6) == b"end"
    assert longest <= unpacking.SLICE


WORDS = packed(bytes(range(256)) * 20)


@pytest.mark.parametrize("end", range(len(WORDS)))
def test_gzip_that_is_cut_off_is_noticed(end: int) -> None:
    """At every byte."""
    with pytest.raises(GzipError, match="ends in the middle" if end else "no gzip"):
        unpacked(WORDS[:end])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"plain text", "incorrect header"),
        (WORDS[:-8] + b"\0" + WORDS[-7:], "incorrect data check"),
        (WORDS[:-4] + b"\1" + WORDS[-3:], "incorrect length check"),
        (WORDS + b"rubbish", "incorrect header"),
        (bytes(50), "incorrect header"),
    ],
)
def test_damaged_gzip_is_named(data: bytes, why: str) -> None:
    """CRC, length, and what comes before or behind."""
    with pytest.raises(GzipError, match=f"damaged.*{why}"):
        unpacked(data)


def test_a_bomb_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than a piece at once, and not beyond a hundred times of what came."""
    largest = 0

    def take(piece: bytes) -> None:
        nonlocal largest
        largest = max(largest, len(piece))

    monkeypatch.setattr(unpacking, "FREE", 2**20)
    bomb = packed(bytes(50 * 2**20))
    unpacker = Unpacker(take)
    with pytest.raises(GzipError, match="more than 100 times"):
        unpacker.add(bomb)
    assert largest <= unpacking.PIECE
    assert unpacker.unpacked <= 100 * len(bomb) + unpacking.PIECE
