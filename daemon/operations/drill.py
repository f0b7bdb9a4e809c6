"""A drill: a backup brought onto a spare server, started there if that was asked for, watched, and deleted again.

What must hold: only a server whose description carries the mark is touched, and it is looked at again before each
deletion (invariant 19); nothing is started unless that was asked for, and nothing runs on once it has failed. A drill
is recorded before it changes anything. What it showed is recorded of the very backup that it was of, and one that
failed freezes nothing, since the spare server may be to blame.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daemon.core.drills import DrillRecord, DrillResult
from daemon.core.files import ArchiveIndex
from daemon.core.model import Backup
from daemon.core.proof import Level, Proof
from daemon.errors import BackupdError, ProblemCode, StateError
from daemon.operations.archive import Archive
from daemon.operations.console import watched_console
from daemon.operations.onto import Brought, bring_alone
from daemon.operations.onto_options import OntoOptions, Stages
from daemon.operations.operation import Operation
from daemon.operations.restore_errors import NotEmptiedError, NotStartedError, NotStoppedError
from daemon.operations.result import OperationResult, ended_by
from daemon.operations.target import (
    DRILL_MARK,
    LONGEST_SECONDS,
    LOOKS,
    STILL_SECONDS,
    TargetFiles,
    few,
    marked,
)
from daemon.operations.ways import Way
from daemon.rotation.outcome import Problem, Result
from daemon.state import Journal, ProofRecord

MOST_NAMES = 1000
"""How many names at the top of an archive are recorded; hardly any has more than some dozens."""

INTERRUPTED_SECONDS = 8.0
"""For how long an interrupted drill tries to stop its server; a container is given ten seconds to end."""

LONGEST = 1000
"""Of what is recorded in words: it may hold names out of the archive, and lines of a console."""


@dataclass(frozen=True, slots=True)
class DrillOptions:
    """The drill's name, whose backup it tries, and by which ways it comes; whether the spare server is started, for how
    long it must run then, and what its console must show.
    """

    name: str
    server: str
    server_uuid: str
    ways: Sequence[Way]
    start: bool = False
    watch: timedelta = timedelta(minutes=5)
    console: str | None = None


@dataclass(frozen=True, slots=True)
class Drilled:
    """How it ended. `seconds` is from the first byte read until the files were there, or the server ran, or its console
    showed what it must; None where it did not come so far. `record` is what was recorded; None where nothing began.
    """

    brought: Brought
    seconds: float | None
    record: DrillRecord | None = None


async def drill(spare: Operation, archive: Archive, options: DrillOptions) -> Drilled:
    """Bring an archive onto the spare server, try it, and delete it there; the server's lock is held."""
    try:
        async with spare.alone():
            return await _drill(spare, archive, options)
    except BackupdError as error:  # somebody else holds it, or nothing can be recorded
        return Drilled(Brought(ended_by(error, archive.backup)), None)


async def _drill(spare: Operation, archive: Archive, options: DrillOptions) -> Drilled:
    context, clock, backup = spare.run.context, spare.clock, archive.backup
    spare_uuid = spare.run.known_server.uuid
    names = options.name, spare.config.name, spare_uuid, options.server, options.server_uuid
    record = DrillRecord(*names, backup.uuid, backup.name, clock.now(), options.start)
    record = replace(record, number=await context.journal.begin_drill(record))
    trial = _Trial(spare, options, record.number)
    onto = OntoOptions(options.ways, truncate=True, stop=True, safety=False, spare_only=True, stages=trial)
    brought = await bring_alone(spare, archive, onto)
    result, text = _result(brought)
    now = clock.now()
    record = replace(record, put=trial.put, ended_at=now, result=result, seconds=trial.seconds, text=text)
    try:
        await context.journal.end_drill(record.number, at=now, result=result, seconds=trial.seconds, text=text)
        if (proof := proof_of_drill(record, backup)) is not None:
            await context.journal.record_proof(proof)
            context.on_proof(proof, 0, 0.0)  # the reading before it was told with its bytes
    except StateError as error:
        brought = replace(brought, outcome=_unrecorded(brought.outcome, error))
    return Drilled(brought, trial.seconds, record)


