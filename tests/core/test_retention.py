"""What becomes of a backup and what is said about it."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from daemon.core.keep import Keep
from daemon.core.model import Action, Backup, Reason, Scope, State, Verdict
from daemon.core.retention import Retention, judge
from tests.core.build import NOW, OURS, SIZE, at, but, failed, good, pending, retention, texts, those, verdicts

DAYS = [good(NOW - timedelta(days=days)) for days in range(6)]
BERLIN = ZoneInfo("Europe/Berlin")


def only(verdict_of: dict[str, Verdict]) -> Verdict:
    """The only verdict."""
    (verdict,) = verdict_of.values()
    return verdict


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("name", ["", "by hand"])
@pytest.mark.parametrize("make", [good, failed, pending], ids=lambda make: make.__name__)
def test_a_locked_one_is_kept_whatever_it_is(make: Callable[..., Backup], name: str, scope: Scope) -> None:
    """Good, failed or pending, own or foreign: and it takes nobody's place."""
    row = but(make(NOW - timedelta(days=300), name=name), locked=True)
    found = verdicts([row, *DAYS], retention("last=1", scope=scope))
    assert (found[row.uuid].action, texts(found[row.uuid])) == (Action.KEEP, ["locked"])
    assert those(found, Action.KEEP) == [DAYS[0].uuid, row.uuid]


def test_a_foreign_one_is_ignored_unless_all_are_in_scope() -> None:
    """`own` leaves alone what this policy did not name; `all` does not."""
    rows = [but(row, name="by hand") for row in DAYS]
    found = verdicts(rows, "last=1")
    assert those(found, Action.IGNORE) == [row.uuid for row in DAYS]
    assert texts(found[DAYS[0].uuid]) == ["not made by this policy"]
    everyone = verdicts(rows, retention("last=1", scope=Scope.ALL))
    assert those(everyone, Action.KEEP) == [DAYS[0].uuid]
    assert not everyone[DAYS[0].uuid].own


def test_a_pending_one_is_ignored() -> None:
    """Deleting it would leave the node writing an orphan."""
    verdict = only(verdicts([pending(NOW - timedelta(days=30))]))
    assert (verdict.state, verdict.action, texts(verdict)) == (State.PENDING, Action.IGNORE, ["not completed yet"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"created_at": None, "unreadable": "created_at is 'yesterday'"}, "created_at is 'yesterday'"),
        ({"created_at": None}, "without a date"),
        ({"created_at": NOW + timedelta(minutes=5, seconds=1)}, "dated more than 5 minutes ahead of the panel's clock"),
    ],
)
def test_a_strange_one_is_ignored(changes: dict[str, Any], says: str) -> None:
    """What cannot be read, or comes from the future, is not touched."""
    verdict = only(verdicts([but(DAYS[0], **changes)]))
    assert (verdict.state, verdict.action, texts(verdict)) == (State.STRANGE, Action.IGNORE, [says])


def test_five_minutes_ahead_of_the_panels_clock_is_not_strange() -> None:
    """Nodes and panels disagree by so much."""
    assert only(verdicts([good(NOW + timedelta(minutes=5))])).state is State.GOOD


@pytest.mark.parametrize(
    ("ago", "failed_after", "action", "says"),
    [
        (
            timedelta(hours=47),
            "2d",
            Action.KEEP,
            "failed; kept until 2026-04-01 13:00 UTC, in case it still turns good",
        ),
        (timedelta(hours=48), "2d", Action.DELETE, "failed, and ended more than 2 d ago"),
        (timedelta(days=999), None, Action.KEEP, "failed; failed_after = never"),
        (
            timedelta(days=-999),
            "2d",
            Action.KEEP,
            "failed; kept until 2026-04-03 12:00 UTC, in case it still turns good",
        ),
    ],
)
def test_a_failed_one_goes_some_time_after_it_ended(
    ago: timedelta, failed_after: str | None, action: Action, says: str
) -> None:
    """A slow node can still turn it good, so it waits; the time counts from its end, by the panel's clock."""
    policy = retention(failed_after=timedelta(days=2) if failed_after else None)
    row = but(failed(NOW - timedelta(days=1)), completed_at=NOW - ago)
    verdict = only(verdicts([row], policy))
    assert (verdict.state, verdict.action, texts(verdict)) == (State.FAILED, action, [says])


