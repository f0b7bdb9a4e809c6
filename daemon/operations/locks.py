"""Locking and unlocking by hand. The client reads, toggles and looks; nothing here toggles blindly."""

from collections.abc import Sequence

from daemon.core.model import Verdict
from daemon.errors import BackupdError
from daemon.operations.operation import Operation
from daemon.operations.result import OperationResult, ended_by
from daemon.rotation.outcome import Result


async def set_locks(operation: Operation, verdicts: Sequence[Verdict], locked: bool) -> tuple[OperationResult, ...]:
    """Lock or unlock each; one that is so already is done, and one that fails does not stop the others."""
    return tuple([await _set_lock(operation, verdict, locked) for verdict in verdicts])


async def _set_lock(operation: Operation, verdict: Verdict, locked: bool) -> OperationResult:
    listed = verdict.backup
    operation.tell(f"{'locking' if locked else 'unlocking'} {listed.name}")
    try:
        now = await operation.client.set_lock(operation.config.id, listed.uuid, locked)
    except BackupdError as error:
        return ended_by(error, listed)
    return OperationResult(now, Result.DONE, verdict.state, changed=listed.locked is not locked)
