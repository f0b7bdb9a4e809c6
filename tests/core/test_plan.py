"""The plan and the room: what goes, in which order, and when nothing does."""

from datetime import timedelta
from typing import Any

import pytest

from daemon.core.brake import Brake
from daemon.core.model import Backup, Completeness, Scope, Verdict
from daemon.core.plan import Plan, Refusal, plan
from daemon.core.retention import Retention
from daemon.core.room import make_room
from daemon.errors import ProblemCode
from tests.core.build import (
    NOW,
    OURS,
    SIZE,
    TEMPLATE,
    but,
    failed,
    good,
    listing,
    pending,
    refused,
    retention,
    roomy,
    texts,
)

DAYS = [good(NOW - timedelta(days=days)) for days in range(8)]
OLD_FAILURE = failed(NOW - timedelta(days=30))
COMING = TEMPLATE.render("survival", NOW, "ffffffff")


def planned(rows: list[Backup], policy: Retention | str = "last=3", bound: int = 10, **more: Any) -> Plan:
    """The plan for these rows."""
    asked = retention(policy) if isinstance(policy, str) else policy
    state = more.pop("completeness", Completeness.COMPLETE)
    return plan(listing(rows, state), asked, ownership=OURS, brake=Brake(bound), **more)


def room(
    rows: list[Backup],
    policy: Retention | str = "last=3",
    bound: int = 10,
    state: Completeness = Completeness.COMPLETE,
    **more: Any,
) -> Verdict | Refusal:
    """The room that is made among these rows."""
    asked = retention(policy) if isinstance(policy, str) else policy
    return make_room(listing(rows, state), asked, ownership=OURS, coming_name=COMING, brake=Brake(bound), **more)


def test_deletions_come_oldest_first() -> None:
    """So that an interruption leaves the newer ones."""
    made = planned([*DAYS, OLD_FAILURE])
    assert [verdict.backup for verdict in made.deletions] == [OLD_FAILURE, *reversed(DAYS[3:])]
    assert (made.refused, made.code, len(made.verdicts)) == (None, None, 9)


def test_more_good_deletions_than_the_brake_allows_are_none() -> None:
    """The operator is told how many would go, and which; the failed one waits as well."""
    made = planned([*DAYS, OLD_FAILURE], "last=1", bound=6)
    names = ", ".join(f"{row.name} (2026-03-{25 + place})" for place, row in enumerate(reversed(DAYS[3:])))
    assert made.refused == f"would delete 7 good backups, more than max_deletions = 6: {names}, and 2 more"
    assert (made.code, made.deletions, len(made.verdicts)) == ("max-deletions", (), 9)


@pytest.mark.parametrize(
    ("bound", "already", "refused"),
    [(5, 0, False), (4, 0, True), (5, 1, True), (6, 1, False), (-1, 99, False), (0, 0, True)],
)
def test_the_brake_counts_what_this_rotation_deleted_before(bound: int, already: int, refused: bool) -> None:
    """Five would go; -1 lifts the bound."""
    made = planned(DAYS, bound=bound, already_deleted=already)
    assert (made.code == "max-deletions") is refused
    assert len(made.deletions) == (0 if refused else 5)


def test_one_is_told_in_the_singular_and_with_what_went_before() -> None:
    """The refusal reads as a sentence."""
    refused = planned(DAYS[:2], "last=1", bound=1, already_deleted=1).refused
    assert refused == (
        f"would delete 1 good backup after 1 already, more than max_deletions = 1: {DAYS[1].name} (2026-03-31)"
    )


def test_five_are_named_and_none_is_left_to_count() -> None:
    """Only what is not named is counted."""
    refused = planned(DAYS, bound=4).refused or ""
    assert refused.endswith(f"{DAYS[4].name} (2026-03-28), {DAYS[3].name} (2026-03-29)")


def test_no_failed_proof_is_named_where_none_is_known() -> None:
    """However the plan came out."""
    assert planned(DAYS, "last=9").frozen is None
    assert planned(DAYS, "last=1", bound=1).frozen is None
    assert refused(room(DAYS, "last=9")).frozen is None


