"""Room at the panel's limit: which small ones may make it, what was tried before, and what a refusal says."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from daemon.core.brake import Applied, Brake
from daemon.core.copied import Copied
from daemon.core.model import Action, Backup, Completeness, Listing, Reason, Scope, State, Verdict
from daemon.core.plan import Plan, Refusal, plan
from daemon.core.retention import Retention
from daemon.core.room import make_room
from daemon.errors import ProblemCode
from tests.core.build import NOW, OURS, TEMPLATE, but, good, listing, refused, retention, roomy, texts

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
COMING = TEMPLATE.render("survival", NOW, "ffffffff")
LARGE = [good(NOW - days * DAY - 6 * HOUR, uuid=f"large-{days}") for days in (8, 7, 6)]
SMALL = [good(NOW - hours * HOUR, size=10, uuid=f"small-{hours}") for hours in (5, 4, 3, 2, 1)]
"""A row of its own: all but the first and the newest may make room."""
AGAIN = good(NOW - timedelta(minutes=30), uuid="large again")
WEST = ZoneInfo("Pacific/Pago_Pago")
"""So far west that it is still the day before there when the large ones are made, at 6:00 in UTC."""


def room(
    rows: list[Backup] | Listing, keep: str | Retention = "last=20", *, most: int = 10, **more: Any
) -> Verdict | Refusal:
    """The room that is made among these rows."""
    there = rows if isinstance(rows, Listing) else listing(rows)
    asked = retention(keep) if isinstance(keep, str) else keep
    return make_room(there, asked, ownership=OURS, coming_name=COMING, **({"brake": Brake(most)} | more))


def by_hand(rows: list[Backup]) -> list[Backup]:
    """The same, made by somebody else."""
    return [but(row, name=f"by hand {row.uuid}") for row in rows]


def uuids(rows: list[Backup]) -> frozenset[str]:
    return frozenset(row.uuid for row in rows)


# Small ones ----------------------------------------------------------------------------------------------------------


def test_the_oldest_small_one_inside_its_row_makes_room() -> None:
    """Neither the first of the row, which tells since when, nor the newest. It says what it is."""
    verdict = roomy(room([*LARGE, *SMALL]))
    assert (verdict.backup, verdict.state, verdict.own) == (SMALL[1], State.SUSPICIOUS, True)
    assert verdict.action is Action.DELETE
    assert verdict.reasons == (Reason("room", None, "far too small, and neither the first nor the newest of its row"),)


def test_while_the_newest_is_small_a_small_one_goes_rather_than_a_good_one() -> None:
    """So that an hourly schedule goes on. Once the newest is good, the oldest that goes anyhow does."""
    assert roomy(room([*LARGE, *SMALL], "last=2")).backup == SMALL[1]
    assert roomy(room([*LARGE, *SMALL, AGAIN], "last=2")).backup == LARGE[0]


def test_where_no_good_one_can_go_a_small_one_does_though_the_newest_is_good() -> None:
    """The oldest of them."""
    assert roomy(room([*LARGE, *SMALL, AGAIN])).backup == SMALL[1]


def test_a_small_one_of_somebody_else_makes_room_only_where_the_policy_may_delete_all() -> None:
    """Whatever its size it is foreign."""
    rows = by_hand([*LARGE, *SMALL])
    assert isinstance(room(rows), Refusal)
    assert roomy(room(rows, retention("last=20", scope=Scope.ALL))).backup == rows[4]


def test_foreign_ones_do_not_tell_whether_the_policys_own_shrank_lately() -> None:
    """Without any of its own a good one that goes anyhow comes first."""
    rows = by_hand([*LARGE, *SMALL])
    assert roomy(room(rows, retention("last=2", scope=Scope.ALL))).backup == rows[0]


def test_a_small_one_that_was_accepted_or_locked_makes_no_room() -> None:
    """It is good by an operator's word, or protected by it."""
    assert isinstance(room([*LARGE, *SMALL], accepted=uuids(SMALL[-1:])), Refusal)
    assert isinstance(room([*LARGE, *(but(row, locked=True) for row in SMALL)]), Refusal)


def test_a_part_of_the_list_is_measured_against_the_last_whole_one() -> None:
    """Where the panel's list lacks the large ones, the small ones are small all the same: no good one goes for them."""
    part = replace(listing(SMALL, Completeness.STEADY), earlier=tuple(LARGE))
    assert roomy(room(part)).backup == SMALL[1]
    assert _plan(part, "last=1").deletions == ()
    assert {verdict.state for verdict in _plan(part, "last=1").verdicts} == {State.SUSPICIOUS}


def test_no_small_one_goes_with_max_deletions_0() -> None:
    """No room is made then, nor is any of them held: nothing waits for its day."""
    assert refused(room([*LARGE, *SMALL], most=0)).code == ProblemCode.NOTHING_DELETABLE
    before = Applied(retention("last=20", suspicious=0.0), OURS)
    assert refused(room([*LARGE, *SMALL], brake=Brake(0, before=before))).held == ()
    assert roomy(room([*LARGE, *SMALL], most=1)).backup == SMALL[1]


# A second time -------------------------------------------------------------------------------------------------------


def test_a_second_room_is_made_by_small_ones_alone() -> None:
    """Else a server that makes bad backups would lose its good ones one by one."""
    assert roomy(room([*LARGE, *SMALL, AGAIN], "last=2", again=True)).backup == SMALL[1]
    assert room(LARGE, "last=2", again=True) == Refusal(
        ProblemCode.NOTHING_DELETABLE, "room was made once already, and no backup has turned good since"
    )


