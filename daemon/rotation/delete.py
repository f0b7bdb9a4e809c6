"""Applying decisions: one deletion at a time, oldest first, each on what is known to be true at that moment.

A decision is made from a listing taken after the last wait, by the configuration in force. Before a DELETE, every
failed backup, and any backup whose listing is older than a minute, is read again; where its lock, state or presence
differ, the listing is taken and judged anew, three times at most (DESIGN, invariant 4).
"""

from collections.abc import Callable

from daemon.config.values import ServerConfig
from daemon.core.model import Backup, Listing, State, Verdict
from daemon.panel.errors import BackupLockedError, NotFoundError
from daemon.rotation.gather import Gathered, gather
from daemon.rotation.outcome import Problem, Result
from daemon.rotation.run import Halt, Run

FRESH_SECONDS = 60.0
LISTINGS = 3

Decide = Callable[[ServerConfig, Listing], tuple[Verdict, ...]]


class _ChangedError(Exception):
    """A backup is not any more what the listing said; the text says how."""


async def delete_decided(run: Run, gathered: Gathered, decide: Decide, *, step: str = "delete") -> bool:
    """Delete what `decide` names, judging anew whenever the panel turns out to differ; False where it kept changing.

    `decide` is called with the configuration in force and may raise Halt. `step` is the journal's word for it.
    """
    for last in range(1, LISTINGS + 1):
        try:
            for verdict in decide(in_force(run), gathered.listing):
                await _delete(run, verdict, gathered, step)
        except _ChangedError as changed:
            run.log.info("listing_changed", text=str(changed))
            if last < LISTINGS:
                gathered = await gather(run)
            continue
        return True
    run.problem("changing", "the backups changed each time they were looked at; deletion waits for the next rotation")
    return False


def in_force(run: Run) -> ServerConfig:
    """The server's configuration at this moment; Halt where it is gone or speaks of other backups than before."""
    began, now = run.config, run.tools.in_force(run.config.name)
    if now is None:
        difference = "the server is gone from the configuration"
    elif (now.panel.name, now.panel.url, now.id) != (began.panel.name, began.panel.url, began.id):
        difference = "the server's panel or id was changed"
    elif now.policy.scope != began.policy.scope:
        difference = "the policy's scope was changed"
    elif now.policy.template != began.policy.template:
        difference = "the policy's name was changed"
    else:
        return now
    raise Halt(
        Result.REFUSED,
        Problem(
            "configuration_changed",
            f"{difference} while the rotation ran, so nothing is deleted",
            "the next rotation obeys the new configuration",
        ),
    )


async def _delete(run: Run, verdict: Verdict, gathered: Gathered, step: str) -> None:
    backup = verdict.backup
    age = run.tools.clock.monotonic() - gathered.read_at
    if verdict.state is State.FAILED or age > FRESH_SECONDS:
        await _look_again(run, backup)
    because = "; ".join(reason.text for reason in verdict.reasons)
    run.step(step, uuid=backup.uuid, backup=backup.name, because=because)
    if run.journal_broken:
        raise Halt(Result.FAILED, Problem("journal", "nothing is deleted without a journal"))
    try:
        existed = await run.client.delete(run.server_id, backup.uuid)
    except BackupLockedError as error:
        raise _ChangedError(f"{backup.name} was locked meanwhile") from error
    run.step(f"{step}_done", uuid=backup.uuid, existed=existed)
    run.deleted.append(backup)
    run.log.info("backup_deleted", backup=backup.name, uuid=backup.uuid, because=because, existed=existed)


async def _look_again(run: Run, listed: Backup) -> None:
    try:
        now = await run.client.backup(run.server_id, listed.uuid)
    except NotFoundError as error:
        raise _ChangedError(f"{listed.name} is gone") from error
    seen = (now.locked, now.successful, now.completed_at is None, now.unreadable)
    if seen != (listed.locked, listed.successful, listed.completed_at is None, listed.unreadable):
        raise _ChangedError(f"{listed.name} changed its lock or state")
