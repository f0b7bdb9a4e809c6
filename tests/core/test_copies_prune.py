"""The pruning of a store: by its own rules, only what is ours, never before a lock's end, and with the whole brake."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.brake import Applied, Brake
from daemon.core.copies_layout import CopyName
from daemon.core.copies_prune import Pruning, prune
from daemon.core.copy import Copy
from daemon.core.keep import Keep
from daemon.core.model import Action, Backup, Reason
from daemon.core.retention import Retention
from daemon.core.store_rules import StoreRules
from tests.core.build import NOW, OURS, but, good, retention
from tests.core.test_copies_layout import SERVER
from tests.core.test_retention_properties import backups, keeps, patient

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WEST = ZoneInfo("Pacific/Pago_Pago")
"""So far west that it is still the day before there at 6:00 in UTC."""
US, THEM = "installation-1", "installation-2"


def keeping(keep: str, **changes: Any) -> Retention:
    """What a store keeps so of a server with an ordinary policy."""
    return replace(StoreRules("nas", Keep.parse(keep)).retention(retention("last=1")), **changes)


def copy(backup: Backup, *, by: str = US, locked: timedelta | None = None, encrypted: bool = False) -> Copy:
    """A whole copy of the backup."""
    backup = but(backup, uuid=str(uuid5(UUID(int=0), backup.uuid)))
    name = CopyName.of("main", SERVER, backup, encrypted=encrypted)
    return Copy(name, backup, by, backup.bytes, verified=True, locked_until=None if locked is None else NOW + locked)


COPIES = [copy(good(NOW - days * DAY)) for days in range(6)]


def pruned(copies: Collection[Copy], policy: Retention | str, brake: Brake | None = None, **more: Any) -> Pruning:
    """The pruning of these."""
    keep = keeping(policy) if isinstance(policy, str) else policy
    asked: dict[str, Any] = {"installation": US, "ownership": OURS, "brake": brake or Brake(), "now": NOW} | more
    return prune(list(copies), keep, **asked)


def test_the_stores_own_rules_decide_and_the_oldest_goes_first() -> None:
    """The panel has no say: it may have lost them all."""
    made = pruned(COPIES, "last=4")
    assert made.deletions == (COPIES[5], COPIES[4])
    assert (made.refused, made.code, made.waits, made.held) == (None, None, None, ())
    assert made.let_through == (COPIES[5].name.data, COPIES[4].name.data)
    assert [verdict.copy for verdict in made.verdicts] == COPIES
    assert [reason.text for reason in made.verdicts[5].reasons] == ["beyond the 4 newest backups"]


def test_the_manifest_goes_before_the_data() -> None:
    """What a crash leaves between the two is no copy, and is cleared away."""
    made = pruned(COPIES, "last=5")
    assert made.keys == (COPIES[5].name.manifest, COPIES[5].name.data)


def test_what_another_installation_wrote_is_neither_touched_nor_counted() -> None:
    """Two daemons may share a bucket."""
    theirs = [copy(good(NOW - days * DAY), by=THEM) for days in range(3)]
    made = pruned([*theirs, *COPIES[3:]], "last=2")
    assert made.deletions == (COPIES[5],)
    assert {verdict.action for verdict in made.verdicts[:3]} == {Action.IGNORE}
    assert made.verdicts[0].reasons == (Reason("foreign", None, "written by another installation"),)


def test_a_lock_that_has_not_ended_keeps_the_copy_and_says_until_when() -> None:
    """It is kept and not held for deleted; and it occupies its place in the rules as any other does."""
    rows = [copy(good(NOW - days * DAY), locked=DAY) for days in range(4)]
    made = pruned(rows, "last=2")
    assert made.deletions == ()
    texts = [reason.text for reason in made.verdicts[3].reasons]
    assert texts == ["beyond the 2 newest backups", "locked in the store until 2026-04-02 12:00 UTC"]
    assert (made.verdicts[3].action, made.verdicts[3].reasons[1].rule) == (Action.KEEP, "locked")
    ended = [replace(row, locked_until=NOW) for row in rows]
    assert pruned(ended, "last=2").deletions == (ended[3], ended[2])


def test_a_lock_that_may_not_be_read_keeps_the_copy_and_says_what_is_missing() -> None:
    """It has no end that anybody knows; one that is known is told rather."""
    rows = [replace(copy(good(NOW - days * DAY)), lock_known=False) for days in range(3)]
    made = pruned(rows, "last=2")
    assert made.deletions == ()
    assert made.verdicts[2].reasons[1:] == (
        Reason(
            "locked", None, "perhaps locked in the store: its key may not ask (s3:GetBucketObjectLockConfiguration)"
        ),
    )
    ended = pruned([replace(row, locked_until=NOW - DAY) for row in rows], "last=2")
    assert ended.verdicts[2].reasons == made.verdicts[2].reasons
    locked = pruned([replace(row, locked_until=NOW + DAY) for row in rows], "last=2")
    assert "until 2026-04-02" in locked.verdicts[2].reasons[1].text


def test_what_the_panel_locked_is_pruned_as_any() -> None:
    """A lock on the panel is one against deletion there."""
    rows = [copy(good(NOW - days * DAY, locked=True)) for days in range(3)]
    assert pruned(rows, "last=2").deletions == (rows[2],)


def test_a_whole_copy_counts_whatever_its_manifest_says_of_the_backups_end() -> None:
    """Its name has the date, and only good backups are copied."""
    odd = [replace(row, backup=but(row.backup, successful=False, created_at=None, completed_at=None)) for row in COPIES]
    assert pruned(odd, "last=4").deletions == (odd[5], odd[4])


def test_two_copies_of_one_backup_are_two() -> None:
    """Encryption was switched on between them; the later name is the newer."""
    both = [copy(good(NOW)), copy(good(NOW), encrypted=True)]
    assert pruned(both, "last=1").deletions == (both[0],)


def test_min_good_of_the_store_survives_its_rules() -> None:
    """As on the panel."""
    assert pruned(COPIES, keeping("within=1h", min_good=5)).deletions == (COPIES[5],)


def test_keep_all_prunes_nothing() -> None:
    """The default."""
    assert pruned(COPIES, "all").deletions == ()


def test_a_copy_that_is_far_too_small_displaces_none_until_it_is_accepted() -> None:
    """The guard of the policy holds in the store too, whoever wrote what."""
    tiny = copy(but(good(NOW + timedelta(minutes=1)), bytes=10))
    assert pruned([tiny, *COPIES], "last=6").deletions == ()
    assert pruned([tiny, *COPIES], "last=6", accepted={tiny.backup.uuid}).deletions == (COPIES[5],)


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        ({"complete": False}, "partial-listing", "the store was not listed to its end, so nothing is deleted by it"),
        ({"doubt": "the clock jumped"}, "clock", "the clock jumped, so nothing is deleted"),
        ({"brake": Brake(most=1)}, "max-deletions", "would delete 5 good backups, more than max_deletions = 1"),
        ({"brake": Brake(most=9, share=0.5)}, "max-deletions", "would delete 5 of 6 good backups, more than max_share"),
    ],
)
def test_nothing_goes_by_a_cut_listing_a_doubted_clock_or_beyond_the_brake(
    more: dict[str, Any], code: str, text: str
) -> None:
    """And the verdicts are told all the same."""
    made = pruned(COPIES, "last=1", **more)
    assert (made.deletions, made.keys, made.code, made.waits) == ((), (), code, None)
    assert (made.held, made.let_through) == ((), ())
    assert made.refused is not None
    assert made.refused.startswith(text)
    assert len(made.verdicts) == 6


def test_the_brake_counts_whatever_was_copied_and_names_it_by_its_day_in_the_policys_zone() -> None:
    """Also what was made by hand."""
    rows = [copy(good(NOW - days * DAY - 6 * HOUR, name=f"by hand {days}")) for days in range(3)]
    assert pruned(rows, keeping("last=1", zone=WEST), Brake(most=1)).refused == (
        "would delete 2 good backups, more than max_deletions = 1: by hand 2 (2026-03-29), by hand 1 (2026-03-30)"
    )


def test_what_only_changed_rules_let_go_is_held_for_a_day() -> None:
    """The hold of the brake, as for a panel's retention."""
    before = Applied(keeping("last=5"), OURS)
    made = pruned(COPIES, "last=3", Brake(most=10, before=before))
    assert (made.deletions, made.held) == ((COPIES[5],), (COPIES[3], COPIES[4]))
    assert made.waits is not None
    assert "2 backups that the retention last applied keeps are held until 2026-04-02 12:00 UTC" in made.waits
    held = made.verdicts[3]
    assert (held.action, held.reasons[0].text.partition(",")[0]) == (Action.KEEP, "held until 2026-04-02 12:00 UTC")
    told = Brake(most=10, before=before, told_at=NOW - DAY)
    assert pruned(COPIES, "last=3", told).deletions == tuple(reversed(COPIES[3:]))
    assert pruned(COPIES, "last=3", Brake(before=before)).deletions == tuple(reversed(COPIES[3:]))  # the brake is off


