"""Delete by hand: the backups that an operator names, or exactly what `plan` shows.

What must hold: no locked backup is deleted, whatever its state, and none that is still being made, though the panel
would delete both; each is read again right before its DELETE; only what was shown is deleted.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from daemon.config.values import ServerConfig
from daemon.core.agreement import Opinion
from daemon.core.model import Backup, Listing, State, Verdict
from daemon.core.states import age
from daemon.errors import BackupdError, ProblemCode, StateError
from daemon.operations.agreement import disputed_by_hand
from daemon.operations.operation import Operation
from daemon.operations.result import OperationResult, ended_by, refused
from daemon.panel.errors import NotFoundError
from daemon.rotation.delete import delete_decided, must_be_agreed, undeleted
from daemon.rotation.deletion import ChangedError, delete_seen
from daemon.rotation.gather import gather, say_incomplete
from daemon.rotation.judging import judge, let_through, tell_held
from daemon.rotation.order import Halt
from daemon.rotation.outcome import Result, refusal
from daemon.rotation.preview import Preview
from daemon.rotation.setup import recover_journal
from daemon.state import Journal

BEYOND = "backups delete {server} --beyond-retention"
UNLOCK = "if you really want to delete it, run `ptero-backupd backups unlock` first"


def gone(uuid: str) -> OperationResult:
    """Return the result for a backup that is not there any more."""
    nothing = Backup(uuid, "", successful=False, locked=False, bytes=0, created_at=None, completed_at=None)
    return OperationResult(nothing, Result.DONE)


def obstacle(backup: Backup, state: State | None = None) -> OperationResult | None:
    """Return why this backup must not be deleted as it is; None if nothing forbids it."""
    if backup.locked:
        return refused(backup, ProblemCode.BACKUP_LOCKED, f"{backup.name} is locked", UNLOCK, state)
    if backup.completed_at is None:
        text = f"{backup.name} is still being made; the node would go on writing what nobody knows of"
        return refused(
            backup, ProblemCode.PENDING, text, "wait until it is completed, or until the panel marks it failed", state
        )
    return None


def loss(verdicts: Sequence[Verdict], chosen: Sequence[Verdict]) -> tuple[Backup, str] | None:
    """Given all verdicts, newest first, and those to be deleted, return the newest good one and a warning, if it is
    among them.

    A backup whose deletion was left half done may have no file, so it does not count as the one that remains.
    """
    whole = [verdict.backup for verdict in verdicts if verdict.whole]
    good = whole or [verdict.backup for verdict in verdicts if verdict.state is State.GOOD]
    going = {verdict.backup.uuid for verdict in chosen}
    if not good or good[0].uuid not in going:
        return None
    left = next((backup.name for backup in good if backup.uuid not in going), None)
    then = f"the newest is then {left}" if left else "NO good backup is left then"
    return good[0], f"{good[0].name} is the newest good backup; {then}"


async def delete(operation: Operation, seen: Preview, chosen: Sequence[Verdict]) -> tuple[OperationResult, ...]:
    """Delete these, the oldest first. One that is gone already is done; one that fails does not stop the others."""
    oldest_first = sorted(chosen, key=lambda verdict: age(verdict.backup))
    outcomes = [await _delete(operation, seen, verdict) for verdict in oldest_first]
    lost, words = loss(seen.plan.verdicts, chosen) or (None, "")
    return tuple(
        one.with_problem(ProblemCode.NEWEST_GOOD, words) if one.changed and one.backup == lost else one
        for one in outcomes
    )


async def _delete(operation: Operation, seen: Preview, verdict: Verdict) -> OperationResult:
    listed = verdict.backup
    hindered = obstacle(listed, verdict.state)
    if hindered is not None:
        return hindered
    operation.tell(f"deleting {listed.name}")
    if (unannounced := await _announce(operation, listed)) is not None:
        return unannounced
    try:
        existed = await delete_seen(operation.client, operation.clock, operation.config.id, listed, seen_at=None)
    except ChangedError as changed:
        if listed.uuid not in seen.asked and not changed.begun:
            await _remember(operation, lambda journal, server: journal.asked_no_more(server, listed.uuid))
        return await _changed(operation, verdict)
    except BackupdError as error:
        return ended_by(error, listed)
    now = operation.clock.now()
    await _remember(operation, lambda journal, server: journal.asked_no_more(server, listed.uuid))
    await _remember(operation, lambda journal, server: journal.deleted_by_hand(server, listed.uuid, now))
    return OperationResult(listed, Result.DONE, verdict.state, changed=existed)


async def _announce(operation: Operation, listed: Backup) -> OperationResult | None:
    """Record that the deletion is about to be asked for; return the result if it must not be.

    A full disk under the state folder stops no operator, who may be about to make room there. In a cluster any member
    may decide by what is left at the panel, and has to know that this one may vanish (invariant 20).
    """
    try:
        if operation.run.server is not None:
            await operation.run.context.journal.ask(operation.run.server.uuid, listed.uuid, operation.clock.now())
    except StateError as error:
        if operation.run.context.engine.leadership.membership is not None:
            return ended_by(error, listed)
    return None


async def _remember(operation: Operation, write: Callable[[Journal, str], Awaitable[object]]) -> None:
    """Record what became of a deletion, for rotations and for later deletions by hand, if it can be recorded."""
    if operation.run.server is not None:
        with suppress(StateError):
            await write(operation.run.context.journal, operation.run.server.uuid)


async def _changed(operation: Operation, verdict: Verdict) -> OperationResult:
    """Return the result if the backup is not as the operator saw it: gone (which is done), locked, or a failed one that
    turned good.
    """
    listed = verdict.backup
    try:
        now = await operation.client.backup(operation.config.id, listed.uuid)
    except NotFoundError:
        return OperationResult(listed, Result.DONE, verdict.state)
    except BackupdError as error:
        return ended_by(error, listed)
    changed = refused(now, ProblemCode.CHANGED, f"{listed.name} changed since it was listed", "look at it again")
    return obstacle(now) or changed


async def delete_beyond_retention(
    operation: Operation, shown: Collection[str], own: Opinion
) -> tuple[OperationResult, ...]:
    """Delete those of the shown uuids that the plan still deletes, exactly as a rotation would.

    `own` is the opinion by the configuration: nothing goes where a daemon of the cluster goes by another one.
    """
    run = operation.run
    try:
        await recover_journal(run)
        run.context.disputed = await disputed_by_hand(run.context.engine.leadership, own)
        async with operation.alone():
            dated = await gather(run)
            say_incomplete(run, dated.listing)
            settled = await delete_decided(
                run, dated, lambda config, listing: _decide(operation, config, listing, shown)
            )
        if run.undeleted:
            raise undeleted(run)
        end = OperationResult(None, Result.DONE) if settled else OperationResult(None, Result.SKIPPED, passing=True)
    except (BackupdError, Halt) as error:
        end = ended_by(error)
    end = replace(end, problems=tuple(dict.fromkeys((*run.problems, *end.problems))))
    deleted = tuple(OperationResult(backup, Result.DONE, changed=True) for backup in run.deleted)
    return (*deleted, end) if end.problems else deleted


async def _decide(
    operation: Operation, config: ServerConfig, listing: Listing, shown: Collection[str]
) -> tuple[Verdict, ...]:
    plan = await judge(operation.run, config, listing)
    if plan.refused is not None:
        await tell_held(operation.run, config, listing, plan.held)
        raise Halt(Result.REFUSED, refusal(config.name, plan.code, plan.refused, again=BEYOND, frozen=plan.frozen))
    if plan.deletions:
        must_be_agreed(operation.run, config)
    await let_through(operation.run, config, listing, plan)
    if plan.waits is not None:
        hindered = refusal(config.name, ProblemCode.MAX_DELETIONS, plan.waits, again=BEYOND)
        operation.run.problem(hindered.code, hindered.text, hindered.hint)
    decided = tuple(verdict for verdict in plan.deletions if verdict.backup.uuid in shown)
    for verdict in decided:
        operation.tell(f"deleting {verdict.backup.name}")
    return decided
