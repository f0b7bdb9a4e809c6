"""What other parts ask of verdicts after a shrink; what stays for it is in test_wiped_world."""

import pytest

from daemon.core.model import Action, Backup, Reason, State, Verdict
from daemon.core.shrunk import awaits_a_word, has_shrunk, last_before_it_shrank
from tests.core.build import good

OLD, MIDDLE, NEW = (good(f"2026-03-0{day} 04:00") for day in (1, 2, 3))


def kept(backup: Backup, *slots: str, own: bool = True) -> Verdict:
    """It stays: by its rule, and for these since the size fell."""
    reasons = (Reason("last", None, "among the 3 newest"), *(Reason("shrunk", slot, f"the {slot}") for slot in slots))
    return Verdict(backup, State.GOOD, own, Action.KEEP, reasons)


def test_a_shrink_is_believed_if_an_own_backup_is_the_first_of_its_size() -> None:
    """A foreign one says nothing of the policy's own, nor does what stays from before."""
    assert has_shrunk([kept(NEW), kept(MIDDLE, "first"), kept(OLD, "last")])
    assert not has_shrunk([kept(NEW), kept(MIDDLE, "first", own=False), kept(OLD, "last")])
    assert not has_shrunk([kept(NEW)])


@pytest.mark.parametrize(
    ("slot", "asked", "awaited"),
    [
        ("last", NEW, True),
        ("last", MIDDLE, False),
        ("last", OLD, False),
        ("first", NEW, True),
        ("first", MIDDLE, True),
        ("first", OLD, False),
        ("newest", NEW, False),
    ],
)
def test_a_word_is_awaited_of_the_first_small_one_and_of_those_after_it(
    slot: str, asked: Backup, awaited: bool
) -> None:
    """Or of those after the last whole one."""
    assert awaits_a_word([kept(NEW), kept(MIDDLE, slot), kept(OLD)], asked) is awaited


def test_the_last_from_before_a_shrink_is_named_with_its_reason() -> None:
    """The newest of them, where it shrank twice; none where it did not."""
    assert last_before_it_shrank([kept(NEW, "newest"), kept(MIDDLE, "last"), kept(OLD, "last")]) == (MIDDLE, "the last")
    assert last_before_it_shrank([kept(NEW, "first"), kept(OLD)]) is None
