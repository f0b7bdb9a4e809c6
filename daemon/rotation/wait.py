"""Wait for the new backup with few requests: how long earlier ones took decides when to look first.

If one page holds all backups, the look is the listing itself, which is then the fresh listing that deletions need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from daemon.core.model import Backup, Listing, Verdict
from daemon.core.units import format_duration, format_moment
from daemon.core.waiting import durations_of, far_beyond, next_look, usual
from daemon.errors import ProblemCode
from daemon.panel.errors import NotFoundError, PanelError
from daemon.rotation.gather import DatedListing, gather
from daemon.rotation.order import Halt
from daemon.rotation.outcome import Problem, Result
from daemon.rotation.run import Run

TOLD_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Expectation:
    """How long the server's backups take, newest first, and whether one page holds them all."""

    durations: Sequence[timedelta]
    one_page: bool


def expected(before: Listing, verdicts: Sequence[Verdict]) -> Expectation:
    """Given the listing from before the backup, and its verdicts, return what to expect of it."""
    return Expectation(durations_of(verdicts), before.pages == 1)


async def wait(run: Run, backup: Backup, expectation: Expectation) -> tuple[Backup, DatedListing | None]:
    """Return the backup once it is completed, with the listing that showed it if one was read.

    Raises Halt when it is still pending after `timeout`, counted from its `created_at`, or has vanished.
    """
    clock, timeout = run.context.clock, run.config.policy.timeout
    # Counted on by our own clock: the panel's may be set meanwhile, and a date that cannot be read has no age.
    age = max(0.0, (run.panel_now() - backup.created_at).total_seconds()) if backup.created_at else 0.0
    began = clock.monotonic()
    _bound_hold(run, expectation, age)
    taken = usual(expectation.durations)
    told_at = max(TOLD_AFTER, 2 * (taken or TOLD_AFTER))
    by_list = True
    while backup.completed_at is None:
        waited = timedelta(seconds=age + clock.monotonic() - began)
        if waited >= timeout:
            raise _still_pending(backup, waited, timeout)
        if waited >= told_at:
            _tell(run, backup, waited, taken)
            told_at = 2 * waited
        await _sleep(run, min(next_look(waited, expectation.durations), timeout - waited))
        backup, dated = await _look(run, backup, by_list=by_list)
        if dated is not None and backup.completed_at is not None:
            return backup, dated
        by_list = expectation.one_page
    return backup, None


def _bound_hold(run: Run, expectation: Expectation, age: float) -> None:
    """Give the node's slot back once the backup is pending far longer than earlier ones were."""
    far = far_beyond(expectation.durations)
    if run.slot is not None and far is not None:
        run.slot.hold_at_most(max(0.0, far.total_seconds() - age))


def _tell(run: Run, backup: Backup, waited: timedelta, taken: timedelta | None) -> None:
    """Log what the rotation waits for, since it logs nothing else for hours."""
    zone, now = run.config.policy.zone, run.panel_now()
    run.log.info(
        "still_pending",
        backup=backup.name,
        since=format_moment(now - waited, zone),
        usually="unknown" if taken is None else format_duration(taken),
        given_up_at=format_moment(now + run.config.policy.timeout - waited, zone),
    )


async def _look(run: Run, backup: Backup, *, by_list: bool) -> tuple[Backup, DatedListing | None]:
    """Look once; wait out passing trouble of the panel, since the node goes on meanwhile."""
    try:
        if not by_list:
            return await run.client.backup(run.server_id, backup.uuid), None
        dated = await gather(run)
        for seen in dated.listing.backups:
            if seen.uuid == backup.uuid:
                return seen, dated
        return await run.client.backup(run.server_id, backup.uuid), None
    except NotFoundError as error:
        text = f"{backup.name} vanished from the panel while it was being made"
        raise Halt(Result.FAILED, Problem(ProblemCode.VANISHED, text, "did someone delete it?")) from error
    except PanelError as error:
        if not error.transient:
            raise
        run.log.warning("look_failed", text=error.text)
        return backup, None


async def _sleep(run: Run, delay: timedelta) -> None:
    """Sleep, and give the node's slot back on the way once it was held for long enough."""
    seconds = max(1.0, delay.total_seconds())
    remaining = run.slot.remaining() if run.slot else None
    if run.slot is not None and remaining is not None and remaining < seconds:
        await run.context.clock.sleep(remaining)
        run.slot.release()
        run.log.info("slot_given_back", reason="held for as long as one backup may")
        seconds -= remaining
    await run.context.clock.sleep(seconds)


def _still_pending(backup: Backup, waited: timedelta, timeout: timedelta) -> Halt:
    text = (
        f"{backup.name} is still pending after {format_duration(waited)} (timeout {format_duration(timeout)}); "
        "it is left alone"
    )
    return Halt(Result.FAILED, Problem(ProblemCode.TIMEOUT, text, "look at the node's log"))
