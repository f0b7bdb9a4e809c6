"""What is proven next, and why."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from daemon.core.model import Backup, Scope, Verdict
from daemon.core.proof import PANEL, Level, Proof, Proofs
from daemon.core.proof_due import PAUSES, Budget, Due, ProofRules, Quiet, StoredCopy, Why, due, next_up
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
    assert waiting(made(1), made(20), rules=ProofRules(keep=0)) == [("1d", "NEWEST", 1)]
    assert waiting(made(3)) == [("3d", "NEWEST", -1)]
    assert waiting() == []


def test_what_keep_proven_lacks_comes_next() -> None:
    """From the newest on, until there are enough; a failed proof is not one of them."""
    rules = ProofRules(keep=2)
    assert waiting(made(1), made(2), made(3), made(4), read=(read(1, 1),), rules=rules) == [
        ("4d", "KEEP_PROVEN", -2),
        ("3d", "KEEP_PROVEN", -1),
        ("2d", "KEEP_PROVEN", 0),
    ]
    assert waiting(made(1), made(2), made(3), read=(read(1, 1, "torn"), read(2, 1))) == []
    assert waiting(made(1), made(2), read=(read(1, 1, "torn"),)) == [("2d", "KEEP_PROVEN", 0)]


def test_a_locked_one_fills_no_place_among_the_proven() -> None:
    """It is proven like the others."""
    assert waiting(made(1, locked=True), made(2), read=(read(1, 1),)) == [("2d", "KEEP_PROVEN", 0)]
    assert waiting(made(1, locked=True)) == [("1d", "NEWEST", 1)]


def test_what_was_read_is_read_again_after_so_long() -> None:
    """A fifth of the time before it is late; what was never read counts from when it was made."""
    assert waiting(made(60), made(90), read=(read(60, 23), read(90, 25))) == [("90d", "EVERY", 5)]
    assert waiting(made(1), made(40), read=(read(1, 0),)) == [("40d", "EVERY", -10)]
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
    assert waiting(foreign, made(2), scope=Scope.ALL) == [("1d", "NEWEST", 1), ("2d", "KEEP_PROVEN", 0)]


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
    rules = ProofRules(Level.WALKED)
    found = due("survival", rules, judged(backup), proofs=Proofs(), now=NOW, copies=[copy])
    assert found == (
        Due("survival", "1d", backup.name, 700, NOW - DAY, NOW + DAY, Why.NEWEST, Level.WALKED),
        Due("survival", "26d", "auto-26", 500, NOW - 26 * DAY, NOW + 5 * DAY, Why.EVERY, Level.WALKED, "nas"),
    )
    assert [one.place for one in found] == [("survival", "1d", PANEL), ("survival", "26d", "nas")]


def test_what_could_not_be_read_is_tried_again_ever_less_often() -> None:
    """At first after ten minutes, in the end once a day."""
    assert (PAUSES.first, PAUSES.most) == (timedelta(minutes=10), DAY)


def test_a_policy_that_says_no_more_wants_a_month_for_all_of_it() -> None:
    """And no files in particular."""
    assert ProofRules() == ProofRules(Level.SANE, 2 * DAY, 30 * DAY, 1, ())


# Of all servers ------------------------------------------------------------------------------------------------------


def one(name: str, why: Why, days: float, size: int = 100) -> Due:
    """Something to read."""
    return Due(name, "b", "auto", size, NOW, NOW + days * DAY, why, Level.SANE)


def test_the_newest_of_all_servers_come_first_and_then_the_most_overdue() -> None:
    """A fleet that is proven for the first time has years of old ones."""
    old, newest, newer = one("a", Why.EVERY, -900), one("b", Why.NEWEST, 2), one("c", Why.NEWEST, 1)
    lacking = one("d", Why.KEEP_PROVEN, -5)
    assert next_up([old, newest, lacking, newer], Budget()) == newer
    assert next_up([old, newest, lacking, newer], Budget(), not_now=[newer.place, newest.place]) == lacking
    assert next_up([], Budget()) is None


def test_a_day_has_room_for_so_many_bytes_and_at_least_for_one_backup() -> None:
    """One that is larger than the day's share would never be read otherwise."""
    assert Budget(1000, 0).allows(5000)
    assert Budget(1000).allows(5000)
    assert Budget(1000, 900).allows(100)
    assert not Budget(1000, 901).allows(100)
    assert Budget(None, 10**15).allows(10**15)


def test_nothing_overtakes_what_is_too_large_for_the_rest_of_the_day() -> None:
    """It is the first of the next day."""
    large, small = one("a", Why.NEWEST, 0, 800), one("b", Why.NEWEST, 1, 10)
    assert next_up([small, large], Budget(1000, 500)) is None
    assert next_up([small, large], Budget(1000, 0)) == large


@pytest.mark.parametrize(
    ("text", "clock", "quiet"),
    [
        ("08:00-23:00", "07:59", False),
        ("08:00-23:00", "08:00", True),
        ("08:00-23:00", "23:00", False),
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
    assert str(refused.value) == f'"{text}" is no span of a day: write it as "08:00-23:00"'


def test_the_rules_say_what_retention_keeps() -> None:
    """The number, and the level that counts."""
    assert (ProofRules(keep=3, level=Level.WALKED).kept.number, ProofRules().kept.level) == (3, Level.SANE)