def test_create_only_deletes_nothing_at_all() -> None:
    """With `keep = "all"` even what failed long ago stays."""
    found = verdicts([*DAYS, failed("2025-01-01 00:00")], "all")
    assert those(found, Action.DELETE) == []
    assert texts(found[DAYS[3].uuid]) == ['keep = "all" deletes nothing']
    assert texts(found["20250101-000000"]) == ['failed; keep = "all" deletes nothing']


def test_reasons_are_told_rule_by_rule() -> None:
    """A kept one says which rules keep it, a deleted one why none does, in the words of the policy."""
    rows = [
        good(text, name=f"auto-survival-{text[:10].replace('-', '')}T000000Z-00000000")
        for text in (
            "2026-04-01 04:00",
            "2026-03-31 04:00",
            "2026-03-30 04:00",
            "2026-03-29 04:00",
            "2026-02-27 04:00",
        )
    ]
    found = verdicts(rows, "last=1,daily=2,weekly=2,monthly=6,within=36h,within_weekly=3d")
    newest = "auto-survival-20260401T000000Z-00000000"
    assert [texts(verdict) for verdict in found.values()] == [
        [
            "1 of the newest backup",
            "newest of day 2026-04-01, 1 of 2",
            "newest of week 2026-W14, 1 of 2",
            "newest of month 2026-04, 1 of 6",
            "within 36h of the newest good backup",
            "newest of week 2026-W14, within 3d of the newest good backup",
        ],
        ["newest of day 2026-03-31, 2 of 2", "newest of month 2026-03, 2 of 6", "within 36h of the newest good backup"],
        [
            "beyond the newest backup",
            "beyond the 2 newest days",
            f"superseded by {newest} in week 2026-W14",
            "superseded by auto-survival-20260331T000000Z-00000000 in month 2026-03",
            "older than 36h before the newest good backup (cut-off 2026-03-30 16:00 UTC)",
            f"superseded by {newest} in week 2026-W14",
        ],
        ["newest of week 2026-W13, 2 of 2", "newest of week 2026-W13, within 3d of the newest good backup"],
        ["newest of month 2026-02, 3 of 6"],
    ]
    assert [(reason.rule, reason.slot) for reason in found[rows[2].uuid].reasons] == [
        ("last", None),
        ("daily", None),
        ("weekly", "2026-W14"),
        ("monthly", "2026-03"),
        ("within", None),
        ("within_weekly", "2026-W14"),
    ]


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("weekly=3", "oldest, while fewer than 3 weeks are covered"),
        ("weekly=-1", "oldest, as no week is let go"),
        ("within_weekly=30d", "oldest, within 30d of the newest good backup"),
        ("last=-1", "last = -1 lets none go"),
    ],
)
def test_the_oldest_is_kept_while_a_rule_is_not_filled(policy: str, says: str) -> None:
    """So that the span covered grows from the first day on."""
    assert texts(list(verdicts(DAYS, policy).values())[-1]) == [says]


