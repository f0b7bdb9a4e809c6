"""The safety backup: what is on a server now, backed up and locked before any of it is overwritten or deleted.

What must hold: it leaves nothing out, and it is one only where it turned good and was seen to be locked.
"""

from dataclasses import dataclass

from daemon.errors import BackupdError
from daemon.operations.create import CreateOptions, ask, finish
from daemon.operations.operation import Operation
from daemon.operations.result import OperationResult, ended_by
from daemon.rotation.order import Halt
from daemon.rotation.outcome import Problem, Result
from daemon.rotation.preview import Preview


@dataclass(frozen=True, slots=True)
class SafetyBackup:
    """What came of it. `refusal` says why nothing may be overwritten; None where it is good and locked."""

    made: OperationResult
    refusal: Problem | None = None


async def make_safe(operation: Operation, seen: Preview) -> SafetyBackup:
    """Back up the current files without an ignore list, and lock that; the server's lock is held."""
    options = CreateOptions(prefix="before restore", ignored=(), locked=True, wait=True)
    try:
        made = await finish(operation, options, seen, await ask(operation, options, seen))
    except (BackupdError, Halt) as error:
        made = ended_by(error)
    if made.result is Result.DONE:  # so it is good, and seen to be locked
        return SafetyBackup(made)
    why = made.problems[-1]
    text = f"nothing was restored, since there is no safety backup: {why.text}"
    return SafetyBackup(made, Problem(why.code, text, _way(made)))


def _way(made: OperationResult) -> str:
    """Return a hint on what the operator can do about a safety backup that is not as it should be."""
    if made.backup is not None and made.backup.successful:
        return (
            f"look at {made.backup.name}, which stays: if it holds what it should, restore with --no-safety-backup; "
            "a world that is small now makes a small backup"
        )
    return f"{made.problems[-1].hint}; or restore with --no-safety-backup, and lose what is there now".lstrip("; ")
