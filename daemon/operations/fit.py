"""Which backups are restored: good ones, of which no proof has shown that they are damaged."""

from daemon.core.model import Backup, State, Verdict
from daemon.core.proof import Proof
from daemon.errors import ProblemCode
from daemon.operations.result import OperationResult, refused
from daemon.rotation.outcome import LOOK_INTO_IT
from daemon.rotation.preview import Preview

_HALF_DELETED = "run `ptero-backupd backups verify`; if its file is whole, run `ptero-backupd backups accept`"


def unfit(verdict: Verdict) -> OperationResult | None:
    """Return why this backup must not be restored; None if it is good.

    One without a file would cost the server its own files, which the panel may delete before it asks the node for the
    backup.
    """
    backup, state = verdict.backup, verdict.state
    if verdict.whole:
        return None
    if state is State.GOOD:
        text, hint = (
            f"{backup.name} may have no file, since its deletion was asked for and not completed",
            _HALF_DELETED,
        )
        return refused(backup, ProblemCode.HALF_DELETED, text, hint, state)
    because = verdict.because  # not the verdict's reasons: that it is locked or foreign hinders no restore
    hint = "`ptero-backupd backups list` shows which are good"
    if state is State.SUSPICIOUS:
        hint = LOOK_INTO_IT
    text = f"{backup.name} is {state}, and only a good backup is restored"
    if because and state not in because:
        text += f": {because}"
    return refused(backup, ProblemCode(f"backup-{state}"), text, hint, state)


def unsound(seen: Preview, backup: Backup) -> OperationResult | None:
    """Return why a backup of the server that was just `seen` must not be restored unasked: a proof of it failed.

    None where no proof did, or an operator accepted what is wrong.
    """
    failed = seen.proven.proofs.failed(backup.uuid)
    return None if failed is None else known_as_bad(backup, failed)


def known_as_bad(backup: Backup, failed: Proof) -> OperationResult:
    """Return the refusal to restore a backup, or a copy of one, that a proof found damaged."""
    hint = (
        "restore another backup; `ptero-backupd prove accept` if this one is right after all; with --unproven what is "
        "left of it is restored"
    )
    return refused(backup, ProblemCode.NOT_SANE, f"nothing was restored, since {failed.wrong}", hint, State.GOOD)
