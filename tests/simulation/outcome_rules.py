"""The rules of rotations: how many there are, how much they ask, and how they end."""

from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import timedelta

from daemon.errors import ProblemCode
from daemon.rotation.outcome import Outcome, Result
from tests.simulation import oracle
from tests.simulation.brake import Brake, makes_room
from tests.simulation.checker import Checker
from tests.simulation.doubts import Doubts
from tests.simulation.reading import last_passes, merged
from tests.simulation.recorder import DAEMON, Exchange, Rotation
from tests.simulation.scenario import DAY, HOUR, TIMEOUTS

MOST_ROTATIONS = 8
MOST_REQUESTS = 900
"""In an hour, of one process for one server; a listing counts once, however many pages it has."""
DELETES = "backup.delete"
LOOK = 300.0
"""Seconds between two looks at a backup that has been running for long."""
ROUNDING = timedelta(seconds=3)
"""The panel's dates are whole seconds, and how its clock differs from the host's is known to a second."""


class Endings:
    """Holds the beginnings and the ends of rotations, and every request that they send."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._recorder = checker.recorder
        self._hold = checker.hold
        self._doubts = Doubts(checker)
        self._brake = Brake(checker)
        self._begun: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._sent: defaultdict[tuple[str, str | None], deque[float]] = defaultdict(deque)

    # Their number ----------------------------------------------------------------------------------------------------

    def began(self, rotation: Rotation) -> None:
        """A rotation begins: a retry waits for ten minutes at least, but reloads and clocks that are set begin more."""
        if rotation.trigger == "manual":
            return
        begun = self._begun[rotation.process, rotation.uuid]
        count = self._in_the_last_hour(begun)
        most = MOST_ROTATIONS + self._checker.disturbances_since(self._recorder.now() - HOUR)
        self._hold("calm", count <= most, f"{count} rotations of one server within an hour", rotation.uuid)

    def sent(self, exchange: Exchange) -> None:
        """A request leaves."""
        if exchange.page <= 1:
            count = self._in_the_last_hour(self._sent[exchange.process, exchange.server])
            text = f"{count} requests of one server within an hour"
            self._hold("calm", count <= MOST_REQUESTS, text, exchange.server)
        rotation = exchange.rotation
        if rotation is not None and exchange.call == "list" and self._checker.may_act(exchange.process):
            self._alone(rotation)

    def _in_the_last_hour(self, moments: deque[float]) -> int:
        now = self._recorder.now()
        moments.append(now)
        while moments[0] <= now - HOUR:
            moments.popleft()
        return len(moments)

    def _alone(self, rotation: Rotation) -> None:
        """Nobody else, in whatever process, has read the list for a rotation of the same server that goes on."""
        others = [
            other
            for other in self._recorder.running.values()
            if other is not rotation
            and other.uuid == rotation.uuid
            and self._checker.at_work(other.process)
            and not other.reported  # its lock goes right after that, and who takes it may be quicker
            and any(exchange.call == "list" for exchange in other.exchanges)
        ]
        text = f"two rotations at once: {', '.join(one.process for one in (*others, rotation))}"
        self._hold("turn", not others, text, rotation.uuid)

    # Their ends ------------------------------------------------------------------------------------------------------

    def ended(self, rotation: Rotation, outcome: Outcome, *, calm: bool) -> None:
        """A rotation reports."""
        for verdict in outcome.verdicts:
            said = bool(verdict.reasons) and all(reason.text and reason.rule for reason in verdict.reasons)
            self._hold("8", said, f"no reason for {verdict.backup.name}", rotation.uuid)
        rows = self._recorder.mirror[rotation.uuid]
        for backup in outcome.deleted:
            text = f"{backup.name} is said to be deleted, and is not"
            self._hold("told", backup.uuid not in rows, text, rotation.uuid)
        self._names_the_store(rotation, outcome)
        self._few_requests(rotation, calm=calm)
        if calm:
            self._for_a_reason(rotation, outcome)

    def _names_the_store(self, rotation: Rotation, outcome: Outcome) -> None:
        """At the limit, where nothing but a store's want of copies stands in the way of room, the refusal names it."""
        first, policy, passes = self._checker.copies_first, rotation.policy, last_passes(rotation)
        if not first.named(policy) or policy["copy_before_delete_when_full"] != "refuse" or not passes:
            return
        limit = next((problem.text for problem in outcome.problems if problem.code == ProblemCode.LIMIT), None)
        if limit is None or self._hinders_room(rotation) or not self._is_true(passes[-1], rotation):
            return
        there, name = merged(passes[-1]), rotation.server
        rows, now = list(there.values()), passes[-1][0].date or self._recorder.world.now()
        room = oracle.room(rows, policy, name, now)
        if not room or oracle.over(oracle.with_coming(rows, policy, name, now), policy):
            return
        lacking = [first.surely_lack(rotation.uuid, there[uuid], policy) for uuid in room]
        if all(lacking):
            self._hold(
                "14", any(store in limit for store in lacking[0]), f"{lacking[0]}: not in “{limit}”", rotation.uuid
            )

    def _hinders_room(self, rotation: Rotation) -> bool:
        """Whether something else may be in the way of room: a proof, a clock, a changed policy, a limit of nothing,
        rights, or room that was made before.
        """
        server = self._recorder.world.servers.get(rotation.uuid)
        passes, rows = last_passes(rotation), self._recorder.mirror[rotation.uuid]
        those = (one for other in self._recorder.rotations if other.uuid == rotation.uuid for one in other.exchanges)
        deletions = [one for one in those if one.call == "delete"]
        return (
            "prove" in rotation.policy
            or server is None
            or not server.limit
            or rotation.journal_failed
            or self._doubts.perhaps(passes[-1][0])
            or self._changed_lately(rotation)
            or DELETES not in server.subusers.get(DAEMON, ())
            or any(makes_room(one) or one.backup in rows for one in deletions)
        )

    def _is_true(self, listing: Sequence[Exchange], rotation: Rotation) -> bool:
        """Whether a list showed all that was there, and nothing was changed since."""
        truths = self._recorder.truths(rotation.uuid, listing[0].sent)
        return len(truths) == 1 and set(truths[0]) == set(merged(listing)) and not any(one.falsified for one in listing)

    def _few_requests(self, rotation: Rotation, *, calm: bool) -> None:
        asked = len(rotation.exchanges)
        pages = max((exchange.page for exchange in rotation.exchanges), default=0)
        deletions = sum(exchange.call == "delete" for exchange in rotation.exchanges)
        waits = (self._recorder.now() - rotation.began) / LOOK
        # In trouble a lost create is looked for ten times within two minutes, in lists that are read three times each.
        most = (40 + 12 * pages + waits if calm else 400 + 60 * pages) + 3 * deletions
        self._hold("calm", asked <= most, f"{asked} requests in one rotation", rotation.uuid)

    def _for_a_reason(self, rotation: Rotation, outcome: Outcome) -> None:
        """After an undisturbed rotation what is there is what retention keeps; any other end has a reason."""
        said = f"{outcome.result.value}: {', '.join(problem.text for problem in outcome.problems)}"
        match outcome.result:
            case Result.DONE:
                self._exact(rotation, outcome)
            case Result.REFUSED:
                self._hold("live", self._held(rotation), f"no reason to be {said}", rotation.uuid)
            case Result.FAILED if outcome.undeleted:
                self._went_past(rotation, outcome)
            case Result.FAILED:
                self._hold("live", self._not_good(rotation, outcome), f"no reason to be {said}", rotation.uuid)
            case Result.SKIPPED:
                self._hold("live", self._needless(rotation), f"no reason to be {said}", rotation.uuid)

    def _exact(self, rotation: Rotation, outcome: Outcome) -> None:
        """All that was to go went, and nothing else; in which order is looked at as each deletion leaves.

        A clock that was set by an hour, to the second, may be trusted when the list is read and not at the deletion.
        """
        judged, deleted = self._judged(rotation)
        if judged:
            wanted, done = [sorted(one.deletions) for one in judged], sorted(e.backup or "" for e in deleted)
            passes, changing = last_passes(rotation), ProblemCode.CHANGING in {one.code for one in outcome.problems}
            if changing and passes and self._doubts.perhaps(passes[-1][0]):
                exact = any(set(done) <= set(those) for those in wanted)
            else:
                exact = any(self._all_went(those, done, rotation) for those in wanted)
            self._hold("live", exact, f"to be deleted: {wanted}, deleted: {done}", rotation.uuid)

    def _all_went(self, wanted: Sequence[str], done: Sequence[str], rotation: Rotation) -> bool:
        """Whether what went is what was to go, without what may wait for a copy."""
        left = set(wanted) - set(done)
        return set(done) <= set(wanted) and all(self._may_wait(uuid, rotation) for uuid in left)

    def _may_wait(self, backup: str, rotation: Rotation) -> bool:
        """Whether a store that must have a backup first may not have been known to, when the list was read; or a proof
        may have held it.
        """
        first, proofs, passes = self._checker.copies_first, self._checker.proofs, last_passes(rotation)
        if not passes:
            return False
        since, candidates = passes[-1][0].sent, self._candidates(rotation, passes[-1])
        ways = proofs.ways(rotation.uuid, rotation.policy, candidates, since)
        by_proof = any(backup in way.newest or not way.enough for way in ways)
        return by_proof or bool(first.may_wait(rotation.uuid, backup, rotation.policy, since))

    def _candidates(self, rotation: Rotation, listing: Sequence[Exchange]) -> list[str]:
        """The good backups that may be kept for their proofs, newest first, those that may be half deleted apart."""
        rows, now = list(merged(listing).values()), listing[0].date or self._recorder.world.now()
        known, _ = self._recorder.half_deleted(rotation.uuid, listing[0].sent)
        judged = oracle.judge(rows, rotation.policy, rotation.server, now)
        return [uuid for uuid in judged.candidates if uuid not in known]

    def _went_past(self, rotation: Rotation, outcome: Outcome) -> None:
        """The new backup was made, and all that was to go was asked for, but that one was not deleted.

        Where a clock may be doubted, nothing more is asked for.
        """
        judged, deleted = self._judged(rotation)
        left = [backup.uuid for backup in outcome.undeleted]
        wanted, asked = [sorted(one.deletions) for one in judged], sorted({e.backup or "" for e in deleted})
        for uuid in left:  # where no look at it was answered, no DELETE left
            wanted = [[one for one in those if one != uuid] for those in wanted]
        others = [uuid for uuid in asked if uuid not in left]
        went_on = not judged or self._changed_lately(rotation) or self._doubts.perhaps(last_passes(rotation)[-1][0])
        went_on |= any(self._all_went(those, others, rotation) for those in wanted)
        text = f"to be deleted besides {left}: {wanted}, asked for: {asked}"
        self._hold("past", outcome.created is not None and went_on, text, rotation.uuid)
        strangers = set(left) - set(self._checker.undeletable())
        self._hold("live", not strangers, f"{strangers} are called undeletable", rotation.uuid)

    def _held(self, rotation: Rotation) -> bool:
        """Whether more is to be deleted than may be and nothing was, the policy was changed, or a clock is doubted."""
        passes = last_passes(rotation)
        if passes and self._doubts.perhaps(passes[-1][0]):
            return True
        if self._checker.proofs.ever_frozen(rotation.uuid, rotation.began):
            return True
        judged, deleted = self._judged(rotation)
        if not judged or (not deleted and any(oracle.over(one, rotation.policy) for one in judged)):
            return True
        return self._changed_lately(rotation) and oracle.setting(rotation.policy, "max_deletions") != -1

    def _changed_lately(self, rotation: Rotation) -> bool:
        """Whether something may be held still, since the policy was changed."""
        return bool(self._brake.changed_lately(rotation, rotation.policy))

    def _judged(self, rotation: Rotation) -> tuple[list[oracle.Judgement], list[Exchange]]:
        """What is to be deleted by the truth that the last listing could show, and what was asked for since.

        Two judgements, by the least and by the most that may be known of earlier deletions that were not completed;
        none where there was no listing, and where somebody else was at work too.
        """
        passes = last_passes(rotation)
        if not passes:
            return [], []
        first = passes[-1][0]
        deleted = [e for e in rotation.exchanges if e.call == "delete" and e.number > first.number]
        truth = self._recorder.truths(rotation.uuid, first.sent)
        if len(truth) != 1 + sum(e.backup not in self._checker.undeletable() for e in deleted):
            return [], deleted
        now = first.date or self._recorder.world.now()
        rows, known = list(truth[0].values()), self._recorder.half_deleted(rotation.uuid, first.sent)
        return [oracle.judge(rows, rotation.policy, rotation.server, now, asked=asked) for asked in known], deleted

    def _not_good(self, rotation: Rotation, outcome: Outcome) -> bool:
        """Whether the server is gone, or its new backup failed, is gone, suspicious or pending for too long.

        Or nothing was asked for, since the panel had said for how long creations are throttled, were it ever so wrong.
        """
        if rotation.uuid not in self._recorder.world.servers or self._throttled(rotation):
            return True
        rows, now = self._recorder.mirror[rotation.uuid], self._recorder.world.now()
        if outcome.created is None and self._recorder.dated_ahead(rotation.uuid):
            return True  # the panel counts those as made within its span, until its clock has come as far
        if outcome.created is None and self._is_gone(rotation):
            return True
        row = rows.get(outcome.created.uuid) if outcome.created else None
        if row is None:
            return False
        if row.completed is None:  # for so long by the panel's clock, or really, where that was set back since
            really = self._recorder.now() - self._recorder.first_seen(rotation.uuid, row.uuid)
            return max(really, (now - row.created).total_seconds()) >= TIMEOUTS[rotation.policy["timeout"]] - 1
        judged = oracle.judge(list(rows.values()), rotation.policy, rotation.server, now)
        return judged.states[row.uuid] != "good"

    def _is_gone(self, rotation: Rotation) -> bool:
        """Whether an earlier rotation for the same start made a backup that somebody has deleted since."""
        starts = (one for one in self._recorder.rotations if one is not rotation and one.start_at is not None)
        made = [one.made for one in starts if (one.uuid, one.start_at) == (rotation.uuid, rotation.start_at)]
        return any(uuid is not None and uuid not in self._recorder.mirror[rotation.uuid] for uuid in made)

    def _throttled(self, rotation: Rotation) -> bool:
        """Whether the process was told less than a day ago that creations are throttled, and did not ask again."""
        since = self._recorder.now() - DAY
        told = (
            earlier
            for earlier in reversed(self._recorder.exchanges)
            if earlier.call == "create" and (earlier.server, earlier.process) == (rotation.uuid, rotation.process)
        )
        last = next(told, None)
        return last is not None and last.rotation is not rotation and last.status == 429 and last.sent >= since

    def _needless(self, rotation: Rotation) -> bool:
        """Whether a backup of the policy was tried since the start that was to be caught up, or others are at work, or
        are to be, or the server is restored, which somebody asked for right before the calm days.
        """
        others = any(other.uuid == rotation.uuid for other in self._recorder.running.values())
        there = self._recorder.world.servers.get(rotation.uuid)
        restored = there is not None and there.status == "restoring_backup"
        if others or restored or self._checker.elsewhere(rotation):
            return True
        if rotation.trigger != "catch-up" or rotation.start_at is None or rotation.named is None:
            return False
        start_at = min(rotation.start_at, rotation.named)  # a later one has a rotation of its own
        since = start_at + (self._recorder.world.now() - self._checker.clock_of(rotation.process)) - ROUNDING
        rows = self._recorder.mirror[rotation.uuid].values()
        mine = (row for row in rows if oracle.owns(rotation.policy, rotation.server, row.name))
        return any(row.created >= since for row in mine)
