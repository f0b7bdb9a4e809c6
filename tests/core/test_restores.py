"""How a restore ended, by the activity log: by what is new in it, and carries the backup's name."""

from datetime import UTC, datetime

import pytest

from daemon.core.restores import RESTORES, Activity, RestoreEnd, restore_begun, restore_end

ASKED, COMPLETED = "server:backup.restore", "server:backup.restore-complete"
FAILED, FAILED_BY_RESET = "server.backup.restore-failed", "server:backup.restore-failed"
AT = datetime(2026, 4, 1, 4, tzinfo=UTC)


def log(*entries: tuple[str, str, str]) -> list[Activity]:
    """A log of (id, event, name), newest first."""
    return [Activity(*entry, at=AT) for entry in entries]


@pytest.mark.parametrize(
    ("event", "end"),
    [(COMPLETED, RestoreEnd.COMPLETED), (FAILED, RestoreEnd.FAILED), (FAILED_BY_RESET, RestoreEnd.FAILED)],
)
def test_the_end_is_told_by_the_events_name(event: str, end: RestoreEnd) -> None:
    """A node that was reset writes its failure with a colon."""
    assert restore_end("a", set(), log(("2", event, "a"), ("1", ASKED, "a"))) is end


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [("1", ASKED, "a")],
        [("1", COMPLETED, "another")],
        [("0", COMPLETED, "a")],
        [("1", "server:backup.complete", "a")],
    ],
    ids=["empty", "only asked for", "another backup", "there before", "of a backup"],
)
def test_nothing_else_tells(entries: list[tuple[str, str, str]]) -> None:
    """What was there before the restore was asked for, or is of another kind or name."""
    assert restore_end("a", {"0"}, log(*entries)) is None


def test_the_first_new_end_is_that_of_ours() -> None:
    """The panel runs one restore of a server at a time, so a later one began after ours had ended."""
    later_failed = log(("4", FAILED, "a"), ("3", ASKED, "a"), ("2", COMPLETED, "a"), ("1", ASKED, "a"))
    assert restore_end("a", set(), later_failed) is RestoreEnd.COMPLETED


def test_what_was_there_before_or_is_of_another_backup_hides_no_end() -> None:
    """It is passed over, and what came after it is looked at."""
    entries = log(("3", COMPLETED, "a"), ("2", FAILED, "another"), ("1", FAILED, "a"))
    assert restore_end("a", {"1"}, entries) is RestoreEnd.COMPLETED


@pytest.mark.parametrize("event", [ASKED, COMPLETED, FAILED, FAILED_BY_RESET])
def test_a_restore_has_begun_once_the_log_has_a_new_entry_of_it(event: str) -> None:
    """Whatever that says of it, and whatever came after it."""
    assert restore_begun("a", {"0"}, log(("2", COMPLETED, "another"), ("1", event, "a"), ("0", COMPLETED, "a"))) is True


@pytest.mark.parametrize(
    "entries",
    [[], [("0", ASKED, "a")], [("1", ASKED, "another")], [("1", "server:backup.complete", "a")]],
    ids=["empty", "there before", "another backup", "of a backup"],
)
def test_no_other_entry_shows_that_a_restore_began(entries: list[tuple[str, str, str]]) -> None:
    """One that is asked for and is not in the log may not have come to the panel at all."""
    assert restore_begun("a", {"0"}, log(*entries)) is False


def test_the_words_are_those_of_the_panels_filter_and_of_the_documents() -> None:
    """Programs compare them."""
    assert (RESTORES, [*RestoreEnd]) == ("restore", ["completed", "failed"])
