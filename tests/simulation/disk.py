"""The disk of the daemon's machine as a process has it: full, unreadable or slow, and a kill may come at each write."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import Any

from daemon.core.proof import Proof
from daemon.errors import StateError
from daemon.state import ProofRecord, ShelfRecord
from daemon.state.local.catalogue import LocalCatalogue
from daemon.state.local.journal import SqliteJournal
from daemon.state.runner import Inline, Result
from tests.simulation.process import PROCESS, Process

DISK_FULL = "database or disk is full"


class DiskJournal(SqliteJournal):
    """The journal on a disk that can be full, in a process that can be killed before and after every write."""

    def __init__(self, path: Any, **options: Any) -> None:
        process = PROCESS.get()
        process.check_alive()
        self._lasts, self._is_written = path is not None, False
        if path is not None and process.simulation.disk_full:
            process.journal_fails("disk full")
            raise OSError(28, "No space left on device")
        super().__init__(path, **options)

    def begin(self, **about: Any) -> int:
        """Note that a rotation has its row."""
        number = super().begin(**about)
        if self._lasts:
            PROCESS.get().opens_row()
        return number

    def end(self, rotation: int, *, result: str, **about: Any) -> None:
        """Note that a rotation reports, since it may be killed when that is written and nobody was told."""
        if result != "interrupted":
            PROCESS.get().reports()
        super().end(rotation, result=result, **about)

    def ask(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Note what a deletion is asked for of, since it may be killed when that is written and nothing left."""
        PROCESS.get().simulation.recorder.about_to_ask(server_uuid, backup_uuid)
        super().ask(server_uuid, backup_uuid, at)

    def record_proof(self, record: ProofRecord) -> bool:
        """Record what a reading found."""
        process = PROCESS.get()
        rules = process.simulation.proofs.rules
        with self._telling(lambda: rules.recorded(process.name, record)):
            stands = super().record_proof(record)
        if not self._lasts:
            rules.remembered(process.name, record)
        return stands

    def accept_proof(self, server_uuid: str, backup_uuid: str, at: datetime) -> bool:
        """Record that an operator accepts what proofs found wrong."""
        with self._telling(lambda: PROCESS.get().simulation.proofs.rules.accepted(server_uuid, backup_uuid)):
            return super().accept_proof(server_uuid, backup_uuid, at)

    def forget_proofs(self, server_uuid: str, proofs: Iterable[Proof]) -> None:
        """Forget what was read of what is gone."""
        process, gone = PROCESS.get(), tuple(proofs)
        with self._telling(lambda: process.simulation.proofs.rules.forgotten(process.name, server_uuid, gone)):
            super().forget_proofs(server_uuid, gone)

    def prove_bytes(self, day: date, size: int, *, after: int | None = None) -> bool:
        """Record that so many more bytes are read on that day."""
        process = PROCESS.get()
        with self._telling(lambda: process.simulation.proofs.rules.spends(process.name, day, size)):
            return super().prove_bytes(day, size, after=after)

    @contextmanager
    def _telling(self, tell: Callable[[], None]) -> Iterator[None]:
        """Tell the judge what is written once it is on the disk, though the process may be killed right then."""
        self._is_written = False
        try:
            yield
        finally:
            if self._is_written and self._lasts:
                tell()

    @contextmanager
    def _writing(self, what: str) -> Iterator[sqlite3.Connection]:
        process = PROCESS.get()
        process.tick("before the journal is written")
        with super()._writing(what) as connection:
            yield connection
            if process.simulation.disk_full:
                process.journal_fails("disk full")
                raise sqlite3.OperationalError(DISK_FULL)
        self._is_written = True
        process.tick("after the journal was written")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        PROCESS.get().check_alive()
        with super()._reading() as connection:
            if PROCESS.get().simulation.disk_unreadable:
                PROCESS.get().journal_fails("journal unreadable")
                raise sqlite3.OperationalError("disk I/O error")
            yield connection


class WatchedCatalogue(LocalCatalogue):
    """The catalogue of copies, of which the judge is told when it was written."""

    async def remember(self, record: ShelfRecord) -> None:
        """Record what was seen of a server in a store."""
        await super().remember(record)
        PROCESS.get().simulation.stores.first.written(record.holding.store, record.holding.server_uuid)


class SlowDisk(Inline):
    """Does what the state needs of the disk in its order, but takes a moment for it, in which all others go on."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._turn = asyncio.Lock()
        self._moments = process.simulation.scenario.stream(f"disk of {process.name}")

    async def run(self, work: Callable[[], Result]) -> Result:
        """Wait, do it, and wait again: a kill may come in between. It is done though the caller is cancelled."""
        return await self._do(work, dead_too=False)

    async def give_back(self, work: Callable[[], object]) -> None:
        """Do it, and if the process is dead by then: the kernel does."""
        with suppress(StateError):
            await self._do(work, dead_too=True)

    async def _do(self, work: Callable[[], Result], *, dead_too: bool) -> Result:
        if not self._process.alive:
            return work()
        turn = asyncio.ensure_future(self._in_turn(work, dead_too=dead_too))
        turn.add_done_callback(_heard)
        result = await asyncio.shield(turn)
        self._process.check_alive()
        return result

    async def _in_turn(self, work: Callable[[], Result], *, dead_too: bool) -> Result:
        async with self._turn:
            await self._wait()
            if not dead_too:
                self._process.check_alive()
            result = work()
            await self._wait()
        return result

    async def _wait(self) -> None:
        await self._process.simulation.clock.sleep(self._moments.choice((0.0, 0.001, 0.01, 0.2)))


def _heard(turn: asyncio.Future[Any]) -> None:
    """Take what was raised where nobody waits for it any more: who asked was cancelled, as in the daemon's thread."""
    if not turn.cancelled():
        turn.exception()