def _unrecorded(outcome: OperationResult, error: StateError) -> OperationResult:
    """Return the result of a drill whose end cannot be recorded: however it went, it shows nothing of the backup."""
    problem = Problem(ProblemCode.JOURNAL, f"the drill is not recorded: {error.text}", error.hint)
    if outcome.result is Result.DONE:
        return replace(outcome, result=Result.FAILED, problems=(*outcome.problems, problem))
    return replace(outcome, problems=(problem, *outcome.problems))


async def _end_earlier(spare: Operation, number: int) -> None:
    """End the records of drills that were killed on this server: its lock is ours, and all their files are gone."""
    journal, now, spare_uuid = spare.run.context.journal, spare.clock.now(), spare.run.known_server.uuid
    for one in await journal.drills():
        if one.number != number and one.spare_uuid == spare_uuid and one.ended_at is None:
            await record_interrupted(journal, one, now, "the next drill took over")


def _result(brought: Brought) -> tuple[DrillResult, str]:
    """Return how a drill ended, and what went wrong in words."""
    outcome = brought.outcome
    if outcome.result is Result.DONE:
        return DrillResult.DONE, ""
    result = DrillResult.SKIPPED if outcome.passing else DrillResult.FAILED
    text = outcome.problems[-1].text if outcome.problems else ""
    return result, "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:LONGEST])


class _Trial(Stages):
    """What a drill does once the archive is on the spare server. It took `seconds` until that was of use."""

    def __init__(self, spare: Operation, options: DrillOptions, number: int) -> None:
        self.needs = needed(start=options.start, console=options.console)
        self._spare = spare
        self._options = options
        self._number = number
        self._began = spare.clock.monotonic()
        self.seconds: float | None = None
        self.put: tuple[str, ...] | None = None

    async def puts(self, index: ArchiveIndex | None) -> None:
        """Record what is about to be unpacked, so that it is known whose it is after a kill."""
        names = index.top() if index else []
        self.put = tuple(names[:MOST_NAMES])
        if index is not None and (index.more_outermost or len(names) > MOST_NAMES):
            self._spare.tell(f"it has more than {MOST_NAMES} names at its top; after a kill the others would stay")
        await self._spare.run.context.journal.drill_puts(self._number, self.put)
        await _end_earlier(self._spare, self._number)

    async def ends(self, target: TargetFiles) -> None:
        """Start the server if that was asked for, watch it, and delete all."""
        spare, options = self._spare, self._options
        spare.going_on = f"{spare.config.name} has the files of the drill; the next drill deletes them"
        if options.start:
            await self._try(target)
        else:
            self._of_use(spare.clock.monotonic())
        spare.tell(f"deleting all files of {spare.config.name}")
        await target.empty()

    async def _try(self, target: TargetFiles) -> None:
        """Start the server, watch it, and stop it, even if it failed or somebody interrupts it: its plugins may reach
        what the real one uses.
        """
        try:
            await self._run(target)
            await target.stop()
        except NotStoppedError:
            raise
        except BackupdError:
            await self._stop_failed(target)
            raise
        except asyncio.CancelledError:
            await self._stop_interrupted(target)
            raise

    async def _stop_failed(self, target: TargetFiles) -> None:
        """Stop the server if it runs; nothing is raised, since what it failed by is to be told."""
        try:
            if await target.runs():
                await target.stop()
        except BackupdError as error:
            self._spare.going_on = f"{self._spare.going_on}; it may still run: {error.text}"

    async def _stop_interrupted(self, target: TargetFiles) -> None:
        """Stop the server within some seconds, and say what is left; nothing is raised."""
        spare = self._spare
        left = f"{spare.config.name} has the files of the drill; the daemon, or the next drill, deletes them"
        spare.going_on = f"{left}; it may still run: stop it in the panel"
        spare.tell(f"stopping {spare.config.name}, since the drill was interrupted")
        try:
            async with asyncio.timeout(INTERRUPTED_SECONDS):
                await target.stop_at_once()
        except (BackupdError, TimeoutError) as error:
            why = error.text if isinstance(error, BackupdError) else "the panel does not answer"
            spare.going_on = f"{spare.going_on} ({why})"
        else:
            spare.going_on = f"{left}; it was stopped"

    async def _run(self, target: TargetFiles) -> None:
        """Start the server, and see that it runs on and shows what it must; NotStartedError has its last lines."""
        async with watched_console(self._spare, self._options.console) as console:
            try:
                await target.start()
                if self._options.console is None:
                    self._of_use(self._spare.clock.monotonic())
                await target.runs_for(self._options.watch)
                await console.must_have_shown()
            except NotStartedError as error:
                lines = await console.last_lines()
                raise NotStartedError("; ".join(filter(None, (error.text, lines))), hint=error.hint) from error
            if console.shown_at is not None:
                self._of_use(console.shown_at)

    def _of_use(self, now: float) -> None:
        self.seconds = now - self._began


