"""What became of the name that was asked for: some panels keep another, by which no template knows its backup again.

It is compared with the name in the answer to the create, and in the listings that follow. A backup whose name the
panel altered is known by its uuid from then on, from the journal. One that a person renamed is not ours any more, on
purpose: in a listing only what panels are known to make of names counts as the panel's doing.
"""

from daemon.core.altered import altered, has_time, unsafe_characters
from daemon.core.model import Backup, Listing
from daemon.core.names import Altered
from daemon.errors import ProblemCode, StateError
from daemon.rotation.run import Run
from daemon.state import StepName


def compare_listed(run: Run, listing: Listing) -> None:
    """Compare the names in a listing with those that were asked for and not seen to become a good backup yet.

    That is the new one's and, where a create's answer was lost, or was a fork's, that of what was made nevertheless.
    """
    own = run.ownership(run.config)
    foreign = [b for b in listing.backups if has_time(b.name) and not own.owns(b.name, b.uuid)]
    for asked in _unseen(run) if foreign else ():
        for backup in foreign:
            compare(run, asked, backup)


def _unseen(run: Run) -> list[str]:
    try:
        return run.context.journal.unseen(run.known_server.uuid)
    except StateError as error:
        run.journal_failed(error)
        return []


def compare(run: Run, asked: str, kept: Backup, *, answered: bool = False) -> None:
    """Compare a backup's name with the one that was asked for, and remember and tell where the panel altered it.

    `answered` says that this is the create's own answer: before that nobody can have renamed it.
    """
    if kept.name == asked:
        return
    certain = answered and kept.unreadable is None
    if not certain and not altered(asked, kept.name):
        return
    run.step(StepName.ALTERED, uuid=kept.uuid, asked=asked, kept=kept.name)
    journal = run.context.journal
    try:
        journal.was_altered(run.known_server.uuid, kept.uuid, Altered(asked, kept.name), run.context.clock.now())
    except StateError as error:
        run.journal_failed(error)
    unsafe = unsafe_characters(run.config.policy.template)
    run.problem(
        ProblemCode.NAME_ALTERED,
        f'the panel keeps the name "{asked}" as "{kept.name}"; the backup is known by its uuid, from the journal alone',
        f"write the policy's name without {' '.join(unsafe)}" if unsafe else "do not lose the state folder",
    )