def test_failed_ones_do_not_count_towards_the_brake() -> None:
    """They are no loss."""
    rows = [failed(NOW - timedelta(days=days)) for days in range(10, 30)]
    assert len(planned(rows, bound=0, already_deleted=1).deletions) == 20


def test_a_partial_listing_deletes_nothing() -> None:
    """What was not read whole is no ground to delete on; what it would have been can still be seen."""
    made = planned(DAYS, completeness=Completeness.PARTIAL)
    assert (made.code, made.deletions, len(made.verdicts)) == ("partial-listing", (), 8)
    assert made.refused == (
        "the list of backups kept changing while it was read (8 read, the panel says 8), so nothing is deleted by it"
    )


def test_a_steady_listing_is_judged_without_the_size_cap() -> None:
    """The rules are safe on a part; how much the whole takes cannot be told from it."""
    policy = retention("last=3", total_size=SIZE)
    assert len(planned(DAYS, policy).deletions) == 7
    assert len(planned(DAYS, policy, completeness=Completeness.STEADY).deletions) == 5


def test_now_is_when_the_listing_was_taken() -> None:
    """A failed one of two days ago by the panel's clock goes."""
    row = but(failed(NOW), completed_at=NOW - timedelta(days=2))
    assert len(planned([row]).deletions) == 1


def test_what_an_operator_accepted_is_judged_as_good() -> None:
    """By the plan as well as for the room: a small one that stands in for its period lets the older ones go."""
    rows = [but(DAYS[0], bytes=10), *DAYS[1:4]]
    accepted = {rows[0].uuid}
    assert len(planned(rows, "last=1").deletions) == 2
    assert len(planned(rows, "last=1", accepted=accepted).deletions) == 3
    assert isinstance(room(rows[:2], "last=1"), Refusal)
    assert roomy(room(rows[:2], "last=1", accepted=accepted)).backup == DAYS[1]


def test_room_is_made_by_the_oldest_that_goes_anyhow() -> None:
    """With the coming one counted, `last = 3` lets the third go: exactly one is deleted."""
    verdict = roomy(room(DAYS[:3]))
    assert verdict.backup == DAYS[2]
    assert texts(verdict) == ["beyond the 3 newest backups"]
    assert roomy(room(DAYS)).backup == DAYS[-1]


def test_room_names_the_coming_one_where_it_supersedes() -> None:
    """The reason is the one that will be true."""
    verdict = roomy(room([good(NOW - timedelta(hours=2)), good(NOW - timedelta(hours=1)), DAYS[1]], "daily=5"))
    assert texts(verdict) == [f"superseded by {COMING} in day 2026-04-01"]


def test_the_coming_one_is_newer_than_any_that_is_there() -> None:
    """Also than one of this very moment, whatever its uuid."""
    verdict = roomy(room([good(NOW, uuid="ffffffff"), good(NOW - timedelta(hours=1)), DAYS[1]], "daily=5"))
    assert texts(verdict) == [f"superseded by {COMING} in day 2026-04-01"]


def test_min_good_is_counted_without_the_coming_one() -> None:
    """It may still fail, and then the newest good one must be there."""
    assert isinstance(room(DAYS[:1], "last=1"), Refusal)
    assert roomy(room(DAYS[:2], "last=1")).backup == DAYS[1]
    assert isinstance(room(DAYS[:2], retention("last=1", min_good=2)), Refusal)
    assert roomy(room(DAYS[:3], retention("last=1", min_good=2))).backup == DAYS[2]


def test_a_failed_one_makes_no_room() -> None:
    """The panel's limit does not count it, so its deletion would free nothing."""
    assert roomy(room([*DAYS[:3], OLD_FAILURE])).backup == DAYS[2]
    assert isinstance(room([OLD_FAILURE]), Refusal)


