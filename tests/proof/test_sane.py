"""What a game needs is in an archive and not torn: worlds in their real formats, and each of them damaged."""

import random
import sqlite3
import struct
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.proof import leveldb
from daemon.proof.nbt import NbtError, check
from daemon.proof.region import SAMPLED, SECTOR
from daemon.transfer.verify import Sanity
from tests.proof.checked import checked, problems
from tests.proof.worlds import (
    BEDROCK,
    JAVA,
    bedrock_level,
    chunk,
    database,
    java_level,
    moved,
    nbt,
    packed,
    place,
    region,
    table,
)

REGION = "world/region/r.0.0.mca"
LARGE = packed(chunk(size=260 * SECTOR), 2)
"""Spigot, Paper and Forge write it where the game itself takes a file of its own; the header says 255 sectors."""


# Whole ones -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 511, 512, 4096, 10**9])
def test_whole_worlds_have_no_problem_and_their_games_are_known(step: int) -> None:
    """In whatever pieces they come; one byte at a time only of a small one."""
    if step > 1:
        assert checked(JAVA, step=step) == Sanity(("Minecraft Java", "SQLite"), (), 0)
    assert checked(BEDROCK, step=step) == Sanity(("Minecraft Bedrock",), (), 0)


@pytest.mark.parametrize("salt", range(SAMPLED))
def test_whichever_chunks_are_looked_into(salt: int) -> None:
    """All of them are whole."""
    assert checked(JAVA, salt=salt).count == 0


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"server.properties": b"x"},
        {"terraria/world.wld": random.Random(1).randbytes(5000), "a.mca": b"no region's folder"},
        {"mods/data.db": b"no database of SQLite's", "empty.db": b""},
        {"other/CURRENT": b"something else", "cache/000001.ldb": b""},
    ],
    ids=["empty", "a text", "another game", "another kind of .db", "another LevelDB"],
)
def test_what_is_not_known_is_no_problem_and_no_game(files: dict[str, bytes]) -> None:
    """The archive is then walked, and no more is said of it."""
    assert checked(files) == Sanity((), (), 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(region({})),
        bytes(region({0: packed(chunk(), 2)}, padded=False)),
        bytes(region({3: struct.pack(">IB", 100, 4) + bytes(99)})),
        bytes(region({3: struct.pack(">IB", 100, 127) + bytes(99)})),
        bytes(region({3: LARGE, 4: packed(chunk(), 2)})),
        bytes(region({3: LARGE}, padded=False)),
        bytes(8192),
    ],
    ids=[
        *("no bytes", "no chunks", "last sector not filled up", "LZ4", "a mod's own"),
        *("a chunk of more than 255 sectors", "the same at the end", "made and never saved to"),
    ],
)
def test_odd_regions_that_the_game_writes_itself_are_whole(data: bytes) -> None:
    """Nothing is found where nothing is wrong."""
    assert problems({**JAVA, "world/region/r.1.1.mca": data}, salt=5) == []


@pytest.mark.parametrize("kind", [0x81, 0x82, 0x83, 0x84, 0xFF])
@pytest.mark.parametrize("order", [1, -1])
def test_a_chunk_in_a_file_of_its_own_is_looked_for(kind: int, order: int) -> None:
    """Whatever it is packed with, and whichever of the two comes first; where it lies follows from both names."""
    own, regions = "world/region/c.35.-32.mcc", "world/region/r.1.-1.mca"
    files = {own: b"a chunk", regions: bytes(region({3: struct.pack(">IB", 1, kind)}))}
    assert problems({**JAVA, **dict(list(files.items())[::order])}) == []
    said = f"{own}: missing or empty, though its region says that this chunk is in it"
    assert problems({**JAVA, **files, own: b""}) == [said]
    del files[own]
    assert problems({**JAVA, **files}) == [said]
    assert problems({**JAVA, **files, "world/entities/c.35.-32.mcc": b"of another folder"}) == [said]


def test_of_a_region_that_is_named_otherwise_nobody_knows_where_its_chunks_are() -> None:
    """Nothing is claimed of what is not known."""
    data = bytes(region({3: struct.pack(">IB", 1, 0x82)}))
    assert problems({**JAVA, "world/region/backup.mca": data}) == []


@pytest.mark.parametrize("kind", [4, 127])
def test_what_is_not_unpacked_lies_within_its_place_all_the_same(kind: int) -> None:
    """LZ4, and what a mod has packed."""
    long = bytes(region({3: struct.pack(">IB", 5000, kind) + bytes(99)}))
    assert problems({**JAVA, "world/region/r.1.1.mca": long}) == [
        "world/region/r.1.1.mca: chunk 3,0 is longer than its place: 5000 bytes in 1 sectors"
    ]


