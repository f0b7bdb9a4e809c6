"""A Bedrock world's database as a whole: which tables it has by its MANIFEST, and which of them must be there."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.proof import bedrock
from daemon.proof.leveldb import TableError
from daemon.proof.manifest import tables_in
from tests.proof.checked import checked, problems
from tests.proof.worlds import BEDROCK, added, logged, manifest, number, table, taken

FOLDER = "worlds/Bedrock level/db"
LISTED = f"{FOLDER}/MANIFEST-000004"
CUT = table()[:-1]
BLOCK = 32_768
NEW = 1000
"""The number of a table that the database lists only in some tests."""


def test_a_table_that_the_database_lists_must_be_there() -> None:
    """LevelDB opens no database that lacks one, as a backup of a running server may."""
    files = {path: data for path, data in BEDROCK.items() if not path.endswith(".ldb")}
    assert problems(files) == [f"{FOLDER}/000005.ldb: missing, though the database lists it"]
    assert problems({**files, f"{FOLDER}/000005.sst": table()}) == []


def test_a_table_that_the_database_does_not_list_is_not_judged() -> None:
    """The game was writing it when the backup was made; it is deleted when the world is opened."""
    assert problems({**BEDROCK, f"{FOLDER}/000007.ldb": CUT}) == []
    assert problems({**BEDROCK, f"{FOLDER}/000003.ldb": b"", f"{FOLDER}/kept.ldb": CUT}) == []
    assert problems({**BEDROCK, f"{FOLDER}/000005.ldb": CUT}) == [
        f"{FOLDER}/000005.ldb: the table was not written to its end"
    ]


@pytest.mark.parametrize(
    "unknown",
    [manifest(added(NEW, 9), number(77) + b"x"), manifest(added(NEW, 9)) + bytes(bedrock.MOST_BYTES)],
    ids=["a record of another kind", "too long"],
)
def test_where_nothing_tells_what_is_listed_every_table_is_judged(unknown: bytes) -> None:
    """And none is missed."""
    assert problems({**BEDROCK, LISTED: unknown}) == []
    assert len(problems({**BEDROCK, LISTED: unknown, f"{FOLDER}/000007.ldb": CUT})) == 1


def test_of_more_tables_than_any_server_has_every_one_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of an archive is bounded."""
    files = {**BEDROCK, LISTED: manifest(added(NEW, 9))}
    assert len(problems(files)) == 1
    monkeypatch.setattr(bedrock, "MOST_TABLES", 0)
    assert problems(files) == []
    assert len(problems({**files, f"{FOLDER}/000007.ldb": CUT})) == 1


def test_the_last_of_two_files_of_one_name_counts() -> None:
    """It is what unpacking leaves there."""
    files = {**BEDROCK, f"./{LISTED}": manifest(added(5, 9), added(NEW, 9))}
    assert problems(files) == [f"{FOLDER}/001000.ldb: missing, though the database lists it"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bytes(5000), "it does not say what the database is"),
        (manifest()[:30], "it does not say what the database is"),
        (logged(added(NEW, 9)), "it does not say what the database is"),
        (logged(b"x", kind=9), "it is damaged"),
        (manifest() + bytes(4) + b"\xff\xff\x01" + bytes(BLOCK), "it is damaged"),
        (manifest(added(NEW, 9)[:-4]), "a number has no end|ends in the middle"),
    ],
    ids=[
        "zeros",
        "cut in its first record",
        "no first record",
        "no record",
        "a record beyond its block",
        "half a change",
    ],
)
def test_a_manifest_by_which_no_database_opens_is_found(data: bytes, words: str) -> None:
    """As LevelDB finds it."""
    (problem,) = problems({**BEDROCK, LISTED: data})
    assert problem.startswith(f"{LISTED}: ")
    with pytest.raises(TableError, match=words):
        tables_in(data)


def test_a_bit_that_changed_in_a_manifest_is_found() -> None:
    """Its records have checksums, without which LevelDB opens nothing: wherever it is, but in what tells a length."""
    data = manifest(added(5, 900))
    lengths, begins = set(), 0
    while begins < len(data):
        lengths |= {begins + 4, begins + 5}
        begins += 7 + int.from_bytes(data[begins + 4 : begins + 6], "little")
    for place in set(range(len(data))) - lengths:
        with pytest.raises(TableError):
            tables_in(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def test_changes_are_done_in_their_order() -> None:
    """A table that is taken away may have come just before."""
    assert tables_in(manifest(added(8, 9) + added(9, 9), taken(8), taken(77))) == frozenset({9})


def test_a_change_that_the_end_cuts_was_never_done() -> None:
    """LevelDB passes it over; what the game writes to a running world may be cut so."""
    whole = manifest(added(8, 9))
    assert tables_in(whole) == frozenset({8})
    assert all(tables_in(whole[:-cut]) == frozenset() for cut in range(1, len(logged(added(8, 9))) + 1))


def test_a_change_may_be_in_parts_and_blocks_end_in_zeros() -> None:
    """A part never goes beyond its block."""
    many = b"".join(added(one, 9) for one in range(100, 2000))
    begun = manifest()
    room = BLOCK - len(begun) - 7
    parts = begun + logged(many[:room], 2) + logged(many[room : room + BLOCK - 7], 3)
    parts += logged(many[room + BLOCK - 7 :], 4)
    assert tables_in(parts) == frozenset(range(100, 2000))
    assert tables_in(begun + bytes(BLOCK - len(begun)) + logged(added(8, 9))) == frozenset({8})
    assert tables_in(begun + bytes(BLOCK - len(begun) - 3) + b"\0\0\0" + logged(added(8, 9))) == frozenset({8})


@given(seed=st.integers(0, 2**32), places=st.lists(st.integers(0, 60_000), min_size=1, max_size=20))
@settings(max_examples=60)
def test_nothing_is_raised_by_a_manifest_damaged_anywhere(seed: int, places: list[int]) -> None:
    """Its headers included."""
    noise, data = random.Random(seed), bytearray(manifest(*(added(one, 9) for one in range(5, 50))))
    for position in places:
        data[position % len(data)] = noise.randrange(256)
    checked({**BEDROCK, LISTED: bytes(data)})