def test_what_is_held_is_known_though_the_brake_holds_too() -> None:
    """Both are told."""
    made = pruned(COPIES, "last=1", Brake(most=1, before=Applied(keeping("last=5"), OURS)))
    assert (made.code, made.held) == ("max-deletions", tuple(COPIES[1:5]))


def test_what_is_locked_is_counted_only_where_it_is_known_by_which_rules_it_goes() -> None:
    """Without a record it would block the rest; and what the brake has let through is not counted when it is free."""
    rows = [*COPIES[:4], *(replace(row, locked_until=NOW + DAY) for row in COPIES[4:])]
    made = pruned(rows, "last=3", Brake(most=1))
    assert made.deletions == (COPIES[3],)
    assert made.let_through == tuple(row.name.data for row in reversed(rows[3:]))
    recorded = Brake(most=1, before=Applied(keeping("last=3"), OURS))
    assert pruned(rows, "last=3", recorded).code == "max-deletions"


@patient
@given(backups(only_good=True), keeps(), st.data())
def test_from_a_part_of_a_store_nothing_goes_that_the_whole_keeps(
    rows: list[Backup], keep: Keep, data: st.DataObject
) -> None:
    """Monotone retention (invariant 5), locks included; and never the newest copy."""
    all_copies = [copy(row, locked=data.draw(st.sampled_from([None, -DAY, DAY]))) for row in rows]
    policy = replace(keeping("all", suspicious=0), keep=keep)
    part = data.draw(st.lists(st.sampled_from(all_copies), unique_by=lambda one: one.name.data))
    whole, partly = pruned(all_copies, policy), pruned(part, policy)
    kept = {one.copy.name.data for one in whole.verdicts if one.action is Action.KEEP}
    assert not kept & {one.name.data for one in partly.deletions}
    assert not any(one.locked_until and one.locked_until > NOW for one in whole.deletions)
    assert whole.verdicts[0].action is Action.KEEP


def test_the_locks_of_a_copy_are_known_unless_it_is_said_that_they_are_not() -> None:
    """One that may have a lock is not deleted."""
    made = copy(good(NOW))
    assert Copy(made.name, made.backup, "one", 5, True, None).lock_known is True
