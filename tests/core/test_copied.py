"""Copies first: what a store does not have yet stays on the panel, and nothing else changes (invariant 14)."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.brake import Applied, Brake
from daemon.core.copied import Copied, uncopied, until_copied
from daemon.core.keep import Keep
from daemon.core.model import Action, Backup, Reason, Verdict
from daemon.core.plan import Plan, Refusal, plan
from daemon.core.retention import Retention, judge
from daemon.core.room import make_room
from tests.core.build import NOW, OURS, TEMPLATE, but, failed, good, listing, refused, retention, roomy, texts
from tests.core.test_retention_properties import backups, keeps, patient

DAY = timedelta(days=1)
ROWS = [good(NOW - days * DAY, uuid=f"day-{days}") for days in range(5)]
KEEP = retention("daily=2")


def held(*uuids: str, store: str = "offsite", seen_at: datetime | None = NOW, refused: str = "") -> Copied:
    """A store with whole copies of these."""
    made = {row.uuid: row.created_at for row in ROWS if row.uuid in uuids and row.created_at}
    return Copied(store, seen_at, made, frozenset(refused.split()))


def judged(
    *copied: Copied, rows: list[Backup] = ROWS, policy: Retention = KEEP, asked: Collection[str] = ()
) -> dict[str, Verdict]:
    """The verdicts, by uuid."""
    said = judge(rows, policy, ownership=OURS, now=NOW, asked=asked)
    return {verdict.backup.uuid: verdict for verdict in until_copied(said, copied, NOW)}


def going(verdicts: dict[str, Verdict]) -> list[str]:
    """What is deleted, newest first."""
    return [uuid for uuid, verdict in verdicts.items() if verdict.action is Action.DELETE]


def test_what_the_store_lacks_is_kept_and_says_so_after_the_rule() -> None:
    """The words that operators read."""
    verdicts = judged(held("day-2"))
    assert going(verdicts) == ["day-2"]
    assert verdicts["day-3"].action is Action.KEEP
    assert texts(verdicts["day-3"]) == ["beyond the 2 newest days", "not in offsite yet"]
    assert uncopied(verdicts["day-3"]) == ("offsite",)
    assert verdicts["day-3"].reasons[-1] == Reason("uncopied", "offsite", "not in offsite yet")
    assert uncopied(verdicts["day-2"]) == ()
    assert uncopied(verdicts["day-0"]) == ()  # kept by its day


def test_every_store_named_must_have_it() -> None:
    """One is not enough, and each that lacks it is named."""
    verdicts = judged(held("day-2", "day-3"), held("day-3", store="nas"))
    assert going(verdicts) == ["day-3"]
    assert uncopied(verdicts["day-2"]) == ("nas",)
    assert uncopied(verdicts["day-4"]) == ("offsite", "nas")


@pytest.mark.parametrize(
    ("seen_at", "counts"),
    [
        (NOW - DAY, True),
        (NOW - DAY - timedelta(seconds=1), False),
        (NOW + DAY, True),
        (NOW + 2 * DAY, False),  # by a clock that was set back since
        (None, False),
    ],
)
def test_only_what_was_seen_within_the_last_day_counts(seen_at: datetime | None, counts: bool) -> None:
    """A store that cannot be reached makes backups stay."""
    verdicts = judged(held("day-2", "day-3", "day-4", seen_at=seen_at))
    assert (going(verdicts) == ["day-2", "day-3", "day-4"]) is counts
    if not counts:
        unseen = Reason("uncopied", "offsite", "offsite was not seen within the last day")
        assert verdicts["day-2"].reasons[-1] == unseen


def test_a_store_of_which_nothing_is_known_lets_nothing_go() -> None:
    """Nor does one that was seen, and holds nothing."""
    for store, text in (
        (Copied("offsite"), "offsite was not seen within the last day"),
        (Copied("offsite", NOW), "not in offsite yet"),
    ):
        verdicts = judged(store)
        assert going(verdicts) == []
        assert texts(verdicts["day-4"])[-1] == text


def test_of_what_the_store_would_not_take_a_newer_copy_is_enough() -> None:
    """An `every` of the store's own lets one of two go uncopied, once the next is there."""
    assert going(judged(held("day-1", refused="day-2 day-3 day-4"))) == ["day-2", "day-3", "day-4"]
    older = judged(held("day-3", refused="day-2 day-4"))
    assert going(older) == ["day-3", "day-4"]
    waits = Reason("uncopied", "offsite", "offsite takes a newer one instead, and has none yet")
    assert older["day-2"].reasons[-1] == waits
    twin = Copied("offsite", NOW, {"another": NOW - 2 * DAY}, frozenset({"day-2"}))
    assert judged(twin)["day-2"].reasons[-1] == waits  # one of the same moment is no newer one


