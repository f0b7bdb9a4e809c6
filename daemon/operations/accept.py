"""A suspicious backup is good after all, or one has its file though its deletion was asked for.

Either is remembered in the journal, and obeyed by every judgement from then on.
"""

from daemon.core.model import State, Verdict
from daemon.core.shrunk import awaits_a_word
from daemon.errors import UsageError
from daemon.operations.operation import Errand
from daemon.operations.result import Handled, refused
from daemon.rotation.outcome import Result
from daemon.rotation.survey import Survey


async def accept(errand: Errand, seen: Survey, verdict: Verdict) -> Handled:
    """Remember that the backup is good, and of the size that is usual from then on.

    Nothing is to be remembered of one that is good while nothing waits for an operator's word.
    Raises UsageError where nothing is remembered at all, StateError where the journal cannot be written.
    """
    backup = verdict.backup
    if backup.uuid in seen.asked:
        must_remember(errand)
        errand.run.tools.journal.asked_no_more(seen.server.uuid, backup.uuid)
        if verdict.state is not State.SUSPICIOUS:
            return Handled(backup, Result.DONE, verdict.state, changed=True)
    if verdict.state is State.GOOD and not awaits_a_word(seen.plan.verdicts, backup):
        return Handled(backup, Result.DONE, State.GOOD)
    if verdict.state not in {State.GOOD, State.SUSPICIOUS}:
        text = f"{backup.name} is {verdict.state}, and only a suspicious backup can be accepted"
        return refused(backup, "not_suspicious", text, state=verdict.state)
    if not backup.bytes:
        return refused(backup, "empty", f"{backup.name} holds 0 bytes, so it cannot be good", state=verdict.state)
    must_remember(errand)
    errand.run.tools.journal.accept(seen.server.uuid, backup.uuid, errand.clock.now())
    return Handled(backup, Result.DONE, State.GOOD, changed=True)


def must_remember(errand: Errand) -> None:
    """Raise where what is written to the journal would be forgotten."""
    tools = errand.run.tools
    if tools.state_trouble is not None:
        raise tools.state_trouble
    if not tools.journal.persistent:
        raise UsageError(
            'state_dir is "none", so nothing can be remembered',
            hint="configure a state_dir that the daemon and this command share",
        )
