"""Make the new backup: adopt what an earlier run began, or create one.

The name is unique and is journalled before the request is sent. So a lost answer, or a kill in between, is settled by
looking for that name, never by asking again (invariant 6).
"""

from collections.abc import Sequence
from datetime import datetime

from daemon.core.adoption import newest_attempt
from daemon.core.altered import altered, find_named
from daemon.core.model import Backup, Completeness, Listing, State, Verdict
from daemon.core.states import CLOCK_TOLERANCE
from daemon.errors import ProblemCode
from daemon.panel.errors import (
    BackupLimitError,
    ForeignPanelError,
    NodeError,
    NotFoundError,
    OutcomeUnknownError,
    PanelError,
)
from daemon.panel.reconcile import SETTLE_SECONDS
from daemon.rotation.gather import DatedListing, gather
from daemon.rotation.judging import judge
from daemon.rotation.naming import compare
from daemon.rotation.order import Halt, Stage
from daemon.rotation.outcome import (
    LOOKED_AT_NEXT,
    Problem,
    Result,
    Retry,
)
from daemon.rotation.preview import adoption, stuck_problem
from daemon.rotation.report import made_a_failed_one
from daemon.rotation.room import at_limit, make_room_at_limit
from daemon.rotation.run import Run
from daemon.state import Rotation, StepName

AGAIN = frozenset({"retry", "resume"})
"""The triggers of a rotation that comes back to a start: nothing else says that the start was served before."""


async def obtain(run: Run, dated: DatedListing, rows: Sequence[Rotation]) -> Backup:
    """Return the backup that this rotation waits for: an adopted one, or a new one.

    `rows` are the journalled rotations, newest first, that may have asked for it already.

    Raises Halt where the panel's limit leaves no way, PanelError where the panel refuses.
    """
    if (asked := asked_for(rows)) is not None:
        name, at, uuid = asked
        found = await _settle_earlier(run, dated.listing, name, at, uuid)
        earlier = found if found is not None and _serves_this_start(run, found, at) else None
        if earlier is not None and (earlier.completed_at is None or earlier.successful):
            return await _adopted(run, earlier, "an earlier attempt at this start asked for it")
        if earlier is not None and earlier.uuid not in {row.backup_uuid for row in rows if made_a_failed_one(row)}:
            raise _failed_meanwhile(run, earlier)
        good = {row.backup_uuid for row in rows if row.summary.get("good")}  # another one, if that was taken over
        if found is None and run.order.trigger in AGAIN and good - {row.uuid for row in dated.listing.backups}:
            text = "the good backup that this start had is gone now, so nothing more is deleted for it"
            raise Halt(Result.FAILED, Problem(ProblemCode.VANISHED, text, "did someone delete it?"))
        dated = await gather(run)  # what is decided rests on a listing taken after the last wait
    verdicts = (await judge(run, run.config, dated.listing)).verdicts
    run.verdicts = verdicts
    pending = _adoptable(run, verdicts, dated.listing.taken_at)
    if pending is not None:
        return await _adopted(run, pending, "it is still being made")
    _refuse_needless_catch_up(run, verdicts, dated.listing.taken_at)
    made = _made_already(run, verdicts, rows)
    if made is not None:
        return await _adopted(run, made, "it was made after this start")
    return await _create(run, dated)


async def _adopted(run: Run, backup: Backup, reason: str) -> Backup:
    await run.step(StepName.ADOPTED, uuid=backup.uuid, backup=backup.name, reason=reason)
    run.log.info("backup_adopted", backup=backup.name, reason=reason)
    return backup


async def _settle_earlier(run: Run, listing: Listing, name: str, at: datetime, uuid: str | None) -> Backup | None:
    """Look for what an earlier rotation asked for and did not see."""
    found = _listed(listing, name, uuid)
    if uuid is not None and (found is None or found.unreadable):
        found = await _viewed(run, name, uuid)
    elif found is None:
        left = _left_to_settle(run, at)
        if left > 0 or not _shows_all(listing):
            found = await _settle(run, name, left)
    if found is not None:
        await compare(run, name, found)
    return found


def _left_to_settle(run: Run, asked_at: datetime) -> float:
    """Return for how many seconds a backup that was asked for may still appear. In a cluster another member's clock may
    have dated that, which says nothing by ours.
    """
    if run.context.engine.leadership.shares is not None:
        return SETTLE_SECONDS
    return max(0.0, SETTLE_SECONDS - max(0.0, (run.context.clock.now() - asked_at).total_seconds()))


