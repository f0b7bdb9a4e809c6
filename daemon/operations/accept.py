"""Accepting a backup by hand: a suspicious one is good after all, or one whose deletion was asked for has its file.

Either is recorded in the journal, and obeyed from then on.
"""

from daemon.core.model import State, Verdict
from daemon.core.shrunk import awaits_a_word
from daemon.errors import ProblemCode, UsageError
from daemon.operations.operation import Operation
from daemon.operations.result import OperationResult, refused
from daemon.rotation.outcome import Result
from daemon.rotation.preview import Preview


async def accept(operation: Operation, seen: Preview, verdict: Verdict) -> OperationResult:
    """Record that the backup is good, and that its size is usual from then on.

    Record nothing if the backup is good already and nothing waits for an operator's decision. Raises UsageError if no
    state is kept, StateError if the journal cannot be written.
    """
    backup = verdict.backup
    if backup.uuid in seen.asked:
        must_remember(operation)
        await operation.run.context.journal.asked_no_more(seen.server.uuid, backup.uuid)
        if verdict.state is not State.SUSPICIOUS:
            return OperationResult(backup, Result.DONE, verdict.state, changed=True)
    if verdict.state is State.GOOD and not awaits_a_word(seen.plan.verdicts, backup):
        return OperationResult(backup, Result.DONE, State.GOOD)
    if verdict.state not in {State.GOOD, State.SUSPICIOUS}:
        text = f"{backup.name} is {verdict.state}, and only a suspicious backup can be accepted"
        return refused(backup, ProblemCode.NOT_SUSPICIOUS, text, state=verdict.state)
    if not backup.bytes:
        return refused(
            backup, ProblemCode.EMPTY, f"{backup.name} holds 0 bytes, so it cannot be good", state=verdict.state
        )
    must_remember(operation)
    await operation.run.context.journal.accept(seen.server.uuid, backup.uuid, operation.clock.now())
    return OperationResult(backup, Result.DONE, State.GOOD, changed=True)


def must_remember(operation: Operation) -> None:
    """Raise UsageError if what is written to the journal would be forgotten."""
    context = operation.run.context
    if context.state_trouble is not None:
        raise context.state_trouble
    if not context.journal.persistent:
        raise UsageError(
            'state_dir is "none", so nothing can be remembered',
            hint="configure a state_dir that the daemon and this command share",
        )
