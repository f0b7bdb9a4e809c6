"""The rules as they are written."""

import pytest

from daemon.core.keep import Keep
from daemon.core.units import Span


def test_rules_are_read_from_text_and_from_a_table() -> None:
    """The command line and the configuration say the same."""
    expected = Keep(last=3, daily=-1, within=Span(days=30), within_monthly=Span(years=1))
    assert Keep.parse("last=3, daily = -1,within=30d,within_monthly=1y") == expected
    assert Keep.from_mapping({"last": 3, "daily": -1, "within": "30d", "within_monthly": "1y"}) == expected
    assert str(expected) == "last=3,daily=-1,within=30d,within_monthly=1y"


def test_all_deletes_nothing() -> None:
    """The one word for a policy that only creates."""
    assert Keep.parse(" all ") == Keep(everything=True)
    assert str(Keep(everything=True)) == "all"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a rule"),
        ("last", "is not a rule"),
        ("last=", "is not a rule"),
        ("=3", "is not a rule"),
        ("last=3,", "is not a rule"),
        ("last=3,last=4", "given twice"),
        ("last=0", "write a whole number"),
        ("last=-2", "write 1 or more, or -1"),
        ("last=three", "write a whole number"),
        ("last=3d", "write a whole number"),
        ("within=3", "write a span as text"),
        ("within=3m", "months are mo"),
        ("within=0d", "must reach back"),
        ("dayly=3", "did you mean daily?"),
        ("within-daily=3d", "did you mean within_daily?"),
        ("xyz=3", "the rules are last, hourly"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(text: str, says: str) -> None:
    """And the refusal says what would be right."""
    with pytest.raises(ValueError, match=says.replace("?", r"\?")):
        Keep.parse(text)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({}, "at least one"),
        ({"last": True}, "write a whole number"),
        ({"last": 1.5}, "write a whole number"),
        ({"within": 30}, "write a span as text"),
        ({"last": "3"}, "write a whole number"),
    ],
)
def test_a_table_is_held_to_its_types(rules: dict[str, object], says: str) -> None:
    """`true` is not one, and an empty table keeps nothing."""
    with pytest.raises(ValueError, match=says):
        Keep.from_mapping(rules)


def test_all_and_rules_contradict_each_other() -> None:
    """Either everything or something."""
    with pytest.raises(ValueError, match="stands alone"):
        Keep(last=1, everything=True)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("last=3", 3),
        ("last=3,daily=7,weekly=4,monthly=6", 17),
        ("daily=-1", None),
        ("last=3,within=30d", None),
        ("all", None),
        ("within_hourly=23h", 49),
        ("within_daily=7d", 9),
        ("within_weekly=7d", 3),
        ("within_monthly=1y", 16),
        ("within_yearly=10y", 13),
        ("last=3,within_daily=7d", 11),
    ],
)
def test_how_many_are_kept_at_most_is_known_where_it_is_bounded(text: str, most: int | None) -> None:
    """The newest is kept by every rule, and counted once."""
    assert Keep.parse(text).most_kept() == most