def _serves_this_start(run: Run, found: Backup, asked_at: datetime) -> bool:
    """Return whether that rotation's create counts for this one: for a start, any since that start; by hand, only one
    still running.
    """
    now = run.context.clock.now()
    if asked_at > now and run.order.trigger not in AGAIN and _is_dated_ahead(run, found):
        return False  # a start that comes anew since both clocks were set back: that one is not good before its moment
    if run.order.start_at is None:
        return found.completed_at is None and abs(now - asked_at) < run.config.policy.timeout
    if asked_at <= now < run.order.start_at:  # both since the clock was set back over the start
        return run.config.starts.latest(now) <= asked_at
    return run.config.starts.is_since(run.order.start_at, asked_at, now=now)


def _is_dated_ahead(run: Run, found: Backup) -> bool:
    return found.created_at is not None and found.created_at > run.panel_now() + CLOCK_TOLERANCE


def _failed_meanwhile(run: Run, backup: Backup) -> Halt:
    """End as the rotation that asked for the backup would have, had it seen it fail: that counts as one try."""
    run.created = backup
    text = f"{backup.name}, which an earlier attempt at this start asked for, has failed"
    return Halt(Result.FAILED, Problem(ProblemCode.BACKUP_FAILED, text, "look at the node's log"), retry=Retry.ONCE)


async def _viewed(run: Run, name: str, uuid: str) -> Backup | None:
    """Return a backup that is known to be made but is not in the listing; None if it is gone."""
    try:
        found = await run.read(lambda: run.client.backup(run.server_id, uuid))
    except NotFoundError:
        return None
    if found.unreadable is not None:
        text = f"{name} was already made for this start, and the panel does not show its state: {found.unreadable}"
        raise Halt(Result.FAILED, Problem(ProblemCode.STRANGE_ANSWER, text), retry=Retry.UNTIL_NEXT_START)
    return found


def asked_for(rows: Sequence[Rotation]) -> tuple[str, datetime, str | None] | None:
    """Given rotations, newest first, return the last create's name and moment, unless it is known not to be done, or
    another backup was taken over in its stead.

    Also return its uuid, if it is known to be done.
    """
    asked: tuple[str, datetime, str | None] | None = None
    for step in (step for row in reversed(rows) for step in row.steps):
        if step.name == StepName.CREATE:
            asked = (str(step.detail["backup"]), step.at, None)
        elif step.name == StepName.CREATE_REFUSED:
            asked = None
        elif step.name == StepName.CREATED and asked is not None:
            asked = (*asked[:2], str(step.detail["uuid"]))
        elif step.name == StepName.ADOPTED and asked is not None:
            found, name = str(step.detail["uuid"]), str(step.detail["backup"])
            same = found == asked[2] or name == asked[0] or altered(asked[0], name)
            asked = (*asked[:2], found) if same else None
    return asked


def _shows_all(listing: Listing) -> bool:
    """Return whether the panel has no other names than those in the listing."""
    whole = listing.completeness is not Completeness.PARTIAL
    return whole and not any(backup.unreadable for backup in listing.backups)


def _listed(listing: Listing, name: str, uuid: str | None) -> Backup | None:
    """Return the listed backup of that uuid or, if the uuid is not known, of that name."""
    if uuid is None:
        return next(iter(find_named(listing.backups, name)), None)
    return next((backup for backup in listing.backups if backup.uuid == uuid), None)


def _refuse_needless_catch_up(run: Run, verdicts: Sequence[Verdict], taken_at: datetime) -> None:
    """A start is missed only if no own backup, failed ones included, shows an attempt since, by a listing of then."""
    start_at = run.order.start_at
    if run.order.trigger != "catch-up" or start_at is None:
        return
    attempt = newest_attempt(verdicts, taken_at)
    if attempt is not None and attempt >= run.by_panel(start_at):
        text = f"the start of {start_at:%Y-%m-%d %H:%M} UTC was not missed: a backup was made at {attempt:%H:%M:%S}"
        raise Halt(Result.SKIPPED, Problem(ProblemCode.NOT_MISSED, text))


def _made_already(run: Run, verdicts: Sequence[Verdict], rows: Sequence[Rotation]) -> Backup | None:
    """Return a backup of ours since the start that is retried; the journal may not know it, as after a full disk.

    It may also be one whose name an earlier attempt asked for and took for not made: the panel may have shown a list
    without it, and its clock may have been set since.
    """
    start_at = run.order.start_at
    if run.order.trigger not in AGAIN or start_at is None:
        return None
    steps = (step for row in rows if row.start_at == start_at for step in row.steps)  # others were left open
    asked = {step.detail["backup"]: step.at for step in steps if step.name == StepName.CREATE}
    since = run.by_panel(start_at)

    def serves(backup: Backup) -> bool:
        if backup.name in asked:
            return _serves_this_start(run, backup, asked[backup.name])
        return backup.created_at is not None and backup.created_at >= since

    mine = (v.backup for v in verdicts if v.own and v.state not in {State.STRANGE, State.FAILED})
    return next((backup for backup in mine if serves(backup)), None)


