"""What `backups download` and `backups verify` share: which backups, from where, and the exit code of many results.

`DownloadSession` alternates: it asks the panel on an event loop, and reads the file without one.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial

from daemon.cli.backups.listing import look
from daemon.cli.context import read_config
from daemon.cli.reader import reader
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, say_error
from daemon.cli.ui.progress import watching
from daemon.clock import Clock, SystemClock
from daemon.config.values import StatePlace
from daemon.copies.errors import ReadError
from daemon.copies.jobs import Job, ToProve
from daemon.copies.reading import as_result, read
from daemon.copies.results import ProofFound
from daemon.copies.workers import ProofWorker
from daemon.core.choose import choose
from daemon.core.model import Backup, State
from daemon.core.proof import PANEL, Level, Subject
from daemon.core.units import format_size
from daemon.errors import BackupdError, Exit, StateError, UsageError
from daemon.operations.proofs import ProofDone, is_proof, record
from daemon.panel.client import PanelClient
from daemon.panel.download import FileHost
from daemon.panel.errors import NotFoundError, PanelError
from daemon.rotation.preview import Preview
from daemon.rotation.setup import open_client
from daemon.state import Journal, engine_for
from daemon.transfer.errors import WrongFileError
from daemon.transfer.expected import Expected
from daemon.transfer.progress import ProgressListener
from daemon.transfer.receive import Source
from daemon.transfer.verify import VerifyResult


@dataclass(frozen=True)
class DownloadSession:
    """One server, and the means to fetch its backups."""

    seen: Preview
    client: PanelClient
    clock: Clock
    runner: asyncio.Runner
    state: StatePlace

    @property
    def backups(self) -> list[Backup]:
        """Return all backups of the server, newest first."""
        return [verdict.backup for verdict in self.seen.plan.verdicts]

    def wanted(self, words: Sequence[str], *, every: bool) -> list[Backup]:
        """Return the backups meant, each once; of all, those with a complete file. Raises UsageError."""
        if every == bool(words):
            raise UsageError("name the backups, or write --all", hint="`backups list` shows them; latest is one too")
        if not every:
            good = {verdict.backup.uuid for verdict in self.seen.plan.verdicts if verdict.whole}
            named = (choose(self.backups, good, word) for word in words)
            return list({backup.uuid: backup for backup in named}.values())
        whole = [backup for backup in self.backups if _has_file(backup)]
        verdicts = self.seen.plan.verdicts
        if out := Counter(verdict.state.value for verdict in verdicts if not _has_file(verdict.backup)):
            say(f"left out: {', '.join(f'{count} {state}' for state, count in out.items())}")
        return whole

    def read_whole(self, backup: Backup) -> None:
        """Record that a backup has its file, though its deletion was asked for; rotations count it again."""
        if backup.uuid not in self.seen.asked or self.state is None:
            return
        try:
            self.runner.run(self._forget_deletion(backup))
        except StateError as error:
            say(f"warning: it has its file, and rotations go on as if it had none: {error.text}")

    async def _forget_deletion(self, backup: Backup) -> None:
        async with self._journal() as journal:
            await journal.asked_no_more(self.seen.server.uuid, backup.uuid)

    @asynccontextmanager
    async def _journal(self) -> AsyncIterator[Journal]:
        journal = await engine_for(self.state).open()
        try:
            yield journal
        finally:
            await journal.close()

    @contextmanager
    def source(self, backup: Backup) -> Iterator[tuple[Source, Expected]]:
        """Return where the backup's file comes from and what it must be; NotGoodError if it has none."""
        with self.watched(backup) as (listener, expected):
            yield (
                Source(
                    host=FileHost(clock=self.clock, clear=self.seen.config.panel.clear_links),
                    link=lambda: self.runner.run(self.client.download_link(self.seen.config.id, backup.uuid)),
                    pause=lambda seconds: self.runner.run(self.clock.sleep(seconds)),
                    listener=listener,
                ),
                expected,
            )

    @contextmanager
    def watched(self, backup: Backup) -> Iterator[tuple[ProgressListener, Expected]]:
        """Return who hears of the transfer of a backup's file, and what that must be; NotGoodError if it has none."""
        expected = Expected.of(backup)
        with watching(backup.name, expected.size) as listener:
            self._warn(backup, expected, listener)
            yield listener, expected

    def read(self, backup: Backup, level: Level, worker: ProofWorker) -> VerifyResult:
        """Have a backup read to its end, and record it as a proof; raises what `daemon.copies.reading.read` does, and
        NotGoodError.
        """
        job = Job(self.seen.config, self.seen.server, self.seen.listing, self.seen.plan.verdicts, {}, (), "")
        asked = ToProve(backup.uuid, level, self.clock.now().toordinal(), bytes=backup.bytes)
        link, began = partial(self.client.download_link, self.seen.config.id, backup.uuid), self.clock.monotonic()
        with self.watched(backup) as (listener, expected):
            listener.said(f"reading {format_size(expected.size)}")
            try:
                found = self.runner.run(read(worker, job, asked, listener, link))
            except ReadError as error:
                if error.code is WrongFileError.code:  # it came, and is not what the panel says
                    self._record(backup, asked, ProofFound(None, (error.text,)), began)
                raise
        self._record(backup, asked, found, began)
        return as_result(found)

    def _record(self, backup: Backup, asked: ToProve, found: ProofFound, began: float) -> None:
        """Record a reading as a proof, if it is one."""
        if self.state is None or backup.created_at is None or not is_proof(self.seen.config.policy, found):
            return
        what = Subject(backup.uuid, backup.name, backup.created_at, asked.level, PANEL, backup.bytes)
        try:
            done = self.runner.run(self._proven(what, found, began))
        except StateError as error:
            say(f"warning: it is not recorded as a proof: {error.text}")
            return
        for missing in () if found.problems else done.record.proof.problems:
            say(f"warning: {missing}")

    async def _proven(self, what: Subject, found: ProofFound, began: float) -> ProofDone:
        async with self._journal() as journal:
            return await record(what, found, self.seen, self.clock, journal, began=began, told=True)

    @contextmanager
    def reader(self) -> Iterator[ProofWorker]:
        """Return who reads archives, for the length of a block."""
        worker = reader()
        try:
            yield worker
        finally:
            self.runner.run(worker.close())

    def _warn(self, backup: Backup, expected: Expected, listener: ProgressListener) -> None:
        """Warn of what is odd about a backup that is fetched all the same."""
        for verdict in self.seen.plan.verdicts:
            if verdict.backup.uuid == backup.uuid and verdict.state in {State.SUSPICIOUS, State.STRANGE}:
                listener.said(f"warning: it is {verdict.state.value}")
        if expected.unchecked is not None:
            listener.said(f"warning: {expected.unchecked}")


