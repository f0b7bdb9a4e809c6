"""Archives read to their end: how fast, beside what only unpacks them; and one of very many entries, in the process.

Three kinds are made, since what they unpack to decides: large files that hold what is packed already, as a world's
region files do; files of text, which shrink to a quarter; and many small files. Figures are MiB of the packed archive
for a second of the processor: what we unpack and walk to the end, without a checksum. Beside it stand zlib and isal
alone, in pieces of the size that suits each, and `gzip -d | tar t`. Wanted: 250 MiB/s.

With `--entries` an archive of so many empty files is read to `sane` by the process that reads for the daemon, and its
time, its processor time and its peak memory (VmHWM) are told; wanted: 120 MiB.

    python -m benchmarks.archives [--size MIB] [--runs N] [--entries N]
"""

import argparse
import asyncio
import io
import random
import resource
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.copies import MEMORY, Bench, Unseen, bench
from benchmarks.download import static_host
from benchmarks.measure import CLOCK, MIB, Figure, Spread, in_turn, peak, processor_seconds, report, run_to_end, say
from daemon.copies.jobs import ToProve
from daemon.copies.results import ProofFound
from daemon.copying.process import ChildProcess
from daemon.core.proof import Level
from daemon.transfer.verify import ArchiveReader, Inspect

PIECE = 2**20
WANTED = 250.0
KINDS: Mapping[str, tuple[str, int, int, float]] = {
    "a world": ("world/region/r.{}.0.dat", 2**20, 8 * 2**20, 0.85),
    "text": ("plugins/data/{}.yml", 100, 200_000, 0.25),
    "small files": ("world/playerdata/{}.dat", 100, 6000, 0.4),
}
"""How files are called, from how many bytes to how many, and which part of them is random."""


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", type=int, default=64, metavar="MIB", help="of each archive, packed")
    options.add_argument("--runs", type=int, default=3, metavar="N")
    options.add_argument("--entries", type=int, default=0, metavar="N", help="read one of so many instead")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if given.entries:
            many(Path(name), given.entries)
            return
        figures = []
        for kind in KINDS:
            path = Path(name) / "archive.tar.gz"
            unpacked = make(path, kind, given.size * MIB)
            figures += compared(f"{kind} ({unpacked / path.stat().st_size:.2f} times its size)", path, given.runs)
        report(figures)


