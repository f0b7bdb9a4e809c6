"""Applying decisions: one deletion at a time, oldest first, each on what is known to be true at that moment.

A decision is made from a listing taken after the last wait, by the configuration in force. Before a DELETE, every
failed backup, and any backup whose listing is older than a minute, is read again; where its lock, state or presence
differ, the listing is taken and judged anew, three times at most (invariant 4).
"""

from collections.abc import Callable

from daemon.clock import Clock
from daemon.config.values import ServerConfig
from daemon.core.model import Backup, Listing, State, Verdict
from daemon.panel.client import PanelClient
from daemon.panel.errors import (
    LEFT_OPEN,
    ApiLimitError,
    BackupLockedError,
    ForeignPanelError,
    HeldBackError,
    KeyRefusedError,
    NotFoundError,
    OutcomeUnknownError,
    PanelError,
    PanelTroubleError,
    PanelUnreachableError,
    PermissionLackingError,
)
from daemon.rotation.gather import Gathered, gather
from daemon.rotation.outcome import UNDELETABLE, UNDELETED_HINT, Problem, Result, Retry
from daemon.rotation.run import Halt, Run
from daemon.rotation.survey import must_be_free

FRESH_SECONDS = 60.0
MOMENT_SECONDS = 5.0  # between a look at one backup and its DELETE
LISTINGS = 3
LOOKS = 5
PAUSES = (2.0, 8.0)  # seconds before a DELETE that failed is asked for again
REPEAT_SECONDS = 60.0  # since the first, after which it is left to the next rotation
MOST_UNDELETED = 20  # in one rotation
EVERYWHERE = (KeyRefusedError, PanelUnreachableError, ApiLimitError, HeldBackError, ForeignPanelError)
"""What is no one backup's: the next DELETE would meet it as well."""
REPEATED = (PanelTroubleError, OutcomeUnknownError)
"""After what a DELETE is asked for again while its backup stands: the deed may be half done."""

Decide = Callable[[ServerConfig, Listing], tuple[Verdict, ...]]


class ChangedError(Exception):
    """A backup, or the configuration, is not any more what was decided on; the text says how."""


class GoneError(ChangedError):
    """The backup is not there any more."""


async def delete_decided(run: Run, gathered: Gathered, decide: Decide, *, step: str = "delete") -> bool:
    """Delete what `decide` names, judging anew whenever the panel turns out to differ; False where it kept changing.

    `decide` is called with the configuration in force and may raise Halt. `step` is the journal's word for it.
    """
    if run.tools.clock.monotonic() - gathered.read_at > FRESH_SECONDS:
        gathered = await gather(run)
    for last in range(1, LISTINGS + 1):
        config = in_force(run)
        try:
            for verdict in decide(config, gathered.listing):
                if verdict.backup.uuid in run.undeleted:
                    continue
                _expect(in_force(run) == config, "the configuration was read again")
                await _delete(run, verdict, gathered, step)
        except ChangedError as changed:
            run.log.info("listing_changed", text=str(changed))
            if last < LISTINGS:
                gathered = await gather(run)
            continue
        return True
    run.problem("changing", "the backups changed each time they were looked at; deletion waits for the next rotation")
    return False


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ChangedError(otherwise)


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
    """Delete one, or note that the panel does not; raises where that concerns every deletion."""
    backup = verdict.backup
    because = "; ".join(reason.text for reason in verdict.reasons)
    run.deletion_asked(backup)
    run.announce(step, uuid=backup.uuid, backup=backup.name, because=because)
    if run.journal_broken:
        raise Halt(Result.FAILED, Problem("journal", "nothing is deleted without a journal"))
    # A failed one is looked at in any case: the panel itself would delete it though it was locked meanwhile.
    seen_at = None if verdict.state is State.FAILED else gathered.read_at
    try:
        existed = await delete_seen(run.client, run.tools.clock, run.server_id, backup, seen_at=seen_at)
    except (ChangedError, PanelError) as error:
        if not isinstance(error, LEFT_OPEN):
            run.step(f"{step}_refused", uuid=backup.uuid, error=str(error))
        if isinstance(error, ChangedError):
            raise
        await _must_be_alone(run, error, step)
        _leave(run, backup, error)
        return
    run.deletion_ended(backup)
    run.step(f"{step}_done", uuid=backup.uuid, existed=existed)
    run.deleted.append(backup)
    run.log.info("backup_deleted", backup=backup.name, uuid=backup.uuid, because=because, existed=existed)


