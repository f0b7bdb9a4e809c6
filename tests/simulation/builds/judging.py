"""What is judged wrongly: broken states, rules and bounds of retention."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import daemon.alerts.dispatcher
import daemon.core.plan
import daemon.core.retention
import daemon.core.room
import daemon.core.states
import daemon.core.suspicion
import daemon.fleet.fleet
import daemon.panel.client
import daemon.panel.decode
import daemon.panel.listing
import daemon.panel.transport
import daemon.panel.wire
import daemon.rotation.create
import daemon.rotation.deletion
import daemon.rotation.judging
import daemon.rotation.prune
import daemon.rotation.report
import daemon.rotation.room
import daemon.rotation.rotate
import daemon.rotation.wait
from daemon.core.brake import Brake
from daemon.core.model import Backup, State, Verdict
from daemon.core.names import Ownership
from daemon.core.retention import Retention
from daemon.core.suspicion import AGREEING, Guard, Weighed
from daemon.errors import ProblemCode
from daemon.panel.client import PanelClient
from daemon.rotation.gather import DatedListing
from daemon.rotation.order import Halt
from daemon.rotation.outcome import Problem, Result
from daemon.rotation.run import Run
from tests.simulation.builds.registry import PATCH, broken, original, together


@broken("a failed one's lock is ignored", "1", first=18)
def _ignores_locks_of_failed_ones() -> AbstractContextManager[Any]:
    real = daemon.core.retention._settled

    def settled(backup: Backup, finding: Any, *rest: Any) -> Any:
        unlocked = replace(backup, locked=False) if finding.state is State.FAILED else backup
        return real(unlocked, finding, *rest)

    return PATCH(daemon.core.retention, "_settled", settled)


@broken("a failed one is not read again before it is deleted", "1", "4", first=7)
def _does_not_look_again() -> AbstractContextManager[Any]:
    async def look(client: PanelClient, clock: Any, *_: Any) -> float:
        return float(clock.monotonic())

    return PATCH(daemon.rotation.deletion, "_look_again", look)


@broken("locks are looked at by the panel alone", "1", first=18)
def _leaves_locks_to_the_panel() -> AbstractContextManager[Any]:
    return together(_ignores_locks_of_failed_ones(), _does_not_look_again())


@broken("a pending one passes for failed", "2", insist={"backup never ends": 0.5}, first=32)
def _pending_is_failed() -> AbstractContextManager[Any]:
    real = daemon.core.retention._settled

    def settled(backup: Backup, finding: Any, *rest: Any) -> Any:
        if finding.state is State.PENDING:
            failed = replace(backup, completed_at=backup.created_at)
            return real(failed, finding._replace(state=State.FAILED), *rest)
        return real(backup, finding, *rest)

    async def look(client: PanelClient, clock: Any, server_id: str, listed: Backup) -> float:
        await client.backup(server_id, listed.uuid, urgent=True)
        return float(clock.monotonic())

    return together(
        PATCH(daemon.core.retention, "_settled", settled),
        PATCH(daemon.rotation.deletion, "_look_again", look),
    )


@broken("everything is its own", "2", "3", first=5)
def _owns_everything() -> AbstractContextManager[Any]:
    return PATCH(Ownership, "owns", lambda *_: True)


@broken("suspicious ones count as good", "3", "5", first=7)
def _trusts_small_ones() -> AbstractContextManager[Any]:
    return PATCH(daemon.core.states, "weigh", lambda *_, **__: Weighed({}, frozenset(), ()))


@broken("three small ones in a row are believed at once", "3", "5", insist={"world wiped": 0.4}, first=45)
def _believes_small_ones_soon() -> AbstractContextManager[Any]:
    return PATCH(daemon.core.suspicion._Side, "lasts", lambda side, _: len(side.row) >= AGREEING)


@broken("what is made by hand is no measure for a new policy", "3", "5", insist={"world wiped": 1}, first=790)
def _is_blind_while_a_policy_is_new() -> AbstractContextManager[Any]:
    return PATCH(Retention, "guard", property(lambda by: Guard(by.suspicious, by.suspicious_for)))


@broken("nothing stays from before a shrink", "3", "5", "live", insist={"world wiped": 0.4}, first=40)
def _lets_the_last_whole_one_go() -> AbstractContextManager[Any]:
    return PATCH(daemon.core.retention, "stays_since_it_shrank", lambda *_: {})


@broken("any suspicious one makes room", "3", insist={"world wiped": 0.4, "limit lowered": 0.4}, first=24)
def _makes_room_by_any_small_one() -> AbstractContextManager[Any]:
    real = original(daemon.core.states, "weigh")

    def weigh(*given: Any, **options: Any) -> Weighed:
        weighed: Weighed = real(*given, **options)
        return replace(weighed, spare=frozenset(weighed.small))

    return PATCH(daemon.core.states, "weigh", weigh)


@broken(
    "a suspicious one lets room be made by a good one again",
    "3",
    insist={"world wiped": 0.4, "limit lowered": 1},
    first=77,
)
def _makes_room_by_good_ones_again() -> AbstractContextManager[Any]:
    real = original(daemon.rotation.room, "_came_of")

    async def _came_of(*given: Any) -> set[State]:
        return {State.GOOD} if await real(*given) else set()

    return PATCH(daemon.rotation.room, "_came_of", _came_of)


@broken("total_size spares nobody", "3", "5", first=7)
def _total_size_without_min_good() -> AbstractContextManager[Any]:
    real = daemon.core.retention._too_much
    return PATCH(daemon.core.retention, "_too_much", lambda candidates, kept, size, _: real(candidates, kept, size, 0))


@broken("the oldest of a rule that is not filled is not kept", "3", "5", "live", first=1)
def _forgets_the_oldest() -> AbstractContextManager[Any]:
    real = original(daemon.core.retention, "opinions")

    def opinions(keep: Any, candidates: Any) -> Any:
        last = len(candidates) - 1
        return [
            replace(said, keeps={place: why for place, why in said.keeps.items() if place != last or last == 0})
            for said in real(keep, candidates)
        ]

    return PATCH(daemon.core.retention, "opinions", opinions)


def _in_both(name: str, instead: Any) -> AbstractContextManager[Any]:
    """What the plan and the room at the limit ask alike."""
    return together(PATCH(daemon.core.plan, name, instead), PATCH(daemon.core.room, name, instead))


@broken("the newest goes first", "4", first=1)
def _newest_first() -> AbstractContextManager[Any]:
    real = original(daemon.core.plan, "deletions_of")

    def deletions(verdicts: Any) -> tuple[Verdict, ...]:
        return tuple(reversed(real(verdicts)))

    return _in_both("deletions_of", deletions)


@broken("max_deletions is not looked at", "7", first=9)
def _no_brake() -> AbstractContextManager[Any]:
    return _in_both("too_many", lambda *_, **__: None)


@broken("a verdict gives no reason", "8", first=1)
def _gives_no_reason() -> AbstractContextManager[Any]:
    real = daemon.core.retention._settled
    return PATCH(daemon.core.retention, "_settled", lambda *given: (real(*given)[0], ()))


@broken("what is due to be deleted is refused", "live", first=1)
def _refuses_to_delete() -> AbstractContextManager[Any]:
    async def delete_decided(run: Run, dated: DatedListing, decide: Any, **_: Any) -> bool:
        if await decide(run.config, dated.listing):
            raise Halt(Result.REFUSED, Problem(ProblemCode.CHANGING, "better not"))
        return True

    return PATCH(daemon.rotation.prune, "delete_decided", delete_decided)


@broken("as many are deleted as max_deletions allows, and not none", "7", first=9)
def _deletes_as_many_as_allowed() -> AbstractContextManager[Any]:
    real = original(daemon.rotation.judging, "plan")

    def plan(*given: Any, brake: Brake, **options: Any) -> Any:
        decided = real(*given, brake=brake, **options)
        if decided.code is not ProblemCode.MAX_DELETIONS:
            return decided
        doomed = real(*given, brake=Brake(), **options).deletions
        return replace(decided, deletions=doomed[: brake.most], refused=None, code=None)

    return PATCH(daemon.rotation.judging, "plan", plan)


@broken("half of the good ones go at once", "7", first=47)
def _no_share() -> AbstractContextManager[Any]:
    real = original(daemon.rotation.judging, "plan")
    return PATCH(
        daemon.rotation.judging,
        "plan",
        lambda *given, brake, **options: real(*given, brake=replace(brake, share=1.0), **options),
    )


@broken("a changed policy is obeyed at once", "7", insist={"policy narrowed": 0.4}, first=42)
def _waits_for_nothing() -> AbstractContextManager[Any]:
    return PATCH(daemon.core.plan, "held_back", lambda *_: ())


@broken("room is made at each start though too many would go", "3", insist={"limit lowered": 1}, first=24)
def _makes_room_past_the_brake() -> AbstractContextManager[Any]:
    return PATCH(daemon.core.room, "_no_exception", lambda *_: None)


@broken("whatever the clocks show is believed", "9", insist={"panel clock jumps by months": 2})
def _believes_any_clock() -> AbstractContextManager[Any]:
    return together(
        PATCH(daemon.core.plan, "_undated", lambda listing: None),
        PATCH(PanelClient, "clock_doubt", lambda self: ""),
    )
