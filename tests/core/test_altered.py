"""Names that a panel keeps otherwise than it was asked for."""

import html
import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.altered import altered, find_named, unsafe_characters
from daemon.core.names import Template
from tests.core.build import NOW, but, good

TIME = "20260401T040000Z"
ALTERATIONS: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "nfd": lambda name: unicodedata.normalize("NFD", name),
    "nfc": lambda name: unicodedata.normalize("NFC", name),
    "strip": lambda name: re.sub(r"[^a-zA-Z0-9\s\-_.]", "", name),
    "escape": html.escape,
    "cut": lambda name: re.split(r"[\U00010000-\U0010ffff]", name)[0],
    "question": lambda name: name.encode("ascii", "replace").decode(),
}


@pytest.mark.parametrize("how", ALTERATIONS)
@pytest.mark.parametrize(
    "asked",
    [f"[auto] {TIME}", f"auto & {TIME}", f"auto {TIME} 🔥 nightly", f"Auto-{TIME}-0a1b2c3d", f"Bäckup {TIME} (x)"],
)
def test_what_a_panel_is_known_to_make_of_a_name_is_known(how: str, asked: str) -> None:
    """As long as the time is still in it."""
    kept = ALTERATIONS[how](asked)
    assert kept == asked or altered(asked, kept)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (f"auto {TIME}", f"auto {TIME}"),
        (f"auto {TIME}", "auto 20260401T040001Z"),
        (f"auto {TIME}-0a1b2c3d", f"auto {TIME}-0a1b2c3e"),
        (f"auto {TIME}", f"manual {TIME}"),
        (f"auto {TIME}", f"auto {TIME} before the update"),
        (f"auto {TIME}", ""),
        (f"auto 🔥 {TIME}", "auto "),
        (f"weiß {TIME}", f"weiss {TIME}"),
        (f"auto 🔥 {TIME} x", f"auto {TIME}"),
        ("by hand", "By hand"),
    ],
)
def test_another_name_is_not_taken_for_it(asked: str, kept: str) -> None:
    """A person's, another start's, one without its time, or the very same, which nobody altered."""
    assert not altered(asked, kept)


@given(st.text(max_size=12), st.text(max_size=12), st.sampled_from(sorted(ALTERATIONS)))
def test_whatever_is_around_the_time_its_alteration_is_known(before: str, after: str, how: str) -> None:
    """Where nothing that reads as HTML stood in it, and the cut left the time."""
    asked = f"a{before} {TIME} {after}"
    kept = ALTERATIONS[how](asked)
    plain = html.unescape(asked) == asked and asked.isascii()
    assert kept == asked or altered(asked, kept) or not plain


def test_the_exact_name_wins_and_an_altered_one_is_found_without_it() -> None:
    """The panel trims names; what is near is looked for only where there is none such."""
    exact = but(good(NOW), uuid="1", name=f"Auto {TIME}")
    near = but(good(NOW), uuid="2", name=f"auto {TIME}")
    other = but(good(NOW), uuid="3", name="by hand")
    assert find_named([near, exact, other], f" Auto {TIME} ") == [exact]
    assert find_named([near, other], f"Auto {TIME}") == [near]
    assert find_named([other], f"Auto {TIME}") == []


@pytest.mark.parametrize(
    ("text", "unsafe"),
    [
        ("auto-{server}-{time}-{id}", ""),
        ("Auto my.world_1 {time}", ""),
        ("[auto] {time}", "[]"),
        ("auto & {time} & <x>", "&<>"),
        ("a🔥ä {time}", "🔥ä"),
    ],
)
def test_a_templates_characters_that_panels_alter_are_named(text: str, unsafe: str) -> None:
    """Its placeholders are plain."""
    assert unsafe_characters(Template.parse(text)) == unsafe
