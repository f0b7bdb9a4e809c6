"""Minecraft worlds read to `sane`: how fast, beside what only unpacks or lists them; and by the process that reads.

The worlds are in the games' formats, by the maker of the tests. Java's has region files of 1,024 chunks each, whose
chunks inflate to some 100 KB as those of a lit world with 24 sections do; a level.dat, players and a plugin's database.
Bedrock's has a database of tables of 2 MB, in blocks of 4 KB. They are packed as Wings packs (gzip, level 1). Figures
are MiB of the packed archive for a second of the processor: what unpacks, walks and looks into the files, without a
checksum. Beside it stand zlib alone, which is the ideal, `gzip -t`, and `tar -tz`, none of which finds a torn region.
A day's eighth of the chunks and blocks is inflated, another one in each run.

At last the process that reads for the daemon does the same, from its start to its result, by HTTP and with SHA-1:
wanted are 60 MiB/s and 120 MiB of peak memory (VmHWM).

    python -m benchmarks.sane [--regions N] [--runs N]
"""

import argparse
import gzip
import random
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

from benchmarks.archives import processor, proven, read, unpack
from benchmarks.copies import MEMORY
from benchmarks.measure import MIB, Figure, Spread, in_turn, report, run_to_end, say
from daemon.proof.sane import SanityCheck
from tests.proof.worlds import BEDROCK, added, database, java_level, manifest, nbt, packed, region, table
from tests.transfer.hostile import END, entry, gzipped

WANTED = 60.0
SECTIONS, MIXED, SECTION = 24, 8, 2048
"""Of a chunk: how many, how many of them hold more than one kind of block, and bytes of blocks, and of light, each."""

CHUNKS = 1024
TABLES = 3
"""So many of Bedrock's are nearly as large as a region of Java's."""


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--regions", type=int, default=24, metavar="N", help="of Java's world")
    options.add_argument("--runs", type=int, default=5, metavar="N")
    given = options.parse_args()
    figures = []
    for kind, files in (("Java", java(given.regions)), ("Bedrock", bedrock(given.regions * TABLES))):
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "world.tar.gz"
            with path.open("wb") as file:
                file.writelines(gzipped(*files, END, level=1))
            say(f"{kind}: {path.stat().st_size / MIB:.0f} MiB packed")
            figures += [*alone(kind, path, given.runs), *by_the_process(kind, Path(name), path, given.runs)]
    report(figures)


def java(regions: int) -> Iterator[bytes]:
    """The files of a world of Java, as they lie in a tar."""
    chance = random.Random(1)  # noqa: S311 — the same world each time
    chunks = [packed(chunk(chance), 2) for _ in range(CHUNKS)]
    yield entry("world/level.dat", java_level())
    yield entry("world/session.lock", "☃".encode())
    for number in range(regions):
        chance.shuffle(chunks)
        yield entry(f"world/region/r.{number}.0.mca", bytes(region(dict(enumerate(chunks)))))
    for number in range(100):
        yield entry(f"world/playerdata/{number}.dat", gzip.compress(nbt(noise=chance.randbytes(3000)), mtime=0))
    yield entry("plugins/economy/data.db", database(50_000))


def bedrock(tables: int) -> Iterator[bytes]:
    """The files of a world of Bedrock: a few tables again and again, since each takes a second to make."""
    made = [table(blocks=500, value=4000 + number) for number in range(3)]
    files = {path: data for path, data in BEDROCK.items() if not path.endswith(".ldb")}
    (folder,) = (path.removesuffix("CURRENT") for path in files if path.endswith("CURRENT"))
    files[f"{folder}MANIFEST-000004"] = manifest(*(added(number, 9) for number in range(tables)))
    for path, data in files.items():
        yield entry(path, data)
    for number in range(tables):
        yield entry(f"{folder}{number:06}.ldb", made[number % len(made)])


def chunk(chance: random.Random) -> bytes:
    """The NBT of one chunk: blocks of few kinds or of one, and light that is full or none."""
    kinds = bytes(chance.randrange(256) for _ in range(12))
    sections = [bytes(chance.choices(kinds, [40, 20, 9, *[2] * 9], k=SECTION)) for _ in range(MIXED)]
    sections += [bytes(SECTION)] * (SECTIONS - MIXED)
    light = b"".join(chance.choice((b"\0", b"\xff")) * SECTION for _ in range(SECTIONS))
    return nbt(noise=b"".join(sections) + light)


def alone(kind: str, path: Path, runs: int) -> list[Figure]:
    """The archive by all ways, in turn, in this process or by a shell."""
    data, day = path.read_bytes(), count()
    calls: dict[str, Callable[[], float]] = {
        "sane": lambda: processor(lambda: read(data, lambda: SanityCheck(next(day)))),
        "walked": lambda: processor(lambda: read(data)),
        "zlib": lambda: processor(lambda: unpack(data, zlib, 2**14)),
        "gzip -t": lambda: run_to_end(["gzip", "-t", str(path)]).processor,
        "tar -tz": lambda: run_to_end(["tar", "-tzf", str(path)]).processor,
    }
    took = in_turn(calls, runs)

    def speed(name: str) -> Spread:
        return _spread(len(data) / MIB / seconds for seconds in took[name])

    return [
        Figure(f"{kind}: sane, beside gzip -t", "MiB/s", speed("sane"), WANTED, True, speed("zlib"), speed("gzip -t")),
        Figure(
            f"{kind}: walked, beside tar -tz", "MiB/s", speed("walked"), 250.0, True, speed("zlib"), speed("tar -tz")
        ),
    ]


def by_the_process(kind: str, folder: Path, path: Path, runs: int) -> list[Figure]:
    """The archive by the process that reads for the daemon, a new one in each run."""
    took = [proven(folder / str(run), path) for run in range(runs)]
    if problems := [problem for one in took for problem in one.found.problems]:
        raise SystemExit(f"a sound world is not called so: {problems}")
    size = path.stat().st_size / MIB
    return [
        Figure(
            f"{kind}: sane by the process, with all",
            "MiB/s",
            _spread(size / one.processor for one in took),
            WANTED,
            True,
        ),
        Figure(f"{kind}: the same, by the clock", "MiB/s", _spread(size / one.seconds for one in took)),
        Figure(f"{kind}: peak memory of the process", "MiB", _spread(one.peak for one in took), MEMORY),
    ]


def _spread(values: Iterable[float]) -> Spread:
    return Spread(tuple(values))


if __name__ == "__main__":
    main()
