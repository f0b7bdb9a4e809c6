"""What a console showed, as it looks, and no more of it than anybody should keep."""

from collections import deque

import pytest

from daemon.core import console
from daemon.core.console import ConsoleSeen, looks


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("\x1b[0;32m[12:00] Done\x1b[m (1.5s)!\x1b[K", "[12:00] Done (1.5s)!"),
        ("\x1b]0;a title\x07here", "here"),
        ("\x1b]0;a title\x1b\\here", "here"),
        ("\x1b(Bplain\x1b7", "plain"),
        ("\x1bPa string\x1b\\here", "here"),
        ("\x1bXa string\x1b\\here", "here"),
        ("a\rb\tc\x00\u202ed\x9b", "a b c  d "),
        ("\x1b", " "),
        ("100 % é", "100 % é"),
    ],
)
def test_a_line_looks_as_on_a_terminal(line: str, seen: str) -> None:
    """Nothing of it moves a cursor, or turns text around."""
    assert looks(line) == seen


def test_a_text_is_found_whatever_its_colours() -> None:
    """When it came first is kept."""
    seen = ConsoleSeen("Done (")
    for now, line in enumerate(["Starting", "\x1b[32mDone\x1b[0m (2s)", "Done (again)"]):
        seen.take(line, float(now))
    assert seen.shown_at == 1.0


def test_the_last_lines_are_kept_and_cut() -> None:
    """Empty ones are none."""
    seen = ConsoleSeen("never")
    assert seen.told() == ""
    for number in range(9):
        seen.take(f"{number} " + "x" * 500, 0.0)
        seen.take("\x1b[m\n", 0.0)
    assert [line[0] for line in seen.last] == list("45678")
    assert {len(line) for line in seen.last} == {console.LONGEST_LINE}
    assert seen.told() == "its console ended with: " + " | ".join(seen.last)


@pytest.mark.parametrize(("bound", "lines"), [("MOST_LINES", 10), ("MOST_CHARACTERS", 10)])
def test_too_much_is_too_much(monkeypatch: pytest.MonkeyPatch, bound: str, lines: int) -> None:
    """In lines, or in characters."""
    monkeypatch.setattr(console, bound, lines)
    seen = ConsoleSeen("never")
    for number in range(lines):
        assert not seen.full, number
        seen.take("x", 0.0)
    assert seen.full


def test_the_bounds_are_those_of_a_large_modpack() -> None:
    """It starts with some thousand lines, and nobody reads more than a few of them."""
    bounds = console.LAST_LINES, console.LONGEST_LINE, console.MOST_LINES, console.MOST_CHARACTERS
    assert bounds == (5, 160, 200_000, 64 * 1024 * 1024)


def test_nothing_was_shown_before_anything_came() -> None:
    """Nor is any of it counted."""
    assert ConsoleSeen("Done") == ConsoleSeen("Done", None, deque(maxlen=5), 0, 0)
    assert ConsoleSeen("Done").last.maxlen == console.LAST_LINES