@pytest.mark.parametrize(
    ("rule", "slot", "noun"),
    [
        ("hourly", "2026-04-01T12", "hour"),
        ("daily", "2026-04-01", "day"),
        ("weekly", "2026-W14", "week"),
        ("monthly", "2026-04", "month"),
        ("yearly", "2026", "year"),
    ],
)
def test_each_period_is_called_by_its_name(rule: str, slot: str, noun: str) -> None:
    """Of three backups, this hour's two and one of three years ago, by counts and by spans."""
    newest, second, old = rows = [good(NOW + timedelta(minutes=1)), good(NOW), good(NOW - timedelta(days=999))]
    superseded = Reason(rule, slot, f"superseded by {newest.name} in {noun} {slot}")
    one, two = verdicts(rows, f"{rule}=1"), verdicts(rows, f"{rule}=3")
    assert one[newest.uuid].reasons == (Reason(rule, slot, f"newest of {noun} {slot}, 1 of 1"),)
    assert one[second.uuid].reasons == (superseded,)
    assert one[old.uuid].reasons == (Reason(rule, None, f"beyond the newest {noun}"),)
    assert two[newest.uuid].reasons == (Reason(rule, slot, f"newest of {noun} {slot}, 1 of 3"),)
    within = verdicts(rows, f"within_{rule}=1y")
    text = f"newest of {noun} {slot}, within 1y of the newest good backup"
    assert within[newest.uuid].reasons == (Reason(f"within_{rule}", slot, text),)
    assert within[old.uuid].reasons == (
        Reason(f"within_{rule}", None, "older than 1y before the newest good backup (cut-off 2025-04-01 00:00 UTC)"),
    )


def test_each_reason_names_its_rule() -> None:
    """As the policy has it; a slot is named where there is one."""
    newest, second = DAYS[0], DAYS[1]
    assert verdicts(DAYS, "last=1,daily=-1,within=2h")[newest.uuid].reasons == (
        Reason("last", None, "1 of the newest backup"),
        Reason("daily", "2026-04-01", "newest of day 2026-04-01"),
        Reason("within", None, "within 2h of the newest good backup"),
    )
    assert verdicts(DAYS, "last=1,within=2h")[second.uuid].reasons == (
        Reason("last", None, "beyond the newest backup"),
        Reason("within", None, "older than 2h before the newest good backup (cut-off 2026-04-01 10:00 UTC)"),
    )
    assert verdicts(DAYS, "last=-1")[second.uuid].reasons == (Reason("last", None, "last = -1 lets none go"),)
    assert verdicts(DAYS, "all")[second.uuid].reasons == (Reason("all", None, 'keep = "all" deletes nothing'),)
    oldest = Reason("weekly", None, "oldest, while fewer than 3 weeks are covered")
    assert verdicts(DAYS, "weekly=3")[DAYS[-1].uuid].reasons == (oldest,)
    by_floor = verdicts(DAYS, retention("last=1", min_good=2))[second.uuid].reasons
    assert by_floor == (Reason("min_good", None, "among the newest good ones, min_good = 2"),)
    by_cap = Reason("total_size", None, "1.9 MiB with the newer ones, over total_size = 976.6 KiB")
    capped = verdicts(DAYS, retention("last=2", total_size=SIZE))[second.uuid]
    assert capped == Verdict(second, State.GOOD, True, Action.DELETE, (by_cap,))


def test_what_the_rules_have_no_say_in_names_why() -> None:
    """For machines as well as for people."""
    old = NOW - timedelta(days=30)
    for row, rule in (
        (but(DAYS[0], locked=True), "locked"),
        (but(DAYS[0], name="by hand"), "foreign"),
        (failed(old), "failed"),
        (failed(NOW - timedelta(hours=1)), "failed"),
        (pending(old), "pending"),
        (but(DAYS[0], bytes=0), "suspicious"),
        (but(DAYS[0], created_at=None), "strange"),
    ):
        verdict = only(verdicts([row]))
        assert [(reason.rule, reason.slot) for reason in verdict.reasons] == [(rule, None)]
        assert verdict.own is (rule != "foreign")
    for policy in (retention("all"), retention("last=1", failed_after=None)):
        (reason,) = only(verdicts([failed(old)], policy)).reasons
        assert (reason.rule, reason.slot) == ("failed", None)


def test_a_year_and_a_month_are_written_with_all_their_digits() -> None:
    """A panel's clock may be far off; the slots sort as text all the same."""
    row = good(datetime(812, 3, 4, 5, tzinfo=UTC), uuid="old", name=DAYS[0].name)
    slots = [reason.slot for reason in verdicts([row], "hourly=1,daily=1,weekly=1,monthly=1,yearly=1")["old"].reasons]
    assert slots == ["0812-03-04T05", "0812-03-04", "0812-W09", "0812-03", "0812"]


