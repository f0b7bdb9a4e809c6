"""`backups create`, `lock`, `unlock`, `accept`, `restore` and `delete`: what an operator changes by hand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from daemon.cli.backups.reading import reading
from daemon.cli.lacking import LackingAsked
from daemon.cli.runner import CommandRunner
from daemon.cli.settings import Settings
from daemon.cli.ui.confirm import confirm, must_be_able_to_ask
from daemon.cli.ui.output import one_line
from daemon.cli.ui.verdicts import because, size
from daemon.cli.ui.which import about, line, where
from daemon.config.opinion import opinion_of
from daemon.core.agreement import Opinion
from daemon.core.model import Verdict
from daemon.core.restores import RestoreEnd
from daemon.core.units import format_size
from daemon.documents.operations import many_written, one_written, restored
from daemon.errors import ProblemCode, UsageError
from daemon.operations.accept import accept, must_remember
from daemon.operations.create import PATIENCE, CreateOptions, check, create
from daemon.operations.delete import BEYOND, delete, delete_beyond_retention, gone, loss, obstacle
from daemon.operations.fit import unfit, unsound
from daemon.operations.locks import set_locks
from daemon.operations.operation import Operation
from daemon.operations.pick import pick, pick_or_gone
from daemon.operations.restore import Restored, RestoreOptions, restore
from daemon.operations.result import OperationResult
from daemon.rotation.outcome import Problem, Result, refusal
from daemon.rotation.preview import Preview

# create --------------------------------------------------------------------------------------------------------------


def create_backup(
    settings: Settings,
    name: str,
    *,
    title: str | None,
    ignored: Sequence[str] | None,
    lock: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Create a backup; with `wait`, wait until it is completed, and locked if that was asked for."""
    runner = CommandRunner.at(settings, name, as_json=as_json)
    patience = PATIENCE if wait else timedelta(0)
    options = CreateOptions(
        title, None if ignored is None else tuple(ignored), locked=lock, wait=wait, patience=patience
    )
    check(options)

    async def work(operation: Operation) -> Sequence[OperationResult]:
        return [await create(operation, options)]

    return runner.carry_out(work, lambda outcomes: one_written(about(runner.server), outcomes[0]), _created)


def _created(outcome: OperationResult) -> str:
    backup = outcome.backup
    assert backup is not None  # noqa: S101 — only what is there is reported
    facts = {
        str(outcome.state): True,
        format_size(backup.bytes): backup.bytes,
        "locked": backup.locked,
        f"without {', '.join(backup.ignored)}": backup.ignored,
    }
    return (
        f"created {one_line(backup.name)} ({backup.uuid}): {', '.join(fact for fact, holds in facts.items() if holds)}"
    )


# lock, unlock --------------------------------------------------------------------------------------------------------


def set_backup_locks(settings: Settings, name: str, wanted: Sequence[str], *, lock: bool, as_json: bool) -> int:
    """Lock or unlock backups."""
    runner = CommandRunner.at(settings, name, as_json=as_json)
    word = "locked" if lock else "unlocked"

    async def work(operation: Operation) -> Sequence[OperationResult]:
        return await set_locks(operation, pick(await operation.look(), wanted), lock)

    return runner.carry_out(
        work,
        lambda outcomes: many_written(about(runner.server), outcomes),
        lambda outcome: f"{word} {_name(outcome)}" if outcome.changed else f"{_name(outcome)} is {word} already",
    )


def _name(outcome: OperationResult) -> str:
    """Return the backup's name for people, on one line."""
    if outcome.backup is None:
        return ""
    return one_line(outcome.backup.name or outcome.backup.uuid)


# accept --------------------------------------------------------------------------------------------------------------


def accept_backup(settings: Settings, name: str, wanted: str, *, as_json: bool) -> int:
    """Remember that a suspicious backup is good after all."""
    runner = CommandRunner.at(settings, name, as_json=as_json)

    async def work(operation: Operation) -> Sequence[OperationResult]:
        must_remember(operation)
        seen = await operation.look()
        (verdict,) = pick(seen, [wanted])
        return [await accept(operation, seen, verdict)]

    return runner.carry_out(
        work,
        lambda outcomes: one_written(about(runner.server), outcomes[0]),
        lambda outcome: f"{_name(outcome)} is good{' from now on' if outcome.changed else ', and not suspicious'}",
    )


# restore -------------------------------------------------------------------------------------------------------------


def restore_backup(
    settings: Settings, name: str, wanted: str, options: RestoreOptions, *, prove: bool, yes: bool, as_json: bool
) -> int:
    """Restore a backup onto its server, after confirmation; with `prove`, only once it was read whole."""
    runner = CommandRunner.at(settings, name, as_json=as_json)
    must_be_able_to_ask(yes=yes)
    ends: list[Restored] = []

    async def work(operation: Operation) -> Sequence[OperationResult]:
        seen = await operation.look()
        (verdict,) = pick(seen, [wanted])
        if hindered := unfit(verdict) or (None if options.unproven else unsound(seen, verdict.backup)):
            return [hindered]
        facts = _restoring(seen, verdict, options, prove=prove)
        confirm(facts, f"restore {one_line(verdict.backup.name)} onto {name}?", yes=yes)
        chosen = replace(options, read=reading(operation, seen, LackingAsked(yes=yes))) if prove else options
        ends.append(await restore(operation, verdict.backup, chosen))
        return [ends[0].outcome]

    def document(outcomes: Sequence[OperationResult]) -> dict[str, object]:
        what = ends[0] if ends else Restored(outcomes[0])
        return restored(about(runner.server), what, truncate=options.truncate)

    def words(outcome: OperationResult) -> str:
        what = ends[0]
        begun, known = _how_it_ended(what)
        before = f"; what was there before is in {_name(what.safety)}, locked" if what.safety else ""
        return f"{begun} {_name(outcome)} onto {name}{known}{before}"

    return runner.carry_out(work, document, words)