@contextmanager
def open_session(settings: Settings, server: str) -> Iterator[DownloadSession]:
    """Look at the server, and keep the connection to its panel open."""
    clock = SystemClock()
    with asyncio.Runner() as runner:
        seen, state = runner.run(look(settings, server)), read_config(settings).state
        client = open_client(seen.config.panel, clock, say)
        try:
            yield DownloadSession(seen, client, clock, runner, state)
        finally:
            runner.run(client.aclose())


def each(backups: Iterable[Backup], work: Callable[[Backup], None]) -> dict[str, BackupdError]:
    """Do the work for each backup; return the errors by uuid. If the panel refuses, skip the rest."""
    errors: dict[str, BackupdError] = {}
    refused: PanelError | None = None
    for backup in backups:
        try:
            if refused is None:
                work(backup)
            else:
                errors[backup.uuid] = refused
        except BackupdError as error:
            say_error(error, about=backup.name)
            errors[backup.uuid] = error
            if isinstance(error, PanelError) and not isinstance(error, NotFoundError):
                refused = error
    return errors


def _has_file(backup: Backup) -> bool:
    try:
        Expected.of(backup)
    except BackupdError:
        return False
    return True


def exit_code(count: int, bad: int, errors: Iterable[BackupdError] = ()) -> Exit:
    """Return 4 if all failed, 3 if any did or the server is in a passing state, else 0."""
    if not bad:
        return Exit.DONE
    passing = any(error.exit_code is Exit.SOME_FAILED for error in errors)
    return Exit.FAILED if bad == count and not passing else Exit.SOME_FAILED