# Damaged ones ---------------------------------------------------------------------------------------------------------


def cut(data: bytearray) -> bytearray:
    """The second half never reached the disk."""
    return data[: len(data) // 2]


def torn(data: bytearray) -> bytearray:
    """The beginning is newer than the rest: a chunk's place holds what was there before."""
    sector, _ = place(data, 0)
    begin = sector * SECTOR
    data[begin : begin + 5] = random.Random(3).randbytes(5)
    return data


def zeroed(data: bytearray) -> bytearray:
    """A sector that the disk never got."""
    begin = place(data, 7)[0] * SECTOR
    data[begin : begin + SECTOR] = bytes(SECTOR)
    return data


def swapped(data: bytearray) -> bytearray:
    """Two chunks' second sectors, changed for each other."""
    one, other = ((place(data, index)[0] + 1) * SECTOR for index in (0, 1))
    data[one : one + SECTOR], data[other : other + SECTOR] = (
        data[other : other + SECTOR],
        data[one : one + SECTOR],
    )
    return data


def wrong_byte(data: bytearray) -> bytearray:
    """A compression that there is none of."""
    data[place(data, 4)[0] * SECTOR + 4] = 99
    return data


def wrong_length(data: bytearray) -> bytearray:
    """Longer than the place that it has."""
    begin = place(data, 4)[0] * SECTOR
    data[begin : begin + 4] = struct.pack(">I", 10**6)
    return data


def longer(data: bytearray, index: int) -> bytearray:
    """A large chunk that would reach into the next one."""
    begin = place(data, index)[0] * SECTOR
    data[begin : begin + 4] = struct.pack(">I", 1_200_000)
    return data


def half_chunk(data: bytearray) -> bytearray:
    """Its stream ends in the middle of it."""
    begin = place(data, 0)[0] * SECTOR
    data[begin : begin + 4] = struct.pack(">I", 2000)
    return data


def no_nbt(_data: bytearray) -> bytearray:
    """It inflates, to something else."""
    return region({0: packed(b"\0" * 5000, 2)})


def bomb(_data: bytearray) -> bytearray:
    """It inflates to much more than a chunk has."""
    return region({0: packed(b"\x0a" + bytes(70 * 2**20), 2)})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut, "is past the end of the file"),
        (lambda data: data[:5000], "5000 bytes, less than its header has"),
        (torn, "chunk 0,0 "),
        (zeroed, "chunk 7,0 is empty where its data should be"),
        (swapped, "chunk 0,0 cannot be inflated"),
        (wrong_byte, "chunk 4,0 is compressed in no known way (99)"),
        (wrong_length, "chunk 4,0 is longer than its place: 1000000 bytes in 2 sectors"),
        (half_chunk, "chunk 0,0 ends in the middle"),
        (no_nbt, "chunk 0,0 holds no NBT"),
        (bomb, "chunk 0,0 inflates to more than 64 MiB"),
        (lambda data: moved(data, 33, 10_000, 1), "chunk 1,1 is past the end of the file"),
        (lambda data: moved(data, 33, 1, 1), "chunk 1,1 has no place of its own (sector 1, 1 of them)"),
        (lambda data: moved(data, 33, 2, 0), "chunk 1,1 has no place of its own (sector 2, 0 of them)"),
        (lambda data: moved(data, 1, *place(data, 0)), "lies upon another one"),
        (lambda data: data[: place(data, 39)[0] * SECTOR + 100], "chunk 7,1 is cut by the end of the file"),
        (lambda _: region({3: LARGE})[: 200 * SECTOR], "chunk 3,0 is cut by the end of the file"),
        (lambda _: longer(region({3: LARGE, 4: packed(chunk(), 2)}), 3), "chunk 3,0 is longer than its place: 1200000"),
    ],
    ids=[
        *("cut", "half a header", "torn", "zeroed sector", "swapped", "wrong byte", "wrong length", "half a chunk"),
        *("no NBT", "bomb", "header past the end", "in the header", "no sectors", "overlap", "last chunk cut"),
        *("large chunk cut", "large chunk longer than its place"),
    ],
)
def test_a_damaged_region_is_found_and_the_place_is_told(damage: Callable[[bytearray], bytearray], words: str) -> None:
    """In which file, and which chunk."""
    first = problems({**JAVA, f"./{REGION}": bytes(damage(region()))})[0]
    assert first.startswith(f"{REGION}: ")
    assert words in first


