"""Patterns that leave nothing of a server."""

import pytest

from daemon.core.ignored import leaves_nothing


@pytest.mark.parametrize("pattern", ["*", "**", "/", "/*", "/**", "**/*", "*/", "./*", "*/**", " * ", "."])
def test_a_pattern_of_everything_leaves_nothing(pattern: str) -> None:
    """However it is written; every folder is as good as everything."""
    assert leaves_nothing(["logs/", pattern, "*.tmp"]) == pattern


@pytest.mark.parametrize(
    "patterns", [[], ["*.tmp"], ["logs/", "/cache"], ["*", "!world/"], ["", " "], ["*.*"], ["/*/logs"], ["a/**"]]
)
def test_others_leave_something(patterns: list[str]) -> None:
    """As does what is taken in again afterwards."""
    assert leaves_nothing(patterns) is None


def test_what_is_taken_in_before_is_left_out_again() -> None:
    """The last pattern that matches decides."""
    assert leaves_nothing(["!world/", "*"]) == "*"
