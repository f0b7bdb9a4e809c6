"""Which servers a pattern fits."""

import pytest

from daemon.core.discover import Pattern, Selection
from daemon.core.model import Server

LOBBY = Server("u", "1a7ce997", "Lobby EU-1", "de-fra-1", 5, description="Main lobby. #backup #tier.1, not#this (#or)")


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("*", True),
        ("lobby*", True),
        ("LOBBY EU-?", True),
        ("lobby", False),
        ("*eu-[12]", True),
        ("name:Lobby*", True),
        ("node:de-*", True),
        ("node:Lobby*", False),
        ("node:*", True),
        ("tag:backup", True),
        ("tag:BACK*", True),
        ("tag:tier.1", True),
        ("tag:this", False),
        ("tag:or", False),
        ("tag:lobby", False),
        ("1a7ce997", False),
    ],
)
def test_a_pattern_fits_a_name_a_node_or_a_tag(text: str, fits: bool) -> None:
    """With shell wildcards, in any case; a tag is a word that begins with #."""
    assert Pattern.parse(text).matches(LOBBY) is fits


@pytest.mark.parametrize("text", ["", " ", "node:", "tag: ", "name:"])
def test_a_pattern_that_fits_nothing_is_refused(text: str) -> None:
    """An empty string is a mistake, not everything."""
    with pytest.raises(ValueError, match="matches nothing"):
        Pattern.parse(text)


def test_a_name_may_hold_a_colon() -> None:
    """What stands before it is a kind of pattern only where there is such a kind."""
    assert Pattern.parse("smp: *").matches(Server("u", "i", "SMP: one", "n", 1))
    assert Pattern.parse("name:node:*").matches(Server("u", "i", "node:one", "n", 1))


@pytest.mark.parametrize(
    ("match", "exclude", "holds"),
    [(["x", "lobby*"], [], True), ([], [], False), (["*"], ["node:de-*"], False), (["*"], ["tag:nobackup"], True)],
)
def test_a_selection_is_any_of_these_and_none_of_those(match: list[str], exclude: list[str], holds: bool) -> None:
    """What is excluded is excluded, however it was matched."""
    selection = Selection(tuple(map(Pattern.parse, match)), tuple(map(Pattern.parse, exclude)))
    assert selection.holds(LOBBY) is holds


def test_nothing_need_be_excluded() -> None:
    """Unless something is, all that match are selected."""
    assert Selection((Pattern.parse("*"),)).holds(LOBBY)
