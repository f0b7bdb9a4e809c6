"""The local engine: one folder, with journal and catalogue in SQLite and locks of the operating system.

The runner does whatever may wait for the disk or for another process. For a daemon it is one thread: SQLite is slower
for two threads than for one, and one thread does everything in the order of the calls.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from daemon.errors import StateError
from daemon.state.alone import Alone
from daemon.state.base import Catalogue, Leadership, Locks, Presence
from daemon.state.journal import Journal
from daemon.state.local.catalogue import LocalCatalogue
from daemon.state.local.journal import SqliteJournal
from daemon.state.local.locks import check_locks, is_locked, server_lock
from daemon.state.local.presence import daemon_of, daemon_present
from daemon.state.runner import Runner
from daemon.state.values import Alert, StateNote

Given = ParamSpec("Given")
Result = TypeVar("Result")


def _done_by_runner(
    method: Callable[Concatenate[SqliteJournal, Given], Result],
) -> "Callable[Concatenate[AwaitedJournal, Given], Coroutine[Any, Any, Result]]":
    """Return the method as a coroutine that the runner executes."""
    name = method.__name__

    async def awaited(self: "AwaitedJournal", /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        call: Callable[Given, Result] = getattr(self.sqlite, name)
        return await self._runner.run(lambda: call(*args, **kwargs))

    return awaited


class AwaitedJournal:
    """A journal in SQLite whose calls a runner executes."""

    def __init__(self, sqlite: SqliteJournal, runner: Runner) -> None:
        self.sqlite = sqlite
        self._runner = runner

    @property
    def persistent(self) -> bool:
        """Whether what is written outlives the process."""
        return self.sqlite.persistent

    @property
    def trouble(self) -> StateError | None:
        """Why the last call failed, until something could be written again."""
        return self.sqlite.trouble

    @property
    def set_aside(self) -> Path | None:
        """The path of a damaged journal that this one replaces; None if there was none."""
        return self.sqlite.set_aside

    async def close(self) -> None:
        """Close the file; if the disk hangs, it ends with the process."""
        await self._runner.give_back(self.sqlite.close)

    async def claim_alerts(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Return all of these messages, whatever the disk does: no other daemon sends them."""
        return list(alerts)

    look_after = _done_by_runner(SqliteJournal.look_after)
    probe = _done_by_runner(SqliteJournal.probe)
    begin = _done_by_runner(SqliteJournal.begin)
    step = _done_by_runner(SqliteJournal.step)
    announce = _done_by_runner(SqliteJournal.announce)
    end = _done_by_runner(SqliteJournal.end)
    attempts = _done_by_runner(SqliteJournal.attempts)
    attempts_of = _done_by_runner(SqliteJournal.attempts_of)
    of_start = _done_by_runner(SqliteJournal.of_start)
    recent = _done_by_runner(SqliteJournal.recent)
    running = _done_by_runner(SqliteJournal.running)
    last_step = _done_by_runner(SqliteJournal.last_step)
    steps_since = _done_by_runner(SqliteJournal.steps_since)
    unseen = _done_by_runner(SqliteJournal.unseen)
    marks = _done_by_runner(SqliteJournal.marks)
    accepted = _done_by_runner(SqliteJournal.accepted)
    accept = _done_by_runner(SqliteJournal.accept)
    altered = _done_by_runner(SqliteJournal.altered)
    was_altered = _done_by_runner(SqliteJournal.was_altered)
    asked = _done_by_runner(SqliteJournal.asked)
    ask = _done_by_runner(SqliteJournal.ask)
    asked_no_more = _done_by_runner(SqliteJournal.asked_no_more)
    deleted_by_hand = _done_by_runner(SqliteJournal.deleted_by_hand)
    knows = _done_by_runner(SqliteJournal.knows)
    listed = _done_by_runner(SqliteJournal.listed)
    last_listing = _done_by_runner(SqliteJournal.last_listing)
    applied = _done_by_runner(SqliteJournal.applied)
    apply = _done_by_runner(SqliteJournal.apply)
    snapshot = _done_by_runner(SqliteJournal.snapshot)
    last_snapshot = _done_by_runner(SqliteJournal.last_snapshot)
    trend = _done_by_runner(SqliteJournal.trend)
    watches = _done_by_runner(SqliteJournal.watches)
    watch = _done_by_runner(SqliteJournal.watch)
    alerts = _done_by_runner(SqliteJournal.alerts)
    alerts_sent = _done_by_runner(SqliteJournal.alerts_sent)
    copy_queue = _done_by_runner(SqliteJournal.copy_queue)
    requeue_copies = _done_by_runner(SqliteJournal.requeue_copies)
    record_copies = _done_by_runner(SqliteJournal.record_copies)
    copy_records = _done_by_runner(SqliteJournal.copy_records)
    proofs = _done_by_runner(SqliteJournal.proofs)
    record_proof = _done_by_runner(SqliteJournal.record_proof)
    accept_proof = _done_by_runner(SqliteJournal.accept_proof)
    forget_proofs = _done_by_runner(SqliteJournal.forget_proofs)
    bytes_proven = _done_by_runner(SqliteJournal.bytes_proven)
    prove_bytes = _done_by_runner(SqliteJournal.prove_bytes)
    proofs_asked = _done_by_runner(SqliteJournal.proofs_asked)
    ask_proofs = _done_by_runner(SqliteJournal.ask_proofs)
    drills = _done_by_runner(SqliteJournal.drills)
    begin_drill = _done_by_runner(SqliteJournal.begin_drill)
    drill_puts = _done_by_runner(SqliteJournal.drill_puts)
    end_drill = _done_by_runner(SqliteJournal.end_drill)
    prune = _done_by_runner(SqliteJournal.prune)