@pytest.mark.parametrize(
    ("zeros", "words"),
    [
        (slice(None), "its header is all zeros, in a file of "),
        (slice(0, 2 * SECTOR), "its header is all zeros, in a file of "),
        (slice(0, SECTOR), "its table says that it has no chunks, though chunks were saved in it"),
    ],
    ids=["the whole file", "its header", "its table of chunks"],
)
def test_a_region_whose_header_is_zeros_is_found(zeros: slice, words: str) -> None:
    """As a failure of power leaves it: the game would make its chunks anew."""
    data = region()
    data[zeros] = bytes(len(data[zeros]))
    (problem,) = problems({**JAVA, f"./{REGION}": bytes(data)})
    assert words in problem


@pytest.mark.parametrize("folder", ["entities", "poi", "DIM1/entities", "dimensions/mod/moon/poi"])
def test_what_the_game_takes_out_again_may_be_gone_from_a_region(folder: str) -> None:
    """It leaves the time at which the last creature died, and what the chunk was before."""
    gone = bytes(SECTOR) + bytes(region()[SECTOR:])
    assert problems({**JAVA, f"./world/{folder}/r.0.0.mca": gone}) == []
    assert len(problems({**JAVA, f"./world/{folder}/r.0.0.mca": bytes(len(gone))})) == 1


def test_what_is_sampled_depends_on_the_salt_and_in_the_end_all_of_it_is() -> None:
    """A chunk damaged inside is found by one salt of eight."""
    damaged = region()
    begin = place(damaged, 5)[0] * SECTOR + 100
    damaged[begin : begin + 50] = bytes(50)
    files = {**JAVA, f"./{REGION}": bytes(damaged)}
    assert [salt for salt in range(SAMPLED) if problems(files, salt=salt)] == [SAMPLED - 5]


def test_damage_in_one_region_hides_none_in_the_next() -> None:
    """All is counted, and the first are told."""
    torn_one = bytes(moved(region(), 33, 10_000, 1))
    found = checked({f"world/region/r.{number}.0.mca": torn_one for number in range(30)})
    assert (found.count, len(found.problems)) == (30, 10)


@pytest.mark.parametrize(
    ("path", "data", "words"),
    [
        ("./world/level.dat", java_level()[:-20], "world/level.dat: its gzip ends in the middle"),
        ("./world/level.dat", bytes(300), "world/level.dat: neither gzip nor Bedrock's header begins it"),
        ("./world/level.dat", b"", "world/level.dat: neither gzip nor Bedrock's header begins it"),
        ("./world/level.dat", bytes(5 * 2**20), "world/level.dat: 5242880 bytes, and no game writes more than 4194304"),
        ("./plugins/economy/data.db", database()[:-4096], "where its header says"),
    ],
    ids=["cut", "zeros", "empty", "far too large", "a database cut"],
)
def test_other_damaged_files_of_a_java_server_are_found(path: str, data: bytes, words: str) -> None:
    """Each with its own reader."""
    (problem,) = problems({**JAVA, path: data})
    assert words in problem


def test_a_world_that_lost_its_level_is_found_if_a_server_has_run_it() -> None:
    """The server would make a new one, with another seed."""
    files = {path: data for path, data in JAVA.items() if not path.endswith("level.dat")}
    assert problems(files) == ["world/level.dat: missing, though the world has regions"]
    files.pop("./world/session.lock")
    assert problems(files) == []


@pytest.mark.parametrize(
    ("path", "data", "words"),
    [
        ("level.dat", bedrock_level()[:-1], "neither gzip nor Bedrock's header"),
        ("db/CURRENT", b"\0" * 16, "it names no MANIFEST"),
        ("db/CURRENT", b"MANIFEST-000099\n", "it names MANIFEST-000099, which is missing or empty"),
        ("db/MANIFEST-000004", b"", "it names MANIFEST-000004, which is missing or empty"),
        ("db/000005.ldb", b"", "an empty table"),
        ("db/000005.ldb", table()[:-1], "the table was not written to its end"),
    ],
    ids=["level cut", "CURRENT zeroed", "another manifest", "empty manifest", "empty table", "table cut"],
)
def test_a_damaged_bedrock_world_is_found(path: str, data: bytes, words: str) -> None:
    """Where LevelDB would lose what is in it, or not open."""
    (problem,) = problems({**BEDROCK, f"worlds/Bedrock level/{path}": data})
    assert words in problem


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (("db/CURRENT",), "db/CURRENT: missing, so the world cannot be opened"),
        (("db/CURRENT", "levelname.txt"), "db/CURRENT: missing, so the world cannot be opened"),
        (("db/",), "db/CURRENT: missing, so the world cannot be opened"),
        (("db/", "levelname.txt"), "db/CURRENT: missing, so the world cannot be opened"),
        (("level.dat",), "level.dat: missing, though the world has a database"),
    ],
    ids=["CURRENT", "it, without the mark", "the database", "it, without the mark too", "level.dat"],
)
def test_a_bedrock_world_that_lost_what_it_cannot_be_without_is_found(missing: tuple[str, ...], words: str) -> None:
    """It is known by its level.dat, or by the name that the game writes beside it."""
    world = "worlds/Bedrock level/"
    left = {path: data for path, data in BEDROCK.items() if not path.startswith(tuple(world + one for one in missing))}
    assert problems(left) == [world + words]


