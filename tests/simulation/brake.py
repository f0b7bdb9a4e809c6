"""The rules of the brake: how many may go at once, and what stays for a day since its policy was changed.

What an earlier plan named is not to be seen from outside; where it matters, every list that an earlier rotation read is
judged by the same policy.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.simulation import oracle
from tests.simulation.checker import Checker
from tests.simulation.oracle import Row
from tests.simulation.reading import every_pass, last_passes, merged
from tests.simulation.recorder import Exchange, Rotation
from tests.simulation.scenario import DAY

Policy = Mapping[str, Any]
SLACK = 120.0
"""Seconds that a DELETE may leave after it was decided on."""


class Brake:
    """Holds what goes against the bounds, and against the policy before."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._recorder = checker.recorder

    def within(self, judged: oracle.Judgement, policy: Policy, rotation: Rotation, *, already: set[str]) -> bool:
        """Whether so many may go at once, after those that went `already`."""
        if not oracle.over(judged, policy, already=len(already)):
            return True
        named = self.named_before(policy, rotation)
        return not oracle.over(judged, policy, already=len(already - named), named=named)

    def named_before(self, policy: Policy, rotation: Rotation) -> set[str]:
        """What earlier plans may have named by the same policy, and might have let through."""
        those = ((one, read) for one in self._earlier(rotation) for read in every_pass(one))
        return self._named(policy, those, self._judged_by)

    def surely_named_before(self, policy: Policy, rotation: Rotation) -> set[str]:
        """What their last plans named, without those of rotations that were refused: the brake may have held these."""
        those = ((one, read) for one in self._earlier(rotation) if not _refused(one) for read in last_passes(one)[-1:])
        return self._named(policy, those, lambda one, _: [one.policy])

    def _named(
        self,
        policy: Policy,
        read: Iterable[tuple[Rotation, Sequence[Exchange]]],
        judged_by: Callable[[Rotation, Sequence[Exchange]], Sequence[Policy]],
    ) -> set[str]:
        """What the policy deletes of each of these passes, where the rotation went by the same one."""
        return {
            uuid
            for rotation, one in read
            if any(oracle.same_retention(by, policy) for by in judged_by(rotation, one))
            for uuid in self._judged(one, policy, rotation).good_deletions()
        }

    def _judged_by(self, rotation: Rotation, read: Sequence[Exchange]) -> list[Policy]:
        """The policies by which a rotation may have judged a pass: in force from its last page until it went on."""
        if rotation.trigger == "manual":
            return [rotation.policy]
        last = read[-1]
        since = last.received or last.sent
        ended = since + SLACK if rotation.ended is None else rotation.ended  # a killed one has judged it by then
        until = next((later.sent for later in rotation.exchanges if later.number > last.number), ended)
        return [policy for policy in self._checker.policies_between(rotation.server, since, until) if policy]

    def lately(self, made: Exchange | None, now: float) -> bool:
        """Whether room was made within the day before, by any clock."""
        return made is not None and now - made.sent < DAY - SLACK - self._checker.clocks_set_by(made.sent)

    def held(self, rows: Sequence[Row], policy: Policy, rotation: Rotation, now: datetime, *, room: bool) -> list[str]:
        """What stays, since the policy that was last applied keeps it and the present one has not been told for a day.

        Nothing where that is not to be seen from outside.
        """
        before = self._applied_before(policy, rotation)
        if before is None or _lifted(policy):
            return []
        return oracle.beyond(rows, before.policy, policy, rotation.server, now, room=room)

    def perhaps_held(
        self, rows: Sequence[Row], policy: Policy, rotation: Rotation, now: datetime, *, asked: Collection[str]
    ) -> set[str]:
        """What may stay while room is made, since one of the policies before keeps it: the next one may go instead."""
        if _lifted(policy):
            return set()
        each = (
            oracle.beyond(rows, before, policy, rotation.server, now, room=True, asked=asked)
            for before in self.changed_lately(rotation, policy)
        )
        return {uuid for those in each for uuid in those}

    def changed_lately(self, rotation: Rotation, policy: Policy) -> list[Policy]:
        """The other policies since the last one that was surely applied, by which something may wait.

        None where the present one was told a day ago. Its day begins only when it is told, however late that is.
        """
        if self._told_a_day_ago(rotation, policy):
            return []
        since = self._recorder.now() - 2 * DAY - self._checker.clocks_set_by(self._recorder.now() - 2 * DAY)
        applied = (one.began for one in self._earlier(rotation) if one.result == "done" and not one.journal_failed)
        before = self._checker.policies_between(rotation.server, min(since, next(applied, -1.0)), self._recorder.now())
        return [one for one in before if one and not oracle.same_retention(one, policy)]

    def _told_a_day_ago(self, rotation: Rotation, policy: Policy) -> bool:
        """Whether the first of the rotations that went by that policy, one after the other, told it so long ago."""
        told: Rotation | None = None
        if self._policy_changed(rotation):
            return False
        for earlier in self._earlier(rotation):
            if not oracle.same_retention(earlier.policy, policy) or self._policy_changed(earlier):
                break
            if earlier.told_held and not earlier.journal_failed:
                told = earlier
        if told is None or told.ended is None:
            return False
        return self._recorder.now() - told.ended >= DAY + SLACK + self._checker.clocks_set_by(told.began)

    def _applied_before(self, policy: Policy, rotation: Rotation) -> Rotation | None:
        """The rotation that last applied a policy, if that was another one, and the present one is not a day old."""
        between: list[Rotation] = []
        for earlier in self._earlier(rotation):
            if not self._checker.remembered(earlier) or self._policy_changed(earlier):
                return None
            if earlier.result == "done":
                other = not oracle.same_retention(earlier.policy, policy)
                return earlier if other and all(self._waits(one, earlier, policy) for one in between) else None
            between.append(earlier)
        return None

    def _policy_changed(self, rotation: Rotation) -> bool:
        """Whether it changed while the rotation ran, so that it is not known by which it decided."""
        until = self._recorder.now() if rotation.ended is None else rotation.ended
        return len(self._checker.policies_between(rotation.server, rotation.began, until)) > 1

    def _waits(self, rotation: Rotation, applied: Rotation, present: Policy) -> bool:
        """Whether a rotation since cannot have applied its policy, nor have told the present one a day ago."""
        ago = self._recorder.now() - rotation.began
        if oracle.same_retention(rotation.policy, present) and ago >= DAY - SLACK - self._checker.clocks_set_by(
            rotation.began
        ):
            return False
        passes = last_passes(rotation)
        if not passes:
            return True
        rows, now = list(merged(passes[-1]).values()), passes[-1][0].date or self._recorder.world.now()
        return not _lifted(rotation.policy) and bool(
            oracle.beyond(rows, applied.policy, rotation.policy, rotation.server, now)
        )

    def _earlier(self, rotation: Rotation) -> list[Rotation]:
        """The rotations of the same server before it, newest first."""
        those = [other for other in self._recorder.rotations if other.uuid == rotation.uuid]
        return [other for other in reversed(those) if other is not rotation and other.began <= rotation.began]

    def _judged(self, one: Sequence[Exchange], policy: Policy, rotation: Rotation) -> oracle.Judgement:
        """What the policy makes of a pass."""
        now = one[0].date or self._recorder.world.now()
        return oracle.judge(list(merged(one).values()), policy, rotation.server, now)


def makes_room(exchange: Exchange) -> bool:
    """Whether the last create of the rotation met the panel's limit, so that this deletion makes room."""
    assert exchange.rotation is not None
    for earlier in reversed(exchange.rotation.exchanges):
        if earlier.call == "create" and earlier.number < exchange.number:
            return earlier.received is not None and earlier.status == 400
    return False


def _refused(rotation: Rotation) -> bool:
    """Whether it may have been the brake that refused; a failed proof is asked for after that."""
    return rotation.result == "refused" and not rotation.told_frozen and not any(map(_prunes, rotation.exchanges))


def _prunes(exchange: Exchange) -> bool:
    """Whether it is a deletion that a plan named, which the brake had let through as a whole."""
    return exchange.call == "delete" and not makes_room(exchange)


def _lifted(policy: Policy) -> bool:
    """Whether nothing is held by the policy, or for once by hand."""
    return oracle.setting(policy, "max_deletions") == -1 or "lifted" in policy
