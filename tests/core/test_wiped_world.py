"""A world that shrinks to nothing overnight, as rotation after rotation meets it: what goes, and when."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from daemon.core.brake import Brake
from daemon.core.model import Action, Backup, Completeness, Listing, Reason, Scope, State, Verdict
from daemon.core.plan import Refusal
from daemon.core.retention import Retention, judge
from daemon.core.room import make_room
from daemon.core.shrunk import stays_since_it_shrank
from daemon.core.suspicion import Shrink
from tests.core.build import NOW, OURS, TEMPLATE, ZONE, but, good, retention, texts, verdicts

GIB = 1 << 30
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WIPED_AT = NOW


def worlds(number: int = 7, every: timedelta = DAY) -> list[Backup]:
    """So many whole ones before the wipe."""
    return [good(WIPED_AT - every * n, size=GIB, uuid=f"whole-{n}") for n in range(number, 0, -1)]


def play(
    rows: list[Backup],
    policy: Retention,
    *,
    every: timedelta,
    days: float,
    size: Callable[[int], int] = lambda _: 50_000,
    limit: int = 10_000,
    accept: dict[int, int] | None = None,
) -> list[tuple[datetime, list[Backup], dict[str, Verdict]]]:
    """Rotate on for so many days: create a small one, and delete what is to go if it is good, as a rotation does.

    `accept` tells after which rotations an operator accepts, and the how manieth then. Each time is given back what is
    there afterwards, and how the rotation judged it.
    """
    accepted: set[str] = set()
    seen: list[tuple[datetime, list[Backup], dict[str, Verdict]]] = []
    rows, made_room = list(rows), False
    for number in range(round(days * DAY / every)):
        now = WIPED_AT + every * number
        if len(rows) >= limit:
            listing = Listing(tuple(rows), len(rows), now, Completeness.COMPLETE)
            coming = TEMPLATE.render("survival", now, "ffffffff")
            room = make_room(
                listing,
                policy,
                ownership=OURS,
                coming_name=coming,
                brake=Brake(),
                accepted=accepted,
                again=made_room,
            )
            if isinstance(room, Refusal):
                seen.append((now, list(rows), {}))
                continue
            rows.remove(room.backup)
            made_room = True
        new = good(now, size=size(number), uuid=f"small-{number}")
        rows.append(new)
        judged = {v.backup.uuid: v for v in judge(rows, policy, ownership=OURS, now=now, accepted=accepted)}
        if judged[new.uuid].state is State.GOOD:
            made_room = False
            rows = [row for row in rows if judged[row.uuid].action is not Action.DELETE]
        seen.append((now, list(rows), judged))
        if accept and number in accept:
            accepted.add(f"small-{accept[number]}")
    return seen


def whole(rows: list[Backup]) -> list[str]:
    """The whole worlds among these."""
    return [row.uuid for row in rows if row.bytes == GIB]


def test_a_wiped_world_displaces_nothing_for_three_days_and_the_last_whole_one_for_thirty() -> None:
    """Seven of 1 GiB, then 50 kB each day, and `last = 3`: the third in a row deletes nothing, nor does the tenth
    the last whole one.
    """
    seen = play(worlds(), retention("last=3"), every=DAY, days=35)
    for now, rows, _ in seen:
        days = (now - WIPED_AT) / DAY
        assert whole(rows) == [f"whole-{n}" for n in range(7, 0, -1)] if days < 3 else True
        assert whole(rows) == ["whole-1"] if 3 <= days < 30 else True
        assert whole(rows) == [] if days >= 30 else True
    assert [row.uuid for row in seen[20][1]] == ["whole-1", "small-0", "small-18", "small-19", "small-20"]
    assert [row.uuid for row in seen[-1][1]] == ["small-32", "small-33", "small-34"]


def test_what_stays_says_why() -> None:
    """In the words that an operator is told."""
    _, _, judged = play(worlds(), retention("last=3"), every=DAY, days=10)[-1]
    assert texts(judged["whole-1"]) == [
        "the last before it shrank; kept until 2026-05-01 12:00 UTC, or one since is accepted"
    ]
    assert texts(judged["small-0"]) == ["the first since it shrank"]
    assert {reason.rule for uuid in ("whole-1", "small-0") for reason in judged[uuid].reasons} == {"shrunk"}
    _, _, judged = play(worlds(), retention("last=1"), every=DAY, days=10)[-1]
    assert texts(judged["small-8"]) == ["among the 2 newest since it shrank"]


RULES = ["last=3", "last=1", "last=2", "daily=2", "hourly=2,daily=1", "within=6h", "last=3,monthly=6", "weekly=2"]


@pytest.mark.parametrize("keep", RULES)
@pytest.mark.parametrize("every", [2 * HOUR, DAY], ids=["every 2h", "daily"])
@pytest.mark.parametrize("locked", [False, True], ids=["", "one locked"])
def test_verdicts_do_not_oscillate(keep: str, every: timedelta, locked: bool) -> None:
    """Once the new size is believed each new one is, and so is what is left by the rotation: now, after 30 days, and
    while some whole one stays for another reason.
    """
    rows = worlds()
    rows[2] = but(rows[2], locked=locked)
    policy = retention(keep)
    believed = False
    for number, (now, left, judged) in enumerate(play(rows, policy, every=every, days=33)):
        if judged[f"small-{number}"].state is State.GOOD:
            believed = True
        if believed:
            states = {v.state for v in judge(left, policy, ownership=OURS, now=now)}
            assert (judged[f"small-{number}"].state, states) == (State.GOOD, {State.GOOD}), (keep, now)
            assert len(left) < 40
    assert believed


def test_an_operators_word_ends_it_at_once_and_for_good() -> None:
    """The next rotation deletes what is beyond the rules, the last whole one too, however the world grows then."""
    grown = lambda number: round(50_000 * 1.02**number)  # noqa: E731
    seen = play(worlds(), retention("last=3"), every=HOUR, days=12, size=grown, accept={5: 5})
    assert len(whole(seen[5][1])) == 7
    assert whole(seen[6][1]) == []
    assert all(
        judged[f"small-{number}"].state is State.GOOD for number, (_, _, judged) in enumerate(seen) if number > 5
    )


@pytest.mark.parametrize("accepted", [80, 0])
def test_one_of_the_new_normal_can_be_accepted_as_well(accepted: int) -> None:
    """Then the last from before it shrank need not stay, and stays only if a rule wants it."""
    seen = play(worlds(), retention("last=3"), every=HOUR, days=5, accept={81: accepted})
    assert (whole(seen[81][1]), whole(seen[82][1])) == (["whole-1"], [])
    kept = play(worlds(), retention("last=3,yearly=2"), every=HOUR, days=60, accept={81: accepted})
    assert all(judged[f"small-{n}"].state is State.GOOD for n, (_, _, judged) in enumerate(kept) if n > 81)
    assert whole(kept[-1][1])


def test_one_that_lies_before_the_shrink_says_nothing_of_it() -> None:
    """What was accepted for an earlier shrink does not vouch for a later one."""
    rows = [*worlds(), *(good(WIPED_AT + DAY * n, size=50_000, uuid=f"small-{n}") for n in range(5))]
    found = verdicts(rows, "last=3", now=WIPED_AT + 5 * DAY, accepted={"whole-2"})
    assert found["whole-1"].action is Action.KEEP


def test_the_size_cap_does_not_take_what_stays() -> None:
    """`total_size` with a wiped world would take the last whole one first; what stays does not count in it either."""
    policy = retention("last=9", total_size=120_000)
    rows = [*worlds(), *(good(WIPED_AT + DAY * n, size=50_000, uuid=f"small-{n}") for n in range(6))]
    found = verdicts(rows, policy, now=WIPED_AT + 6 * DAY)
    kept = [uuid for uuid, verdict in found.items() if verdict.action is Action.KEEP]
    assert kept == ["small-5", "small-4", "small-3", "small-2", "small-0", "whole-1"]


@pytest.mark.parametrize(("limit", "policy"), [(6, "last=3"), (7, "last=4"), (12, "daily=5")])
def test_an_hourly_schedule_goes_on_at_a_small_limit(limit: int, policy: str) -> None:
    """By the small ones inside their row; no whole one goes for them, and in the end the row is believed."""
    rows = worlds(limit - 3)
    seen = play(rows, retention(policy), every=HOUR, days=4, limit=limit)
    for now, left, judged in seen:
        assert judged
        assert "small-0" in {row.uuid for row in left}
        if now < WIPED_AT + 3 * DAY:
            assert whole(left) == [row.uuid for row in rows]
    assert whole(seen[-1][1])[-1] == "whole-1"


def test_a_limit_without_a_place_for_a_row_stops_the_schedule() -> None:
    """Four places for `last = 3`: one whole one makes room as it would anyhow, and no second one."""
    seen = play(worlds(3), retention("last=3"), every=HOUR, days=1, limit=4)
    assert [bool(judged) for _, _, judged in seen] == [True, True] + [False] * 22
    assert whole(seen[-1][1]) == ["whole-2", "whole-1"]


def by_hand(number: int = 9) -> list[Backup]:
    """Older backups of 5 MB that somebody made by hand."""
    return [
        good(WIPED_AT - DAY * n, size=5_000_000, uuid=f"hand-{n}", name=f"by hand {n}") for n in range(number, 0, -1)
    ]


def test_the_first_own_one_of_a_new_policy_is_measured_against_all_that_may_go() -> None:
    """With `scope = "all"` the first of 300 bytes after nine of 5 MB is an emptied world, not a good backup."""
    policy = retention("last=2", scope=Scope.ALL)
    rows = [*by_hand(), good(WIPED_AT, size=300, uuid="small")]
    found = verdicts(rows, policy)
    assert found["small"].state is State.SUSPICIOUS
    assert found["hand-1"].action is Action.KEEP
    assert found["hand-2"].action is Action.KEEP
    assert verdicts(rows, retention("last=2"))["small"].state is State.GOOD


def test_with_three_good_own_ones_they_are_the_measure_also_where_all_may_go() -> None:
    """Own ones may be smaller than those by hand, if it is only so from the third on."""
    policy, now = retention("last=2", scope=Scope.ALL), NOW + 9 * DAY
    own = [good(WIPED_AT + DAY * n, size=3_000_000, uuid=f"own-{n}") for n in range(3)]
    smaller = good(WIPED_AT + 3 * DAY, size=2_000_000, uuid="next")
    assert verdicts([*by_hand(), *own, smaller], policy, now=now)["next"].state is State.GOOD
    assert verdicts([*by_hand(), *own[:2], smaller], policy, now=now)["next"].state is State.SUSPICIOUS


def test_small_own_ones_are_no_measure_before_they_are_believed() -> None:
    """Three of 300 bytes do not make a policy that knows what is usual."""
    policy, now = retention("last=2", scope=Scope.ALL), NOW + 9 * DAY
    small = [good(WIPED_AT + DAY * n, size=300, uuid=f"small-{n}") for n in range(4)]
    found = verdicts([*by_hand(), *small[:3]], policy, now=now)
    assert {found[row.uuid].state for row in small[:3]} == {State.SUSPICIOUS}
    found = verdicts([*by_hand(), *small], policy, now=now)
    assert found["small-3"].state is State.GOOD
    assert texts(found["hand-1"])[-1].startswith("the last before it shrank")


def test_a_foreign_one_is_measured_against_own_ones_where_all_may_go() -> None:
    """It would displace them."""
    rows = [*worlds(), good(WIPED_AT, size=300, uuid="hand", name="by hand")]
    assert verdicts(rows, retention("last=2", scope=Scope.ALL))["hand"].state is State.SUSPICIOUS
    assert verdicts(rows, retention("last=2"))["hand"].state is State.GOOD


def test_a_part_is_measured_against_the_last_complete_listing() -> None:
    """The large ones that an incomplete listing lacks are a measure all the same."""
    small = [good(WIPED_AT + HOUR * n, size=50_000, uuid=f"small-{n}") for n in range(3)]
    whole_listing = [*worlds(), *small[:2]]
    alone = judge(small, retention("last=1"), ownership=OURS, now=NOW + DAY, complete=False)
    assert {verdict.state for verdict in alone} == {State.GOOD}
    beside = judge(small, retention("last=1"), ownership=OURS, now=NOW + DAY, complete=False, earlier=whole_listing)
    assert [verdict.backup.uuid for verdict in beside] == ["small-2", "small-1", "small-0"]
    assert {verdict.state for verdict in beside} == {State.SUSPICIOUS}


def test_a_first_of_a_row_that_the_rules_do_not_judge_needs_no_reason_to_stay() -> None:
    """As a locked one: it stays anyhow, and what else stays since the shrink is told without it."""
    rows = [good(NOW - DAY * n, size=50_000, uuid=f"small-{n}") for n in range(2)]
    shrink = Shrink(own=True, first="small-9", last="whole-1", until=NOW + DAY)
    stays = stays_since_it_shrank(rows, [True, True], [shrink], ZONE, NOW)
    assert [(place, reason.slot) for place, reason in stays.items()] == [(0, "newest"), (1, "newest")]


def test_each_that_stays_since_it_shrank_has_the_slot_that_says_for_what() -> None:
    """Scripts read the slots: the last whole one, the first of the new size, and the newest of it."""
    rows = [*(good(NOW - DAY * n, size=50_000, uuid=f"small-{n}") for n in range(4)), good(NOW - DAY * 9, uuid="whole")]
    believed = Shrink(own=True, first="small-3", last="whole", until=NOW + DAY)
    stays = stays_since_it_shrank(rows, [True] * 5, [believed], ZONE, NOW)
    assert {place: (reason.rule, reason.slot) for place, reason in stays.items()} == {
        0: ("shrunk", "newest"),
        1: ("shrunk", "newest"),
        3: ("shrunk", "first"),
        4: ("shrunk", "last"),
    }
    accepted = stays_since_it_shrank(rows, [True] * 5, [Shrink(own=True, first="small-3")], ZONE, NOW)
    assert accepted == {3: Reason("shrunk", "accepted", "accepted, so that what came after is measured by it")}