def test_a_bedrock_world_with_a_damaged_level_and_no_database_is_known_by_its_mark() -> None:
    """Both are told."""
    found = problems({"level.dat": bytes(500), "levelname.txt": b"x"})
    assert [one.partition(":")[0] for one in found] == ["level.dat", "db/CURRENT"]


def test_a_java_world_with_the_mark_of_a_bedrock_one_needs_no_database() -> None:
    """It was converted; nor is a folder with nothing but the mark a world."""
    assert problems({**JAVA, "./world/levelname.txt": b"once Bedrock", "other/levelname.txt": b""}) == []


# SQLite ---------------------------------------------------------------------------------------------------------------


def overwritten(data: bytes, begin: int, with_bytes: bytes) -> bytes:
    """The data with some of it overwritten."""
    return data[:begin] + with_bytes + data[begin + len(with_bytes) :]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (database()[:50], "50 bytes, less than its header has"),
        (overwritten(database(), 16, b"\x00\x03"), "its header says pages of 3 bytes"),
        (overwritten(database(), 4096, bytes(4096)), "SQLite "),
        (overwritten(database(), 44, b"\0\0\0\x09"), "SQLite cannot read it: unsupported file format"),
        (overwritten(database(2000), 3 * 4096, random.Random(1).randbytes(4096)), "SQLite finds it damaged"),
    ],
    ids=["half a header", "no page size", "zeroed page", "no known format", "torn page"],
)
def test_a_damaged_database_is_found(data: bytes, words: str) -> None:
    """By its header, or by SQLite itself."""
    (problem,) = problems({"data.sqlite": data})
    assert words in problem


@pytest.mark.parametrize("lost", [512, 4096, None], ids=["a sector", "the first page", "all of it"])
@pytest.mark.parametrize("large", [False, True])
def test_a_database_that_begins_with_zeros_is_known_by_its_name(lost: int | None, large: bool) -> None:
    """As a failure of power leaves it; nothing else shows what it was."""
    data = database() + bytes(17 * 2**20 if large else 0)
    zeroed = bytes(len(data)) if lost is None else overwritten(data, 0, bytes(lost))
    assert problems({"data.db": zeroed}) == ["data.db: its first 512 bytes are zeros, where a database's header is"]
    assert problems({"data.db": zeroed, "data.db-journal": b"journal"}) == []
    assert problems({"data.bin": zeroed}) == []


@pytest.mark.parametrize("data", [bytes(511), bytes(511) + b"x", b"\0" * 12 + b"\x62\x31\x05\0" + bytes(4096)])
def test_files_of_other_programs_may_be_named_like_a_database(data: bytes) -> None:
    """Too short for one, or another kind: Berkeley's begins with zeros."""
    assert problems({"data.db": data}) == []


@pytest.mark.parametrize("page", [512, 65536])
def test_databases_of_every_page_size_are_whole(page: int) -> None:
    """The largest is written as 1."""
    assert checked({"data.sqlite3": database(page=page)}) == Sanity(("SQLite",), (), 0)


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE player (name TEXT COLLATE OURS UNIQUE)",
        "CREATE TABLE player (name TEXT COLLATE OURS PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE player (name TEXT, low AS (ours(name)) NOT NULL)",
    ],
    ids=["collation", "collation of the key", "function"],
)
def test_what_only_the_databases_own_program_has_is_no_damage(tmp_path: Path, made: str) -> None:
    """SQLite cannot look at such tables anywhere else; of the file, its header is looked at."""
    with closing(sqlite3.connect(tmp_path / "data.db")) as written:
        written.create_collation("OURS", lambda one, other: (one > other) - (one < other))
        written.create_function("ours", 1, str.lower, deterministic=True)
        written.execute(made)
        written.execute("INSERT INTO player (name) VALUES ('b'), ('a')")
        written.commit()
    data = (tmp_path / "data.db").read_bytes()
    assert checked({"data.db": data}) == Sanity(("SQLite",), (), 0)
    assert len(problems({"data.db": data[:4096]})) == 1