def test_a_suspicious_one_is_not_taken_for_the_newest_good_one() -> None:
    """The guard judges the listing as it is, without the coming one."""
    small = but(DAYS[0], bytes=10)
    verdict = roomy(room([small, *DAYS[1:3]], "last=1"))
    assert verdict.backup == DAYS[2]


@pytest.mark.parametrize(
    ("rows", "policy", "says"),
    [
        ([but(row, locked=True) for row in DAYS[:3]], "last=1", "all 3 locked; unlock one"),
        (
            [but(row, name="hand") for row in DAYS[:2]],
            "last=1",
            "all 2 not made by this policy; delete one of those by hand",
        ),
        (DAYS[:2], "last=5", "all 2 kept by the rules; keep fewer"),
        (DAYS[:1], "all", "all 1 kept by the rules; keep fewer"),
        ([pending(NOW)], "last=1", "all 1 not completed yet; wait for it"),
        (
            [but(DAYS[0], locked=True), but(DAYS[1], name="hand"), DAYS[2], pending(NOW - timedelta(hours=1))],
            "last=1",
            (
                "1 locked, 1 not completed yet, 1 not made by this policy, 1 kept by the rules; unlock one, "
                "wait for it, delete one of those by hand, keep fewer"
            ),
        ),
        ([but(DAYS[0], created_at=None, locked=False)], "last=1", "all 1 strange; look at it on the panel"),
        ([but(DAYS[0], bytes=0)], "last=1", "all 1 suspiciously small; accept or delete it"),
    ],
)
def test_a_refusal_says_what_holds_the_slots_and_what_to_do(rows: list[Backup], policy: str, says: str) -> None:
    """Nobody has to guess why the schedule hangs at the limit."""
    refusal = room(rows, policy)
    assert isinstance(refusal, Refusal)
    assert refusal == Refusal(
        ProblemCode.NOTHING_DELETABLE, f"no slot can be freed: {says}, or raise the panel's limit"
    )


@pytest.mark.parametrize("rows", [[], [OLD_FAILURE]])
def test_a_limit_that_nothing_holds_can_only_be_raised(rows: list[Backup]) -> None:
    """The panel says that it is full, and no backup is there that it counts."""
    text = "no slot can be freed: there is no backup that holds one; raise the panel's limit"
    assert room(rows) == Refusal(ProblemCode.NOTHING_DELETABLE, text)


def test_no_room_is_made_by_a_partial_listing_or_past_the_brake() -> None:
    """Both hold for the one deletion as for all: a narrowed policy is not let in by the back door."""
    assert refused(room(DAYS, state=Completeness.PARTIAL)).code == "partial-listing"
    assert refused(room(DAYS, bound=0)).code == "max-deletions"
    assert roomy(room(DAYS, bound=6)).backup == DAYS[-1]
    assert roomy(room(DAYS, bound=-1)).backup == DAYS[-1]


def test_room_by_the_size_cap_counts_the_coming_one_as_nothing() -> None:
    """Its size is not known; only what is too much already goes."""
    assert isinstance(room(DAYS[:2], retention("last=5", total_size=2 * SIZE)), Refusal)
    assert roomy(room(DAYS[:3], retention("last=5", total_size=2 * SIZE))).backup == DAYS[2]
    assert isinstance(room(DAYS[:3], retention("last=5", total_size=2 * SIZE), state=Completeness.STEADY), Refusal)


def test_room_in_scope_all_may_be_anybodys() -> None:
    """Any unlocked one is a candidate there."""
    rows = [but(row, name="hand") for row in DAYS[:3]]
    assert roomy(room(rows, retention("last=3", scope=Scope.ALL))).backup == rows[2]


def test_the_brake_counts_what_was_made_by_hand_where_all_may_go() -> None:
    """The bound is for whatever the plan deletes."""
    rows = [but(row, name=f"by hand {number}") for number, row in enumerate(DAYS)]
    everything = retention("last=3", scope=Scope.ALL)
    assert len(planned(rows, everything, bound=5).deletions) == 5
    assert planned(rows, everything, bound=4).code == ProblemCode.MAX_DELETIONS