def make(path: Path, kind: str, packed: int) -> int:
    """Write an archive; return what it unpacks to, in bytes."""
    name, least, most, share = KINDS[kind]
    chance = random.Random(1)  # noqa: S311 — the same archive each time
    with path.open("wb") as file:
        squeeze = zlib.compressobj(6, wbits=31)
        number = unpacked = 0
        while file.tell() < packed:
            size = chance.randrange(least, most)
            known = int(size * share)
            entry = tarfile.TarInfo(name.format(number))
            entry.size = size
            filling = b"minecraft:stone\0\1\2" * ((size - known) // 18 + 1)
            data = chance.randbytes(known) + filling[: size - known]
            block = entry.tobuf() + data + bytes(-size % 512)
            file.write(squeeze.compress(block))
            number, unpacked = number + 1, unpacked + len(block)
        file.write(squeeze.compress(bytes(1024)) + squeeze.flush())
    return unpacked


def compared(kind: str, path: Path, runs: int) -> list[Figure]:
    """One archive by all ways, in turn."""
    data = path.read_bytes()
    calls: dict[str, Callable[[], float]] = {
        "walked": lambda: processor(lambda: read(data)),
        "zlib": lambda: processor(lambda: unpack(data, zlib, 2**14)),
        "tar t": lambda: run_to_end(["sh", "-c", f"gzip -dc {path} | tar t > /dev/null"]).processor,
    }
    if (isal := optional("isal.isal_zlib")) is not None:
        calls["isal"] = lambda: processor(lambda: unpack(data, isal, 2**16))
    took = in_turn(calls, runs)

    def speed(name: str) -> Spread:
        return Spread(tuple(len(data) / MIB / seconds for seconds in took[name]))

    ours = Figure(
        kind, "MiB/s", speed("walked"), WANTED, at_least=True, ideal=speed("zlib"), alternative=speed("tar t")
    )
    return [ours, *([Figure(f"{kind}: isal alone", "MiB/s", speed("isal"))] if "isal" in took else [])]


def processor(call: Callable[[], object]) -> float:
    """Seconds of the processor that a call takes in this process."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    began = used()
    call()
    return used() - began


def read(data: bytes, inspect: Inspect | None = None) -> None:
    """Read an archive as we do, without its checksum."""
    reader = ArchiveReader(inspect=inspect)
    for start in range(0, len(data), PIECE):
        reader.walk(data[start : start + PIECE])


def unpack(data: bytes, library: Any, piece: int) -> None:  # noqa: ANN401 — zlib, or what looks like it
    """Unpack it, and throw it away."""
    member = library.decompressobj(31)
    for start in range(0, len(data), piece):
        rest = data[start : start + piece]
        while rest:
            member.decompress(rest, PIECE)
            rest = member.unconsumed_tail


def optional(name: str) -> Any:  # noqa: ANN401 — a module
    """A module that may not be installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


def many(folder: Path, entries: int) -> None:
    """Have one of many entries read by the process that reads for the daemon."""
    file = folder / "many"
    with file.open("wb") as target:
        squeeze = zlib.compressobj(1, wbits=31)
        for block in headers(entries):
            target.write(squeeze.compress(block))
        target.write(squeeze.compress(bytes(1024)) + squeeze.flush())
    took = proven(folder / "proven", file)
    found = took.found
    say(
        f"{entries:,} entries, {file.stat().st_size / MIB:.0f} MiB packed: "
        f"{found.reached}, {found.files} files, {found.problems}"
    )
    figures = [
        ("by the clock", "s", took.seconds, None),
        ("of the processor", "s", took.processor, None),
        ("peak memory", "MiB", took.peak, MEMORY),
    ]
    report([Figure(what, unit, Spread((value,)), wanted) for what, unit, value, wanted in figures])


@dataclass(frozen=True, slots=True)
class Proven:
    """What the process that reads for the daemon found, and what it took from its start to that: seconds by the clock
    and of the processor, and MiB at its peak.
    """

    found: ProofFound
    seconds: float
    processor: float
    peak: float


def proven(folder: Path, file: Path) -> Proven:
    """Have an archive read to `sane` by a new process; `folder` is made."""
    files = folder / "served"
    files.mkdir(parents=True)
    (files / "archive").symlink_to(file)
    (folder / "panel").mkdir()
    size = file.stat().st_size
    with bench(folder / "panel", MIB) as measured, static_host(files) as hosts:
        return asyncio.run(_proven(measured, f"{hosts['archive']}/", size))


async def _proven(measured: Bench, url: str, size: int) -> Proven:
    job = await measured.job()
    backup = replace(job.listing.backups[0], bytes=size, checksum=None)
    job = replace(job, listing=replace(job.listing, backups=(backup,)))

    async def link() -> SecretStr:
        return SecretStr(url)

    worker, began = ChildProcess(), CLOCK.monotonic()
    found = await worker.prove(job, ToProve(backup.uuid, Level.SANE, 1, bytes=size), link, Unseen())
    seconds = CLOCK.monotonic() - began
    assert worker.pid  # noqa: S101 — it did the job
    took = Proven(found, seconds, processor_seconds(worker.pid), peak(worker.pid))
    await worker.close()
    return took


def headers(entries: int) -> Iterator[bytes]:
    """The headers of so many empty files, a few at a time; half of each name cannot be packed."""
    template = bytearray(tarfile.TarInfo("x" * 40).tobuf())
    chance = random.Random(1)  # noqa: S311 — the same archive each time
    for start in range(0, entries, 1000):
        several = io.BytesIO()
        for number in range(start, min(start + 1000, entries)):
            template[:40] = f"world/data/{number:08x}-{chance.getrandbits(72):020x}".encode()
            template[148:156] = b" " * 8
            template[148:156] = f"{sum(template):06o}\0 ".encode()
            several.write(template)
        yield several.getvalue()


if __name__ == "__main__":
    main()
