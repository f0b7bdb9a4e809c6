"""The first few of many, in words."""

import pytest

from daemon.core.words import first_few


@pytest.mark.parametrize(
    ("number", "words"), [(0, ""), (1, "a"), (3, "a, b, c"), (4, "a, b, c and 1 more"), (6, "a, b, c and 3 more")]
)
def test_the_first_few_are_named_and_the_others_counted(number: int, words: str) -> None:
    """Nothing more is said where all are named."""
    assert first_few(list("abcdef")[:number], 3) == words
