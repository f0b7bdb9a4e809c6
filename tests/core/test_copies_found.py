"""What a store's listing holds: whole, incomplete, damaged, foreign; and what is cleared away."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.core.copies_found import Condition, Found, StoredObject, begun, leftovers, lonely, sightings, sort_out
from daemon.core.copies_layout import CopyName
from tests.core.build import NOW, good
from tests.core.test_copies_layout import BACKUP, SERVER

HOUR = timedelta(hours=1)
NAME = CopyName.of("main", SERVER, good("2026-04-01 04:00", uuid=BACKUP))
DATA = StoredObject(NAME.data, 1000, NOW)
MANIFEST = StoredObject(NAME.manifest, 300, NOW)


def only(objects: list[StoredObject], sizes: dict[str, int | None]) -> Found:
    """The one copy that these objects are."""
    (found,), foreign = sort_out(objects, sizes, {})
    assert not foreign
    return found


@pytest.mark.parametrize(
    ("objects", "sizes", "condition", "text"),
    [
        ([DATA, MANIFEST], {NAME.manifest: 1000}, Condition.WHOLE, ""),
        ([MANIFEST, DATA], {}, Condition.UNREAD, ""),
        ([DATA], {}, Condition.INCOMPLETE, "without a manifest: it was not finished, or is being written"),
        (
            [DATA],
            {NAME.manifest: 1000},
            Condition.INCOMPLETE,
            "without a manifest: it was not finished, or is being written",
        ),
        ([MANIFEST], {NAME.manifest: 1000}, Condition.DAMAGED, "its data is gone"),
        ([MANIFEST], {}, Condition.DAMAGED, "its data is gone"),
        (
            [DATA, MANIFEST],
            {NAME.manifest: 999},
            Condition.DAMAGED,
            "its manifest cannot be read, or tells another size",
        ),
        (
            [DATA, MANIFEST],
            {NAME.manifest: None},
            Condition.DAMAGED,
            "its manifest cannot be read, or tells another size",
        ),
    ],
)
def test_a_copy_counts_only_when_its_manifest_stands_and_tells_the_size_that_is_there(
    objects: list[StoredObject], sizes: dict[str, int | None], condition: Condition, text: str
) -> None:
    """All that listing and manifest can tell of one copy."""
    found = only(objects, sizes)
    assert (found.name, found.condition, found.text) == (NAME, condition, text)


@pytest.mark.parametrize(("were_whole", "stays"), [({NAME.data: 1000}, True), ({NAME.data: 999}, False), ({}, False)])
def test_data_that_was_known_as_a_whole_copy_is_damaged_without_its_manifest(
    were_whole: dict[str, int], stays: bool
) -> None:
    """Somebody took the manifest away: it is told, and is never what a crash left. Other data of its name is that."""
    (one,), _ = sort_out([DATA], {}, were_whole)
    assert one.condition is (Condition.DAMAGED if stays else Condition.INCOMPLETE)
    assert (one.text == "its manifest is gone") is stays
    assert (sightings([one], {}, NOW) == {}) is stays
    (beside,), _ = sort_out([DATA, MANIFEST], {NAME.manifest: None}, were_whole)
    assert beside.text == "its manifest cannot be read, or tells another size"
    (alone,), _ = sort_out([MANIFEST], {}, were_whole)
    assert alone.text == "its data is gone"


def test_the_conditions_are_called_as_the_documents_call_them() -> None:
    """A copy that was not read yet is none of the others."""
    assert [*Condition] == ["whole", "unread", "incomplete", "damaged"]


def test_a_store_need_not_say_when_an_object_was_changed() -> None:
    """Then its size alone tells whether it was."""
    assert StoredObject("key", 1).modified is None


def test_what_is_not_ours_is_foreign_and_no_copy() -> None:
    """Notes, somebody's archive, and a part of another program."""
    keys = ["README", "main/notes.txt", f"{NAME.data}.part", "restic/config"]
    assert sort_out([StoredObject(key, 1) for key in keys], {}, {}) == ((), tuple(keys))