@pytest.mark.parametrize("beside", ["data.db-journal", "data.db-wal"])
def test_a_database_amid_a_change_is_not_judged(beside: str) -> None:
    """SQLite finishes the change, or takes it back, when it opens the file: be its journal before it or behind."""
    damaged = overwritten(database(), 4096, bytes(4096))
    assert problems({"data.db": damaged, beside: b"journal"}) == []
    assert problems({beside: b"journal", "data.db": damaged}) == []
    assert len(problems({"data.db": damaged, beside: b""})) == 1


def test_a_database_with_a_write_ahead_log_is_checked_like_others() -> None:
    """Its two version bytes are 2, which SQLite refuses in memory."""
    assert checked({"data.db": overwritten(database(), 18, b"\2\2")}) == Sanity(("SQLite",), (), 0)


# NBT ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [">", "<"])
def test_no_prefix_of_a_document_is_one(order: str) -> None:
    """Wherever it is cut."""
    document = nbt(order)
    check(document, little=order == "<")
    for size in range(len(document)):
        with pytest.raises(NbtError):
            check(document[:size], little=order == "<")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"\x0a\0\0" + b"\x0d", "ends in the middle"),
        (b"\x0a\0\0" + b"\x0d\0\0", "byte 5 is no tag"),
        (b"\x0a\0\0" + b"\x09\0\0" + b"\x00\0\0\0\1" + b"\0", "a list of nothing has elements"),
        (b"\x0a\0\0" + b"\x07\0\0" + b"\xff\xff\xff\xff", "an array of a negative length"),
        (b"\x0a\0\0" + b"\x09\0\0" + b"\x0a\x7f\xff\xff\xff", "ends in the middle"),
        (b"\x0a\0\0" + b"\x0a\0\0" * 600, "more than 512 levels deep"),
        (b"\x01\0\0", "no compound tag begins it"),
    ],
    ids=["cut tag", "no tag", "list of nothing", "negative", "endless list", "deep", "no compound"],
)
def test_documents_that_are_none_are_refused(document: bytes, words: str) -> None:
    """In bounded time and memory."""
    with pytest.raises(NbtError, match=words):
        check(document)


def test_a_level_that_unpacks_to_far_too_much_is_refused() -> None:
    """It is read no further than a level can be."""
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = bomb.compress(bytes(20 * 2**20)) + bomb.flush()
    assert problems({"world/level.dat": data}) == ["world/level.dat: more than 16777216 bytes"]


@given(data=st.binary(max_size=300), where=st.sampled_from(sorted({*JAVA, *BEDROCK})))
@settings(max_examples=60)
def test_nothing_is_raised_whatever_a_file_holds(data: bytes, where: str) -> None:
    """Hostile or not."""
    checked({where: data})


@given(seed=st.integers(0, 2**32), places=st.lists(st.integers(0, 60_000), min_size=1, max_size=20))
@settings(max_examples=40)
def test_nothing_is_raised_by_a_region_damaged_anywhere(seed: int, places: list[int]) -> None:
    """Bytes changed at random, its header included."""
    noise, data = random.Random(seed), region({index: packed(chunk(index, 3000), 2) for index in range(12)})
    for position in places:
        data[position % len(data)] = noise.randrange(256)
    checked({REGION: bytes(data)})


@given(seed=st.integers(0, 2**32), places=st.lists(st.integers(0, 60_000), min_size=1, max_size=20))
@settings(max_examples=40)
def test_nothing_is_raised_by_a_table_damaged_anywhere(seed: int, places: list[int]) -> None:
    """Its index and footer included, of which most is at the end."""
    noise, data = random.Random(seed), bytearray(table(2, index_kind=4))
    for position in places:
        data[-8 - position % (len(data) - 8)] = noise.randrange(256)
    checked({**BEDROCK, "worlds/Bedrock level/db/000005.ldb": bytes(data)})


@pytest.mark.parametrize("kind", [0, 2, 4])
def test_tables_are_whole_however_they_are_packed(kind: int) -> None:
    """Not at all, by zlib, or as Bedrock does; their index too. Of a large one only the end is looked at."""
    small = table(kind, index_kind=kind)
    assert problems({**BEDROCK, "worlds/Bedrock level/db/000005.ldb": small}) == []
    large = bytes(leveldb.LARGEST_TABLE) + small
    assert problems({**BEDROCK, "worlds/Bedrock level/db/000005.ldb": large}) == []
    assert len(problems({**BEDROCK, "worlds/Bedrock level/db/000005.ldb": large[:-1]})) == 1