def _how_it_ended(what: Restored) -> tuple[str, str]:
    """Return what was done, and how that is known; no more is said than is known."""
    if not what.ended:
        return "began to restore", ""
    unusable = any(one.code == ProblemCode.SERVER_STATE for one in what.outcome.problems)
    left = "; the server cannot be used now" if unusable else ""
    if what.log_says is RestoreEnd.COMPLETED:
        return "restored", f"; the server's activity log says that it completed{left}"
    return "the panel ended the restore of", f"; whether it went well is not known{left}"


def _restoring(seen: Preview, verdict: Verdict, options: RestoreOptions, *, prove: bool) -> Iterator[str]:
    """Return the question's facts: what will happen to which server."""
    yield where(seen)
    yield f"the backup: {line(seen, verdict)}"
    if options.truncate:
        yield "ALL files of the server are deleted, then those of the backup are put in their place"
        if prove:
            read = "the backup is read to its end and checked"
            yield f"before that, {read}: {size(verdict.backup)} are downloaded, unless a proof did so within the hour"
        else:
            yield "the backup is NOT read first: if its file is damaged or missing, everything is lost"
    else:
        yield "the files of the backup overwrite the server's; what is not in the backup stays"
    if options.safety:
        yield "before that, what is there now is backed up, and that backup is locked"
    else:
        yield "NO backup is made of what is there now: what is overwritten or deleted is lost"


# delete --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is to be deleted: backups by name, or what is beyond retention."""

    wanted: Sequence[str] = ()
    beyond_retention: bool = False
    max_deletions: int | None = None

    def check(self) -> None:
        """Raise UsageError if the arguments contradict each other."""
        if self.beyond_retention == bool(self.wanted):
            hint = "`backups list` shows them; `plan` shows what is beyond retention"
            raise UsageError("name the backups, or write --beyond-retention", hint=hint)
        if self.max_deletions is not None and not self.beyond_retention:
            raise UsageError("--max-deletions goes with --beyond-retention")


def delete_backups(settings: Settings, name: str, deletion: Deletion, *, yes: bool, as_json: bool) -> int:
    """Delete backups, after confirmation."""
    deletion.check()
    runner = CommandRunner.at(settings, name, as_json=as_json, max_deletions=deletion.max_deletions)
    must_be_able_to_ask(yes=yes)

    async def work(operation: Operation) -> Sequence[OperationResult]:
        if deletion.beyond_retention:
            return await _delete_beyond(operation, opinion_of(runner.config), yes=yes)
        return await _delete_named(operation, deletion.wanted, yes=yes)

    return runner.carry_out(
        work,
        lambda outcomes: many_written(about(runner.server), outcomes),
        lambda outcome: f"deleted {_name(outcome)}" if outcome.changed else f"{_name(outcome)} is gone already",
    )


async def _delete_named(operation: Operation, wanted: Sequence[str], *, yes: bool) -> Sequence[OperationResult]:
    seen = await operation.look()
    journal = operation.run.context.journal
    verdicts, missing = await pick_or_gone(seen, wanted, lambda backup: journal.knows(seen.server.uuid, backup))
    outcomes = [gone(uuid) for uuid in missing]
    outcomes += [hindered for verdict in verdicts if (hindered := obstacle(verdict.backup, verdict.state))]
    free = [verdict for verdict in verdicts if obstacle(verdict.backup) is None]
    if not free:
        return outcomes
    lost = loss(seen.plan.verdicts, free)
    facts = [where(seen), *(f"  {line(seen, verdict)}" for verdict in free)]
    facts += [f"WARNING: {lost[1]}"] if lost else []
    facts += [f"not deleted: {one.problems[0].text}" for one in outcomes if one.problems]
    confirm(facts, _how_many(free), yes=yes)
    return [*outcomes, *await delete(operation, seen, free)]


async def _delete_beyond(operation: Operation, own: Opinion, *, yes: bool) -> Sequence[OperationResult]:
    seen = await operation.look()
    if seen.plan.refused is not None:
        problem = refusal(seen.config.name, seen.plan.code, seen.plan.refused, again=BEYOND, frozen=seen.plan.frozen)
        return [OperationResult(None, Result.REFUSED, problems=(problem,))]
    going = seen.plan.deletions
    if not going:
        return [
            OperationResult(None, Result.DONE, problems=(Problem(ProblemCode.NOTHING, "nothing is beyond retention"),))
        ]
    facts = [where(seen), *(f"  {line(seen, verdict)}: {because(verdict)}" for verdict in going)]
    confirm(facts, _how_many(going), yes=yes)
    shown = {verdict.backup.uuid for verdict in going}
    return await delete_beyond_retention(operation, shown, own)


def _how_many(verdicts: Sequence[Verdict]) -> str:
    return "delete this backup?" if len(verdicts) == 1 else f"delete these {len(verdicts)} backups?"