def _adoptable(run: Run, verdicts: Sequence[Verdict], now: datetime) -> Backup | None:
    """Return a pending backup of ours for the current interval; report the stuck ones."""
    this_start = run.order.start_at or run.context.clock.now()
    found = adoption(run.config, verdicts, start_at=this_start, ahead=run.panel_ahead(), now=now)
    for stuck in found.stuck:
        problem = stuck_problem(stuck)
        run.problem(problem.code, problem.text, problem.hint)
    return found.adopted


async def _create(run: Run, dated: DatedListing) -> Backup:
    """Create; if the panel answers that the limit is reached, make room by exactly one deletion and create again."""
    name = await _unused_name(run, dated.listing)
    try:
        return await _ask(run, name, dated.listing)
    except BackupLimitError as error:
        await make_room_at_limit(run, dated, name, error)
    try:
        return await _ask(run, name, dated.listing)
    except BackupLimitError as error:
        raise at_limit(error, "one deletion made room, and somebody else took it") from error


async def _unused_name(run: Run, before: Listing) -> str:
    """Return a name that no other backup has, nor was asked for last: where the template has no {id}, two rotations
    within a second would share one, and a clock that was set back comes to the same second again.
    """
    template, taken = run.config.policy.template, {backup.name for backup in before.backups}
    if "{id}" not in template.text:
        taken |= await run.last_asked_for()
    while True:
        identity = f"{run.context.random.getrandbits(32):08x}"
        name = template.render(run.config.name, run.panel_now(), identity)
        if name not in taken:
            return name
        await run.context.clock.sleep(1.0)


async def _ask(run: Run, name: str, before: Listing) -> Backup:
    """Send one POST, journalled before and after; if its outcome is unknown, settle it by looking for the name.

    It is journalled when it is sent, however long the API limit held it back: the next rotation counts from there.
    """

    async def on_send() -> None:
        await run.announce(StepName.CREATE, backup=name)
        run.context.asked_names[run.known_server.uuid] = name
        if run.taken_over:
            problem = Problem(ProblemCode.JOURNAL, "no backup is asked for: another member of the cluster acts")
            raise Halt(Result.FAILED, problem, retry=Retry.ELSEWHERE)

    try:
        backup = await run.client.create(run.server_id, name=name, ignored=run.config.policy.ignored, on_send=on_send)
    except OutcomeUnknownError as error:
        run.log.warning("create_unknown", backup=name, text=error.text)
        backup = await _settle_own(run, name, error)
    except PanelError as error:
        if isinstance(error, NodeError):
            run.context.slots.failed(run.config.panel.name, run.known_server.node, run.config.name)
        if not isinstance(error, ForeignPanelError):  # a fork's job may still make it: the next rotation looks first
            await run.step(StepName.CREATE_REFUSED, backup=name, error=error.text)
        raise
    run.context.slots.did(run.config.panel.name, run.known_server.node)
    await run.step(StepName.CREATED, uuid=backup.uuid, backup=backup.name)
    await compare(run, name, backup, answered=all(backup.uuid != known.uuid for known in before.backups))
    run.log.info("backup_created", backup=backup.name, uuid=backup.uuid)
    return backup


async def _settle_own(run: Run, name: str, lost: OutcomeUnknownError) -> Backup:
    """Look for the backup just asked for; Halt if it does not appear, or if that cannot be known."""
    retry_after = lost.retry_after
    try:
        found = await _settle(run, name, SETTLE_SECONDS)
        if found is not None:
            return found
        await run.step(StepName.CREATE_REFUSED, backup=name, error="it did not appear")
        text = f"{name} did not appear within {SETTLE_SECONDS:.0f} s"
    except OutcomeUnknownError as error:
        text = error.text
        retry_after = max(lost.retry_after or 0, error.retry_after or 0)
    problem = Problem(ProblemCode.CREATE_UNKNOWN, f"{lost.text}; {text}", LOOKED_AT_NEXT)
    raise Halt(Result.FAILED, problem, retry=Retry.UNTIL_NEXT_START, retry_after=retry_after) from lost


async def _settle(run: Run, name: str, seconds: float) -> Backup | None:
    """Look for a backup whose create got no answer; if the journal has it, the next start can continue from here."""
    if run.journalled:
        run.stage = Stage.SETTLING
    found = await run.client.settle_create(run.server_id, name, until=seconds)
    run.stage = Stage.CREATING
    return found
