"""Names: from a template to a name, and back to "own" only where it is certain."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from daemon.core.names import LONGEST_NAME, Altered, Ownership, Template

DAWN = datetime(2026, 4, 1, 6, tzinfo=timezone(timedelta(hours=2)))
NAME = "auto-survival-20260401T040000Z-0a1b2c3d"
PLAIN = Template.parse("auto-{server}-{time}-{id}")
ADVICE = "write one such as auto-{server}-{time}-{id}"
PLACEHOLDERS = "which is no placeholder: there are {server}, {time} and {id}"


def test_a_template_makes_a_name_in_utc() -> None:
    """The time is UTC, whatever zone it is given in, and the length is known beforehand."""
    assert PLAIN.render("survival", DAWN, "0a1b2c3d") == NAME
    assert PLAIN.longest_length("survival") == len(NAME)


def test_a_name_has_as_many_characters_as_both_panels_take() -> None:
    """Pterodactyl's column holds 191."""
    assert LONGEST_NAME == 191


@pytest.mark.parametrize(
    ("name", "server", "own"),
    [
        (NAME, "survival", True),
        (NAME, None, True),
        (NAME, "creative", False),
        (NAME, "surviva", False),
        (NAME, "s.rvival", False),
        (NAME + "\n", "survival", False),
        (" " + NAME, "survival", False),
        (NAME + "-copy", "survival", False),
        (NAME.replace("0a1b2c3d", "0A1B2C3D"), "survival", False),
        (NAME.replace("0a1b2c3d", "0a1b2c3"), "survival", False),
        (NAME.replace("Z", "z"), "survival", False),
        (NAME.replace("20260401", "20261301"), "survival", False),
        (NAME.replace("T04", "T24"), "survival", False),
        (NAME.replace("20260401", "٢٠٢٦٠٤٠١"), "survival", False),
        ("auto-survival-two-20260401T040000Z-0a1b2c3d", "survival", False),
        ("auto-survival-two-20260401T040000Z-0a1b2c3d", "survival-two", True),
        ("auto--20260401T040000Z-0a1b2c3d", None, False),
        ("auto-Survival-20260401T040000Z-0a1b2c3d", None, False),
        ("before the update", None, False),
        ("", None, False),
    ],
)
def test_a_name_is_own_only_to_the_letter(name: str, server: str | None, own: bool) -> None:
    """What merely resembles a name of ours was made by somebody else."""
    assert PLAIN.matches(name, server) is own


@pytest.mark.parametrize(
    ("text", "name", "server"),
    [
        (PLAIN.text, NAME, "survival"),
        (PLAIN.text, NAME.replace("survival", "survival-2"), "survival-2"),
        (PLAIN.text, "before the update", None),
        ("auto-{time}", "auto-20260401T040000Z", None),
    ],
)
def test_the_server_can_be_read_back_from_a_name(text: str, name: str, server: str | None) -> None:
    """Unless the template did not make the name, or says nothing of the server."""
    assert Template.parse(text).server_of(name) == server


def test_fixed_text_is_no_expression() -> None:
    """A dot in a template is a dot."""
    template = Template.parse("a.b+({time})")
    assert template.matches("a.b+(20260401T040000Z)", "any")
    assert not template.matches("aXb+(20260401T040000Z)", "any")


@pytest.mark.parametrize("server", ["a", None])
def test_a_placeholder_that_comes_again_must_say_the_same(server: str | None) -> None:
    """Otherwise "x-a-b-…" would be taken for one of a's or b's."""
    template = Template.parse("x-{server}-{server}-{time}")
    assert template.matches("x-a-a-20260401T040000Z", server)
    assert not template.matches("x-a-b-20260401T040000Z", server)


def test_one_expression_does_for_all_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """To make one for each of a large fleet would take seconds, and MiB that stay."""
    assert PLAIN.matches(NAME, "survival")
    monkeypatch.setattr(re, "compile", None)
    assert PLAIN.matches(PLAIN.render("creative", DAWN, "0a1b2c3d"), "creative")
    assert not Ownership((PLAIN,), "creative").owns(NAME)


def test_a_name_of_several_lines_says_no_other_server() -> None:
    """A person can write any name at the panel."""
    assert not PLAIN.matches("x\n" + NAME, "survival")
    assert not PLAIN.matches("survival\n" + NAME, "creative")
    assert not PLAIN.matches(NAME, "creative\nsurvival")


def test_ownership_covers_earlier_templates_too() -> None:
    """A changed template leaves the old names foreign until they are named."""
    old, new = Template.parse("old-{server}-{time}"), PLAIN
    name = old.render("survival", DAWN, "")
    assert not Ownership((new,), "survival").owns(name)
    assert Ownership((new, old), "survival").owns(name)
    assert not Ownership((new, old), "survival").owns(name + "-copy")
    assert Ownership((new, old), "survival") == Ownership((new, old), "survival")


def test_ownership_is_of_one_server_or_of_any() -> None:
    """Two servers that share a policy do not own each other's backups."""
    assert not Ownership((PLAIN,), "creative").owns(NAME)
    assert Ownership((PLAIN,), None).owns(NAME)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{server}-{time}", "must start with fixed text, by which its backups are known: " + ADVICE),
        ("", "must start with fixed text, by which its backups are known: " + ADVICE),
        ("auto-{server}", "must hold {time}, so that no two backups have one name: " + ADVICE),
        ("auto-{policy}-{time}", "has {policy}, " + PLACEHOLDERS),
        ("auto-{Time}", "has {Time}, " + PLACEHOLDERS),
        ("auto-{}", "has {}, " + PLACEHOLDERS),
        ("auto-{{time}}", "has {, " + PLACEHOLDERS),
        ("auto-{time", "has {, " + PLACEHOLDERS),
        ("auto-{time}}", "has }, " + PLACEHOLDERS),
        (" auto-{time}", "begins or ends with a blank, or has a character that cannot be seen: " + ADVICE),
        ("auto-{time} ", "begins or ends with a blank, or has a character that cannot be seen: " + ADVICE),
        ("auto\n{time}", "begins or ends with a blank, or has a character that cannot be seen: " + ADVICE),
    ],
)
def test_a_template_that_cannot_work_is_refused(text: str, says: str) -> None:
    """And the refusal says what would be right."""
    with pytest.raises(ValueError, match=re.escape(f'"{text}" {says}') + "$"):
        Template.parse(text)


def test_times_are_read_as_they_are_written() -> None:
    """Every moment of a year gives a name that is own."""
    start = datetime(2028, 1, 1, 23, 59, 59, tzinfo=UTC)
    for days in range(366):
        assert PLAIN.matches(PLAIN.render("a", start + timedelta(days=days), "00000000"), "a")


def test_what_the_panel_altered_is_ours_by_its_uuid_as_the_name_that_was_asked_for() -> None:
    """While it has that name, and while the policy could have asked for the other one."""
    altered = {"1": Altered(NAME, NAME.lower()), "2": Altered("somebody else's", "x")}
    ours = Ownership((PLAIN,), "survival").knowing(altered)
    assert ours.owns(NAME.lower(), "1")
    assert ours.owns(NAME, "3")
    assert not ours.owns(NAME.lower(), "3")
    assert not ours.owns(NAME.lower())
    assert not ours.owns("before the update", "1")
    assert not ours.owns("x", "2")
    assert not Ownership((PLAIN,), "creative").knowing(altered).owns(NAME.lower(), "1")
