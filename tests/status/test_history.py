"""How rotations add up to a server's history: from outcomes as they end, and from the journal's rows, to the same."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.model import Action, Backup, Reason, Server, State, Verdict
from daemon.errors import ProblemCode
from daemon.rotation.outcome import Outcome, Problem, Result
from daemon.state import Rotation
from daemon.status.history import Began, Ended, Good, ServerHistory, after, after_outcome, ended_of, history_of
from daemon.status.snapshot import Snapshot

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEGUN = ServerHistory.begun(NOON)
SEEN = Server("1a7ce997-0000-4000-8000-000000000000", "1a7ce997", "survival", "node-1", 9)
BRAKED = Problem(ProblemCode.MAX_DELETIONS, "too many")
NODE = Problem(ProblemCode.NODE, "the node does not answer")


def backup(made: datetime, *, size: int = 7) -> Backup:
    """A backup that was made then."""
    return Backup(f"{made:%d%H%M}", f"auto-{made:%d%H%M}", True, False, size, made, made)


def judged(backup: Backup, state: State = State.GOOD) -> Verdict:
    """It, judged."""
    return Verdict(backup, state, own=True, action=Action.KEEP, reasons=(Reason("last", "1", "newest"),))


def snapshot(at: datetime, *backups: Backup) -> Snapshot:
    """These good ones, newest first, as they were judged then."""
    return Snapshot.of(at, SEEN.uuid, "node-1", 9, tuple(map(judged, backups)))


def ended(result: Result, *problems: Problem, at: datetime = NOON + HOUR, **more: Any) -> Ended:
    """A rotation that ended then."""
    return Ended("schedule", at - timedelta(minutes=9), at, result, problems=problems, **more)


def row(number: int, end: Ended | None, **summary: Any) -> Rotation:
    """The journal's row of a rotation that so ended; of one that did not, where it is None."""
    began = end.began_at if end else NOON + number * HOUR
    if end is not None:
        problems = [{"code": one.code.value, "text": one.text, "hint": one.hint} for one in end.problems]
        summary = {
            "good": end.good,
            "passing": end.result is Result.SKIPPED and not end.excused,
            "created": {"uuid": "u", "name": end.created, "bytes": 7} if end.created else None,
            "deleted": [{}] * end.deleted,
            "undeleted": [{}] * end.undeleted,
            "problems": problems,
            **summary,
        }
    return Rotation(
        id=number,
        server_uuid=SEEN.uuid,
        server="survival",
        panel="main",
        policy="standard",
        trigger="schedule",
        start_at=None,
        began_at=began,
        ended_at=end.ended_at if end else None,
        result=end.result.value if end else None,
        retry_at=end.retry_at if end else None,
        backup_uuid=None,
        summary=summary,
        steps=(),
    )


def folded(*ends: Ended) -> ServerHistory:
    """What these leave, one after the other."""
    history = BEGUN
    for end in ends:
        history = after(history, end)
    return history


def test_a_server_is_fine_since_its_last_good_backup_or_since_it_was_excused() -> None:
    """A suspended server has nothing to back up; one that is only busy has."""
    assert folded(ended(Result.DONE, good=True)).fine_at == NOON + HOUR
    assert folded(ended(Result.SKIPPED, excused=True)).fine_at == NOON + HOUR
    assert folded(ended(Result.SKIPPED)).fine_at == NOON
    assert folded(ended(Result.FAILED, NODE)).fine_at == NOON


def test_failures_are_those_in_a_row_that_got_no_good_backup() -> None:
    """What the brake holds got one; a skip counts neither way."""
    failed, held = ended(Result.FAILED, NODE), ended(Result.REFUSED, BRAKED, good=True)
    assert folded(failed, failed, ended(Result.SKIPPED), failed).failures == 3
    assert folded(failed, held).failures == 0
    assert folded(failed, ended(Result.DONE, good=True)).failures == 0
    assert folded(ended(Result.REFUSED, BRAKED)).failures == 1


