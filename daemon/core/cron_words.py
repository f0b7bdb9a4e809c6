"""Better words for mistakes in cron's five fields than "it must be 0-23": backwards ranges, steps of 0, steps too far.

This module only finds words; cronsim decides what a field means.
"""

import re
from dataclasses import dataclass

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_RANGE = re.compile(r"([0-9]{1,2}|[A-Z]{3})-([0-9]{1,2}|[A-Z]{3})(?:/[0-9]+)?")
_STEP = re.compile(r"(.+)/([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five: its lowest and highest value, their `names`, what it counts, and the unit of "every" for it."""

    name: str
    low: int
    high: int
    counts: str
    unit: str = ""
    names: tuple[str, ...] = ()

    def value(self, word: str) -> int:
        """Given a number or a name, return the number; -1 for what is none of this field."""
        if word.isdigit():
            return int(word)
        return self.names.index(word) + self.low if word in self.names else -1

    def word(self, value: int, like: str) -> str:
        """Return a value as a number or by its name, as another is written."""
        return str(value) if like.isdigit() else self.names[value - self.low]

    def values_of(self, term: str) -> range:
        """Return the values from which a step takes some; a lone number begins a range that ends with the field."""
        if term == "*":
            return range(self.low, self.high + 1)
        first, _, last = term.partition("-")
        return range(self.value(first), (self.value(last) if last else max(self.high, self.value(first))) + 1)


_FIELDS = (
    _Field("minute", 0, 59, "minutes of an hour", "m"),
    _Field("hour", 0, 23, "hours of a day", "h"),
    _Field("day-of-month", 1, 31, "days of a month", "d"),
    _Field("month", 1, 12, "months of a year", names=_MONTHS),
    _Field("day-of-week", 0, 6, "days of a week", names=_DAYS),
)


def why_refused(name: str, expression: str) -> str | None:
    """Given the field that cron cannot read and all five, return why, if it is a known misunderstanding."""
    field, written = next(pair for pair in _pairs(expression) if pair[0].name == name)
    for term in written.split(","):
        if re.fullmatch(".+/0+", term):
            return f"its {name} has a step of 0, where 1 is the least"
        if found := _RANGE.fullmatch(term):
            first, last = found[1], found[2]
            if 0 <= field.value(last) < field.value(first) <= field.high:
                forwards = f"{_range(field, first, field.high)},{_range(field, last, field.low, upwards=True)}"
                return f"its {name} runs backwards: write {first}-{last} as {forwards}"
    return None


def steps_beyond(expression: str) -> tuple[str, ...]:
    """Given five fields that cron can read, return for each step beyond its field what it really means."""
    said = []
    for field, written in _pairs(expression):
        for term in written.split(","):
            if found := _STEP.fullmatch(term):
                values, step = field.values_of(found[1]), int(found[2])
                if step > len(values) and values[0] >= 0:  # `L` is the last one, whatever the step
                    said.append(_beyond(field, term, values[0], step))
    return tuple(said)


def _pairs(expression: str) -> list[tuple[_Field, str]]:
    return list(zip(_FIELDS, expression.upper().split(), strict=True))


def _range(field: _Field, like: str, value: int, *, upwards: bool = False) -> str:
    """Return the range between a word and the end of its field, or from its beginning; a single value is no range."""
    end, own = field.word(value, like), field.value(like)
    if own == value:
        return like
    return f"{end}-{like}" if upwards else f"{like}-{end}"


def _beyond(field: _Field, term: str, first: int, step: int) -> str:
    meant = f'; for once in {step} {field.counts.split()[0]} write "every {step}{field.unit}"' if field.unit else ""
    return f'"{term}" steps beyond the {field.counts}, so that it means {first} alone{meant}'