def test_min_good_adds_the_newest() -> None:
    """Rules may keep fewer than that; the floor does not."""
    found = verdicts(DAYS, retention("weekly=1", min_good=3))
    assert those(found, Action.KEEP) == [row.uuid for row in DAYS[:3]]
    assert texts(found[DAYS[1].uuid]) == ["among the newest good ones, min_good = 3"]


@pytest.mark.parametrize(
    ("keep", "min_good", "most"),
    [("daily=7", 1, 7), ("daily=7", 3, 9), ("last=3", 3, 3), ("last=3", 5, 5), ("all", 1, None)],
)
def test_min_good_counts_towards_what_can_be_kept(keep: str, min_good: int, most: int | None) -> None:
    """So that `check` can tell whether the panel's limit holds that and one more."""
    assert retention(keep, min_good=min_good).most_kept() == most


def test_total_size_takes_the_oldest_away_and_says_so() -> None:
    """What is kept fits into it, as long as `min_good` are left."""
    found = verdicts(DAYS, retention("last=4", total_size=int(2.5 * SIZE)))
    assert those(found, Action.KEEP) == [row.uuid for row in DAYS[:2]]
    assert texts(found[DAYS[2].uuid]) == ["2.9 MiB with the newer ones, over total_size = 2.4 MiB"]
    assert texts(found[DAYS[4].uuid]) == ["beyond the 4 newest backups"]
    tight = verdicts(DAYS, retention("last=4", total_size=1, min_good=3))
    assert those(tight, Action.KEEP) == [row.uuid for row in DAYS[:3]]


def test_total_size_neither_counts_nor_takes_locked_ones() -> None:
    """A locked giant costs the others nothing."""
    giant = but(good("2026-01-01 00:00", size=1000 * SIZE), locked=True)
    assert those(verdicts([*DAYS, giant], retention("last=2", total_size=2 * SIZE, suspicious=0.0)), Action.KEEP) == [
        DAYS[0].uuid,
        DAYS[1].uuid,
        giant.uuid,
    ]


def test_total_size_does_not_act_on_a_list_that_may_lack_rows() -> None:
    """A part cannot say how much the whole takes."""
    policy = retention("last=4", total_size=1)
    judged = judge(DAYS, policy, ownership=OURS, now=NOW, complete=False)
    assert sum(verdict.action is Action.KEEP for verdict in judged) == 4


def test_ties_are_broken_by_uuid() -> None:
    """Two of one moment have one order, whichever way the panel lists them."""
    twins = [but(DAYS[0], uuid=uuid) for uuid in ("a", "b")]
    assert those(verdicts(twins, "last=1"), Action.KEEP) == those(verdicts(twins[::-1], "last=1"), Action.KEEP) == ["b"]


def test_no_backups_need_no_verdicts() -> None:
    """An empty listing is judged by every rule without a word."""
    assert verdicts([], "last=1,daily=1,within=1d,within_daily=1d") == {}


def test_the_first_year_of_the_calendar_can_be_judged_everywhere() -> None:
    """A panel that dates a backup to year 1 stops no rotation."""
    rows = [*DAYS, good(datetime(1, 1, 1, 1, tzinfo=UTC), uuid="old", name=DAYS[0].name)]
    found = verdicts(rows, retention("daily=1,within=1d", zone=ZoneInfo("America/New_York")))
    assert found["old"].action is Action.DELETE
    assert texts(found[DAYS[0].uuid])[0] == "newest of day 2026-04-01, 1 of 1"


def test_days_and_weeks_are_the_zones() -> None:
    """23:30 UTC on a Sunday is Monday in Berlin, and another week."""
    rows = [good("2026-03-29 22:30"), good("2026-03-29 21:30")]
    assert len(those(verdicts(rows, retention("weekly=2", zone=BERLIN)), Action.KEEP)) == 2
    assert texts(verdicts(rows, retention("daily=2", zone=BERLIN))[rows[0].uuid]) == [
        "newest of day 2026-03-30, 1 of 2"
    ]