def needed(*, start: bool, console: str | None) -> frozenset[str]:
    """Return the permissions without which what is done after unpacking would fail."""
    started = {"control.start", "control.stop"} if start else set()
    return frozenset(started | ({"websocket.connect"} if console is not None else set()))


# After a kill --------------------------------------------------------------------------------------------------------


async def end_interrupted(spare: Operation, record: DrillRecord) -> DrillRecord | None:
    """Stop the spare server of a drill that was killed, and delete what it put there; None if it has ended meanwhile.

    Raises ServerBusyError while it runs in some process, PanelError, StateError and RestoreError where it could not be
    done now.
    """
    journal = spare.run.context.journal
    async with spare.alone():
        if all(one.number != record.number or one.ended_at is not None for one in await journal.drills()):
            return None
        text = f"it was killed; {await _undone(spare, record)}"
        return await record_interrupted(journal, record, spare.clock.now(), text)


async def record_interrupted(journal: Journal, record: DrillRecord, now: datetime, text: str) -> DrillRecord:
    """Record that a drill did not come to its end, and why; return its record as it is then. Raises StateError."""
    await journal.end_drill(record.number, at=now, result=DrillResult.INTERRUPTED, text=text)
    return replace(record, ended_at=now, result=DrillResult.INTERRUPTED, text=text)


async def _undone(spare: Operation, record: DrillRecord) -> str:
    """Undo what a drill did that was killed; return in words what was done."""
    name, server = spare.config.name, await spare.client.server(spare.config.id)
    target = TargetFiles(spare, backup=record.backup, spare=record.spare_uuid)
    if server.uuid != record.spare_uuid:
        return f"{name} is another server now, and was not touched"
    if not marked(server.description):
        return f"{name} does not carry {DRILL_MARK} any more, and was not touched"
    if runs := record.put is not None and await target.runs():
        if not record.starts:
            return f"{name} runs, though no drill started it, and was not touched"
        await target.stop()
    await _clear(spare, target, set(record.put or ()))
    others = await target.others()
    left = f", and not of it: {few(others)}" if others else ""
    return f"{name} was {'stopped, and ' if runs else ''}cleared of what it had put there{left}"


async def _clear(spare: Operation, target: TargetFiles, put: set[str]) -> None:
    """Delete what the drill put there until nothing of it comes again: the node may unpack on, though nobody waits.

    Raises NotEmptiedError, NotSpareError, PanelError.
    """
    clock = spare.clock
    began = still_since = clock.monotonic()
    while clock.monotonic() - still_since < STILL_SECONDS:
        mine = put.union(await target.leftovers())
        there = [one.name for one in await target.rows() if one.name in mine]
        if there and clock.monotonic() - began > LONGEST_SECONDS:
            raise NotEmptiedError(f"{there[0]} comes again, however often it is deleted")
        await target.delete(there)
        if there:
            still_since = clock.monotonic()
        await clock.sleep(LOOKS.most)


# What it shows -------------------------------------------------------------------------------------------------------


def proof_of_drill(ended: DrillRecord, backup: Backup) -> ProofRecord | None:
    """Return what a drill that ended shows of its backup beyond its own reading, which was recorded by itself.

    None for one that failed, or started no server.
    """
    if not ended.starts or ended.result is not DrillResult.DONE or ended.ended_at is None or backup.created_at is None:
        return None
    level = Level.RESTORED
    proof = Proof(backup.uuid, backup.name, backup.created_at, ended.ended_at, level, level)
    return ProofRecord(ended.server, ended.server_uuid, proof)
