"""Which backups are too small to be believed, told by sizes in the order they were made."""

from datetime import timedelta

import pytest

from daemon.core.model import Backup, State
from daemon.core.states import findings, newest_first
from daemon.core.suspicion import too_small
from tests.core.build import NOW, but, failed, good, pending, retention, texts, verdicts


def made(sizes: str) -> list[Backup]:
    """Given sizes such as "10 10 4", return a backup of each, a day apart, with its number as uuid."""
    start = NOW - timedelta(days=100)
    return [good(start + timedelta(days=day), size=int(size), uuid=str(day)) for day, size in enumerate(sizes.split())]


def states(rows: list[Backup]) -> dict[str, State]:
    """What each is found to be where all are measured against all, by uuid, newest first."""
    ordered = newest_first(rows)
    found = findings(ordered, [True] * len(ordered), now=NOW, suspicious=0.5, accepted=())
    return {backup.uuid: finding.state for backup, finding in zip(ordered, found, strict=True)}


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ("10", "g"),
        ("10 5", "gg"),
        ("10 4", "gs"),
        ("10 4 10", "gsg"),
        ("10 4 4", "gss"),
        ("10 4 4 4", "gggg"),
        ("10 4 4 4 1", "ggggs"),
        ("10 4 4 4 4 2", "gggggg"),
        ("10 4 1 4", "gsss"),
        ("10 4 10 4 4", "gsgss"),
        ("100 40 20 39", "gggg"),
        ("100 41 20 39", "gsss"),
        ("100 41 20 39 38", "gsggg"),
        ("100 40 3 40 40 40", "ggsggg"),
        ("100 40 3 40 40 19", "gsssss"),
        ("100 4 8 5 30", "ggggg"),
        ("100 100 100 100 100 1 1 1 1", "ggggggggg"),
        ("10 10 10 100 40", "ggggg"),
        ("1 1 1 1 100 100 100 100 100 49", "gggggggggs"),
        ("10 20 7", "ggs"),
        ("0", "s"),
        ("0 0 0 0", "ssss"),
        ("10 0 10", "gsg"),
        ("10 4 4 0 4", "gssss"),
        ("10 4 4 0 4 4 4", "gggsggg"),
    ],
)
def test_sizes_in_order_tell_which_are_suspicious(sizes: str, found: str) -> None:
    """Half of the usual is enough; less is not, until three in a row agree within a factor of two."""
    state = states(made(sizes)[::-1])
    assert "".join(state[str(day)].value[0] for day in range(len(state))) == found


def test_a_new_normal_begins_a_new_row() -> None:
    """Those that were believed do not vouch for the next small one."""
    assert set(too_small(made("100 8 8 8 5"), share=0.9)) == {"4"}


def test_an_accepted_one_is_good_and_counts_as_one() -> None:
    """An operator's word stands against the size, and ends the row of small ones."""
    assert set(too_small(made("10 4 2"), share=0.5, accepted={"1"})) == {"2"}
    assert set(too_small(made("10 4 4"), share=0.5, accepted={"1"})) == set()
    assert set(too_small(made("4 1 1"), share=0.5, accepted={"1"})) == {"2"}


def test_an_empty_one_is_good_by_nobodys_word() -> None:
    """A good backup has bytes: accepting one without any changes nothing."""
    assert too_small(made("0"), share=0.5, accepted={"0"}) == {"0": "0 bytes"}


def test_without_the_guard_only_an_empty_one_is_suspicious() -> None:
    """`suspicious = 0` believes any size but none."""
    assert set(too_small(made("100 1 0"), share=0)) == {"2"}


def test_the_words_say_how_small_against_what() -> None:
    """An operator can judge without a calculator."""
    one, many = too_small(made("2048 100"), share=0.5), too_small(made("2048 2048 2048 100"), share=0.25)
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
    assert texts(found["2"]) == ["100 B, less than 50% of 2 KiB, the median of the 2 good ones before it"]
    assert verdicts(made("2048 2048 100"), "last=1", accepted={"2"})["1"].action.value == "delete"
