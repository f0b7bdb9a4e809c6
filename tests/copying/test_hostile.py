"""Hostile archives in the process that reads them: it stays small, tells what is wrong, and ends where it must."""

import asyncio
import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from daemon.copies.errors import WorkerDiedError
from daemon.copies.jobs import ToProve
from daemon.copies.results import ProofFound
from daemon.copying.process import ChildProcess
from daemon.core.proof import Level
from daemon.proof.sane import MOST_REMEMBERED
from daemon.transfer import gzip as unpacking
from daemon.transfer.links import MOST_LINKS
from tests.copying.conftest import Rig
from tests.copying.test_process import by
from tests.transfer.conftest import ProgressListener
from tests.transfer.hostile import END, HOSTILE, MIB, Bounds, entry, gzipped, many

pytestmark = pytest.mark.anyio

MEMORY = 120 * MIB
"""What the process may take, whatever it reads."""

REAL = Bounds(mib=unpacking.FREE // MIB, links=MOST_LINKS, names=MOST_REMEMBERED)


@dataclass
class Node:
    """Sends these bytes to whoever asks."""

    url: str
    data: bytes = b"x"


@contextmanager
def node() -> Iterator[Node]:
    """One on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(made.data)))
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked may have ended
                self.wfile.write(made.data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Node(f"http://127.0.0.1:{server.server_address[1]}/")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def proven(rig: Rig, worker: ChildProcess, served: Node) -> ProofFound:
    """What the process finds in the stream."""
    job = await rig.job()
    size = len(served.data)
    backup = replace(job.listing.backups[0], bytes=size, checksum=None)
    job = replace(job, listing=replace(job.listing, backups=(backup,)))

    async def link() -> SecretStr:
        return SecretStr(served.url)

    return await worker.prove(job, ToProve(backup.uuid, Level.SANE, 1, bytes=size), link, ProgressListener())


def large_database(bytes_: int) -> bytes:
    """A sound one."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE blob (data BLOB)")
        made.executemany("INSERT INTO blob VALUES (?)", [(random.Random(1).randbytes(MIB),)] * (bytes_ // MIB))
        made.commit()
        return made.serialize()


def greedy_database() -> bytes:
    """One whose column takes a gigabyte to compute."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE t (a, b AS (hex(zeroblob(400000000))) NOT NULL)")
        made.execute("INSERT INTO t (a) VALUES (1)")
        made.commit()
        return made.serialize()


def level_dats() -> Iterator[bytes]:
    """Forty of them, each as large as one may be."""
    for number in range(40):
        yield entry(f"w{number}/level.dat", bytes(4 * MIB))


ELSEWHERE = {
    "ten million entries",  # a test of its own
    "a sparse map without end",  # for these, the bound of others; each takes some seconds to reach it
    "pax records of a gigabyte in all",
    "long names one after the other",
    "a name of a megabyte for each entry",
}
"""What tests/transfer/test_hostile.py has with less."""


def peak(process: int) -> int:
    """The most memory that a process has had, in bytes."""
    return int(Path(f"/proc/{process}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


async def prove_all(rig: Rig, archives: Iterable[tuple[Iterator[bytes], str]]) -> None:
    """Have them read one after the other by one process: each is told as it should be, and the process stays small."""
    worker, processes = ChildProcess(), set()
    with node() as served:
        try:
            for stream, words in archives:
                served.data = b"".join(stream)
                found = await proven(rig, worker, served)
                assert words in "; ".join(found.problems)
                assert (bool(found.problems), found.failure) == (bool(words), None)
                assert worker.pid
                most = await asyncio.to_thread(peak, worker.pid)
                assert most <= MEMORY, (words, most)
                processes.add(worker.pid)
        finally:
            await worker.close()
    assert len(processes) == 1  # none of them made the system end it


@pytest.mark.timeout(240)
async def test_ten_million_entries_are_not_read_to_their_end(rig: Rig) -> None:
    """By the bounds that the process has, as all others here."""
    entries = HOSTILE["ten million entries"]
    await prove_all(rig, [(entries.stream(REAL), entries.words)])


@pytest.mark.timeout(240)
async def test_whatever_it_reads_it_tells_what_is_wrong_and_stays_small(rig: Rig) -> None:
    """Of the worst that is known; the last ones are sound, or cannot be called otherwise."""
    worst = ((one.stream(REAL), one.words.format(REAL)) for name, one in HOSTILE.items() if name not in ELSEWHERE)
    others = [
        (gzipped(*level_dats(), END, level=1), "neither gzip"),
        (gzipped(many("f", 50_000), END, level=1), ""),
        (gzipped(entry("data.db", large_database(15 * MIB)), END, level=0), ""),
        (gzipped(entry("data.db", greedy_database()), END), ""),
    ]
    await prove_all(rig, chain(worst, others))


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ("import os; os._exit(71)", "needed more memory than it may have"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "took far more of the processor"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
    ],
)
async def test_a_process_that_an_archive_ended_says_by_what(rig: Rig, ends: str, words: str) -> None:
    """So that it counts against the archive."""
    with node() as served, pytest.raises(WorkerDiedError, match=words):
        await proven(rig, by(ends), served)


async def test_a_process_that_has_no_memory_left_ends(rig: Rig) -> None:
    """Its reader cannot go on, and what it was doing is a failed try of this archive."""
    code = (
        "import daemon.copies.child as child, daemon.copies.work as work\n"
        "async def prove(*_): raise MemoryError\n"
        "work.OwnProcess.prove = prove\n"
        "child.main()\n"
    )
    with node() as served, pytest.raises(WorkerDiedError, match="needed more memory"):
        await proven(rig, by(code), served)


async def test_a_process_that_computes_without_end_is_ended_by_the_system(rig: Rig) -> None:
    """By how much of the processor it took, for a file of its size."""
    code = (
        "import daemon.copies.child as child, daemon.copies.work as work\n"
        "child.FREE_SECONDS = 0\n"
        "async def prove(*_):\n"
        "    while True: pass\n"
        "work.OwnProcess.prove = prove\n"
        "child.main()\n"
    )
    with node() as served, pytest.raises(WorkerDiedError, match="took far more of the processor"):
        await proven(rig, by(code), served)
