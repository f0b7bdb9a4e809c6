"""What is proven next, and why."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import chain, pairwise
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.model import Action, Backup, Reason, Scope, State, Verdict
from daemon.core.proof import PANEL, Level, Proof, Proofs, Subject
from daemon.core.proof_due import AT_ONCE, PAUSES, Budget, Due, ProofRules, Quiet, StoredCopy, Why, due, next_up
from daemon.core.proven import KeepProven
from tests.core.build import NOW, but, failed, good, verdicts

DAY = timedelta(days=1)
RULES = ProofRules(newest_within=2 * DAY, every=30 * DAY)


def made(days: float, **changes: object) -> Backup:
    """A good backup that was made so many days ago."""
    return but(good(NOW - days * DAY, uuid=f"{days}d"), **changes)


def read(days: float, ago: float, *problems: str, asked: Level = Level.SANE, store: str = PANEL) -> Proof:
    """That backup, read so many days ago."""
    at = NOW - ago * DAY
    return Proof(f"{days}d", "auto", NOW - days * DAY, at, asked, None if problems else asked, store, problems)


def judged(*backups: Backup) -> list[Verdict]:
    """Their verdicts, newest first."""
    return list(verdicts(backups, "last=99").values())


def waiting(
    *backups: Backup, read: tuple[Proof, ...] = (), rules: ProofRules = RULES, **more: Any
) -> list[tuple[str, str, float]]:
    """What is due, as uuid, why, and in how many days."""
    found = due("survival", rules, judged(*backups), proofs=Proofs(read), now=NOW, **more)
    return [(one.backup + one.store, one.why.name, (one.by - NOW) / DAY) for one in found]


def test_the_newest_good_one_comes_first_and_may_be_read_at_once() -> None:
    """It is due so long after it was made."""
    assert waiting(made(1), rules=ProofRules(keep=0)) == [("1d", "NEWEST", 1)]
    assert waiting(made(3)) == [("3d", "NEWEST", -1)]
    assert waiting() == []


def test_what_is_due_says_what_a_reading_of_it_is_of() -> None:
    """All that its proof will be recorded by."""
    one = Due("survival", "b1", "auto-1", 700, NOW - DAY, NOW, NOW, DAY, Why.NEWEST, Level.WALKED, "nas")
    assert one.subject == Subject("b1", "auto-1", NOW - DAY, Level.WALKED, "nas", 700)


def test_a_newer_backup_puts_nothing_off() -> None:
    """The newest is read in place of one that was due and not read; by then, and when it was that one's turn."""
    read_once = (read(4, 4),)
    first = due("survival", RULES, judged(made(3), made(4)), proofs=Proofs(read_once), now=NOW)[0]
    then = due("survival", RULES, judged(made(0), made(1), made(3), made(4)), proofs=Proofs(read_once), now=NOW)[0]
    assert (first.backup, then.backup) == ("3d", "0d")
    assert (first.by, first.turn) == (then.by, then.turn) == (NOW - DAY, NOW - 3 * DAY)


def test_a_newest_one_that_is_older_than_what_was_read_is_read_as_well() -> None:
    """Somebody deleted the newer one."""
    assert waiting(made(5), read=(read(1, 1),)) == [("5d", "NEWEST", -3)]


def test_the_turn_of_a_server_follows_the_newest_backup_that_was_read() -> None:
    """Though it is gone. One that was never read so deep on the panel goes before all others."""
    rules = ProofRules(newest_within=4 * DAY, keep=0)

    def turn(*read: Proof) -> datetime:
        return due("survival", rules, judged(made(1), made(9)), proofs=Proofs(read), now=NOW)[0].turn

    assert turn(read(3, 2), read(5, 1)) == NOW - DAY
    assert turn(read(3, 2, "torn")) == NOW - DAY
    assert turn() == turn(read(3, 2, asked=Level.WALKED), read(2, 1, store="nas")) == AT_ONCE


def test_what_keep_proven_lacks_comes_next() -> None:
    """From the newest on, until there are enough; a failed proof is not one of them."""
    rules = ProofRules(keep=2)
    assert waiting(made(1), made(2), made(3), made(4), read=(read(1, 1),), rules=rules) == [
        ("2d", "KEEP_PROVEN", 0),
        ("3d", "KEEP_PROVEN", -1),
        ("4d", "KEEP_PROVEN", -2),
    ]
    assert waiting(made(1), made(2), made(3), read=(read(1, 1, "torn"), read(2, 1))) == []
    assert waiting(made(1), made(2), read=(read(1, 1, "torn"),)) == [("2d", "KEEP_PROVEN", 0)]
    assert waiting(made(1), made(2), made(3), read=(read(1, 1), read(2, 1)), rules=rules) == []


