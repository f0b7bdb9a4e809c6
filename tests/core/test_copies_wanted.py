"""What is copied next: newest first, by the store's own rules, and never what it has or would not keep."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.copies_layout import CopyName
from daemon.core.copies_wanted import Taken, Wanted, choices, copied_of, wanted
from daemon.core.copy import Copy
from daemon.core.keep import Keep
from daemon.core.model import Action, Backup, Reason, Scope
from daemon.core.names import Ownership
from daemon.core.retention import Retention, judge
from daemon.core.store_rules import StoreRules
from daemon.core.units import parse_duration
from tests.core.build import NOW, OURS, but, failed, good, pending, retention
from tests.core.test_retention_properties import backups, keeps, patient

US, THEM = "installation-1", "installation-2"
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
TOKYO = ZoneInfo("Asia/Tokyo")
POLICY = retention("last=3")
ROWS = [good(NOW - days * DAY, uuid=f"day-{days}") for days in range(5)]


def rules(keep: str = "all", every: str = "", backfill: int | None = None) -> StoreRules:
    """A store that keeps so."""
    return StoreRules("nas", Keep.parse(keep), every=parse_duration(every) if every else None, backfill=backfill)


def copy_of(backup: Backup) -> Copy:
    """A whole copy of it."""
    name = CopyName("main", "server", backup.created_at or NOW, backup.uuid, encrypted=False)
    return Copy(name, backup, US, backup.bytes, verified=True, locked_until=None)


def chosen(
    store: StoreRules, rows: list[Backup] = ROWS, copies: list[Backup] | None = None, policy: Retention = POLICY
) -> dict[str, Taken]:
    """What becomes of each backup in the store, by uuid."""
    verdicts = judge(rows, policy, ownership=OURS, now=NOW)
    return {one.backup.uuid: one.taken for one in choices(verdicts, copies or [], store, policy, now=NOW)}


def wants(store: StoreRules, rows: list[Backup] = ROWS, copies: list[Backup] | None = None) -> list[str]:
    """The uuids that the store wants, newest first."""
    return [uuid for uuid, taken in chosen(store, rows, copies).items() if taken is Taken.WANTED]


def test_an_empty_store_wants_all_that_its_rules_keep_newest_first() -> None:
    """A new store is filled with what the panel still has."""
    assert wants(rules()) == ["day-0", "day-1", "day-2", "day-3", "day-4"]
    assert wants(rules("last=2")) == ["day-0", "day-1"]


def test_what_the_store_has_is_held_and_not_wanted_again() -> None:
    """By the backup's uuid."""
    assert chosen(rules(), copies=ROWS[1:]) == {"day-0": Taken.WANTED} | {row.uuid: Taken.HELD for row in ROWS[1:]}


def test_what_the_store_would_prune_at_once_is_refused() -> None:
    """It has two newer ones, and keeps two."""
    newer = [good(NOW + minutes * timedelta(minutes=1), uuid=f"new-{minutes}") for minutes in (1, 2)]
    assert set(chosen(rules("last=2"), copies=newer).values()) == {Taken.REFUSED}


@pytest.mark.parametrize(
    "row", [failed(NOW), pending(NOW), but(good(NOW), name="by hand"), but(good(NOW), created_at=None)]
)
def test_only_good_backups_of_the_policys_own_are_copied(row: Backup) -> None:
    """Others are not even spoken of."""
    assert chosen(rules(), rows=[row]) == {}


def test_a_policy_of_scope_all_copies_what_it_did_not_name() -> None:
    """Whatever a policy may delete it copies."""
    foreign = good(NOW, name="by hand", uuid="hand")
    everything = retention("last=3", scope=Scope.ALL)
    assert chosen(rules(), rows=[foreign], policy=everything) == {"hand": Taken.WANTED}


def test_a_locked_backup_is_copied_and_counts_in_the_store_as_any() -> None:
    """The panel's lock says nothing about a store."""
    locked = but(ROWS[0], locked=True)
    assert wants(rules("last=1"), rows=[locked, *ROWS[1:]]) == ["day-0"]


def test_a_suspicious_backup_is_not_copied_and_a_small_one_that_was_accepted_is() -> None:
    """Suspicion has its say on the panel, once."""
    small = but(good(NOW + HOUR, uuid="small"), bytes=10)
    assert "small" not in chosen(rules(), rows=[small, *ROWS])
    verdicts = judge([small, *ROWS], POLICY, ownership=OURS, now=NOW + HOUR, accepted={"small"})
    assert choices(verdicts, ROWS, rules(), POLICY, now=NOW + HOUR)[0].taken is Taken.WANTED