@pytest.mark.parametrize(("ahead", "counts"), [(timedelta(minutes=5), True), (timedelta(minutes=5, seconds=1), False)])
def test_a_copy_that_is_dated_in_the_future_is_no_newer_one(ahead: timedelta, counts: bool) -> None:
    """A clock that was wrong dated it: it would let every backup go that the store does not take."""
    wrong = Copied("offsite", NOW, {"another": NOW + ahead}, frozenset({"day-4"}))
    assert going(judged(wrong)) == (["day-4"] if counts else [])


def test_an_unverified_copy_does_not_count_and_says_so() -> None:
    """The panel gave no checksum, so nothing says that these are its bytes (invariant 13)."""
    store = replace(held("day-2"), unverified=frozenset({"day-3"}), refused=frozenset({"day-3"}))
    verdicts = judged(store)
    assert going(verdicts) == ["day-2"]
    text = "its copy in offsite is unverified, since the panel gave no checksum"
    assert verdicts["day-3"].reasons[-1] == Reason("uncopied", "offsite", text)


def test_a_failed_one_and_one_that_may_have_no_file_wait_for_no_copy() -> None:
    """They can never be copied, and must not block for ever."""
    gone = failed(NOW - 9 * DAY)
    assert going(judged(held(), rows=[*ROWS, gone], asked={"day-4"})) == ["day-4", gone.uuid]


@patient
@given(backups(), keeps(), st.data())
def test_waiting_for_copies_only_ever_keeps_more_and_changes_no_other_verdict(
    rows: list[Backup], keep: Keep, data: st.DataObject
) -> None:
    """The more is copied the more may go, up to what goes without any store."""
    policy = replace(KEEP, keep=keep)
    dates = {row.uuid: row.created_at for row in rows if row.created_at is not None}
    everything = st.sets(st.sampled_from(sorted(dates) or [""]))
    less = data.draw(everything)
    more = less | data.draw(everything)
    refused_ones = frozenset(data.draw(everything))

    def gone(copies: set[str] | None) -> dict[str, Verdict]:
        made = {uuid: dates[uuid] for uuid in copies or () if uuid in dates}
        copied = () if copies is None else (Copied("offsite", NOW, made, refused_ones),)
        return judged(*copied, rows=rows, policy=policy)

    free, many, few = gone(None), gone(more), gone(less)
    assert set(going(few)) <= set(going(many)) <= set(going(free))
    assert list(few) == list(free)
    for uuid, verdict in few.items():
        assert verdict == free[uuid] or (uncopied(verdict) and free[uuid].action is Action.DELETE)
        assert verdict.reasons[: len(free[uuid].reasons)] == free[uuid].reasons


# The plan, and room at the limit -------------------------------------------------------------------------------------


def planned(*copied: Copied) -> Plan:
    """The plan for the rows."""
    return plan(listing(ROWS), KEEP, ownership=OURS, brake=Brake(), copied=copied)


def room(*copied: Copied, uncopied_may_go: bool = False, rows: list[Backup] = ROWS) -> Verdict | Refusal:
    """The room that is made among these rows."""
    return make_room(
        listing(rows),
        KEEP,
        ownership=OURS,
        coming_name=TEMPLATE.render("survival", NOW, "ffffffff"),
        brake=Brake(),
        copied=copied,
        uncopied_may_go=uncopied_may_go,
    )


def test_the_plan_deletes_only_what_is_copied() -> None:
    """Oldest first, as ever."""
    assert [one.backup.uuid for one in planned(held("day-4", "day-2")).deletions] == ["day-4", "day-2"]