def test_what_keep_proven_lacks_is_due_by_its_own_age_and_the_newest_by_that_of_the_oldest_unread() -> None:
    """Nothing of this server was ever read."""
    assert waiting(made(1), made(2), made(3)) == [
        ("1d", "NEWEST", -1),
        ("2d", "KEEP_PROVEN", 0),
        ("3d", "KEEP_PROVEN", -1),
    ]


def test_a_locked_one_fills_no_place_among_the_proven() -> None:
    """It is proven like the others."""
    assert waiting(made(1, locked=True), made(2), read=(read(1, 1),)) == [("2d", "KEEP_PROVEN", 0)]
    assert waiting(made(1, locked=True)) == [("1d", "NEWEST", 1)]


def test_what_was_read_is_read_again_after_so_long() -> None:
    """A fifth of the time before it is late; what was never read counts from when it was made."""
    assert waiting(made(60), made(90), read=(read(60, 23), read(90, 25))) == [("90d", "EVERY", 5)]
    assert waiting(made(1), made(40), read=(read(1, 0),)) == [("40d", "EVERY", -10)]
    assert waiting(made(60), made(90), read=(read(60, 24), read(90, 23.9))) == [("60d", "EVERY", 6)]
    once = ProofRules(every=None)
    assert waiting(made(1), made(400), read=(read(1, 0),), rules=once) == []


def test_a_lighter_look_proves_nothing_of_a_deeper_level() -> None:
    """A copy that was walked on its way is read again, if the policy wants it sane."""
    assert waiting(made(1), read=(read(1, 0, asked=Level.WALKED),)) == [("1d", "NEWEST", 1)]
    walked = ProofRules(level=Level.WALKED)
    assert waiting(made(1), read=(read(1, 0, asked=Level.WALKED),), rules=walked) == []


def test_only_good_ones_in_scope_are_read() -> None:
    """And only what has its file."""
    foreign = made(1, name="by hand")
    assert waiting(failed("2026-03-31 04:00"), foreign, made(2)) == [("2d", "NEWEST", 0)]
    half_deleted = [one._replace(reasons=(Reason("asked", None, "asked before"),)) for one in judged(made(1))]
    assert due("survival", RULES, half_deleted, proofs=Proofs(), now=NOW) == ()
    assert waiting(foreign, made(2), scope=Scope.ALL) == [("1d", "NEWEST", 0), ("2d", "KEEP_PROVEN", 0)]


def test_copies_are_read_again_in_their_stores() -> None:
    """From when they passed through the walker on their way; however light, since an encrypted one is only read."""

    def copy(days: float) -> StoredCopy:
        return StoredCopy(f"{days}d", "auto", "nas", 500, NOW - days * DAY, NOW - days * DAY)

    once = (read(1, 0),)
    assert waiting(made(1), read=once, copies=[copy(20), copy(26)]) == [("26dnas", "EVERY", 4)]
    again = read(26, 3, asked=Level.READ, store="nas")
    assert waiting(made(1), read=(*once, again), copies=[copy(26)]) == []
    assert waiting(made(1), read=once, copies=[copy(99)], rules=ProofRules(every=None)) == []


def test_what_is_due_says_all_that_is_needed_to_read_it() -> None:
    """Which one it is, how large, since when, and how deep it is to be read."""
    backup, copy = made(1, bytes=700), StoredCopy("26d", "auto-26", "nas", 500, NOW - 26 * DAY, NOW - 25 * DAY)
    rules, renewed = ProofRules(Level.WALKED), NOW + 5 * DAY
    found = due("survival", rules, judged(backup), proofs=Proofs(), now=NOW, copies=[copy])
    assert found == (
        Due("survival", "1d", backup.name, 700, NOW - DAY, NOW + DAY, AT_ONCE, DAY, Why.NEWEST, Level.WALKED),
        Due("survival", "26d", "auto-26", 500, NOW - 26 * DAY, renewed, renewed, DAY, Why.EVERY, Level.WALKED, "nas"),
    )
    assert [one.place for one in found] == [("survival", "1d", PANEL), ("survival", "26d", "nas")]
    again = due("survival", rules, judged(backup), proofs=Proofs([read(1, 25, asked=Level.WALKED)]), now=NOW)
    assert again == (
        Due("survival", "1d", backup.name, 700, NOW - DAY, renewed, renewed, DAY, Why.EVERY, Level.WALKED),
    )


def test_what_could_not_be_read_is_tried_again_ever_less_often() -> None:
    """At first after ten minutes, in the end once a day."""
    assert (PAUSES.first, PAUSES.most) == (timedelta(minutes=10), DAY)


def test_a_policy_that_says_no_more_wants_a_month_for_all_of_it() -> None:
    """And no files in particular."""
    assert ProofRules() == ProofRules(Level.SANE, 2 * DAY, 30 * DAY, 1, ())


# Of all servers ------------------------------------------------------------------------------------------------------