def test_a_backup_that_may_have_no_file_is_not_asked_for() -> None:
    """Its deletion was left half done."""
    verdicts = judge(ROWS, POLICY, ownership=OURS, now=NOW, asked={"day-0"})
    assert choices(verdicts, [], rules(), POLICY, now=NOW)[0].backup.uuid == "day-1"


# Every ----------------------------------------------------------------------------------------------------------------


def test_a_store_is_filled_from_others_with_what_the_panel_does_not_list_any_more() -> None:
    """What it lists is judged by its verdict alone, wherever a copy of it is."""
    old, torn = good(NOW - 9 * DAY, uuid="day-9"), but(failed(NOW), uuid="torn")
    verdicts = judge([*ROWS[:2], torn], POLICY, ownership=OURS, now=NOW)
    made = choices(verdicts, [], rules(), POLICY, now=NOW, elsewhere=[old, torn, ROWS[1]])
    assert [(one.backup.uuid, one.taken) for one in made] == [
        ("day-0", Taken.WANTED),
        ("day-1", Taken.WANTED),
        ("day-9", Taken.WANTED),
    ]


def test_every_takes_the_newest_of_each_period() -> None:
    """Six-hourly backups, and a store that wants one a day."""
    hourly = [good(NOW - 6 * HOUR * step, uuid=f"step-{step}") for step in range(8)]
    assert wants(rules(every="1d"), rows=hourly) == ["step-0", "step-3", "step-7"]


def test_every_takes_no_second_one_of_a_period_that_has_its_copy() -> None:
    """And says why."""
    verdicts = judge([good("2026-04-01 10:00")], POLICY, ownership=OURS, now=NOW)
    (choice,) = choices(verdicts, [good("2026-04-01 04:00", uuid="early")], rules(every="1d"), POLICY, now=NOW)
    assert choice.taken is Taken.REFUSED
    assert [reason.text for reason in choice.reasons] == ["one of the same 1 d is taken already"]


def test_every_does_not_lose_a_day_to_a_backup_that_is_seconds_early() -> None:
    """A daily backup at 04:00:05 and the next at 04:00:02 are two days' backups."""
    late, early = good(NOW - DAY + timedelta(seconds=5), uuid="late"), good(NOW + timedelta(seconds=2), uuid="early")
    assert wants(rules(every="1d"), rows=[early, late], copies=[late]) == ["early"]


# Backfill -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("backfill", "number"), [(None, 5), (0, 1), (1, 1), (3, 3), (9, 5)])
def test_backfill_bounds_what_a_new_store_is_filled_with(backfill: int | None, number: int) -> None:
    """The newest is always taken: that is no filling."""
    assert wants(rules(backfill=backfill)) == [row.uuid for row in ROWS[:number]]


def test_a_store_that_was_down_catches_up_without_any_backfill() -> None:
    """What is newer than its first copy is no backfill."""
    assert wants(rules(backfill=0), copies=[ROWS[3]]) == ["day-0", "day-1", "day-2"]
    twin = but(ROWS[3], uuid="twin")  # of the same moment, so it is no newer one
    assert chosen(rules(backfill=0), rows=[*ROWS[:3], twin], copies=[ROWS[3]])["twin"] is Taken.REFUSED


def test_nonsense_is_refused() -> None:
    """With what would be right."""
    with pytest.raises(ValueError, match=r'^backfill = -1: write 1 or more, "all" or "none"$'):
        rules(backfill=-1)
    with pytest.raises(ValueError, match=r"^every must be longer than nothing$"):
        StoreRules("nas", Keep.parse("all"), every=timedelta(0))


def test_a_store_keeps_by_its_own_rules_in_the_policys_zone_all_that_was_copied() -> None:
    """Neither the policy's scope nor its bounds of size and age are the store's; what is too small is the policy's."""
    policy = retention("last=3", zone=TOKYO, min_good=2, total_size=1000, failed_after=DAY, suspicious=0.25)
    store = StoreRules("nas", Keep.parse("daily=7"), min_good=4)
    assert store.retention(policy) == retention(
        "daily=7", zone=TOKYO, min_good=4, total_size=None, failed_after=None, suspicious=0.25, scope=Scope.ALL
    )
    assert StoreRules("nas", Keep.parse("all")).retention(policy).min_good == 1


def test_each_choice_says_why() -> None:
    """In words, and by rules that programs know."""
    rows = [good(NOW - days * DAY, uuid=f"day-{days}") for days in range(4)]
    verdicts = judge(rows, POLICY, ownership=OURS, now=NOW)
    made = choices(verdicts, rows[2:3], rules("last=1", every="2d", backfill=1), POLICY, now=NOW)
    assert [(one.taken.value, one.reasons) for one in made] == [
        ("wanted", (Reason("last", None, "1 of the newest backup"),)),
        ("refused", (Reason("every", None, "one of the same 2 d is taken already"),)),
        ("held", (Reason("copied", None, "copied"),)),
        ("refused", (Reason("backfill", None, "from before the store's first copy"),)),
    ]


