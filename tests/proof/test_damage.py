"""Which level finds which damage: files in their real formats, damaged in the ways that happen.

The table in docs/proof.md is what comes out here.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.core.proof import Level
from daemon.proof.region import SAMPLED
from daemon.proof.sane import SanityCheck, salt_of
from daemon.transfer import gzip as unpacking
from daemon.transfer.expected import Expected
from daemon.transfer.verify import ArchiveReader
from tests.proof.damage import ARCHIVE, COMMON, FORMATS, OWN, Damaged, Format
from tests.transfer.conftest import expected

PAGE = Path(__file__).parents[2] / "docs/proof.md"
IN_TIME, PASSED = "in time", "no"
"""`sane` finds it, but not every day; nothing finds it."""


def found_by(archive: bytes, said: Expected, salt: int) -> Level | None:
    """The first level that finds something wrong with an archive of which the panel said that."""
    for level, inspect in ((Level.WALKED, None), (Level.SANE, lambda: SanityCheck(salt))):
        reader = ArchiveReader(said.algorithm, inspect)
        for begin in range(0, len(archive), 2**16):
            reader.add(archive[begin : begin + 2**16])
        difference = said.difference(reader.tally)
        if difference is not None:
            return Level.READ
        if reader.finding(said, difference).problems:
            return level
    return None


def cell(archive: bytes, said: Expected) -> str:
    """What the table says of an archive: by which level it is found, whatever the day is."""
    found = {found_by(archive, said, 0)}
    if found <= {Level.SANE, None}:
        found |= {found_by(archive, said, salt) for salt in range(1, SAMPLED)}
    levels = found - {None}
    assert len(levels) <= 1
    return IN_TIME if len(found) > 1 else f"`{levels.pop()}`" if levels else PASSED


def damaged(kind: Format, way: str) -> tuple[bool, Damaged]:
    """A file damaged so, and whether that kind of file can be."""
    if way in COMMON:
        return True, COMMON[way](kind)
    return way in kind.own, kind.own.get(way)


def rows() -> Iterator[list[str]]:
    """The table: the damages, by what they are done to."""
    yield ["", "archive, later", "archive, as made", *FORMATS]
    yield ["---"] * (3 + len(FORMATS))
    for way in (*COMMON, *OWN):
        _, archive = damaged(ARCHIVE, way)
        told = (
            ("", "") if archive is None else (cell(archive, expected(ARCHIVE.data)), cell(archive, expected(archive)))
        )
        yield [way, *told, *(of_file(kind, way) for kind in FORMATS.values())]


def of_file(kind: Format, way: str) -> str:
    """What the table says of a file damaged so; nothing if that kind cannot be."""
    possible, file = damaged(kind, way)
    archive = kind.archive(file)
    return cell(archive, expected(archive)) if possible else ""


def test_what_each_level_finds_is_what_the_table_in_the_docs_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each damage is done to real files, and they are read as proofs read them."""
    monkeypatch.setattr(unpacking, "FREE", 2**20)  # a bomb of a gigabyte takes a second
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows()).replace("|  |", "| |").replace("|  |", "| |")
    assert table in PAGE.read_text(), f"docs/proof.md should say\n\n{table}"


@pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS)
def test_what_is_not_damaged_is_found_by_no_level(kind: Format) -> None:
    """On no day: a table that calls everything bad would be of no use."""
    archive = kind.archive(kind.data)
    assert cell(archive, expected(archive)) == PASSED
    assert cell(ARCHIVE.data, expected(ARCHIVE.data)) == PASSED


@pytest.mark.parametrize("step", [1, 7, 8, 24, 30, 64, 72])
def test_readings_at_any_interval_come_to_every_eighth(step: int) -> None:
    """Renewals come every 24 or 72 days, for instance; daily ones are through within two of these weeks."""
    for first in range(738_000, 738_064):
        seen = {salt_of(first + step * number) % SAMPLED for number in range(15 if step == 1 else 60)}
        assert len(seen) == SAMPLED
