"""Hostile archives in the process that reads them: it stays small, tells what is wrong, and ends where it must."""

import asyncio
import random
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from daemon.copies.errors import WorkerDiedError
from daemon.copies.jobs import ProofFound, ToProve
from daemon.copying.process import ChildProcess
from daemon.core.proof import Level
from tests.copying.conftest import Rig
from tests.copying.test_process import by
from tests.transfer.conftest import ProgressListener
from tests.transfer.hostile import END, MIB, entry, gzipped, many

pytestmark = pytest.mark.anyio

MEMORY = 120 * MIB
"""What the process may take, whatever it reads."""


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


@pytest.mark.timeout(240)
async def test_whatever_it_reads_it_tells_what_is_wrong_and_stays_small(rig: Rig) -> None:
    """One process, one archive after the other; the last ones are sound, or cannot be called otherwise."""
    archives: list[tuple[Iterator[bytes], str]] = [
        (gzipped(many("l", 200_001, tarfile.SYMTYPE, "x"), END, level=1), "more than 200000 links"),
        (gzipped(many("/" + "d" * 72 + "/session.lock", 51_000), END, level=1), "more than 50000 worlds"),
        (gzipped(*level_dats(), END, level=1), "neither gzip"),
        (gzipped(many("f", 50_000), END, level=1), ""),
        (gzipped(entry("data.db", large_database(15 * MIB)), END, level=0), ""),
        (gzipped(entry("data.db", greedy_database()), END), ""),
    ]
    worker = ChildProcess()
    with node() as served:
        try:
            for stream, words in archives:
                served.data = b"".join(stream)
                found = await proven(rig, worker, served)
                assert words in "; ".join(found.problems)
                assert (bool(found.problems), found.failure) == (bool(words), None)
                status = await asyncio.to_thread(Path(f"/proc/{worker.pid}/status").read_text)
                peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
                assert peak <= MEMORY, (words, peak)
        finally:
            await worker.close()


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
