"""The process that copies for the daemon: it alone loads the engines of the stores and reads archives (invariant 18).

It has no panel's key. What it needs comes through the socket that is its stdin: jobs with the stores' secrets, and
signed links, for which it asks the daemon. Before each deletion it asks whether it still may. It never outlives the
daemon, and ends when the socket does: then a copy that is under way is broken off, and what was begun of it in a store
is cleared away.

What it is sent is pickled, since the daemon is trusted; what it sends is JSON, since it reads what others wrote.
"""

import asyncio
import ctypes
import json
import os
import pickle
import resource
import signal
import socket
import sqlite3
import traceback
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from pydantic import SecretStr, TypeAdapter

from daemon.clock import SystemClock
from daemon.copies.jobs import Ask, Leave, Link, NoLink
from daemon.copies.pipe import OUT_OF_MEMORY, read_message, write_message
from daemon.copies.results import CopyDone, Failure
from daemon.copies.work import OwnProcess
from daemon.errors import BackupdError, ProblemCode
from daemon.panel.errors import PanelError
from daemon.proof.sqlite import HEAP
from daemon.state import ShelfRecord

NICE = 10
"""Games on the same machine go first; the priority of its reads and writes follows from this (ioprio_set(2))."""

DATA_BYTES = 512 * 2**20
"""Of private memory, the stacks of threads included: 140 MiB with four stores, of which half is never touched."""

FREE_SECONDS, SECONDS_A_MIB = 600, 1
"""Of the processor's time, for one job and for each MiB that it reads: a hundred times of what a real archive takes."""

STOP_SECONDS = 8.0
"""How long it may clear up at the end; the daemon waits a little longer, and then kills it."""

TOLD_SECONDS = 1.0
"""Progress is told at most so often."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4  # prctl(2)
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # mallopt(3)
GIVEN_BACK, ARENAS = 320 * 2**10, 2
"""A block of more than GIVEN_BACK bytes goes back to the system when it is freed, not to one of the ARENAS heaps. The
pieces under way to four stores would fragment these, by 20 MiB in all. The bound lies above what is read at once from
a connection, and below the pieces that are made of that.
"""

_TRACE = 4000


class LinkError(PanelError):
    """The daemon got no link from the panel, and says why."""

    def __init__(self, answer: NoLink) -> None:
        super().__init__(answer.failure.text, hint=answer.failure.hint, retry_after=answer.retry_after)
        self.code = answer.failure.code
        self.transient = answer.transient


class Child:
    """One child, at its end of the socket. One job at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._loop = asyncio.get_running_loop()
        self._clock = SystemClock()
        self._worker = OwnProcess(self._clock, leave=self.leave)
        self._answer: asyncio.Future[Link | NoLink | Leave] | None = None
        self._job: asyncio.Task[None] | None = None
        self._told_at = float("-inf")

    async def serve(self) -> None:
        """Do what is asked until the daemon closes the socket."""
        while (message := await read_message(self._reader)) is not None:
            asked = pickle.loads(message)  # noqa: S301 — from the daemon, which started us
            if isinstance(asked, Ask):
                self._job = asyncio.create_task(self._do(asked))
            elif self._answer is not None and not self._answer.done():
                self._answer.set_result(asked)
        if self._job is not None:
            self._job.cancel()
            await asyncio.wait([self._job], timeout=STOP_SECONDS)

    async def link(self) -> SecretStr:
        """Ask the daemon for a link; raises LinkError."""
        answer = await self._asked("link")
        if isinstance(answer, NoLink):
            raise LinkError(answer)
        url: SecretStr = answer.url
        return url

    async def leave(self) -> str:
        """Ask the daemon whether something may be deleted now; return why not, empty if it may."""
        answer: Leave = await self._asked("leave")
        return answer.hindrance

    def moved(self, size: int) -> None:
        """Tell the daemon now and then how far the file is; called in the download's thread."""
        if (now := self._clock.monotonic()) >= self._told_at + TOLD_SECONDS:
            self._told_at = now
            self._loop.call_soon_threadsafe(self._send, {"moved": size})

    def said(self, text: str) -> None:
        """Tell the daemon what happened to the transfer; called in the download's thread."""
        self._loop.call_soon_threadsafe(self._send, {"said": text})

    async def copied(self, done: CopyDone, seen: ShelfRecord) -> None:
        """Tell the daemon of a copy that stands."""
        self._send({"copied": _plain(done), "seen": _plain(seen)})

    async def going(self, seen: ShelfRecord) -> None:
        """Tell the daemon what is about to be deleted; it has heard of it when it gives leave for the first."""
        self._send({"going": _plain(seen)})

    async def _asked(self, what: str) -> Any:  # noqa: ANN401 — what answers this question
        self._answer = self._loop.create_future()
        self._send({"ask": what})
        return await self._answer

    async def _do(self, asked: Ask) -> None:
        """Do one job, and tell what came of it; a bug is told too."""
        try:
            result = await self._result(asked)
        except BackupdError as error:
            self._send({"failed": _plain(Failure.of(error))})
        except MemoryError:
            os._exit(OUT_OF_MEMORY)  # what it was doing has been cleared up; what is left in memory cannot be known
        except Exception as error:  # noqa: BLE001 — the daemon has the log
            text = f"{type(error).__name__}: {error}"
            trace = traceback.format_exc()[-_TRACE:]
            self._send({"failed": _plain(Failure(ProblemCode.BUG, text)), "trace": trace})
        else:
            self._send({"result": _plain(result)})

    async def _result(self, asked: Ask) -> object:
        _bound_time(asked)
        if asked.backup is not None:
            return await self._worker.copy(asked.job, asked.backup, self.link, self)
        if asked.proves is not None:
            return await self._worker.prove(asked.job, asked.proves, self.link, self)
        if asked.fetches is not None:
            return await self._worker.fetch(asked.job, asked.fetches, self.link, self)
        if asked.prunes is not None:
            return await self._worker.prune(asked.job, asked.prunes, asked.inputs, going=self.going)
        return await self._worker.look(asked.job)

    def _send(self, message: dict[str, Any]) -> None:
        if not self._writer.is_closing():
            write_message(self._writer, json.dumps(message).encode())