def test_a_second_room_is_made_by_a_small_one_that_was_tried_before_where_there_is_no_other() -> None:
    """Its deletion may go through this time."""
    asked = uuids(SMALL)
    assert roomy(room([*LARGE, *SMALL], asked=asked, again=True)).backup == SMALL[1]
    assert roomy(room([*LARGE, *SMALL[2:]], asked=asked, again=True)).backup == SMALL[3]


def test_one_that_was_asked_for_before_is_passed_over_and_one_in_vain_comes_last() -> None:
    """Of small ones as of good ones."""
    rows = [*LARGE, *SMALL]
    assert roomy(room(rows, asked=uuids(SMALL[1:2]))).backup == SMALL[2]
    assert roomy(room(rows, in_vain=uuids(SMALL[1:3]))).backup == SMALL[3]
    assert roomy(room(rows, in_vain=uuids(SMALL[1:2]), asked=uuids(SMALL[2:4]))).backup == SMALL[2]
    assert roomy(room(LARGE, "last=2", in_vain=uuids(LARGE[:1]))).backup == LARGE[1]
    assert roomy(room(LARGE, "last=2", in_vain=uuids(LARGE[:1]), asked=uuids(LARGE[1:2]))).backup == LARGE[1]


# Scope, zone and what is held -----------------------------------------------------------------------------------------


def test_the_newest_good_one_is_never_what_makes_room_whosever_it_is() -> None:
    """Where a policy may delete all, one made by hand may be the last."""
    assert isinstance(room(by_hand(LARGE[2:]), retention("last=1", scope=Scope.ALL)), Refusal)


def test_the_brake_counts_and_names_what_was_made_by_hand_where_all_may_go() -> None:
    """With the day in the policy's zone."""
    rows = by_hand([*LARGE, good(NOW - DAY - 6 * HOUR, uuid="newest")])
    answer = refused(room(rows, retention("last=1", scope=Scope.ALL, zone=WEST), brake=Brake(2, room_at=NOW)))
    assert answer.code == ProblemCode.MAX_DELETIONS
    assert answer.text.startswith(
        "would delete 4 good backups, more than max_deletions = 2: by hand large-8 (2026-03-23), "
        "by hand large-7 (2026-03-24), by hand large-6 (2026-03-25), by hand newest (2026-03-30); "
    )


def test_a_refusal_by_the_brake_tells_what_is_held_as_well() -> None:
    """The day of what is held begins then too."""
    answer = refused(room(LARGE, "last=1", brake=Brake(0, before=Applied(retention("last=9"), OURS))))
    assert (answer.code, [one.backup for one in answer.held]) == (ProblemCode.MAX_DELETIONS, LARGE[::-1])


def test_what_was_not_refused_for_it_holds_nothing() -> None:
    """Neither a refusal nor a plan holds anything unless it says so."""
    assert refused(room([])).held == ()
    made = _plan(listing(LARGE, Completeness.PARTIAL), "last=1")
    assert (made.held, made.waits, made.deletions) == ((), None, ())


def test_by_a_clock_that_is_in_doubt_nothing_is_deleted_and_no_room_made() -> None:
    """Ages are counted by it (invariant 9). What would have been can still be seen."""
    doubted = replace(listing(LARGE), doubt="the panel's clock is 2 h ahead of ours")
    text = "the panel's clock is 2 h ahead of ours, so nothing is deleted"
    assert room(doubted, "last=1") == Refusal(ProblemCode.CLOCK, text)
    made = _plan(doubted, "last=1")
    assert (made.refused, made.code, made.deletions) == (text, ProblemCode.CLOCK, ())
    assert [verdict.action for verdict in made.verdicts] == [Action.KEEP, Action.DELETE, Action.DELETE]


# Copies --------------------------------------------------------------------------------------------------------------


def store(name: str, *rows: Backup) -> Copied:
    """A store with whole copies of these."""
    return Copied(name, NOW, {row.uuid: row.created_at for row in rows if row.created_at})


def test_what_waits_for_copies_is_named_by_day_with_the_stores_that_lack_it() -> None:
    """The oldest first, in the policy's zone; each store once."""
    copied = [store("offsite", LARGE[1], LARGE[2]), store("nas", LARGE[1]), store("third")]
    rows = [*LARGE, *(good(NOW - days * DAY - 6 * HOUR, uuid=f"newer-{days}") for days in (2, 1))]
    assert refused(room(rows, retention("last=2", zone=WEST), copied=copied)).text == (
        "no slot can be freed: 4 backups wait for a copy in offsite and nas and third: "
        f"{LARGE[0].name} (2026-03-23), {LARGE[1].name} (2026-03-24), {LARGE[2].name} (2026-03-25), "
        f"{rows[3].name} (2026-03-29) (not in offsite yet; not in nas yet; not in third yet); "
        'look at the store, or set copy_before_delete_when_full = "make-room"'
    )


@pytest.mark.parametrize(("may_go", "made"), [({}, False), ({"uncopied_may_go": True}, True)])
def test_one_goes_uncopied_only_where_that_is_said_and_once_the_coming_one_is_counted(
    may_go: dict[str, bool], made: bool
) -> None:
    """`last = 3` keeps all three until there is a fourth."""
    answer = room(LARGE, "last=3", copied=[store("offsite")], **may_go)
    assert isinstance(answer, Verdict) is made
    if isinstance(answer, Verdict):
        assert (answer.backup, texts(answer)) == (LARGE[0], ["beyond the 3 newest backups"])


def _plan(there: Listing, keep: str) -> Plan:
    return plan(there, retention(keep), ownership=OURS, brake=Brake(10))