def test_an_hour_a_day_and_a_month_are_those_of_their_year() -> None:
    """One January does not supersede another."""
    rows = [good("2026-01-05 04:00"), good("2025-01-05 04:00"), good("2024-06-01 04:00")]
    for policy in ("hourly=2", "daily=2", "weekly=2", "monthly=2"):
        assert those(verdicts(rows, policy), Action.KEEP) == [rows[0].uuid, rows[1].uuid]


def test_no_two_hours_and_no_two_months_are_taken_for_one() -> None:
    """Also where a day more is an hour less, or a dozen of years more a month less."""
    oldest = good("2001-01-01 00:00")
    for policy, other in (("hourly=2", "2026-01-01 04:00"), ("monthly=2", "2014-02-25 03:00")):
        rows = [good("2026-01-25 03:00"), good(other), oldest]
        assert those(verdicts(rows, policy), Action.KEEP) == [rows[0].uuid, rows[1].uuid]


def test_a_night_with_a_clock_change_is_one_day_and_the_doubled_hour_one_hour() -> None:
    """Periods are read off the wall clock, as restic does: that night has 25 backups, 24 hours and one date."""
    start = at("2026-10-25 00:00", BERLIN)
    night = [good(start + timedelta(hours=hour)) for hour in range(25)]
    kept = those(verdicts(night, retention("hourly=-1", zone=BERLIN), now=start + timedelta(days=2)), Action.KEEP)
    assert len(kept) == 24
    assert "20261025-000000" not in kept  # 02:00 of summer, superseded by 02:00 of winter
    assert (
        len(those(verdicts(night, retention("daily=2", zone=BERLIN), now=start + timedelta(days=2)), Action.KEEP)) == 2
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"min_good": 0}, "min_good = 0: at least the newest good backup must survive, so write 1 or more"),
        ({"total_size": 0}, 'total_size = 0: write a size such as "50GiB", or leave it out'),
        (
            {"total_size": 1, "keep": "all"},
            'keep = "all" deletes nothing, so total_size can do nothing: write keep = { last = -1 }',
        ),
        (
            {"failed_after": timedelta(hours=12) - timedelta.resolution},
            'failed_after must be at least 12h, since a slow node can still turn a failed one good; or "never"',
        ),
        ({"suspicious": 1.0}, "suspicious = 1.0: write a share from 0 (off) to below 1, such as 0.5"),
        ({"suspicious": -0.1}, "suspicious = -0.1: write a share from 0 (off) to below 1, such as 0.5"),
    ],
)
def test_a_policy_that_could_cost_the_last_backup_is_refused(changes: dict[str, Any], says: str) -> None:
    """And one that contradicts itself."""
    keep = changes.pop("keep", "last=1")
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        retention(keep, **changes)


def test_what_is_only_just_allowed_is_allowed() -> None:
    """The bounds themselves are within the bounds."""
    policy = retention(min_good=1, total_size=1, failed_after=timedelta(hours=12), suspicious=0)
    assert (policy.min_good, policy.total_size, policy.suspicious) == (1, 1, 0)


def test_what_a_policy_leaves_out_is_cautious() -> None:
    """One good backup always, no cap, two days for a failed one, and half of the usual size is enough."""
    policy = Retention(Keep(last=1), BERLIN, Scope.OWN)
    assert policy == Retention(Keep(last=1), BERLIN, Scope.OWN, 1, None, timedelta(days=2), 0.5)


def test_the_work_grows_as_the_listing_does() -> None:
    """Six rules on four times as many backups make at most some four times as many calls: nothing is quadratic."""
    policy: Retention = retention("last=3,hourly=24,daily=7,weekly=4,monthly=6,yearly=3", zone=BERLIN)

    def calls(backups: int) -> int:
        """Functions called while so many are judged: unlike seconds, the same on every machine."""
        rows = [good(NOW - timedelta(hours=hour)) for hour in range(backups)]
        counted = 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            judge(rows, policy, ownership=OURS, now=NOW)
        finally:
            sys.setprofile(None)
        return counted

    assert calls(8000) < 4.5 * calls(2000)