def one(name: str, why: Why, days: float, made: float = 0) -> Due:
    """Something to read, whose turn comes in so many days."""
    moment = NOW + days * DAY
    return Due(name, "b", "auto", 100, NOW - made * DAY, moment, moment, DAY, why, Level.SANE)


def order_of(*waiting: Due, **more: Any) -> str:
    """The servers in the order in which they are read."""
    names, left = "", list(waiting)
    while (first := next_up(left, NOW, **more)) is not None:
        names += first.server
        left.remove(first)
    return names


def test_those_whose_turn_has_come_go_first_and_of_these_the_newest_of_each_server() -> None:
    """A fleet that is proven for the first time has years of old ones, which must not go first."""
    old, older, lacking = one("a", Why.EVERY, -900), one("b", Why.EVERY, -901), one("c", Why.KEEP_PROVEN, -1)
    newest, newer, soon, keeping = (
        one("d", Why.NEWEST, 0),
        one("e", Why.NEWEST, -2),
        one("f", Why.NEWEST, 1),
        one("g", Why.KEEP_PROVEN, 0.5),
    )
    assert order_of(old, keeping, newest, soon, older, lacking, newer) == "edcbafg"
    assert next_up([], NOW) is None


def test_why_something_is_read_is_in_the_order_of_what_matters_most() -> None:
    """The newest of each server, then what retention lacks, then what was read before."""
    assert [*Why] == [Why.NEWEST, Why.KEEP_PROVEN, Why.EVERY] == [0, 1, 2]


def test_of_equals_the_newest_goes_first() -> None:
    """And then by name, so that it is the same each time."""
    assert order_of(*(one(name, Why.KEEP_PROVEN, -1, made) for name, made in (("a", 9), ("b", 3), ("c", 3)))) == "bca"


def test_what_may_not_be_read_now_is_passed_over() -> None:
    """It is quiet there, or tried again later."""
    first, second = one("a", Why.NEWEST, -2), one("b", Why.NEWEST, -1)
    assert order_of(first, second, not_now=[first.place]) == "b"


def test_what_could_not_be_read_had_its_turn_when_it_was_tried() -> None:
    """Or a node that is down would take each day's bytes. A copy of it in a store has a turn of its own."""
    first, second, third = (one(name, Why.NEWEST, days) for name, days in (("a", -2), ("b", -1), ("c", 1)))
    assert order_of(first, second, third, tried={("a", ""): NOW - DAY}) == "bac"
    assert order_of(first, second, third, tried={("a", ""): NOW + DAY}) == "bca"
    assert order_of(first, second, tried={("a", ""): NOW - 9 * DAY}) == "ab"
    assert order_of(first, second, tried={("a", "nas"): NOW}) == "ab"


def test_a_day_has_room_for_so_many_bytes_and_at_least_for_one_backup() -> None:
    """One that is larger than the day's share would never be read otherwise."""
    assert Budget(1000, 0).allows(5000)
    assert Budget(1000).allows(5000)
    assert Budget(1000, 900).allows(100)
    assert not Budget(1000, 901).allows(100)
    assert Budget(None, 10**15).allows(10**15)
    assert Budget() == Budget(None, 0)


def test_what_waited_since_an_earlier_day_may_go_beyond_the_day_s_share() -> None:
    """As the last one: the next would have to wait."""
    assert Budget(1000, 999).allows(5000, waited=True)
    assert not Budget(1000, 1000).allows(1, waited=True)


def test_a_reading_may_begin_as_long_as_no_more_was_read_than_leaves_room_for_it() -> None:
    """Others may read a little meanwhile; the first of a day may whatever its size."""
    assert [Budget(1000, 300).most_before(size) for size in (200, 1000, 5000)] == [800, 0, 0]
    assert Budget(1000, 300).most_before(5000, waited=True) == 999
    assert Budget(None, 300).most_before(200) is None


BEGIN = NOW - 99 * DAY
"""Before that no backup was made."""