def test_the_brake_holds_since_the_first_of_them_until_a_good_backup_without_it() -> None:
    """A failure in between lets nothing go. How many it holds is what was last seen."""
    first, later = (ended(Result.REFUSED, BRAKED, good=True, at=NOON + n * HOUR) for n in (1, 9))
    held = folded(first, ended(Result.FAILED, NODE), later)
    assert (held.held_since, held.held) == (NOON + HOUR, 0)
    assert folded(first, ended(Result.DONE, good=True)).held is None


def outcome(result: Result, *seen: Verdict, created: Backup | None = None, **more: Any) -> Outcome:
    """A rotation that saw these, newest first."""
    return Outcome("survival", "main", "standard", result, created, seen=SEEN if seen else None, verdicts=seen, **more)


def test_the_newest_good_backup_is_as_old_as_the_panel_says_that_it_is() -> None:
    """Not as its rotation, which may have waited for hours since."""
    made = backup(NOON - HOUR)
    history = after_outcome(BEGUN, outcome(Result.DONE, judged(made), created=made), Began("schedule", NOON), NOON)
    assert history.good == Good(NOON - HOUR, made.uuid, made.name, 7)
    assert history.good_at == NOON - HOUR
    assert history.fine_at == NOON


def test_what_a_rotation_saw_before_it_failed_is_known() -> None:
    """The first failure after a start without state does not say that there never was one; what is known stays."""
    began, failed = Began("schedule", NOON), outcome(Result.FAILED)
    day, week = NOON - timedelta(days=1), NOON - timedelta(days=7)
    assert after_outcome(BEGUN, replace(failed, good_seen_at=day), began, NOON).good == Good(day)
    old = replace(BEGUN, good=Good(day, "u"))
    assert after_outcome(old, replace(failed, good_seen_at=week), began, NOON).good == old.good
    assert after_outcome(old, failed, began, NOON).good == old.good


def test_another_process_may_have_made_the_newest_good_one() -> None:
    """`rotate` by hand leaves no snapshot; one that is older than the snapshot says less than that."""
    by_hand = ended(Result.DONE, good=True, created="auto-x", at=NOON + 5 * HOUR)
    seen = backup(NOON)
    assert history_of([row(1, by_hand)], snapshot(NOON + HOUR, seen), BEGUN).good == Good(
        by_hand.ended_at, "u", "auto-x", 7
    )
    assert history_of([row(1, by_hand)], snapshot(NOON + 6 * HOUR, seen), BEGUN).good_at == NOON
    assert history_of([row(1, by_hand)], snapshot(NOON + 6 * HOUR), BEGUN).good is None


def test_what_a_rotation_by_hand_saw_before_it_failed_is_known() -> None:
    """It leaves no snapshot; what was seen since tells more than that, and less than a newer backup that was made."""
    failed, day = ended(Result.FAILED, NODE, at=NOON + 5 * HOUR), NOON + HOUR
    told = row(2, failed, good_seen_at="2026-04-01T13:00:00Z")
    assert day.isoformat() == "2026-04-01T13:00:00+00:00"
    assert history_of([told], None, BEGUN).good == Good(day)
    assert history_of([told], snapshot(NOON, backup(NOON)), BEGUN).good == Good(day)
    assert history_of([told], snapshot(NOON + 6 * HOUR, backup(NOON)), BEGUN).good_at == NOON
    made = row(1, ended(Result.DONE, good=True, created="auto-x", at=NOON + 2 * HOUR))
    assert history_of([told, made], None, BEGUN).good == Good(NOON + 2 * HOUR, "u", "auto-x", 7)
    for senseless in (None, 7, "yesterday", "2026-04-01T13:00:00"):
        assert history_of([row(2, failed, good_seen_at=senseless)], None, BEGUN).good is None


def test_what_alerts_wrote_of_the_newest_good_one_says_less_than_what_was_seen() -> None:
    """It has no name; and the panel that dated it may be ahead of us."""
    begun = replace(BEGUN, good=Good(NOON + HOUR))
    seen = backup(NOON + HOUR)
    assert history_of([], snapshot(NOON, seen), begun).good == Good(seen.created_at or NOON, seen.uuid, seen.name, 7)
    assert history_of([], None, begun).good == begun.good


