"""Locking and unlocking by hand. The client reads, toggles and looks; nothing here toggles blindly."""

from collections.abc import Sequence

from daemon.core.model import Verdict
from daemon.errors import BackupdError
from daemon.operations.operation import Errand
from daemon.operations.result import Handled, ended_by
from daemon.rotation.outcome import Result


async def set_locks(errand: Errand, verdicts: Sequence[Verdict], locked: bool) -> tuple[Handled, ...]:
    """Lock or unlock each; one that is so already is done, one that fails does not stop the others."""
    return tuple([await _set_lock(errand, verdict, locked) for verdict in verdicts])


async def _set_lock(errand: Errand, verdict: Verdict, locked: bool) -> Handled:
    listed = verdict.backup
    errand.tell(f"{'locking' if locked else 'unlocking'} {listed.name}")
    try:
        now = await errand.client.set_lock(errand.config.id, listed.uuid, locked)
    except BackupdError as error:
        return ended_by(error, listed)
    return Handled(now, Result.DONE, verdict.state, changed=listed.locked is not locked)
