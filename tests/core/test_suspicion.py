"""Which backups are too small to be believed, told by sizes in the order they were made."""

from collections.abc import Collection
from datetime import timedelta

import pytest

from daemon.core.model import Backup, State
from daemon.core.states import find, newest_first
from daemon.core.suspicion import Guard, Shrink, Weighed, weigh
from tests.core.build import NOW, but, failed, good, pending, retention, texts, verdicts


def made(sizes: str) -> list[Backup]:
    """Given sizes such as "10 10 4", return a backup of each, a day apart, with its number as uuid."""
    start = NOW - timedelta(days=100)
    return [good(start + timedelta(days=day), size=int(size), uuid=str(day)) for day, size in enumerate(sizes.split())]


def weighed(rows: list[Backup], share: float = 0.5, days: float = 3, accepted: Collection[str] = ()) -> Weighed:
    """What their sizes tell where all are own ones."""
    return weigh([(row, True) for row in rows], Guard(share, timedelta(days=days)), accepted=accepted)


def small(rows: list[Backup], share: float = 0.5, days: float = 3, accepted: Collection[str] = ()) -> set[str]:
    """Which are too small."""
    return set(weighed(rows, share, days, accepted).small)


def states(rows: list[Backup]) -> dict[str, State]:
    """What each is found to be where all are measured against all, by uuid, newest first."""
    ordered = newest_first(rows)
    found = find(ordered, [True] * len(ordered), Guard(0.5, timedelta(days=3)), now=NOW, accepted=()).findings
    return {backup.uuid: finding.state for backup, finding in zip(ordered, found, strict=True)}


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ("10", "g"),
        ("10 5", "gg"),
        ("10 4", "gs"),
        ("10 4 10", "gsg"),
        ("10 4 4 4", "gsss"),
        ("10 4 4 4 4", "ggggg"),
        ("10 4 4 4 4 1", "gggggs"),
        ("10 4 4 4 4 4 2", "ggggggg"),
        ("10 4 1 4", "gsss"),
        ("10 4 10 4 4", "gsgss"),
        ("100 40 20 39 20", "ggggg"),
        ("100 40 20 39 41", "gssss"),
        ("100 41 20 39 38", "gssss"),
        ("100 41 20 39 38 37", "gsgggg"),
        ("100 40 3 40 40 40 40", "gssgggg"),
        ("100 40 3 40 40 40 19", "gssssss"),
        ("100 4 8 5 4 30", "gggggg"),
        ("100 100 100 100 100 1 1 1 1 1", "gggggggggg"),
        ("10 10 10 100 40", "ggggg"),
        ("1 1 1 1 100 100 100 100 100 49", "gggggggggs"),
        ("10 20 7", "ggs"),
        ("10 10 20 5", "gggg"),
        ("10 10 20 4", "gggs"),
        ("0", "s"),
        ("0 0 0 0 0", "sssss"),
        ("10 0 10", "gsg"),
        ("10 4 4 0 4 4 4", "gssssss"),
        ("10 4 4 0 4 4 4 4", "gsssgggg"),
    ],
)
def test_sizes_in_order_tell_which_are_suspicious(sizes: str, found: str) -> None:
    """Half of the usual is enough; less is not, until a row within a factor of two has lasted for three days."""
    state = states(made(sizes)[::-1])
    assert "".join(state[str(day)].value[0] for day in range(len(state))) == found


@pytest.mark.parametrize(
    ("hours", "believed"),
    [((0, 72), False), ((0, 1, 71.9), False), ((0, 1, 72), True), ((0, 71, 72), True), (tuple(range(73)), True)],
)
def test_a_row_is_three_at_least_and_days(hours: tuple[float, ...], believed: bool) -> None:
    """An hourly schedule proves no more in three hours than a daily one in a night."""
    first = NOW - timedelta(days=50)
    row = [good(first + timedelta(hours=hour), size=4, uuid=f"{hour}") for hour in hours]
    assert small([good(first - timedelta(days=1), size=10), *row]) == (set() if believed else {one.uuid for one in row})


def test_how_long_a_row_has_to_last_is_the_policys() -> None:
    """`suspicious_for`, from the first to the last."""
    assert small(made("10 4 4 4"), days=2) == set()
    assert small(made("10 4 4 4 4"), days=4) == {"1", "2", "3", "4"}


def test_a_new_normal_begins_a_new_row() -> None:
    """Those that were believed do not vouch for the next small one."""
    assert small(made("100 8 8 8 8 5"), share=0.9) == {"5"}


def test_an_accepted_one_is_good_with_its_row_and_the_measure_from_then_on() -> None:
    """An operator's word stands against the size, and for what follows; what is unlike it stays as it was."""
    assert small(made("10 10 10 4 4 4 4"), accepted={"4"}, days=30) == set()
    assert small(made("10 10 10 1 4 4 2"), accepted={"5"}) == {"3"}
    assert small(made("10 10 10 4 1"), accepted={"3"}) == {"4"}
    assert small(made("4 1 1"), accepted={"1"}) == set()
    assert small(made("10 4 10 4"), accepted={"0"}) == {"1", "3"}


def test_an_empty_one_is_good_by_nobodys_word() -> None:
    """A good backup has bytes: accepting one without any changes nothing."""
    assert weighed(made("0"), accepted={"0"}).small == {"0": "0 bytes"}


def test_without_the_guard_only_an_empty_one_is_suspicious() -> None:
    """`suspicious = 0` believes any size but none."""
    assert small(made("100 1 0"), share=0) == {"2"}


