"""What a policy keeps: restic's rules (0.16 and later), as values.

A count rule is n >= 1 or -1 (all); a within rule is a span. This module only reads and checks the rules; `rules` says
what each keeps. An empty set of rules is refused, since it would keep nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from daemon.core.units import Span, parse_span

ALL = -1
"""A count rule's way of saying: every one."""

COUNT_RULES = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
SPAN_RULES = ("within", "within_hourly", "within_daily", "within_weekly", "within_monthly", "within_yearly")
_EXAMPLE = 'such as { last = 3, daily = 7, weekly = 4, monthly = 6 }, or "all" to delete nothing'
_SHORTEST_DAYS = {"daily": 1, "weekly": 7, "monthly": 28, "yearly": 365}


@dataclass(frozen=True, slots=True)
class Keep:
    """The rules of one policy; 0 and None mean that a rule is not set. `everything` deletes nothing at all."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: Span | None = None
    within_hourly: Span | None = None
    within_daily: Span | None = None
    within_weekly: Span | None = None
    within_monthly: Span | None = None
    within_yearly: Span | None = None
    everything: bool = False

    def __post_init__(self) -> None:
        """Refuse rules that would keep nothing, or contradict each other."""
        for rule in COUNT_RULES:
            if getattr(self, rule) < ALL:
                raise ValueError(f"{rule} = {getattr(self, rule)}: write 1 or more, or -1 to keep all")
        if self.everything and (self.counts or self.spans):
            raise ValueError('"all" stands alone: leave the other rules out')
        if not (self.everything or self.counts or self.spans):
            raise ValueError(f"no rule would keep anything: write at least one, {_EXAMPLE}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Given "last=3,daily=7,within=30d" or "all", return the rules; else ValueError."""
        if text.strip() == "all":
            return cls(everything=True)
        rules: dict[str, object] = {}
        for part in text.split(","):
            rule, equals, value = (piece.strip() for piece in part.partition("="))
            if not (rule and equals and value):
                raise ValueError(f'"{part.strip()}" is not a rule: write last=3,daily=7,within=30d, or all')
            if rule in rules:
                raise ValueError(f"{rule} is given twice")
            rules[rule] = int(value) if re.fullmatch("-?[0-9]{1,9}", value) else value
        return cls.from_mapping(rules)

    @classmethod
    def from_mapping(cls, rules: Mapping[str, object]) -> Self:
        """Given {"last": 3, "within": "30d"}, as a configuration has it, return the rules; else ValueError."""
        return cls(**{rule: _value(rule, value) for rule, value in rules.items()})  # type: ignore[arg-type]  # checked in _value

    @property
    def counts(self) -> dict[str, int]:
        """The count rules that are set, in their order."""
        return {rule: getattr(self, rule) for rule in COUNT_RULES if getattr(self, rule)}

    @property
    def spans(self) -> dict[str, Span]:
        """The within rules that are set, in their order."""
        return {rule: getattr(self, rule) for rule in SPAN_RULES if getattr(self, rule)}

    def __str__(self) -> str:
        """As it would be written on a command line: "last=3,daily=7,within=30d"."""
        return (
            "all"
            if self.everything
            else ",".join(f"{rule}={value}" for rule, value in {**self.counts, **self.spans}.items())
        )

    def most_kept(self) -> int | None:
        """Return how many backups these rules can keep at once, at most; None if there is no bound.

        Every rule keeps the newest one, so that it is counted once.
        """
        bounds = [None if count == ALL else count for count in self.counts.values()]
        bounds += [_most_within(rule, span) for rule, span in self.spans.items()]
        if self.everything or None in bounds:
            return None
        return sum(bound - 1 for bound in bounds if bound is not None) + 1


def _most_within(rule: str, span: Span) -> int | None:
    """Return how many periods a span can touch, and one more for the oldest; None for `within` itself."""
    days = span.most_days
    match rule.removeprefix("within_"):
        case "within":
            return None
        case "hourly":
            return (days + 1) * 24 + 1
        case period:
            return 1 - (-days // _SHORTEST_DAYS[period]) + 1


def _value(rule: str, value: object) -> int | Span:
    if rule in COUNT_RULES:
        if isinstance(value, bool) or not isinstance(value, int) or value == 0:
            raise ValueError(f"{rule} = {value!r}: write a whole number, 1 or more, or -1 to keep all")
        return value
    if rule in SPAN_RULES:
        if not isinstance(value, str):
            raise ValueError(f'{rule} = {value!r}: write a span as text, such as "30d" or "6mo"')
        return parse_span(value)
    from difflib import get_close_matches  # noqa: PLC0415 — seldom needed, and the daemon would keep it

    rules = (*COUNT_RULES, *SPAN_RULES)
    near = get_close_matches(rule, rules)
    raise ValueError(
        f"there is no rule {rule}: " + (f"did you mean {near[0]}?" if near else f"the rules are {', '.join(rules)}")
    )