# Several stores -------------------------------------------------------------------------------------------------------


def test_a_backup_is_downloaded_once_for_all_stores_that_want_it() -> None:
    """The newest backup first, whichever store lacks it."""
    verdicts = judge(ROWS[:2], POLICY, ownership=OURS, now=NOW)
    by_store = {
        "nas": choices(verdicts, [ROWS[0]], rules(), POLICY, now=NOW),
        "offsite": choices(verdicts, [], rules(), POLICY, now=NOW),
    }
    assert wanted(by_store) == (Wanted(ROWS[0], ("offsite",)), Wanted(ROWS[1], ("nas", "offsite")))


def test_what_a_store_has_and_refuses_is_what_deletion_asks_for() -> None:
    """One call gives `judge` its argument."""
    verdicts = judge(ROWS, POLICY, ownership=OURS, now=NOW)
    copies = [copy_of(ROWS[0]), replace(copy_of(ROWS[1]), verified=False)]
    copied = copied_of(rules("last=2"), NOW, copies, verdicts, POLICY, installation=US, now=NOW)
    assert copied.copies == {"day-0": ROWS[0].created_at}
    assert copied.unverified == {"day-1"}
    assert copied.refused == {"day-2", "day-3", "day-4"}
    assert (copied.store, copied.seen_at) == ("nas", NOW)


def test_an_unverified_copy_counts_where_the_operator_said_so() -> None:
    """The panel gives no checksum at all, perhaps."""
    verdicts = judge(ROWS, POLICY, ownership=OURS, now=NOW)
    unverified = [replace(copy_of(ROWS[1]), verified=False)]
    copied = copied_of(rules(), NOW, unverified, verdicts, POLICY, installation=US, now=NOW, unverified_counts=True)
    assert (copied.copies, copied.unverified) == ({"day-1": ROWS[1].created_at}, frozenset())


def test_what_another_installation_copied_is_not_copied_again_and_takes_no_place() -> None:
    """Its copies are as good for what they are of, and count in no rule of the store (812363)."""
    verdicts = judge(ROWS, POLICY, ownership=OURS, now=NOW)
    store = rules("last=2")
    taken = [one.taken for one in choices(verdicts, [], store, POLICY, now=NOW, foreign={"day-0", "of another server"})]
    assert taken == [Taken.HELD, Taken.WANTED, Taken.WANTED, Taken.REFUSED, Taken.REFUSED]
    gone = good(NOW - HOUR, uuid="long gone")
    copies = [replace(copy_of(row), installation=THEM) for row in (gone, ROWS[0])]
    copied = copied_of(store, NOW, copies, verdicts, POLICY, installation=US, now=NOW)
    assert copied.copies == {"day-0": ROWS[0].created_at}
    assert copied.refused == {"day-3", "day-4"}


def test_a_foreign_copy_takes_no_period_of_every() -> None:
    """It is not ours to rely on: the next one of that period is copied."""
    rows = [good("2026-04-01 03:00", uuid="late"), good("2026-04-01 02:00", uuid="early")]
    verdicts = judge(rows, POLICY, ownership=OURS, now=NOW)
    first, second = choices(verdicts, [], rules(every="1d"), POLICY, now=NOW, foreign={"late"})
    assert (first.taken, second.taken) == (Taken.HELD, Taken.WANTED)


# What holds of every listing ------------------------------------------------------------------------------------------


@patient
@given(backups(), keeps(), st.sampled_from(["", "1h", "1d", "3d"]), st.data())
def test_nothing_is_copied_only_to_be_pruned_and_copying_comes_to_an_end(
    rows: list[Backup], keep: Keep, every: str, data: st.DataObject
) -> None:
    """Once all that is wanted was copied, the store keeps each of it, and wants nothing more."""
    store = StoreRules("nas", keep, every=parse_duration(every) if every else None)
    verdicts = judge(rows, POLICY, ownership=OURS, now=NOW)
    fit = [one.backup for one in verdicts if one.whole and one.own]
    have = data.draw(st.lists(st.sampled_from(fit), unique_by=lambda one: one.uuid)) if fit else []
    first = choices(verdicts, have, store, POLICY, now=NOW)
    copied = [one.backup for one in first if one.taken is Taken.WANTED]
    assert [one.backup for one in first] == fit

    there = [but(row, locked=False) for row in (*have, *copied)]
    kept = judge(there, store.retention(POLICY), ownership=Ownership((), None), now=NOW)
    gone = {one.backup.uuid for one in kept if one.action is Action.DELETE}
    assert not gone & {row.uuid for row in copied}
    again = choices(verdicts, there, store, POLICY, now=NOW)
    assert not [one for one in again if one.taken is Taken.WANTED]