def _plain(value: Any) -> Any:  # noqa: ANN401 — any of the results
    return TypeAdapter(type(value)).dump_python(value, mode="json")


def _bound_time(asked: Ask) -> None:
    """Let the system end this process if the job takes far more of the processor than a real archive would."""
    listed = {one.uuid: one.bytes for one in asked.job.listing.backups}
    reads = asked.proves or asked.fetches
    size = reads.bytes if reads else listed.get(asked.backup or "", 0)
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + FREE_SECONDS + SECONDS_A_MIB * (size >> 20)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft if size else hard, hard))


def main() -> None:
    """Serve the daemon at the other end of stdin."""
    _keep_small()
    asyncio.run(_serve(socket.socket(fileno=os.dup(0))))


async def _serve(end: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=end)
    await Child(reader, writer).serve()
    os._exit(0)  # a thread that waits for a store that hangs would be waited for otherwise


def _keep_small() -> None:
    """Bound what this process may take from the machine, and let it end with the daemon."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the daemon, which then closes the socket
    with suppress(OSError):
        os.nice(NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")  # where memory is short, this goes before the daemon
    with suppress(
        OSError, ValueError
    ):  # a service may forbid to set limits; the daemon's own on core dumps is inherited
        resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES, DATA_BYTES))
    with closing(sqlite3.connect(":memory:")) as any_database:
        any_database.execute(f"PRAGMA hard_heap_limit = {HEAP}")  # of the whole process
    libc = ctypes.CDLL(None)
    with suppress(AttributeError):  # musl has neither, and needs neither
        libc.mallopt(_M_MMAP_THRESHOLD, GIVEN_BACK)
        libc.mallopt(_M_ARENA_MAX, ARENAS)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # it holds the stores' secrets
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a daemon that ended before closed the socket


if __name__ == "__main__":
    main()