def test_a_shrink_is_told_with_the_last_one_before_it_and_the_first_since() -> None:
    """The last from before it is of use for 30 days from the first since, whenever it came to be believed."""
    since = NOW - timedelta(days=98)
    assert weighed(made("10 11 4 4 4 4")).shrinks == (Shrink(True, "2", "1", since + timedelta(days=30)),)
    foreign = weigh([(row, False) for row in made("10 11 4 4 4 4")], Guard(0.5, timedelta(days=3)))
    assert foreign.shrinks == (Shrink(False, "2", "1", since + timedelta(days=30)),)
    assert weighed(made("10 11 4 4 4")).shrinks == ()
    twice = weighed(made("1000 400 400 400 400 400 100 100 100 100")).shrinks
    assert [(shrink.first, shrink.last) for shrink in twice] == [("1", "0"), ("6", "5")]


def test_an_accepted_one_ends_what_stays_of_all_shrinks_before_it() -> None:
    """Whether it was small itself or one of those that were believed already."""
    for uuid in "34589":
        assert weighed(made("10 11 4 4 4 4 4 4 4 4"), accepted={uuid}).shrinks == (Shrink(True, uuid, "", None),)
    assert weighed(made("10 11 4 4 4 4"), accepted={"1"}).shrinks[0].last == "1"


@pytest.mark.parametrize(("together", "found"), [({}, []), ({"together": True}, ["3"])])
def test_own_ones_are_measured_against_foreign_ones_only_where_it_is_said(
    together: dict[str, bool], found: list[str]
) -> None:
    """Where nothing is said, foreign ones are no measure for the first of its own kind."""
    rows = made("100 100 100 4")
    guard = Guard(0.5, timedelta(days=3), **together)
    assert [*weigh([(row, row is rows[3]) for row in rows], guard).small] == found


def test_three_of_its_own_kind_are_measure_enough() -> None:
    """Larger foreign ones say nothing against a fourth."""
    rows = [(row, row.bytes == 10) for row in made("10 10 10 100 100 100 10")]
    guard = Guard(0.5, timedelta(days=3), together=True)
    assert weigh(rows, guard).small == {}
    assert [*weigh(rows[1:], guard).small] == ["6"]


@pytest.mark.parametrize(
    ("sizes", "spared"),
    [
        ("10 4", ""),
        ("10 4 4", ""),
        ("10 4 4 4", "2"),
        ("10 4 4 4 4", ""),
        ("10 4 0 4 4 4", "24"),
        ("10 4 1 3 1", "23"),
        ("10 4 4 4 10", "2"),
        ("10 3 1 3 1 4 4 4 4", "23"),
    ],
)
def test_inside_a_row_a_small_one_may_make_room(sizes: str, spared: str) -> None:
    """Neither the first nor the newest of those since the last good one, nor the first of those that are alike."""
    assert weighed(made(sizes)).spare == frozenset(spared)


def test_the_words_say_how_small_against_what() -> None:
    """An operator can judge without a calculator."""
    one, many = weighed(made("2048 100")).small, weighed(made("2048 2048 2048 100"), share=0.25).small
    assert one == {"1": "100 B, less than 50% of 2 KiB, the good one before it"}
    assert many == {"3": "100 B, less than 25% of 2 KiB, the median of the 3 good ones before it"}


def test_failed_and_pending_ones_are_no_measure() -> None:
    """Only what succeeded is measured, and only against what succeeded."""
    rows = [*made("10 4 4"), failed(NOW - timedelta(days=90)), pending(NOW - timedelta(days=1))]
    found = states(rows)
    assert list(found.values()) == [State.PENDING, State.FAILED, State.SUSPICIOUS, State.SUSPICIOUS, State.GOOD]


def test_a_locked_one_is_a_measure_as_well_as_any() -> None:
    """The large world that somebody locked is what the small one is held against."""
    first, second = made("10 4")
    assert verdicts([but(first, locked=True), second])["1"].state is State.SUSPICIOUS
    locked = verdicts([first, but(second, locked=True)])["1"]
    assert (texts(locked), locked.because) == (["locked"], "4 B, less than 50% of 10 B, the good one before it")


def test_own_ones_are_measured_against_own_ones_only() -> None:
    """Somebody's large copies by hand do not make the small nightly ones suspicious."""
    nightly = made("10 10 10")
    by_hand = [but(row, name="by hand", uuid=f"hand {row.uuid}", bytes=1000) for row in nightly]
    found = verdicts(by_hand + nightly, retention("last=1"))
    assert {verdict.state for verdict in found.values()} == {State.GOOD}
    assert set(states(by_hand + nightly).values()) == {State.GOOD, State.SUSPICIOUS}


def test_small_ones_are_found_among_own_and_foreign_ones_alike() -> None:
    """Each side has its own."""
    nightly = made("10 1")
    by_hand = [but(row, name="by hand", uuid=f"hand {row.uuid}") for row in nightly]
    found = verdicts(by_hand + nightly, retention("last=1"))
    assert [uuid for uuid in found if found[uuid].state is State.SUSPICIOUS] == ["hand 1", "1"]


def test_a_suspicious_one_is_left_alone_and_says_why() -> None:
    """It is neither deleted nor counted: `last = 1` keeps the whole one before it."""
    found = verdicts(made("2048 2048 100"), "last=1")
    assert {uuid: verdict.action.value for uuid, verdict in found.items()} == {
        "2": "ignore",
        "1": "keep",
        "0": "delete",
    }
    because = "100 B, less than 50% of 2 KiB, the median of the 2 good ones before it"
    assert (texts(found["2"]), found["2"].because) == ([because], because)
    assert verdicts(made("2048 2048 100"), "last=1", accepted={"2"})["1"].action.value == "delete"
