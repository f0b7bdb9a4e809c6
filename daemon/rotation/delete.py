"""Apply decisions: one deletion at a time, oldest first, each on what is known to be true at that moment.

A decision is made from a listing taken after the last wait, by the configuration in force. If a backup turns out to
differ from what was decided on, the listing is taken and judged again, three times at most (invariant 4).
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from daemon.config.values import ServerConfig
from daemon.core.model import Backup, Listing, State, Verdict
from daemon.errors import ProblemCode
from daemon.panel.errors import (
    LEFT_OPEN,
    ApiLimitError,
    ForeignPanelError,
    HeldBackError,
    KeyRefusedError,
    PanelError,
    PanelUnreachableError,
    PermissionLackingError,
)
from daemon.rotation.deletion import FRESH_SECONDS, ChangedError, delete_seen, expect
from daemon.rotation.gather import DatedListing, gather
from daemon.rotation.judging import held_back, proofs
from daemon.rotation.order import Halt
from daemon.rotation.outcome import UNDELETED_HINT, Problem, Result, Retry, refusal
from daemon.rotation.preview import must_be_free
from daemon.rotation.run import Run
from daemon.state import StepName

LISTINGS = 3
MOST_UNDELETED = 20  # in one rotation
EVERYWHERE = (KeyRefusedError, PanelUnreachableError, ApiLimitError, HeldBackError, ForeignPanelError)
"""Errors that do not concern one backup alone: the next DELETE would meet them as well."""

_DONE = {StepName.DELETE: StepName.DELETE_DONE, StepName.ROOM: StepName.ROOM_DONE}
_REFUSED = {StepName.DELETE: StepName.DELETE_REFUSED, StepName.ROOM: StepName.ROOM_REFUSED}

Decide = Callable[[ServerConfig, Listing], Awaitable[tuple[Verdict, ...]]]


async def delete_decided(run: Run, dated: DatedListing, decide: Decide, *, step: StepName = StepName.DELETE) -> bool:
    """Delete what `decide` names, judging again whenever the panel turns out to differ; return False if it kept
    changing.

    `decide` is called with the configuration in force and may raise Halt. `step` is the journal's word for it.
    """
    if run.context.clock.monotonic() - dated.read_at > FRESH_SECONDS:
        dated = await gather(run)
    for last in range(1, LISTINGS + 1):
        config = current_config(run)
        try:
            for verdict in await _failed_last(run, await decide(config, dated.listing)):
                if verdict.backup.uuid in run.undeleted:
                    continue
                expect(current_config(run) == config, "the configuration was read again")
                must_be_agreed(run, config)
                if not (step == StepName.ROOM and config.policy.uncopied_may_go):
                    waits = await held_back(run, config, dated.listing, verdict)
                    expect(not waits, f"{verdict.backup.name} is not known to be copied any more")
                if step != StepName.ROOM:
                    expect((await proofs(run, config)).frozen is None, "a proof has failed meanwhile")
                await _delete(run, verdict, dated, step, partial(_expect_the_same, run, config))
        except ChangedError as changed:
            run.log.info("listing_changed", text=str(changed))
            if last < LISTINGS:
                dated = await gather(run)
            else:
                text = f"something changed each time before a backup was deleted, the last time: {changed}"
                run.problem(ProblemCode.CHANGING, text, "the next rotation looks again")
            continue
        return True
    return False


async def _failed_last(run: Run, decided: Sequence[Verdict]) -> Sequence[Verdict]:
    """Return the deletions with those at the end that earlier rotations asked for in vain.

    `MOST_UNDELETED` that can never be deleted would otherwise end each rotation before it comes to the others.
    """
    tried = await run.half_deleted() if len(decided) > 1 else frozenset()
    return sorted(decided, key=lambda verdict: verdict.backup.uuid in tried)


def current_config(run: Run) -> ServerConfig:
    """Return the server's configuration at this moment; Halt if it is gone or covers other backups than before."""
    began, now = run.config, run.context.current_config(run.config.name)
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
            ProblemCode.CONFIGURATION_CHANGED,
            f"{difference} while the rotation ran, so nothing is deleted",
            "the next rotation uses the new configuration",
        ),
    )


