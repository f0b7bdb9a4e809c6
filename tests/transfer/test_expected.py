"""What the panel says a file is."""

import hashlib
from dataclasses import replace

import pytest

from daemon.core.model import Backup
from daemon.transfer.errors import NotGoodError
from daemon.transfer.expected import Expected, Tally
from tests.transfer.conftest import sha1
from tests.transfer.test_names import backup

GOOD = replace(backup("a"), checksum="sha1:" + "ab" * 20)


@pytest.mark.parametrize(
    ("checksum", "known", "why"),
    [
        ("sha1:" + "ab" * 20, "sha1:" + "ab" * 20, None),
        ("SHA1: " + "AB" * 20, "sha1:" + "ab" * 20, None),
        ("sha256:" + "ab" * 32, "sha256:" + "ab" * 32, None),
        ("sha256: " + "AB" * 32, "sha256:" + "ab" * 32, None),
        (None, None, "no checksum"),
        ("", None, "no checksum"),
        ("sha512:" + "ab" * 64, None, 'unknown kind "sha512"'),
        ("sha256:" + "ab" * 20, None, 'unknown kind "sha256"'),
        ("sha1:short", None, 'unknown kind "sha1"'),
        ("x" * 500, None, f'unknown kind "{"x" * 20}"'),
    ],
)
def test_an_unknown_checksum_is_said_and_no_error(checksum: str | None, known: str | None, why: str | None) -> None:
    """A sha1 can be compared, and a sha256, which a node can be told to make."""
    expected = Expected.of(replace(GOOD, checksum=checksum))
    assert expected.checksum == known
    assert expected.algorithm == (known or "sha1:").partition(":")[0]
    assert (expected.unchecked is None) is (why is None)
    assert (why or "") in (expected.unchecked or "")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (replace(GOOD, completed_at=None, successful=False), "not completed"),
        (replace(GOOD, completed_at=None), "not completed"),
        (replace(GOOD, successful=False), "failed"),
        (replace(GOOD, bytes=0), "empty"),
    ],
)
def test_what_has_no_whole_file_is_refused(bad: Backup, why: str) -> None:
    """Pending, failed, or empty; the panel hands out links for all of them."""
    with pytest.raises(NotGoodError, match=why):
        Expected.of(bad)


@pytest.mark.parametrize(
    ("data", "difference"),
    [
        (b"abcd", None),
        (b"abc", "it is 3 bytes long, and the panel says 4 bytes"),
        (b"abcde", "it is longer than the 4 bytes that the panel says"),
        (b"abce", f"its sha1 is {sha1(b'abce')}, and the panel says {sha1(b'abcd')}"),
    ],
)
def test_the_difference_is_told_in_words(data: bytes, difference: str | None) -> None:
    """Size before checksum."""
    tally = Tally()
    tally.add(data[:2])
    tally.add(data[2:])
    assert Expected(4, f"sha1:{sha1(b'abcd')}").difference(tally) == difference


def test_a_sha256_is_compared_as_well() -> None:
    """By the same words."""
    said, other = (hashlib.sha256(data).hexdigest() for data in (b"abcd", b"abce"))
    tally = Tally("sha256")
    tally.add(b"abce")
    assert Expected(4, f"sha256:{other}").difference(tally) is None
    assert Expected(4, f"sha256:{said}").difference(tally) == f"its sha256 is {other}, and the panel says {said}"


def test_large_sizes_are_exact_and_readable() -> None:
    """A byte too few in a gigabyte shows."""
    tally = Tally()
    tally.size = 2**30 - 1
    words = Expected(2**30, None).difference(tally)
    assert words == "it is 1073741823 bytes (1 GiB) long, and the panel says 1073741824 bytes (1 GiB)"
