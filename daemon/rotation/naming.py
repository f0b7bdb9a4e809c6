"""What became of the name that was asked for: some panels keep another, which no template recognises.

The name is compared with the one in the answer to the create, and in the listings that follow. If the panel altered it,
the journal keeps the backup's uuid, and by that it is ours. A backup that a person renamed is not ours any more, on
purpose: in a listing, only alterations that panels are known to make count as the panel's.
"""

from collections.abc import Iterable

from daemon.core.altered import altered, has_time, unsafe_characters
from daemon.core.model import Backup, Listing
from daemon.core.names import Altered, Ownership
from daemon.errors import ProblemCode, StateError
from daemon.rotation.run import Run
from daemon.state import StepName


async def compare_listed(run: Run, listing: Listing) -> None:
    """Compare the names in a listing with those that were asked for and have not become a good backup yet.

    Those are the new backup's and, after a create whose answer was lost or was a fork's, that of any backup made
    nevertheless.
    """
    foreign = _foreign(listing.backups, run.config.ownership)
    if foreign:
        foreign = _foreign(foreign, run.config.ownership.knowing((await run.marks()).altered))
    for asked in await _unseen(run) if foreign else ():
        for backup in foreign:
            await compare(run, asked, backup)


def _foreign(backups: Iterable[Backup], ownership: Ownership) -> list[Backup]:
    """Return those that have a time in their name and are not the policy's own."""
    return [one for one in backups if has_time(one.name) and not ownership.owns(one.name, one.uuid)]


async def _unseen(run: Run) -> list[str]:
    try:
        return await run.context.journal.unseen(run.known_server.uuid)
    except StateError as error:
        run.journal_failed(error)
        return []


async def compare(run: Run, asked: str, kept: Backup, *, answered: bool = False) -> None:
    """Compare a backup's name with the one that was asked for; record and report it if the panel altered it.

    `answered` says that this is the create's own answer: before that, nobody can have renamed it.
    """
    if kept.name == asked:
        return
    certain = answered and kept.unreadable is None
    if not certain and not altered(asked, kept.name):
        return
    await run.step(StepName.ALTERED, uuid=kept.uuid, asked=asked, kept=kept.name)
    journal = run.context.journal
    try:
        await journal.was_altered(run.known_server.uuid, kept.uuid, Altered(asked, kept.name), run.context.clock.now())
    except StateError as error:
        run.journal_failed(error)
    unsafe = unsafe_characters(run.config.policy.template)
    run.problem(
        ProblemCode.NAME_ALTERED,
        f'the panel keeps the name "{asked}" as "{kept.name}"; the backup is known by its uuid, from the journal alone',
        f"write the policy's name without {' '.join(unsafe)}" if unsafe else "do not lose the state folder",
    )