def must_be_agreed(run: Run, config: ServerConfig) -> None:
    """Halt if another member of the cluster would decide differently (invariant 20)."""
    if disputed := run.context.disputed(config):
        raise Halt(Result.REFUSED, refusal(config.name, ProblemCode.DISPUTED, disputed))


def _expect_the_same(run: Run, config: ServerConfig) -> None:
    """Raise ChangedError if it would be decided by another configuration now: the API limit may hold a DELETE back."""
    expect(run.context.current_config(config.name) == config, "the configuration was read again")
    expect(not run.context.disputed(config), "the members of the cluster differ now")


async def _delete(run: Run, verdict: Verdict, dated: DatedListing, step: StepName, still: Callable[[], None]) -> None:
    """Delete one, or note that the panel does not; raise if the trouble concerns every deletion."""
    backup = verdict.backup
    because = "; ".join(reason.text for reason in verdict.reasons)
    asked_before = backup.uuid in await run.half_deleted()
    await run.deletion_asked(backup)
    await run.announce(step, uuid=backup.uuid, backup=backup.name, because=because)
    if run.journal_broken:
        raise Halt(Result.FAILED, Problem(ProblemCode.JOURNAL, "nothing is deleted without a journal"))
    # A failed one is looked at in any case: the panel itself would delete it though it was locked meanwhile.
    seen_at = None if verdict.state is State.FAILED else dated.read_at
    try:
        existed = await delete_seen(
            run.client, run.context.clock, run.server_id, backup, seen_at=seen_at, by_the_clock=True, still=still
        )
    except (ChangedError, PanelError) as error:
        if not isinstance(error, LEFT_OPEN):
            await run.step(_REFUSED[step], uuid=backup.uuid, error=str(error))
        if isinstance(error, ChangedError):
            if not (asked_before or error.begun):
                await run.deletion_ended(backup)
            raise
        await _must_be_alone(run, error, step)
        _leave(run, backup, error)
        return
    await run.deletion_ended(backup)
    await run.step(_DONE[step], uuid=backup.uuid, existed=existed)
    run.deleted.append(backup)
    run.log.info("backup_deleted", backup=backup.name, uuid=backup.uuid, because=because, existed=existed)


async def _must_be_alone(run: Run, error: PanelError, step: StepName) -> None:
    """Raise if the trouble is not with this one backup, which a view of the server shows.

    Also raise if a deletion that makes room may still be done: a second one would be one too many.
    """
    if isinstance(error, EVERYWHERE) or (step == StepName.ROOM and isinstance(error, LEFT_OPEN)):
        raise error
    server = await run.client.server(run.server_id, urgent=True)
    must_be_free(server)
    if isinstance(error, PermissionLackingError) and not await run.client.may_delete(run.server_id, server):
        raise error


def _leave(run: Run, backup: Backup, error: PanelError) -> None:
    """Note that a backup could not be deleted; Halt if there are too many of them."""
    run.undeleted[backup.uuid] = backup, error
    run.problem(ProblemCode.UNDELETABLE, f"{backup.name} could not be deleted: {error.text}", UNDELETED_HINT)
    if len(run.undeleted) >= MOST_UNDELETED:
        raise undeleted(run)


def undeleted(run: Run) -> Halt:
    """Return how a rotation with undone deletions ends: the daemon tries them again if that may help."""
    passing = any(error.transient for _, error in run.undeleted.values())
    problem = next(problem for problem in reversed(run.problems) if problem.code == ProblemCode.UNDELETABLE)
    return Halt(Result.FAILED, problem, retry=Retry.UNTIL_NEXT_START if passing else Retry.NO)
