"""Make room at the panel's limit: one deletion, so that one backup can be made (invariant 7).

What must hold: room is made again only once a backup has turned good since, or a day after somebody else took the
place; and never without a journal to say so.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from daemon.config.values import ServerConfig
from daemon.core.model import Listing, State, Verdict
from daemon.core.plan import Refusal
from daemon.core.room import ROOM_MADE, make_room
from daemon.core.units import format_moment
from daemon.errors import ProblemCode
from daemon.panel.errors import BackupLimitError
from daemon.panel.reconcile import SETTLE_SECONDS
from daemon.rotation.delete import delete_decided
from daemon.rotation.gather import DatedListing, gather
from daemon.rotation.judging import brake_of, copies, judge, proofs, tell_held
from daemon.rotation.order import Halt
from daemon.rotation.outcome import (
    LOOKED_AT_NEXT,
    NO_BACKUPS,
    NO_RIGHT_TO_DELETE,
    UNDELETED_HINT,
    Problem,
    Result,
    refusal,
)
from daemon.rotation.run import Run
from daemon.state import Step, StepName

_ACCEPTED = (StepName.CREATED, StepName.ADOPTED)
"""Steps after which a place that was made is ours; without one, somebody else took it."""

_TAKEN = "room was made once already, and no backup came of it"
"""Why no room is made now, if no create was accepted since: somebody else took the place."""
_TAKEN_FOR = timedelta(hours=24)
"""After how long it is made again then: one good backup a day is the most that others can cost."""


async def make_room_at_limit(run: Run, dated: DatedListing, name: str, limit: BackupLimitError) -> None:
    """Delete the oldest backup that the plan deletes with the coming one counted, or the next if the panel does not.

    Refuse with the reason if none is deleted.
    """
    earlier = await _steps_since_good(run, limit)
    last = next(iter(_rooms(earlier)), None)

    async def decide(config: ServerConfig, listing: Listing) -> tuple[Verdict, ...]:
        if disputed := run.context.disputed(config):
            raise at_limit(limit, disputed, refusal(config.name, ProblemCode.DISPUTED, disputed).hint)
        came = await _came_of(run, earlier, limit, config, listing)
        open_still = last is not None and _may_still_be_done(run, last)
        marks = await run.marks()
        room = make_room(
            listing,
            config.policy.retention,
            ownership=config.ownership.knowing(marks.altered),
            coming_name=name,
            brake=await brake_of(run, config),
            accepted=marks.accepted,
            asked=marks.asked - {last.detail["uuid"]} if last is not None and open_still else marks.asked,
            in_vain=run.undeleted.keys(),
            again=State.GOOD not in came,
            copied=await copies(run, config, listing, marks),
            uncopied_may_go=config.policy.uncopied_may_go,
            proven=await proofs(run, config),
        )
        if isinstance(room, Refusal):
            await tell_held(run, config, listing, room.held)
            raise at_limit(limit, room.text, refusal(config.name, room.code, room.text, frozen=room.frozen).hint)
        if room.backup.uuid in run.undeleted:
            because = f"the plan deletes nothing else, and {room.backup.name} could not be deleted"
            raise at_limit(limit, because, UNDELETED_HINT)
        if last is not None and open_still and room.backup.uuid != last.detail["uuid"]:
            raise at_limit(
                limit, "a deletion to make room was requested a moment ago, and may still be done", LOOKED_AT_NEXT
            )
        run.log.info("making_room", reason=limit.text, backup=room.backup.name)
        return (room,)

    while not run.deleted:
        if not await delete_decided(run, dated, decide, step=StepName.ROOM):
            raise at_limit(limit, "no room could be made")
        if not run.deleted:  # the next one is decided by what is there now
            dated = await gather(run)


def _may_still_be_done(run: Run, earlier: Step) -> bool:
    """Return whether a deletion was asked for so lately that it may still be done: then another would be one too many.

    One that seems to come from the future was dated by a clock that has been set back since.
    """
    return abs(run.context.clock.now() - earlier.at) < timedelta(seconds=SETTLE_SECONDS)


async def _steps_since_good(run: Run, limit: BackupLimitError) -> list[Step]:
    """Return what rotations did since a backup last turned good, as far as it concerns room, newest first.

    Refuse if no room would be enough, and without a journal.
    """
    if limit.limit == 0:
        raise at_limit(limit, NO_BACKUPS.text)
    if not run.may_delete:
        raise at_limit(limit, NO_RIGHT_TO_DELETE.text, NO_RIGHT_TO_DELETE.hint)
    if run.journal_broken:
        raise at_limit(limit, "without a journal no room is made")
    return await run.context.journal.steps_since(
        run.known_server.uuid, StepName.TURNED_GOOD, (StepName.ROOM, StepName.ROOM_REFUSED, *_ACCEPTED)
    )


def _rooms(steps: Sequence[Step]) -> Iterator[Step]:
    """Yield the room that was made, or begun, newest first: not what the step that follows says was refused."""
    following = None
    for step in steps:
        if step.name == StepName.ROOM and following != StepName.ROOM_REFUSED:
            yield step
        following = step.name


async def _came_of(
    run: Run, steps: Sequence[Step], limit: BackupLimitError, config: ServerConfig, listing: Listing
) -> set[State]:
    """Return the states of our backups made since room was last made; refuse if none of them is good or suspicious.

    A deletion that the listing shows not to be done made no room: what was made before it counts. If none was made, it
    is as if a good one had come of it. So is a place that somebody else took, once a day has passed.
    """
    rooms = list(_rooms(steps))
    if not rooms:
        return {State.GOOD}
    verdicts = (await judge(run, config, listing)).verdicts
    there = {verdict.backup.uuid for verdict in verdicts}
    made = next((room for room in rooms if room.detail["uuid"] not in there), None)
    if made is None:
        return {State.GOOD}
    made_at = run.by_panel(made.at)
    came = {v.state for v in verdicts if v.own and v.backup.created_at and v.backup.created_at >= made_at}
    taken = not any(step.name in _ACCEPTED for step in steps[: steps.index(made)])
    if not came and taken:
        return _a_day_later(run, made, limit)
    if came.isdisjoint({State.GOOD, State.SUSPICIOUS}):
        raise at_limit(limit, ROOM_MADE)
    return came


def _a_day_later(run: Run, made: Step, limit: BackupLimitError) -> set[State]:
    """Count a place that somebody else took as used well, once a day has passed; refuse before that.

    Otherwise one backup that a player made in the wrong second would stop the server until an operator came.
    """
    if abs(run.context.clock.now() - made.at) >= _TAKEN_FOR:
        return {State.GOOD}
    again = format_moment(made.at + _TAKEN_FOR, run.config.policy.retention.zone)
    raise at_limit(limit, f"{_TAKEN}; it is made again from {again}")


def at_limit(limit: BackupLimitError, because: str, hint: str = "") -> Halt:
    """Return the Halt for a limit at which no backup can be made, with the panel's words and why there is no room."""
    return Halt(Result.REFUSED, Problem(ProblemCode.LIMIT, f"{limit.text}; {because}", hint or limit.hint))
