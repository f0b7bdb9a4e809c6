"""The files that an archive leaves on a server, and what a list of these says of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core import files
from daemon.core.files import ArchiveIndex, FileEntry, Power, ServerRoom


def index(*paths: str) -> ArchiveIndex:
    """An archive of these files, of one byte each."""
    made = ArchiveIndex()
    for path in paths:
        made.add(path, 1)
    return made


def test_what_is_there_in_its_size_is_right() -> None:
    """A file that is missing, of another size, or a folder by now is told; what else is there is not."""
    made = index("a", "w/b", "./w/c", "w/d")
    assert made.to_look_at() == ["", "w"]
    there = {
        "": [FileEntry("a", 1, True), FileEntry("mine", 7, True)],
        "w": [FileEntry("b", 2, True), FileEntry("c", 1, False), FileEntry("d", 1, True)],
    }
    assert made.differences(there) == ["w/b has 2 bytes instead of 1", "w/c is missing"]
    assert made.looked_at(["w"]) == 3


def test_a_later_file_of_the_same_name_takes_the_place_of_the_first() -> None:
    """As it does where it is unpacked."""
    made = index("a")
    made.add("a", 5)
    assert (made.count, made.bytes, made.differences({"": [FileEntry("a", 5, True)]})) == (1, 5, [])


def test_what_is_outermost_has_a_name() -> None:
    """Files and folders; nothing that is no name, wherever the archive says that it lies."""
    assert index("a", "w/b", "./w/c", "x/y/v/z", "/abs/d", "../up").top() == ["a", "w", "x"]
    assert index().top() == []
    links = replace(index("a"), outermost=frozenset({"a", "link", ".", ".."}))
    assert links.top() == ["a", "link"]


def test_what_another_process_is_told_is_text_and_bounded() -> None:
    """What is not told is counted still, so that it is told as not looked at."""
    made = index("a", "w/\udce9", "w/b", "w/" + "c" * 1000, "w/d", "w/e")
    told = made.told(3)
    assert (told.folders, told.count, told.remembered) == ({"": {"a": 1}, "w": {"b": 1, "d": 1}}, 6, 3)


def test_a_path_is_told_up_to_a_thousand_characters_and_with_no_half_of_a_character() -> None:
    """A name that is no text comes as surrogates, from the first to the last of them."""
    longest = "w/" + "c" * 998
    made = index(longest, longest + "c", "\ud800", "\udfff", "\ud7ff", "\ue000")
    assert made.told(9).folders == {"w": {"c" * 998: 1}, "": {"\ud7ff": 1, "\ue000": 1}}


def test_a_file_in_no_folder_is_named_without_a_slash() -> None:
    """As the archive names it."""
    assert index("a", "X").differences({"": []}) == ["a is missing", "X is missing"]


def test_the_bounds_are_those_of_the_docs() -> None:
    """A panel allows some hundred requests a minute, and each folder takes one."""
    assert (files.MOST_REMEMBERED, files.MOST_FOLDERS) == (50_000, 200)


def test_the_states_of_a_process_are_called_as_the_panel_calls_them() -> None:
    """Wings, `environment/environment.go`; any other word is unknown."""
    assert [*Power] == ["offline", "starting", "running", "stopping", "unknown"]


def test_what_is_beyond_the_bound_is_counted_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither names nor folders without an end; the outer folders are looked at first."""
    monkeypatch.setattr(files, "MOST_REMEMBERED", 3)
    monkeypatch.setattr(files, "MOST_FOLDERS", 2)
    made = index("x/y/z/1", "x/2", "3", "4")
    assert (made.count, made.remembered, made.to_look_at()) == (4, 3, ["", "x"])
    assert made.looked_at(made.to_look_at()) == 2


@given(st.lists(st.text(alphabet="ab/.", min_size=1, max_size=6), max_size=8))
def test_an_archive_differs_in_nothing_from_itself(paths: list[str]) -> None:
    """Whatever its files are called, and in everything from an empty server."""
    made = index(*paths)
    itself = {
        folder: [FileEntry(name, size, True) for name, size in there.items()] for folder, there in made.folders.items()
    }
    assert made.differences(itself) == []
    assert len(made.differences(dict.fromkeys(made.to_look_at(), ()))) == made.count


@pytest.mark.parametrize(
    ("used", "archive", "unpacked", "emptied", "lacks"),
    [
        (0, 40, 60, False, 0),
        (0, 40, 61, False, 1),
        (10, 40, 60, False, 10),
        (60, 40, 60, True, 0),
        (61, 40, 60, True, 1),  # the archive comes before anything is deleted
        (0, 0, 101, True, 1),
    ],
)
def test_an_archive_has_room_beside_what_is_there_and_what_it_unpacks_to(
    used: int, archive: int, unpacked: int, emptied: bool, lacks: int
) -> None:
    """On a server that may hold 100 bytes."""
    assert ServerRoom(100, used).lacks(archive, unpacked, emptied=emptied) == lacks


def test_what_is_told_of_an_index_keeps_its_bytes() -> None:
    """Those of the files that are only counted, too."""
    assert index("a", "b", "c").told(1).bytes == 3


def test_folders_are_looked_at_by_how_deep_they_lie_and_then_by_name() -> None:
    """However they are called: of the outermost most depends on."""
    assert index("a/b/c", "z/1", "b/1", "1").to_look_at() == ["", "b", "z", "a/b"]


def test_an_archive_of_which_nothing_was_read_has_nothing() -> None:
    """Neither files nor other names at its top."""
    assert ArchiveIndex() == ArchiveIndex({}, 0, 0, 0, frozenset(), False)
