"""The brake: bounds in number and in share, the day that a changed retention waits, and the room made all the same."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.brake import USUAL_SHARE, Applied, Brake
from daemon.core.model import Action, Backup, Verdict
from daemon.core.names import Altered, Ownership, Template
from daemon.core.plan import Plan, Refusal, plan
from daemon.core.retention import Retention
from daemon.core.room import make_room
from tests.core.build import NOW, OURS, SIZE, TEMPLATE, but, failed, good, listing, refused, retention, roomy

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
DAYS = [good(NOW - days * DAY) for days in range(10)]
COMING = TEMPLATE.render("survival", NOW, "ffffffff")


def planned(rows: list[Backup], policy: Retention | str, brake: Brake, *, already_deleted: int = 0) -> Plan:
    """The plan for these rows."""
    asked = retention(policy) if isinstance(policy, str) else policy
    return plan(listing(rows), asked, ownership=OURS, brake=brake, already_deleted=already_deleted)


def room(rows: list[Backup], policy: Retention | str, brake: Brake) -> Verdict | Refusal:
    """The room that is made among these rows."""
    asked = retention(policy) if isinstance(policy, str) else policy
    return make_room(listing(rows), asked, ownership=OURS, coming_name=COMING, brake=brake)


def applied(policy: Retention | str, ownership: Ownership = OURS) -> Applied:
    """What was last applied."""
    return Applied(retention(policy) if isinstance(policy, str) else policy, ownership)


def gone(made: Plan) -> list[Backup]:
    """What the plan deletes."""
    return [verdict.backup for verdict in made.deletions]


# The share -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "keep", "share", "refused"),
    [
        (10, 1, 0.5, True),  # a mistyped last: nine of ten
        (10, 4, 0.5, True),
        (10, 5, 0.5, False),  # half is not more than half
        (3, 1, 0.5, False),  # two are never too many
        (4, 1, 0.5, True),
        (4, 1, 0.75, False),
        (10, 1, 1, False),
        (4, 1, 0, True),
        (3, 1, 0, False),
    ],
)
def test_more_than_a_share_of_the_good_ones_is_none(rows: int, keep: int, share: float, refused: bool) -> None:
    """However few they are, but for two."""
    made = planned(DAYS[:rows], f"last={keep}", Brake(10, share))
    assert (made.code == "max-deletions", len(made.deletions)) == (refused, 0 if refused else rows - keep)


def test_half_of_them_may_go_as_a_rule() -> None:
    """Where nothing else is configured, and in every store."""
    assert planned(DAYS, "last=5", Brake(10, USUAL_SHARE)).refused is None
    assert planned(DAYS, "last=4", Brake(10, USUAL_SHARE)).code == "max-deletions"


def test_what_is_over_the_share_is_told_with_its_names() -> None:
    """And which bound it is."""
    names = ", ".join(f"{row.name} ({row.created_at:%Y-%m-%d})" for row in reversed(DAYS[1:4]))
    assert planned(DAYS[:4], "last=1", Brake(10, 0.5)).refused == (
        f"would delete 3 of 4 good backups, more than max_share = 0.5: {names}"
    )


def test_a_size_cap_a_thousand_times_too_small_is_caught() -> None:
    """As total_size = "50MB" instead of 50GB."""
    made = planned(DAYS, retention("last=30", total_size=SIZE), Brake(10, 0.5))
    assert (made.code, made.deletions) == ("max-deletions", ())


def test_neither_locked_foreign_nor_failed_ones_make_the_share_smaller() -> None:
    """The share is of what the rules judge."""
    others = [
        but(row, uuid=f"other {row.uuid}", **change) for row in DAYS for change in ({"locked": True}, {"name": "x"})
    ]
    old = [failed(NOW - days * DAY - HOUR) for days in range(3, 9)]
    assert planned([*DAYS[:4], *others, *old], "last=1", Brake(10, 0.5)).code == "max-deletions"
    assert len(planned([*DAYS[:3], *others, *old], "last=1", Brake(10, 0.5)).deletions) == 8


def test_what_this_rotation_deleted_before_counts_in_the_share() -> None:
    """It was among the good ones when it began."""
    assert planned(DAYS[:8], "last=5", Brake(10, 0.5)).code is None
    assert planned(DAYS[:8], "last=5", Brake(10, 0.5), already_deleted=2).code is None  # 5 of 10
    assert planned(DAYS[:8], "last=5", Brake(10, 0.5), already_deleted=3).code == "max-deletions"  # 6 of 11


def test_what_an_earlier_plan_named_and_was_not_deleted_counts_in_neither() -> None:
    """Backups that cannot be deleted grow in number, and were looked at by the brake already."""
    undeletable = frozenset(row.uuid for row in DAYS[4:])
    assert gone(planned(DAYS, "last=2", Brake(2, 0.5, undeletable))) == list(reversed(DAYS[2:]))
    assert planned(DAYS, "last=2", Brake(1, 0.5, undeletable)).code == "max-deletions"
    assert planned(DAYS, "last=1", Brake(10, 0.5, undeletable)).code == "max-deletions"  # three of the other four


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_without_a_bound_in_number_there_is_no_brake(share: float) -> None:
    """-1 lifts all of it."""
    brake = Brake(-1, share, before=applied("last=10"))
    assert gone(planned(DAYS, "last=1", brake)) == list(reversed(DAYS[1:]))


# The day -------------------------------------------------------------------------------------------------------------


def test_what_the_retention_last_applied_keeps_is_held_for_a_day_after_it_was_told() -> None:
    """What both delete goes as ever."""
    brake = Brake(10, before=applied("last=8"))
    made = planned(DAYS, "last=7", brake)
    assert (gone(made), made.refused) == ([DAYS[9], DAYS[8]], None)
    assert [verdict.backup for verdict in made.held] == [DAYS[7]]
    kept = next(verdict for verdict in made.verdicts if verdict.backup == DAYS[7])
    assert (kept.action, [reason.rule for reason in kept.reasons]) == (Action.KEEP, ["held"])
    assert kept.reasons[0].text == (
        "held until 2026-04-02 12:00 UTC, since the retention last applied keeps it; then: beyond the 7 newest backups"
    )
    assert made.waits == (
        "a backup that the retention last applied keeps is held until 2026-04-02 12:00 UTC: "
        f"{DAYS[7].name} ({DAYS[7].created_at:%Y-%m-%d})"
    )


def test_what_is_held_says_what_every_rule_will_say() -> None:
    """It goes then only because none of them keeps it."""
    made = planned(DAYS, "last=7,daily=7", Brake(10, before=applied("last=8")))
    assert made.held[0].reasons[0].text.endswith("; then: beyond the 7 newest backups; beyond the 7 newest days")


@pytest.mark.parametrize(("told_ago", "held"), [(0 * HOUR, 3), (23 * HOUR, 3), (24 * HOUR, 0), (30 * DAY, 0)])
def test_the_day_begins_when_it_was_first_told(told_ago: timedelta, held: int) -> None:
    """A day later the retention is what it is."""
    made = planned(DAYS, "last=7", Brake(10, before=applied("last=10"), told_at=NOW - told_ago))
    assert (len(made.held), len(made.deletions)) == (held, 3 - held)


@pytest.mark.parametrize("ahead", [HOUR, 60 * DAY])
def test_what_was_told_by_a_clock_that_was_set_back_since_is_held_for_a_day_from_now(ahead: timedelta) -> None:
    """And not until that clock comes to where it was."""
    made = planned(DAYS, "last=7", Brake(10, before=applied("last=8"), told_at=NOW + ahead))
    assert made.waits is not None
    assert "is held until 2026-04-02 12:00 UTC: " in made.waits


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (applied("last=20"), retention("last=6")),
        (applied("last=20"), retention("last=20", total_size=8 * SIZE)),
        (applied("within=20d"), retention("within=5d")),
        (
            applied("last=3", Ownership((Template.parse("b {time}"),), "survival")),
            retention("last=8"),
        ),
        (applied(retention("last=20", failed_after=None)), retention("last=20")),
    ],
)
def test_whatever_was_changed_it_is_held_by_its_effect(before: Applied, now: Retention) -> None:
    """Rules, sizes, spans, names, the time of failed ones."""
    rows = [*DAYS, failed(NOW - 5 * DAY - HOUR)]
    made = planned(rows, now, Brake(10, before=before))
    earlier = plan(listing(rows), before.retention, ownership=before.ownership, brake=Brake())
    assert made.held
    assert set(map(id, gone(made))) <= set(map(id, gone(earlier)))


def test_a_wrong_zone_is_held_by_its_effect() -> None:
    """Two backups of different days in one zone may be of one day in another."""
    rows = [good(NOW - days * DAY + hours * HOUR) for days in range(1, 5) for hours in (-4, 8)]
    before, now = retention("daily=9"), retention("daily=9", zone=ZoneInfo("Asia/Tokyo"))
    assert planned(rows, now, Brake(10)).deletions
    made = planned(rows, now, Brake(10, before=applied(before)))
    assert all(verdict.backup not in gone(planned(rows, before, Brake(10))) for verdict in made.held)
    assert made.held


def test_a_retention_that_keeps_more_waits_for_nothing() -> None:
    """Nor does the same one."""
    for policy in ("last=7", "last=8"):
        made = planned(DAYS, policy, Brake(10, before=applied("last=7")))
        assert (made.held, made.waits) == ((), None)


def test_what_the_panel_made_of_our_names_is_no_change_of_the_retention() -> None:
    """The one before judges by the same names, though the journal learned of them only since."""
    rows = [good(NOW - days * DAY, name=f"{days}", uuid=f"{days}") for days in range(4)]
    ours = OURS.knowing({row.uuid: Altered(good(row.created_at).name, row.name) for row in rows if row.created_at})
    made = plan(listing(rows), retention("last=3"), ownership=ours, brake=Brake(10, before=applied("last=3")))
    assert (gone(made), made.held) == ([rows[3]], ())
    made = plan(listing(rows), retention("last=2"), ownership=ours, brake=Brake(10, before=applied("last=3")))
    assert (gone(made), [verdict.backup for verdict in made.held]) == ([rows[3]], [rows[2]])


def test_a_plan_over_the_brake_tells_what_is_held_as_well() -> None:
    """The day begins then too."""
    made = planned(DAYS, "last=1", Brake(10, 0.5, before=applied("last=10")))
    assert (made.code, made.deletions, len(made.held)) == ("max-deletions", (), 9)


RULES = st.sampled_from(["last=1", "last=4", "last=9", "daily=2", "within=3d", "weekly=1,last=2", "all"])
ROWS = st.lists(st.integers(0, 400), unique=True, max_size=14)


@given(ROWS, RULES, RULES, st.sampled_from([0, 23, 24, 60]))
def test_nothing_that_the_one_before_keeps_goes_within_the_day(hours: list[int], old: str, new: str, ago: int) -> None:
    """And afterwards all that the present one deletes."""
    rows = [good(NOW - hour * HOUR) for hour in hours]
    by_old, by_new = (set(map(id, gone(planned(rows, rule, Brake())))) for rule in (old, new))
    made = set(map(id, gone(planned(rows, new, Brake(99, before=applied(old), told_at=NOW - ago * HOUR)))))
    assert made == (by_new & by_old if ago < 24 else by_new)


# Room ----------------------------------------------------------------------------------------------------------------


def test_room_is_made_though_the_brake_refuses_the_plan() -> None:
    """Else no backup would be made any more, at a limit that is full and with more beyond retention than may go."""
    assert roomy(room(DAYS, "last=2", Brake(3))).backup == DAYS[9]
    assert roomy(room(DAYS, "last=2", Brake(10, 0.5))).backup == DAYS[9]


@pytest.mark.parametrize(("ago", "made"), [(HOUR, False), (23 * HOUR, False), (24 * HOUR, True), (40 * HOUR, True)])
def test_room_past_the_brake_is_made_once_in_a_day(ago: timedelta, made: bool) -> None:
    """An hourly schedule would otherwise go round the brake."""
    answer = room(DAYS, "last=2", Brake(3, room_at=NOW - ago))
    assert isinstance(answer, Verdict) is made
    if not made:
        assert refused(answer).code == "max-deletions"
        again = f"{NOW - ago + DAY:%Y-%m-%d %H:%M} UTC"
        assert refused(answer).text.endswith(f"; room is made once in 24 hours all the same, next at {again}")


def test_room_that_was_made_by_a_clock_that_was_set_back_since_does_not_count() -> None:
    """Nobody waits for months."""
    assert roomy(room(DAYS, "last=2", Brake(3, room_at=NOW + 60 * DAY))).backup == DAYS[9]
    assert isinstance(room(DAYS, "last=2", Brake(3, room_at=NOW + HOUR)), Refusal)


def test_room_within_the_brake_is_made_as_often_as_it_is_needed() -> None:
    """Each rotation at a full limit needs one."""
    assert roomy(room(DAYS, "last=8", Brake(10, 0.5, room_at=NOW - HOUR))).backup == DAYS[9]


def test_no_deletion_allowed_is_no_room() -> None:
    """max_deletions = 0."""
    answer = refused(room(DAYS, "last=2", Brake(0)))
    assert answer.text.endswith("; and with max_deletions = 0 no room is made")


def test_no_room_is_made_of_what_is_held() -> None:
    """The next that goes anyhow does; where all wait, it is told, so that their day begins."""
    assert roomy(room(DAYS, "last=3", Brake(10, before=applied("last=9")))).backup == DAYS[9]
    answer = refused(room(DAYS, "last=6", Brake(10, before=applied("last=20"))))
    assert (answer.code, len(answer.held)) == ("max-deletions", 5)
    assert answer.text.startswith(
        "5 backups that the retention last applied keeps are held until 2026-04-02 12:00 UTC: "
    )
    assert roomy(room(DAYS, "last=6", Brake(10, before=applied("last=20"), told_at=NOW - DAY))).backup == DAYS[9]


# Small ones -----------------------------------------------------------------------------------------------------------

SMALL = [good(NOW - (9 - day) * DAY, size=SIZE if day < 5 else 400) for day in range(10)]
"""Whole ones, and a row of ones that are far too small, unless nothing is."""


@pytest.mark.parametrize("keep", ["last=20", "last=6"])
def test_room_is_not_made_of_what_only_the_present_retention_takes_for_far_too_small(keep: str) -> None:
    """Such a one is kept as good by what was last applied: it waits for its day as any other, and it is told."""
    policy, before = retention(keep, suspicious_for=30 * DAY), applied(retention("last=20", suspicious=0.0))
    answer = refused(room(SMALL, policy, Brake(10, before=before)))
    assert (answer.code, [one.backup for one in answer.held]) == ("max-deletions", SMALL[8:5:-1])
    assert "3 backups that the retention last applied keeps are held until 2026-04-02 12:00 UTC" in answer.text
    alike = applied(retention(keep, suspicious_for=29 * DAY))
    for brake in (Brake(10, before=before, told_at=NOW - DAY), Brake(10, before=alike)):
        assert roomy(room(SMALL, policy, brake)).backup == SMALL[6]


def test_what_makes_no_room_for_a_day_is_told_by_the_plan_as_well() -> None:
    """Or the new retention would have been applied by then, and nothing would wait. It stays what it is."""
    before = applied(retention("last=20", suspicious=0.0))
    made = planned(SMALL, retention("last=20", suspicious_for=30 * DAY), Brake(10, before=before))
    assert [one.backup for one in made.held] == SMALL[8:5:-1]
    assert made.waits is not None
    assert (made.deletions, made.verdicts[1].action) == ((), Action.IGNORE)


def test_small_ones_that_wait_are_told_beside_the_good_ones_that_do() -> None:
    """And where no second room may be made."""
    policy, before = retention("last=3", suspicious_for=30 * DAY), applied(retention("last=20", suspicious=0.0))
    brake = Brake(10, before=before)
    assert len(refused(room(SMALL, policy, brake)).held) == 3 + 3
    again = make_room(listing(SMALL), policy, ownership=OURS, coming_name=COMING, brake=brake, again=True)
    assert len(refused(again).held) == 3


def test_a_brake_bounds_only_what_it_was_told_and_knows_of_nothing_before() -> None:
    """Neither a share, nor what was last applied, nor when the operator was told or room was made."""
    brake = Brake()
    assert brake.share == 1.0
    assert (brake.before, brake.told_at, brake.room_at) == (None, None, None)