def test_the_brake_counts_what_waits_too_so_that_a_store_in_trouble_hides_no_mistake() -> None:
    """The plan is what it would be without stores, less what waits; what was let through once is not counted again."""
    over = plan(listing(ROWS), KEEP, ownership=OURS, brake=Brake(most=2), copied=[held("day-4")])
    assert (over.code, over.deletions) == ("max-deletions", ())
    assert texts(over.verdicts[2])[-1] == "not in offsite yet"
    excused = Brake(most=2, excused=frozenset({"day-3"}))
    made = plan(listing(ROWS), KEEP, ownership=OURS, brake=excused, copied=[held("day-4")])
    assert (made.refused, [one.backup.uuid for one in made.deletions]) == (None, ["day-4"])


def test_what_a_changed_retention_deletes_is_held_for_its_day_though_it_waits_for_copies_too() -> None:
    """Or the day would be over before anything could be seen of the mistake."""
    before = Applied(retention("daily=4"), OURS, frozenset({"offsite"}))
    made = plan(listing(ROWS), KEEP, ownership=OURS, brake=Brake(10, 1, before=before), copied=[held("day-4")])
    assert [one.backup.uuid for one in made.held] == ["day-2", "day-3"]
    assert [one.backup.uuid for one in made.deletions] == ["day-4"]


@pytest.mark.parametrize("still", [(), (held("day-2", "day-3", "day-4", store="nas"),)], ids=["none", "another"])
def test_what_waited_for_a_store_that_is_not_asked_any_more_is_held_for_a_day(still: tuple[Copied, ...]) -> None:
    """Whatever key was changed: the configuration before kept them, and this one deletes them."""
    before = Applied(KEEP, OURS, frozenset({"offsite", *(one.store for one in still)}))
    made = plan(listing(ROWS), KEEP, ownership=OURS, brake=Brake(10, 1, before=before), copied=still)
    assert [one.backup.uuid for one in made.held] == ["day-2", "day-3", "day-4"]
    assert made.deletions == ()
    later = replace(before, stores=before.stores - {"offsite"})
    free = plan(listing(ROWS), KEEP, ownership=OURS, brake=Brake(10, 1, before=later), copied=still)
    assert len(free.deletions) == 3


def test_one_store_more_holds_nothing_since_it_only_keeps_more() -> None:
    """As with a retention that keeps more."""
    before = Applied(KEEP, OURS)
    made = plan(listing(ROWS), KEEP, ownership=OURS, brake=Brake(10, 1, before=before), copied=[held("day-4")])
    assert (made.held, [one.backup.uuid for one in made.deletions]) == ((), ["day-4"])


def test_room_is_made_by_the_oldest_that_is_copied() -> None:
    """Though an older one would go without the stores."""
    assert roomy(room(held("day-2", "day-3"))).backup.uuid == "day-3"


def test_room_that_waits_for_copies_is_refused_by_their_names() -> None:
    """The operator reads which store to look at, and what he could write."""
    refusal = refused(room(held()))
    assert refusal.code == "nothing-deletable"
    assert refusal.text.startswith(f"no slot can be freed: 3 backups wait for a copy in offsite: {ROWS[4].name} (")
    assert "(not in offsite yet); look at the store" in refusal.text
    one = refused(room(held("day-2"), held("day-3", "day-4", store="nas"), rows=ROWS[:3]))
    assert one.text.startswith(f"no slot can be freed: a backup waits for a copy in nas: {ROWS[2].name} (")


def test_make_room_lets_an_uncopied_one_go_only_where_no_copied_one_can() -> None:
    """`copy_before_delete_when_full = "make-room"`."""
    assert roomy(room(held("day-2"), uncopied_may_go=True)).backup.uuid == "day-2"
    assert roomy(room(held(), uncopied_may_go=True)).backup.uuid == "day-4"
    assert refused(room(held(), uncopied_may_go=True, rows=ROWS[:1])).code == "nothing-deletable"


def test_a_small_one_makes_room_where_all_good_ones_wait() -> None:
    """A suspicious one was never to be copied."""
    tiny = [but(good(NOW - timedelta(hours=hours), uuid=f"tiny-{hours}"), bytes=10) for hours in (1, 2, 3)]
    assert roomy(room(held(), rows=[*tiny, *ROWS[1:]])).backup.uuid == "tiny-2"