def test_copies_come_the_oldest_of_each_server_first() -> None:
    """In whatever order the store lists them."""
    names = [CopyName.of("main", SERVER, good(f"2026-04-0{day} 04:00", uuid=BACKUP)) for day in (3, 1, 2)]
    found, _ = sort_out([StoredObject(name.data, 1) for name in names], {}, {})
    assert [one.name.created_at.day for one in found] == [1, 2, 3]


def test_an_encrypted_copy_and_a_plain_one_are_two() -> None:
    """Each has a manifest of its own."""
    twin = CopyName.of("main", SERVER, good("2026-04-01 04:00", uuid=BACKUP), encrypted=True)
    found, _ = sort_out([DATA, MANIFEST, StoredObject(twin.data, 5)], {NAME.manifest: 1000}, {})
    assert [(one.name, one.condition) for one in found] == [(NAME, Condition.WHOLE), (twin, Condition.INCOMPLETE)]


def test_what_stays_unfinished_for_48_hours_is_cleared_at_a_second_look() -> None:
    """Never at the first: that look cannot tell for how long it has been so."""
    incomplete = [only([DATA], {})]
    first = sightings(incomplete, {}, NOW)
    assert leftovers(first, NOW) == ()
    almost = sightings(incomplete, first, NOW + 48 * HOUR - timedelta(seconds=1))
    assert leftovers(almost, NOW + 48 * HOUR - timedelta(seconds=1)) == ()
    second = sightings(incomplete, almost, NOW + 48 * HOUR)
    assert leftovers(second, NOW + 48 * HOUR) == (NAME.data,)


@pytest.mark.parametrize("changed", [StoredObject(NAME.data, 1001, NOW), StoredObject(NAME.data, 1000, NOW + HOUR)])
def test_a_new_part_begins_the_48_hours_anew(changed: StoredObject) -> None:
    """It grew, or was written again."""
    first = sightings([only([DATA], {})], {}, NOW)
    later = NOW + 50 * HOUR
    second = sightings([only([changed], {})], first, later)
    assert leftovers(second, later) == ()
    assert second[NAME.data].since == later


def test_whole_and_damaged_copies_and_live_ones_are_no_leftovers() -> None:
    """A damaged one may be the last of its backup: it is told, and stays."""
    whole, damaged = only([DATA, MANIFEST], {NAME.manifest: 1000}), only([MANIFEST], {})
    assert sightings([whole, damaged], {}, NOW) == {}
    assert sightings([only([DATA], {})], {}, NOW, live={NAME.data}) == {}


def test_a_manifest_alone_may_go_after_48_hours_and_one_beside_data_never() -> None:
    """Since when it stands so is told by the key of the data that is gone."""
    alone, spoiled = only([MANIFEST], {}), only([DATA, MANIFEST], {NAME.manifest: None})
    first = lonely([alone], {}, NOW)
    second = lonely([alone], first, NOW + 48 * HOUR)
    assert (leftovers(first, NOW), leftovers(second, NOW + 48 * HOUR)) == ((), (NAME.data,))
    assert lonely([spoiled], first, NOW + 48 * HOUR) == {}


def test_what_was_finished_since_is_seen_no_more() -> None:
    """The manifest came between two looks."""
    first = sightings([only([DATA], {})], {}, NOW)
    assert sightings([only([DATA, MANIFEST], {})], first, NOW + 50 * HOUR) == {}


def test_what_was_begun_and_got_nothing_for_48_hours_is_left_over() -> None:
    """Two uploads of one name are told apart; one that grew since is alive."""
    dead, alive = StoredObject("key\n1", 5, NOW), StoredObject("key\n2", 5, NOW)
    first = begun([dead, alive], {}, NOW)
    assert leftovers(first, NOW) == ()
    second = begun([dead, replace(alive, size=6)], first, NOW + 48 * HOUR)
    assert leftovers(second, NOW + 48 * HOUR) == ("key\n1",)