async def _must_be_alone(run: Run, error: PanelError, step: str) -> None:
    """Raise where the trouble is not with this one backup: what a look at the server tells.

    And where a deletion that makes room may still be done: a second one would be one too many.
    """
    if isinstance(error, EVERYWHERE) or (step == "room" and isinstance(error, LEFT_OPEN)):
        raise error
    server = await run.client.server(run.server_id, urgent=True)
    must_be_free(server)
    if isinstance(error, PermissionLackingError) and not await run.client.may_delete(run.server_id, server):
        raise error


def _leave(run: Run, backup: Backup, error: PanelError) -> None:
    """Note that a backup could not be deleted; Halt where they become too many."""
    run.undeleted[backup.uuid] = backup, error
    run.problem(UNDELETABLE, f"{backup.name} could not be deleted: {error.text}", UNDELETED_HINT)
    if len(run.undeleted) >= MOST_UNDELETED:
        raise undeleted(run)


def undeleted(run: Run) -> Halt:
    """How a rotation ends whose deletions were not all done: the daemon goes on with them where that may help."""
    passing = any(error.transient for _, error in run.undeleted.values())
    problem = next(problem for problem in reversed(run.problems) if problem.code == UNDELETABLE)
    return Halt(Result.FAILED, problem, retry=Retry.UNTIL_NEXT_START if passing else Retry.NO)


async def delete_seen(
    client: PanelClient, clock: Clock, server_id: str, listed: Backup, *, seen_at: float | None
) -> bool:
    """Delete one backup if it still is what was seen of it; return whether it was there.

    `seen_at` is when it was seen, by the monotonic clock; None lets it be seen again in any case. The DELETE leaves
    within a minute of the listing, or within seconds of a look, or not at all, however long the API limit holds
    requests back. After a 5xx or a lost answer it is asked for again, a few times, as long as the backup is seen to
    stand unchanged. Raises ChangedError, and PanelError where the panel refuses.
    """
    until, repeated = clock.monotonic() + REPEAT_SECONDS, False
    unknown: OutcomeUnknownError | None = None
    for pause in (*PAUSES, REPEAT_SECONDS):
        try:
            return await _delete_fresh(client, clock, server_id, listed, seen_at=seen_at)
        except GoneError as gone:
            if repeated and await client.is_gone(server_id, listed.uuid):
                return True
            raise unknown or gone from None
        except (ChangedError, PanelError) as error:
            if isinstance(error, OutcomeUnknownError):
                unknown = error  # and stays so, whatever comes of a later one: the first may still be done
            if not isinstance(error, REPEATED) or clock.monotonic() + pause >= until:
                raise unknown or error from None
        await clock.sleep(pause)
        seen_at, repeated = None, True
    raise AssertionError("the last pause is longer than the time there is")


async def _delete_fresh(
    client: PanelClient, clock: Clock, server_id: str, listed: Backup, *, seen_at: float | None
) -> bool:
    """Delete one backup as soon as the API limit allows it, looking again whenever it was seen too long ago."""
    fresh_until = float("-inf") if seen_at is None else seen_at + FRESH_SECONDS
    held_back: HeldBackError | None = None
    for _ in range(LOOKS):
        if clock.monotonic() >= fresh_until:
            fresh_until = await _look_again(client, clock, server_id, listed) + MOMENT_SECONDS
        try:
            return await client.delete(server_id, listed.uuid, not_after=fresh_until)
        except HeldBackError as error:
            held_back, fresh_until = error, float("-inf")
        except BackupLockedError as error:
            raise ChangedError(f"{listed.name} was locked meanwhile") from error
    raise held_back or AssertionError("at least one look was taken")


async def _look_again(client: PanelClient, clock: Clock, server_id: str, listed: Backup) -> float:
    """Return when it was seen to be what it was; ChangedError where it is not."""
    try:
        now = await client.backup(server_id, listed.uuid, urgent=True)
    except NotFoundError as error:
        raise GoneError(f"{listed.name} is gone") from error
    seen = (now.locked, now.successful, now.completed_at is None, now.unreadable)
    was = (listed.locked, listed.successful, listed.completed_at is None, listed.unreadable)
    _expect(seen == was, f"{listed.name} changed its lock or state")
    return clock.monotonic()
