"""Who reads archives for a command: a process of its own, as for the daemon, since they hold what others wrote."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from daemon.copies.workers import ProofWorker
from daemon.copying.process import ChildProcess


def reader() -> ProofWorker:
    """Return who reads archives; whoever is given it closes it."""
    return ChildProcess()


@asynccontextmanager
async def opened_reader() -> AsyncGenerator[ProofWorker, None]:
    """Return who reads archives, for the length of a block; what is being read at its end is given up."""
    worker = reader()
    try:
        yield worker
    finally:
        await worker.close()