class LocalLocks:
    """Locks by the servers' uuids in the folder."""

    def __init__(self, folder: Path, runner: Runner) -> None:
        self._folder = folder
        self._runner = runner

    @asynccontextmanager
    async def held(self, server_uuid: str, part: str | None = None) -> AsyncIterator[None]:  # noqa: ARG002 — no others
        """Hold the server's lock."""
        lock = ExitStack()
        try:
            await self._runner.run(lambda: lock.enter_context(server_lock(self._folder, server_uuid)))
            yield
        finally:
            # In its turn, since it may be cancelled while it is only just being taken.
            await self._runner.give_back(lock.close)

    async def is_held(self, server_uuid: str) -> bool:
        """Return whether the server is known to be rotated now; not if the disk hangs.

        Who rotates it then takes the lock first, and deletes nothing without.
        """
        with suppress(StateError):
            return await self._runner.run(lambda: is_locked(self._folder, server_uuid))
        return False

    async def check(self) -> None:
        """Check that locks can be made in the folder."""
        await self._runner.run(lambda: check_locks(self._folder))


class LocalPresence:
    """The daemons that are known in the folder."""

    def __init__(self, folder: Path, runner: Runner) -> None:
        self._folder = folder
        self._runner = runner

    @asynccontextmanager
    async def known(self) -> AsyncIterator[int | None]:
        """Register as a daemon that runs on the folder, and yield the process id of another one, or None."""
        present, other = ExitStack(), None
        try:
            with suppress(StateError):
                other = await self._runner.run(lambda: present.enter_context(daemon_present(self._folder)))
            yield other
        finally:
            await self._runner.give_back(present.close)

    async def daemon(self) -> int | None:
        """Return the process id of a daemon that runs on the folder; None if none is known."""
        with suppress(StateError):
            return await self._runner.run(lambda: daemon_of(self._folder))
        return None


class LocalEngine:
    """State in one folder, shared by all processes that use it."""

    def __init__(self, folder: Path, runner: Runner) -> None:
        self._folder = folder
        self._runner = runner
        self.locks: Locks = LocalLocks(folder, runner)
        self.presence: Presence = LocalPresence(folder, runner)
        self.catalogue: Catalogue = LocalCatalogue(folder, runner)
        self.leadership: Leadership = Alone()

    async def open(self) -> Journal:
        """Open the journal, and set a damaged one aside."""
        return await self._runner.run(
            lambda: AwaitedJournal(SqliteJournal.open(self._folder, self._runner.patience), self._runner)
        )

    async def look(self) -> Journal | None:
        """Open the journal if there is one; raises JournalDamagedError if it is damaged, and leaves it where it is."""
        found = await self._runner.run(lambda: SqliteJournal.look(self._folder))
        return AwaitedJournal(found, self._runner) if found else None

    async def check(self) -> tuple[StateNote, ...]:
        """Check that journal and locks can be kept in the folder."""
        await self._runner.run(lambda: SqliteJournal.check(self._folder))
        await self.locks.check()
        return ()

    def close(self) -> None:
        """Let the runner end."""
        self._runner.close()
