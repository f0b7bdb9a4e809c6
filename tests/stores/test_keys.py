"""Which names an object may have."""

import re

import pytest

from daemon.stores.keys import check_folder, check_key, is_key

GOOD = ["a", "main/2b9e/20260401T040000Z_x.tar.gz.age", "ünï/cödé ☃", "%2e%2e/a+b", "-rf", "a.partial", "..."]
BAD = {
    "": "1 to 900 bytes",
    "a" * 901: "this one has 901",
    "/a": 'has "" between',
    "a/": 'has "" between',
    "a//b": 'has "" between',
    "./a": 'has "." between',
    "a/../b": 'has ".." between',
    "a\\b": "a backslash",
    "a\0b": "a control character",
    "a\nb": "a control character",
    "a.part": "marks what is unfinished",
    "a.part/b": "marks what is unfinished",
    "é" * 116: "more than 230 bytes",
    "\udcff": "is not text",
}


@pytest.mark.parametrize("key", GOOD)
def test_a_name_that_means_the_same_everywhere_is_taken(key: str) -> None:
    """Whatever letters it has."""
    assert check_key(key) == key
    assert is_key(key)


@pytest.mark.parametrize(("key", "said"), BAD.items(), ids=map(ascii, BAD))
def test_any_other_name_is_refused(key: str, said: str) -> None:
    """Above all, one that leads out of the store."""
    with pytest.raises(ValueError, match=re.escape(said)):
        check_key(key)
    assert not is_key(key)


def test_a_folder_is_the_whole_store_or_ends_with_a_slash() -> None:
    """So that "main" never means "main-2" as well, as it would in a bucket."""
    assert [check_folder(folder) for folder in ("", "a/", "a/b/")] == ["", "a/", "a/b/"]
    for folder in ("a", "/", "../", "a//"):
        with pytest.raises(ValueError, match=r"between|does not end|1 to 900"):
            check_folder(folder)
