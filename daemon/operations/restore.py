"""Restore by hand: make a safety backup of the current files, restore, and wait for the end.

What must hold: only a good backup is restored, though the panel would restore a failed one; unless it was waived, none
is that a proof found damaged, the safety backup is good and seen to be locked before anything is overwritten, and the
backup was read whole within the hour before all files are deleted; a restore is asked for once. The server's lock is
held throughout, so that no rotation backs up a half-restored server. The panel's answer tells when a restore has ended;
whether it succeeded stands in the server's activity log alone, if the key may read that.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from daemon.core.backoff import Backoff
from daemon.core.model import Backup, Server, State
from daemon.core.restores import RestoreEnd
from daemon.core.units import format_duration
from daemon.errors import BackupdError, ProblemCode
from daemon.operations.fit import unfit, unsound
from daemon.operations.operation import Operation
from daemon.operations.read_first import ReadFirst, ReadWhole
from daemon.operations.restore_log import RestoreLog
from daemon.operations.result import OperationResult, ended_by, refused
from daemon.operations.safety import SafetyBackup, make_safe
from daemon.panel.errors import ApiLimitError, OutcomeUnknownError, PanelError, PermissionLackingError
from daemon.rotation.order import Halt
from daemon.rotation.outcome import Problem, Result
from daemon.rotation.preview import Preview

PERMISSION = "backup.restore"
RESTORING = "restoring_backup"
LONGEST = timedelta(hours=6)
"""How long the end of a restore is waited for."""

BEGIN_SECONDS = 60.0
LOOKS = Backoff(2.0, 60.0, factor=1.5)
"""Seconds between looks at a restore: small worlds are done in seconds, large ones in an hour, and a person waits."""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """How to restore. `truncate` deletes the server's files first; `safety` makes a backup of them before anything.

    `read` reads the whole backup and checks it, before any file of the server is deleted for it; None waives that.
    `unproven` restores one that a proof found damaged.
    """

    truncate: bool = False
    safety: bool = True
    wait: bool = True
    read: ReadWhole | None = None
    unproven: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """How a restore ended. `safety` is the result of the safety backup, None if none was tried; `ended` says that the
    panel was seen to end the restore, and `log_says` how it ended by the server's activity log, None if that does not
    tell.
    """

    outcome: OperationResult
    safety: OperationResult | None = None
    ended: bool = False
    log_says: RestoreEnd | None = None


async def restore(operation: Operation, backup: Backup, options: RestoreOptions) -> Restored:
    """Restore the backup, which was chosen before and is read again here."""
    done = Restored(OperationResult(backup, Result.DONE, State.GOOD))
    try:
        async with operation.alone():
            first = ReadFirst(operation, backup, options.read) if options.truncate and options.read else None
            seen, hindered = await _look(operation, backup, options, first)
            if hindered is not None:
                return replace(done, outcome=hindered)
            if options.safety:  # which may take hours
                done = _with(done, await make_safe(operation, seen))
            if done.outcome.result is Result.DONE and first is not None and first.is_old:
                seen, hindered = await _look(operation, backup, replace(options, unproven=True), first)
                if hindered is not None:
                    return _tell_of_safety(replace(done, outcome=_and_before(hindered, done)))
            if done.outcome.result is Result.DONE:
                return _tell_of_safety(await _restore(operation, done, seen.server, backup, options))
            return done
    except (BackupdError, Halt) as error:
        return _tell_of_safety(replace(done, outcome=_and_before(ended_by(error, backup), done)))


async def _look(
    operation: Operation, backup: Backup, options: RestoreOptions, first: ReadFirst | None
) -> tuple[Preview, OperationResult | None]:
    """Look at the server, and return why the backup must not be restored; `first` reads it, if that is asked for."""
    seen = await operation.look()
    hindered = _hindered(seen, backup, options)
    if hindered is None and first is not None:
        hindered = await first.not_whole(seen)
        seen = await operation.look()  # what was seen before is old by now
        hindered = hindered or _hindered(seen, backup, replace(options, unproven=True))  # the reading has judged it
    return seen, hindered


def _and_before(ended: OperationResult, done: Restored) -> OperationResult:
    """Return the result with what was done before it: a safety backup stays, and is a change."""
    return replace(ended, changed=ended.changed or done.outcome.changed)


def _with(done: Restored, safety: SafetyBackup) -> Restored:
    """Return the result with the safety backup; nothing is restored where there is none."""
    outcome = replace(done.outcome, changed=safety.made.changed)
    outcome = outcome if safety.refusal is None else replace(outcome, result=Result.REFUSED)
    problems = safety.made.problems if safety.refusal is None else (safety.refusal,)
    return replace(done, safety=safety.made, outcome=replace(outcome, problems=(*outcome.problems, *problems)))


def _tell_of_safety(done: Restored) -> Restored:
    """Add the safety backup to the problems if nothing was restored in the end."""
    if done.safety is None or done.safety.backup is None or done.outcome.result is Result.DONE:
        return done
    kept = Problem(ProblemCode.SAFETY_BACKUP, f"{done.safety.backup.name}, the safety backup, stays, locked")
    return replace(done, outcome=replace(done.outcome, problems=(kept, *done.outcome.problems)))


def _hindered(seen: Preview, backup: Backup, options: RestoreOptions) -> OperationResult | None:
    """Return what is known to prevent the restore before anything is asked for."""
    permissions = seen.server.permissions
    if permissions is not None and not permissions & {"*", PERMISSION}:
        text = f"the key's user may not restore backups of server {seen.server.name}"
        return ended_by(PermissionLackingError(text), backup)
    verdict = next((one for one in seen.plan.verdicts if one.backup.uuid == backup.uuid), None)
    if verdict is None:
        return refused(backup, ProblemCode.GONE, f"{backup.name} is gone from the panel")
    return unfit(verdict) or (None if options.unproven else unsound(seen, backup))


# The restore ---------------------------------------------------------------------------------------------------------


async def _restore(
    operation: Operation, done: Restored, server: Server, backup: Backup, options: RestoreOptions
) -> Restored:
    """Ask for the restore once, and wait for its end."""
    log = await RestoreLog.read(operation, server)
    still = await operation.client.backup(operation.config.id, backup.uuid)
    if not still.successful:
        changed = refused(still, ProblemCode.CHANGED, f"{backup.name} is not good any more")
        return replace(done, outcome=_and_before(changed, done))
    operation.tell(f"restoring {backup.name}")
    operation.going_on = (
        f"the panel may have begun to restore {backup.name} on {operation.config.name}: the server's status shows it"
    )
    try:
        await operation.client.restore(operation.config.id, backup.uuid, truncate=options.truncate)
    except OutcomeUnknownError as error:
        if not await _has_begun(operation, log, still.name):
            return replace(done, outcome=_unknown(done.outcome, error, log))
    except PanelError as error:
        operation.going_on = ""
        return replace(done, outcome=_not_begun(done, error))
    operation.going_on = f"the restore of {backup.name} goes on at the panel, and nothing stops it"
    done = replace(done, outcome=replace(done.outcome, changed=True))
    if not options.wait:
        return done
    ended = await _await_end(operation, done)
    return await _how_it_ended(operation, ended, log, still.name) if ended.ended else ended


def _not_begun(done: Restored, error: PanelError) -> OperationResult:
    """Return the result if the panel refused. Its throttle is not waited out, since the safety backup would be old by
    then.
    """
    ended = ended_by(error, done.outcome.backup)
    (problem,) = ended.problems
    if isinstance(error, ApiLimitError):
        problem = replace(problem, hint="newer panels allow 3 restores of a server in 15 minutes; try again then")
    ended = replace(ended, state=done.outcome.state, problems=(*done.outcome.problems, problem))
    return _and_before(ended, done)


async def _has_begun(operation: Operation, log: RestoreLog, name: str) -> bool:
    """Return whether it is seen within a minute that the restore began, after an answer that leaves it open.

    Its state tells while the server is being restored; a small world is there before that is seen, and in the log.
    """
    operation.tell("the panel does not say whether it was done; looking at the server and its activity log")
    deadline = operation.clock.monotonic() + BEGIN_SECONDS
    while True:
        if await log.tells_of(operation, name):
            return True
        with suppress(PanelError):
            if (await operation.client.server(operation.config.id)).status == RESTORING:
                return True
        if operation.clock.monotonic() >= deadline:
            return False
        await operation.clock.sleep(LOOKS.first)


def _unknown(outcome: OperationResult, error: OutcomeUnknownError, log: RestoreLog) -> OperationResult:
    """Return the result where nothing shows that it began: it did not, if the log would tell of it."""
    if log.readable:
        text = f"{error.text}; neither the server's state nor its activity log shows a restore, so none began"
    else:
        outcome = replace(outcome, changed=True)  # as far as is known
        text = f"{error.text}; the server was not seen to be restored, so that did not begin, or was over at once"
        text += f": {log.silent}"
    hint = "look at the server's files before anything else; it was not asked for a second time"
    return outcome.with_problem(ProblemCode.RESTORE_UNKNOWN, text, hint, result=Result.FAILED)


async def _await_end(operation: Operation, done: Restored) -> Restored:
    """Wait until the server is no longer being restored, looking at growing intervals."""
    began, looks = operation.clock.monotonic(), 0
    operation.tell("waiting for the restore to end")
    while operation.clock.monotonic() - began < LONGEST.total_seconds():
        looks += 1
        await operation.clock.sleep(LOOKS.pause(looks))
        try:
            server = await operation.client.server(operation.config.id)
        except PanelError as error:
            if error.transient:
                continue
            failed = done.outcome.with_problem(error.code, error.text, error.hint, result=Result.FAILED)
            return replace(done, outcome=failed)
        if server.status != RESTORING:
            operation.going_on = ""
            return replace(done, ended=True, outcome=_usable(done.outcome, server))
    text = f"the server is still being restored after {format_duration(LONGEST)}"
    return replace(
        done, outcome=done.outcome.with_problem(ProblemCode.TIMEOUT, text, "look at the node", result=Result.FAILED)
    )


def _usable(outcome: OperationResult, server: Server) -> OperationResult:
    """Return the result of a restore that has ended, with what keeps the server from being used now."""
    if server.obstacle is None:
        return outcome
    text = f"the server is {server.obstacle} now that the restore has ended"
    return outcome.with_problem(ProblemCode.SERVER_STATE, text, "look at the panel before starting it")


async def _how_it_ended(operation: Operation, done: Restored, log: RestoreLog, name: str) -> Restored:
    """Return the result with what the server's activity log says of the end."""
    says = await log.end_of(operation, name)
    if says is RestoreEnd.COMPLETED:
        return replace(done, log_says=says)
    if says is RestoreEnd.FAILED:
        text = f"the node could not restore {name}: the server's activity log says so"
        hint = "look at the server's files and the node's log before starting the server; parts may be overwritten"
        failed = done.outcome.with_problem(ProblemCode.RESTORE_FAILED, text, hint, result=Result.FAILED)
        return replace(done, log_says=says, outcome=failed)
    text = f"the restore has ended; whether it went well is not known: {log.silent}"
    hint = "look at the server's files before starting it"
    return replace(done, outcome=done.outcome.with_problem(ProblemCode.OUTCOME_NOT_TOLD, text, hint))
