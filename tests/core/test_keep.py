"""The rules as they are written."""

import re
from typing import Any

import pytest

from daemon.core.keep import COUNT_RULES, SPAN_RULES, Keep
from daemon.core.units import Span

NO_RULE = "is not a rule: write last=3,daily=7,within=30d, or all"
NO_NUMBER = "write a whole number, 1 or more, or -1 to keep all"
SPANS = "within, within_hourly, within_daily, within_weekly, within_monthly, within_yearly"
NO_TEXT = 'write a span as text, such as "30d" or "6mo"'
NOTHING = (
    "no rule would keep anything: write at least one, "
    'such as { last = 3, daily = 7, weekly = 4, monthly = 6 }, or "all" to delete nothing'
)


def test_rules_are_read_from_text_and_from_a_table() -> None:
    """The command line and the configuration say the same."""
    expected = Keep(last=3, daily=-1, within=Span(days=30), within_monthly=Span(years=1))
    assert Keep.parse("last=3, daily = -1,within=30d,within_monthly=1y") == expected
    assert Keep.from_mapping({"last": 3, "daily": -1, "within": "30d", "within_monthly": "1y"}) == expected
    assert str(expected) == "last=3,daily=-1,within=30d,within_monthly=1y"


def test_a_rule_that_is_left_out_is_not_set() -> None:
    """Neither as nothing at all nor as everything."""
    keep = Keep(last=1)
    assert [getattr(keep, rule) for rule in COUNT_RULES] == [1] + [0] * (len(COUNT_RULES) - 1)
    assert [getattr(keep, rule) for rule in SPAN_RULES] == [None] * len(SPAN_RULES)
    assert keep.everything is False


def test_all_deletes_nothing() -> None:
    """The one word for a policy that only creates."""
    assert Keep.parse(" all ") == Keep(everything=True)
    assert str(Keep(everything=True)) == "all"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", f'"" {NO_RULE}'),
        ("last", f'"last" {NO_RULE}'),
        ("last=", f'"last=" {NO_RULE}'),
        ("=3", f'"=3" {NO_RULE}'),
        ("last=3, daily", f'"daily" {NO_RULE}'),
        ("last=3,", f'"" {NO_RULE}'),
        ("last=3,last=4", "last is given twice"),
        ("last=0", f"last = 0: {NO_NUMBER}"),
        ("last=three", f"last = 'three': {NO_NUMBER}"),
        ("last=3=3", f"last = '3=3': {NO_NUMBER}"),
        ("last=3d", f"last = '3d': {NO_NUMBER}"),
        ("last=1000000000", f"last = '1000000000': {NO_NUMBER}"),
        ("last=-2", "last = -2: write 1 or more, or -1 to keep all"),
        ("within=3", f"within = 3: {NO_TEXT}"),
        ("dayly=3", "there is no rule dayly: did you mean daily?"),
        ("within-daily=3d", "there is no rule within-daily: did you mean within_daily?"),
        (
            "xyz=3",
            "there is no rule xyz: the rules are last, hourly, daily, weekly, monthly, yearly, " + SPANS,
        ),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(text: str, says: str) -> None:
    """And the refusal says what would be right."""
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        Keep.parse(text)


@pytest.mark.parametrize(("text", "says"), [("within=3m", "months are mo"), ("within=0d", "must reach back")])
def test_a_within_rule_takes_a_span(text: str, says: str) -> None:
    """And refuses what is none in the words of spans."""
    with pytest.raises(ValueError, match=says):
        Keep.parse(text)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({}, NOTHING),
        ({"last": True}, f"last = True: {NO_NUMBER}"),
        ({"last": 1.5}, f"last = 1.5: {NO_NUMBER}"),
        ({"last": "3"}, f"last = '3': {NO_NUMBER}"),
        ({"within": 30}, f"within = 30: {NO_TEXT}"),
    ],
)
def test_a_table_is_held_to_its_types(rules: dict[str, object], says: str) -> None:
    """`true` is not one, and an empty table keeps nothing."""
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        Keep.from_mapping(rules)


@pytest.mark.parametrize("rules", [{"last": 1}, {"within": Span(days=1)}])
def test_all_and_rules_contradict_each_other(rules: dict[str, Any]) -> None:
    """Either everything or something."""
    with pytest.raises(ValueError, match=r'^"all" stands alone: leave the other rules out$'):
        Keep(**rules, everything=True)


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
        ("within_weekly=8d", 4),
        ("within_monthly=1y", 16),
        ("within_yearly=10y", 13),
        ("last=3,within_daily=7d", 11),
    ],
)
def test_how_many_are_kept_at_most_is_known_where_it_is_bounded(text: str, most: int | None) -> None:
    """The newest is kept by every rule, and counted once."""
    assert Keep.parse(text).most_kept() == most