def test_a_server_is_watched_since_the_first_that_is_known_of_it() -> None:
    """Or a daemon that is restarted each day would never find one overdue that never had a good backup."""
    first = ended(Result.FAILED, NODE, at=NOON - 9 * HOUR)
    history = history_of([row(2, ended(Result.FAILED, NODE)), row(1, first)], None, BEGUN)
    assert (history.since, history.fine_at) == (first.began_at, first.began_at)
    assert history_of([], None, BEGUN) == BEGUN
    earlier = ServerHistory.begun(NOON - timedelta(days=9))
    assert history_of([row(1, first)], None, earlier).fine_at == earlier.fine_at


@pytest.mark.parametrize(
    "senseless",
    [
        row(1, None),
        replace(row(1, ended(Result.DONE, good=True)), result="interrupted"),
        replace(row(1, ended(Result.DONE, good=True)), result="marvellous"),
        row(1, ended(Result.DONE, good=True), problems=[{"what": "is this"}]),
        row(1, ended(Result.DONE, good=True), undeleted=None),
    ],
)
def test_what_did_not_end_or_makes_no_sense_is_passed_over(senseless: Rotation) -> None:
    """A broken off rotation says nothing of the server; another version may write what this one cannot read."""
    assert ended_of(senseless) is None
    failed = ended(Result.FAILED, NODE)
    history = history_of([senseless, row(0, failed)], None, BEGUN)
    assert (history.last, history.failures, history.good) == (failed, 1, None)


results = st.sampled_from(
    [
        (Result.DONE, True, False, ()),
        (Result.REFUSED, True, False, (BRAKED,)),
        (Result.REFUSED, False, False, (NODE,)),
        (Result.FAILED, False, False, (NODE,)),
        (Result.FAILED, True, False, (Problem(ProblemCode.UNDELETABLE, "it stays"),)),
        (Result.SKIPPED, False, True, ()),
        (Result.SKIPPED, False, False, (NODE,)),
    ]
)


@st.composite
def ends(draw: st.DrawFn) -> Sequence[Ended]:
    """A server's rotations, oldest first, an hour apart."""
    found = []
    for number, (result, good, excused, problems) in enumerate(draw(st.lists(results, max_size=12)), 1):
        undeleted = draw(st.integers(0, 3)) if ProblemCode.UNDELETABLE in {one.code for one in problems} else 0
        more = {"created": f"auto-{number}" if good else None, "undeleted": undeleted}
        found.append(ended(result, *problems, at=NOON + number * HOUR, good=good, excused=excused, **more))
    return found


@given(ends())
def test_a_restart_changes_nothing(happened: Sequence[Ended]) -> None:
    """The journal's rows give what the outcomes gave."""
    rows = [row(number, end) for number, end in enumerate(happened)]
    lived, recalled = folded(*happened), history_of(rows[::-1], None, BEGUN)
    assert replace(recalled, good=None) == lived
    fine = [end.ended_at for end in happened if end.good or end.excused]
    assert recalled.fine_at == (fine[-1] if fine else NOON)
    good = [end for end in happened if end.good]
    assert recalled.good_at == (good[-1].ended_at if good else None)


@given(ends(), st.lists(st.integers(-50, 20), unique=True, max_size=5), st.integers(-60, 30))
def test_the_newest_good_one_is_never_older_than_what_was_seen(
    happened: Sequence[Ended], made: list[int], looked: int
) -> None:
    """Of the snapshot's, or of a rotation's that ended after that; nothing else is ever told as good."""
    rows = [row(number, end) for number, end in enumerate(happened)]
    seen = [NOON + hours * HOUR for hours in sorted(made, reverse=True)]
    history = history_of(rows[::-1], snapshot(NOON + looked * HOUR, *map(backup, seen)), BEGUN)
    since = [end.ended_at for end in happened if end.good and end.ended_at > NOON + looked * HOUR]
    assert history.good_at == (since[-1] if since else seen[0] if seen else None)
