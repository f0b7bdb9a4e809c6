"""Choosing a backup by hand: what could mean two means none."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from daemon.core.choose import choose, choose_by_date, is_date
from daemon.core.model import Backup
from daemon.errors import Exit, UsageError

MOMENT = datetime(2026, 4, 1, tzinfo=UTC)


def backup(uuid: str, name: str = "auto") -> Backup:
    """A backup that is told apart by uuid and name alone."""
    return Backup(uuid, name, successful=True, locked=False, bytes=1, created_at=MOMENT, completed_at=MOMENT)


FAILED = backup("0a1b2c3d-0000-4000-8000-000000000001", "auto-3")
NEWEST_GOOD = backup("0a1bffff-0000-4000-8000-000000000002", "auto-2")
OLDEST = backup("feedbeef-0000-4000-8000-000000000003", "before the update")
BACKUPS = (FAILED, NEWEST_GOOD, OLDEST)
GOOD = {NEWEST_GOOD.uuid, OLDEST.uuid}


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (OLDEST.uuid, OLDEST),
        (OLDEST.uuid.upper(), OLDEST),
        ("feed", OLDEST),
        ("FEED", OLDEST),
        ("0a1b2", FAILED),
        ("before the update", OLDEST),
        ("auto-3", FAILED),
        ("latest", NEWEST_GOOD),
    ],
)
def test_one_that_can_be_meant_is_chosen(wanted: str, chosen: Backup) -> None:
    """By uuid, by a unique beginning of it, by its exact name, or as the newest good one."""
    assert choose(BACKUPS, GOOD, wanted) is chosen


@pytest.mark.parametrize(
    ("wanted", "text", "hint"),
    [
        ("0a1b", '"0a1b" could be 2 backups', f"write the uuid: {FAILED.uuid} (auto-3), {NEWEST_GOOD.uuid} (auto-2)"),
        ("fee", 'no backup "fee"', "write at least 4 characters of the uuid"),
        ("before the updat", 'no backup "before the updat"', f"did you mean {OLDEST.uuid} (before the update)?"),
        ("xyz", 'no backup "xyz"', f"the newest are {FAILED.uuid} (auto-3), {NEWEST_GOOD.uuid} (auto-2)"),
        ("", 'no backup ""', "write at least 4 characters of the uuid"),
    ],
)
def test_what_means_none_or_several_is_refused_with_the_candidates(wanted: str, text: str, hint: str) -> None:
    """Exit 2, and what could have been meant."""
    with pytest.raises(UsageError) as caught:
        choose(BACKUPS, GOOD, wanted)
    assert caught.value.exit_code is Exit.USAGE
    assert caught.value.text == text
    assert caught.value.hint.startswith(hint)


def test_two_of_one_name_need_the_uuid() -> None:
    """The panel does not keep names unique."""
    twins = (backup("11111111", "twin"), backup("22222222", "twin"))
    with pytest.raises(UsageError, match="could be 2 backups"):
        choose(twins, {"11111111", "22222222"}, "twin")


def test_a_name_that_looks_like_another_ones_uuid_is_ambiguous() -> None:
    """Nobody can tell which was meant."""
    backups = (backup("feedbeef", "x"), backup("11111111", "feed"))
    with pytest.raises(UsageError, match="could be 2 backups"):
        choose(backups, {"feedbeef", "11111111"}, "feed")


def test_a_full_uuid_means_that_one_whatever_others_are_called() -> None:
    """There is nothing more exact that could be written."""
    backups = (backup("feedbeef", "x"), backup("11111111", "feedbeef"))
    good = {"feedbeef", "11111111"}
    assert choose(backups, good, "feedbeef") is backups[0]


def test_one_that_is_named_latest_and_is_not_is_ambiguous() -> None:
    """A word of ours is not taken for a name of theirs, nor the other way round."""
    backups = (backup("feedbeef", "newer"), backup("11111111", "latest"))
    good = {"feedbeef", "11111111"}
    with pytest.raises(UsageError, match="could be 2 backups"):
        choose(backups, good, "latest")
    assert choose(backups[1:], good, "latest") is backups[1]


def test_without_a_good_one_there_is_no_latest() -> None:
    """A failed backup is never what latest means."""
    with pytest.raises(UsageError, match=r"^there is no good backup$"):
        choose((FAILED,), GOOD, "latest")


def test_a_server_without_backups_says_so() -> None:
    """There is nothing to mean."""
    with pytest.raises(UsageError) as caught:
        choose((), (), "auto-3")
    assert caught.value.hint == "the server has no backups"


@pytest.mark.parametrize(("number", "more"), [(5, ""), (7, " and 2 more")])
def test_no_more_than_five_candidates_are_named(number: int, more: str) -> None:
    """The error stays readable with a hundred of one name."""
    backups = tuple(backup(f"{place:08x}", "twin") for place in range(number))
    with pytest.raises(UsageError) as caught:
        choose(backups, {b.uuid for b in backups}, "twin")
    assert caught.value.hint.endswith("00000003 (twin), 00000004 (twin)" + more)


def test_up_to_five_names_like_it_are_offered() -> None:
    """Newest first, as everything is listed."""
    backups = tuple(backup(f"{place:08x}", f"before the update {place}") for place in range(5))
    with pytest.raises(UsageError) as caught:
        choose(backups, {b.uuid for b in backups}, "before the update")
    offered = ", ".join(f"{b.uuid} ({b.name})" for b in backups)
    assert caught.value.hint == f"did you mean {offered}?"


def made(uuid: str, moment: str | None) -> Backup:
    """A backup that was made at that moment."""
    return replace(backup(uuid), created_at=None if moment is None else datetime.fromisoformat(moment))


BERLIN = ZoneInfo("Europe/Berlin")
DATED = (
    made("5", "2026-08-31T22:30:00Z"),
    made("4", "2026-08-31T16:00:00Z"),
    made("3", "2026-08-31T04:05:00Z"),
    made("2", "2026-08-01T04:00:00Z"),
    made("1", None),
)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("2026-09-01", "5"),  # half past midnight there
        ("2026-08-31", "3"),  # a newer one of that day is not good
        ("2026-08-31 18", "4"),
        ("2026-08-31T18:00", "4"),
        ("2026-08-31 06:05", "3"),
        ("2026-08", "3"),
    ],
)
def test_a_date_means_the_newest_good_one_made_then(wanted: str, chosen: str) -> None:
    """By the clock of the zone; one that is not good only where there is no other."""
    assert is_date(wanted)
    assert choose_by_date(DATED, {"5", "3", "2"}, wanted, BERLIN).uuid == chosen


def test_a_date_of_no_backup_is_refused_with_those_that_there_are() -> None:
    """Each once, the newest first."""
    with pytest.raises(UsageError) as caught:
        choose_by_date(DATED, set(), "2026-08-30", BERLIN)
    assert caught.value.text == "no backup was made on 2026-08-30 (Europe/Berlin)"
    assert caught.value.hint == "there are: 2026-09-01, 2026-08-31, 2026-08-01"


@pytest.mark.parametrize("text", ["2026", "2026-8", "20260831", "2026-08-31 1", "2026-08-3x", "latest", "2026-08-31x"])
def test_what_is_no_date_is_taken_for_a_name_or_a_uuid(text: str) -> None:
    """Four digits alone may be the beginning of a uuid."""
    assert not is_date(text)
