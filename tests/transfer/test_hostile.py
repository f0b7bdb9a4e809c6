"""Hostile archives: each is told as bad, in words, and none is unpacked further than its size allows.

What they do to the process that reads them, with its own bounds, is tested in tests/copying/test_hostile.py.
"""

import tarfile

import pytest

from daemon.proof import sane
from daemon.proof.sane import SanityCheck
from daemon.transfer import gzip as unpacking
from daemon.transfer import tar as walking
from daemon.transfer.tar import BLOCK
from daemon.transfer.verify import ArchiveReader
from tests.transfer.conftest import expected
from tests.transfer.hostile import HOSTILE, MIB, Bounds, extension, header

SMALL = Bounds(mib=2, links=30, names=30)
"""Where the real ones are a gigabyte, 200,000 and 50,000."""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_told_as_such(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, and read no further than its size allows."""
    monkeypatch.setattr(unpacking, "FREE", SMALL.mib * MIB)
    monkeypatch.setattr(walking, "FREE_PARTS", 100_000)
    monkeypatch.setattr(walking, "MOST_LINKS", SMALL.links)
    monkeypatch.setattr(sane, "MOST_REMEMBERED", SMALL.names)
    reader = ArchiveReader(inspect=SanityCheck)
    for piece in HOSTILE[name].stream(SMALL):
        reader.add(piece)
    problems = reader.finding(expected(b"x"), None).problems
    assert HOSTILE[name].words.format(SMALL) in "; ".join(problem.text for problem in problems)
    assert all(len(problem.text) < 3000 for problem in problems)
    assert reader._archive.unpacker.unpacked <= max(SMALL.mib * MIB, 100 * reader.tally.size) + unpacking.PIECE
    assert reader._archive.walker.parts <= 100_000 + 500_000 + 100 * reader._archive.walker.entries


def test_a_name_counts_by_its_length_as_well_as_by_its_parts() -> None:
    """A name without a slash is no less work, and a real one is no more than its parts."""
    for name, parts in (("a/b/c", 3), ("a" * 90, 1), ("a" * 2560, 11)):
        walker = walking.Walker()
        walker.add(extension(tarfile.GNUTYPE_LONGNAME, name.encode() + b"\0") + header("x"))
        assert walker.parts == parts + 1
    assert BLOCK == 512
