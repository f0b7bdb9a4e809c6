"""A backup whose deletion was asked for and not completed may have no file: it displaces nothing, and is never the last
one that goes.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.brake import Applied, Brake
from daemon.core.model import ASKED, Action, Backup, Reason, Verdict
from daemon.core.plan import plan
from daemon.core.retention import DOUBTFUL, Retention, judge
from daemon.core.room import make_room
from tests.core.build import NOW, OURS, good, listing, retention
from tests.core.test_retention_properties import backups, patient, policies

DAYS = [f"2026-03-{day:02} 04:00" for day in range(20, 30)]


def deleted(rows: list[Backup], keep: str | Retention, *asked: Backup) -> list[str]:
    """The uuids that go, oldest first."""
    policy = retention(keep) if isinstance(keep, str) else keep
    uuids = frozenset(row.uuid for row in asked)
    made = plan(listing(rows), policy, ownership=OURS, brake=Brake(), asked=uuids)
    return [verdict.backup.uuid for verdict in made.deletions]


def verdict_on(row: Backup, rows: list[Backup], keep: str, *asked: Backup) -> Verdict:
    uuids = frozenset(one.uuid for one in asked)
    judged = judge(tuple(rows), retention(keep), ownership=OURS, now=NOW, asked=uuids)
    return next(verdict for verdict in judged if verdict.backup is row)


def test_it_is_asked_for_again_where_others_take_its_place() -> None:
    """As it was the first time, and it says so."""
    rows = [good(day) for day in DAYS[:5]]
    assert deleted(rows, "last=3", rows[0]) == [rows[0].uuid, rows[1].uuid]
    verdict = verdict_on(rows[0], rows, "last=3", rows[0])
    text = "its deletion was asked for and not completed, so it may have no file"
    assert verdict.reasons[-1] == DOUBTFUL == Reason("asked", None, text)
    assert len(verdict.reasons) == 2


@pytest.mark.parametrize("changes", [{"locked": True}, {"name": "made by hand"}, {}], ids=str)
def test_whatever_becomes_of_it_nobody_is_told_that_it_is_whole(changes: dict[str, Any]) -> None:
    """Locked since, foreign, or kept: it may have no file."""
    rows = [good(DAYS[0]), good(DAYS[1], **changes)]
    assert not verdict_on(rows[1], rows, "last=3", rows[1]).whole
    assert verdict_on(rows[1], rows, "last=3", rows[0]).whole


def test_held_since_the_policy_was_changed_it_is_as_doubtful() -> None:
    """The words for the one do not take the place of those for the other."""
    rows = [good(day) for day in DAYS[:5]]
    before = Applied(retention("last=9"), OURS)
    brake = Brake(10, before=before)
    made = plan(listing(rows), retention("last=3"), ownership=OURS, brake=brake, asked=frozenset({rows[0].uuid}))
    reasons = made.verdicts[-1].reasons
    assert [reason.rule for reason in reasons] == ["held", ASKED]
    assert "may have no file" not in reasons[0].text
    assert not made.verdicts[-1].whole


def test_it_displaces_no_other() -> None:
    """The policy keeps fewer now, and newer ones are gone: its row must not cost one that has its file."""
    older, half = good(DAYS[0]), good(DAYS[1])
    assert deleted([older, half], "last=1") == [older.uuid]
    assert deleted([older, half], "last=1", half) == []
    assert deleted([older, half], "daily=1", half) == []


def test_it_is_not_the_newest_good_one() -> None:
    """Spans are counted back from one that has its file, and `min_good` is made of those."""
    older, half = good("2026-03-20 04:00"), good("2026-03-29 04:00")
    assert deleted([older, half], retention("within=2d"), half) == []
    assert deleted([older, half], retention("last=1", min_good=1), half) == []


def test_two_of_them_are_no_reason_for_each_other_to_go() -> None:
    """If one has no file, the other may be the last."""
    rows = [good(day) for day in DAYS[:2]]
    assert deleted(rows, "last=1", *rows) == []


def test_the_size_cap_does_not_count_it() -> None:
    """What has no file takes no room; itself it stays where it would have."""
    rows = [good(day, size=100) for day in DAYS[:3]]
    assert deleted(rows, retention("last=-1", total_size=200)) == [rows[0].uuid]
    assert deleted(rows, retention("last=-1", total_size=200), rows[1]) == []


def room(rows: list[Backup], keep: str, *asked: Backup) -> str | None:
    made = make_room(
        listing(rows),
        retention(keep),
        ownership=OURS,
        coming_name="auto-survival-20260401T120000Z-00000000",
        brake=Brake(),
        asked=frozenset(row.uuid for row in asked),
    )
    return made.backup.uuid if isinstance(made, Verdict) else None


def test_room_is_made_by_another_as_long_as_there_is_one() -> None:
    """It could not be deleted before; where nothing else is to go, it is tried again."""
    rows = [good(day) for day in DAYS[:4]]
    assert room(rows, "last=3") == rows[0].uuid
    assert room(rows, "last=3", rows[0]) == rows[1].uuid
    assert room(rows, "last=4", rows[0]) == rows[0].uuid
    assert room(rows[:1], "last=1", rows[0]) is None


def test_room_spares_the_newest_that_have_their_files() -> None:
    """The newest row may have none, so the one before it is the newest good one."""
    rows = [good(day) for day in DAYS[:2]]
    assert room(rows, "last=1") == rows[0].uuid
    assert room(rows, "last=1", rows[1]) is None
    assert room([good(DAYS[3]), *rows], "last=1", rows[1]) == rows[0].uuid


@patient
@given(backups(), policies(), st.data())
def test_the_others_are_judged_as_if_they_were_not_there(
    rows: list[Backup], policy: Retention, data: st.DataObject
) -> None:
    """By the same states; and whatever goes would go as well if they all had their files."""
    policy = _unsuspecting(policy)
    asked = frozenset(row.uuid for row in rows if data.draw(st.integers(0, 3)) == 0)
    by: dict[str, Any] = {"ownership": OURS, "now": NOW}
    mine = judge(rows, policy, asked=asked, **by)
    without = judge([row for row in rows if row.uuid not in asked], policy, **by)
    assert [verdict for verdict in mine if verdict.backup.uuid not in asked] == list(without)
    went = {verdict.backup.uuid for verdict in judge(rows, policy, **by) if verdict.action is Action.DELETE}
    assert {verdict.backup.uuid for verdict in mine if verdict.action is Action.DELETE} <= went
    assert bool(_stay(mine)) is bool(_stay(judge(rows, policy, **by)))


def _unsuspecting(policy: Retention) -> Retention:
    values = {name: getattr(policy, name) for name in Retention.__slots__}
    return Retention(**(values | {"suspicious": 0.0}))


def _stay(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    """Good, unlocked ones in scope that are kept, whether they have their files or not."""
    return [verdict for verdict in verdicts if verdict.action is Action.KEEP and verdict.state.value == "good"]