@dataclass
class Fleet:
    """Servers that are backed up each day, proven under a budget for some days; retention keeps the newest `kept`."""

    sizes: list[int]
    per_day: int
    kept: int
    within: timedelta
    every: timedelta | None = None
    read: dict[str, list[Proof]] = field(default_factory=lambda: defaultdict(list))
    days: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """On which days the newest of each server was read."""

    renewed: int = 0

    def run(self, days: int) -> None:
        """Read what may be read of each day."""
        waits: dict[tuple[str, str], int] = {}
        for day in range(days):
            now, spent = BEGIN + day * DAY, 0
            waiting = {str(server): self.due(server, day) for server in range(len(self.sizes))}
            while (first := next_up(chain.from_iterable(waiting.values()), now)) is not None:
                if not Budget(self.per_day, spent).allows(first.bytes, waited=waits.get(first.origin, day) < day):
                    waits.setdefault(first.origin, day)
                    break
                waits.pop(first.origin, None)
                spent += first.bytes
                proof = Proof(first.backup, first.name, first.made_at, now, first.level, first.level)
                self.read[first.server].append(proof)
                self.days[first.server] += [day] if first.why is Why.NEWEST else []
                self.renewed += first.why is Why.EVERY
                waiting[first.server] = self.due(int(first.server), day)

    def due(self, server: int, day: int) -> tuple[Due, ...]:
        """What the server has on that day."""
        made = [BEGIN + one * DAY - timedelta(hours=1) for one in range(day, max(-1, day - self.kept), -1)]
        size, why = self.sizes[server], (Reason("last", None, "newest"),)
        backups = (Backup(str(at), "auto", True, False, size, at, at) for at in made)
        verdicts = [Verdict(one, State.GOOD, True, Action.KEEP, why) for one in backups]
        rules = ProofRules(newest_within=self.within, every=self.every)
        proofs = Proofs(self.read[str(server)])
        return due(str(server), rules, verdicts, proofs=proofs, now=BEGIN + day * DAY)

    def gap(self, days: int) -> int:
        """The longest time of a server without a proof, in days."""
        return max(
            later - earlier
            for server in range(len(self.sizes))
            for earlier, later in pairwise([-1, *self.days[str(server)], days])
        )


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 100), min_size=1, max_size=7),
    a_day=st.integers(1, 3),
    kept=st.integers(1, 3),
    within=st.sampled_from([timedelta(hours=12), 2 * DAY, 7 * DAY]),
)
def test_each_server_is_proven_however_little_a_day_may_cost(
    sizes: list[int], a_day: int, kept: int, within: timedelta
) -> None:
    """With room for k backups a day, whatever their sizes, each of n servers is read within n / k days, and one."""
    fleet, days = Fleet(sizes, 100 * a_day, kept, within), 3 * len(sizes)
    fleet.run(days)
    assert fleet.gap(days) <= ceil(len(sizes) / a_day) + 1


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 500), min_size=1, max_size=5), kept=st.integers(1, 3))
def test_a_backup_that_is_larger_than_a_day_s_share_has_a_day_of_its_own(sizes: list[int], kept: int) -> None:
    """It is read in its turn, and holds up the others for that day alone."""
    fleet, days = Fleet(sizes, 100, kept, 2 * DAY), 4 * len(sizes)
    fleet.run(days)
    assert fleet.gap(days) <= len(sizes) + 1


def test_renewals_are_read_though_a_day_has_no_room_for_each_new_backup() -> None:
    """As long as each server has its turn in time: with a week for that, the rest of the days is theirs."""
    fleet = Fleet([10] * 4, 30, 12, 8 * DAY, every=10 * DAY)
    fleet.run(40)
    assert fleet.gap(40) <= 8
    assert fleet.renewed >= 30


@pytest.mark.parametrize(
    ("text", "clock", "quiet"),
    [
        ("08:00-23:00", "07:59", False),
        ("08:00-23:00", "08:00", True),
        ("08:00-23:00", "23:00", False),
        ("22:00-06:30", "22:00", True),
        ("22:00-06:30", "23:00", True),
        ("22:00-06:30", "06:29", True),
        ("22:00-06:30", "06:30", False),
        ("22:00-06:30", "12:00", False),
    ],
)
def test_quiet_hours_are_those_of_the_wall_clock(text: str, clock: str, quiet: bool) -> None:
    """And may go over midnight."""
    zone = ZoneInfo("Europe/Berlin")
    moment = datetime.combine(NOW.date(), time.fromisoformat(clock), zone).astimezone(UTC)
    assert Quiet.parse(text).holds(moment, zone) is quiet


def test_hours_that_end_when_they_begin_are_none() -> None:
    """None are read so; and a day without an hour to prove in would be no rule."""
    assert not Quiet(time(8), time(8)).holds(NOW, ZoneInfo("UTC"))


def test_blanks_around_the_hours_are_no_mistake() -> None:
    """As in "08:00 - 23:00"."""
    assert Quiet.parse(" 08:00 - 23:00 ") == Quiet(time(8), time(23))


@pytest.mark.parametrize(
    "text", ["08:00-23:00+01:00", "", "8-23", "08:00", "08:00-08:00", "08:00-25:00", "08:00+01:00-23:00", "a-b-c"]
)
def test_what_is_no_span_of_a_day_is_refused(text: str) -> None:
    """With how to write it."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 — its words are compared below
        Quiet.parse(text)
    assert str(refused.value) == f'"{text}" is not a span of hours: write it as "08:00-23:00"'


def test_the_rules_say_what_retention_keeps() -> None:
    """The number, and the level that counts."""
    assert ProofRules(keep=3, level=Level.WALKED).kept == KeepProven(3, Level.WALKED)
