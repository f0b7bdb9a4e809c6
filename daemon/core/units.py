"""Durations, spans and sizes: what people write, and what they read.

A *duration* is exact ("20m" is twenty minutes; units `s m h d w`). A *span* counts calendar dates in a zone ("6mo";
units `h d w mo y`), so it has no length without a moment to count from; a bare `m` in a span is refused, since it could
mean either. Every mistake is a ValueError whose text says what would be right. Nothing here knows of backups.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import dropwhile, islice
from typing import Literal
from zoneinfo import ZoneInfo

EARLIEST = datetime.min.replace(tzinfo=UTC)
"""What a span that reaches back beyond the first year is cut at: nothing is older."""

_DURATION_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST_DURATION = timedelta(days=36525)
_SPAN_FIELDS = {"y": "years", "mo": "months", "w": "weeks", "d": "days", "h": "hours"}
_BINARY_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SIZE_FACTORS = {unit.lower(): 1024**power for power, unit in enumerate(_BINARY_SIZES)} | {
    unit: 1000**power for power, unit in enumerate(("kb", "mb", "gb", "tb", "pb"), start=1)
}


def parse_duration(text: str) -> timedelta:
    """Given "90s", "20m", "6h", "2d", "1w" or a sum such as "1d12h", return its exact length; else ValueError."""
    amounts = _amounts(text, "smhdw")
    if amounts is None:
        raise ValueError(
            f'"{text}" is not a duration: write a number with s, m, h, d or w, such as 90s, 20m, 6h or 1d12h'
        )
    seconds = sum(amount * _DURATION_SECONDS[unit] for unit, amount in amounts.items())
    if seconds > _LONGEST_DURATION.total_seconds():
        raise ValueError(f'"{text}" is longer than a hundred years')
    return timedelta(seconds=seconds)


def parse_size(text: str | int) -> int:
    """Given "50GiB", "800 MiB", "1.5TiB", "10GB" or a plain number of bytes, return the bytes; else ValueError."""
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([A-Za-z]*)", str(text).strip())
    factor = _SIZE_FACTORS.get(match[2].lower() or "b") if match else None
    if match is None or factor is None:
        raise ValueError(
            f'"{text}" is not a size: write bytes, or a number with KiB, MiB, GiB, TiB (1024) or GB (1000)'
        )
    size = int(Fraction(match[1]) * factor)
    if size < 1:
        raise ValueError(f'"{text}" is less than one byte: write a size such as 50GiB')
    return size


def format_duration(duration: timedelta) -> str:
    """Given a duration, return its two largest units for people: "3 h 20 min", "2 d", "45 s"."""
    if duration < timedelta(0):
        return f"-{format_duration(-duration)}"
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    amounts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    largest_two = islice(dropwhile(lambda each: not each[0], amounts), 2)
    shown = [f"{amount} {unit}" for amount, unit in largest_two if amount]
    return " ".join(shown) or "0 s"


def format_size(size: int) -> str:
    """Given bytes, return them for people with one decimal at most: "4.2 GiB", "50 GiB", "512 B"."""
    number = float(size)
    for unit in _BINARY_SIZES[:-1]:
        if round(abs(number), 1) < 1024:  # noqa: PLR2004 — the step between the units
            return f"{_one_decimal(number)} {unit}"
        number /= 1024
    return f"{_one_decimal(number)} {_BINARY_SIZES[-1]}"


def rfc3339(moment: datetime, to: Literal["seconds", "milliseconds", "microseconds", "auto"] = "seconds") -> str:
    """Return a moment for machines, in UTC: "2026-04-01T04:00:00Z" (RFC 3339). ValueError for one without a zone.

    `to` is how exactly; "auto" leaves out microseconds that are none. Nothing else in the package writes a moment for
    machines. Without strftime, whose %Y has a single digit in the year 1.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a moment without a time zone: {moment}")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=to) + "Z"


def compact(moment: datetime) -> str:
    """Return a moment for names of backups and files: "20260401T040000Z", as ISO 8601 has it without separators."""
    return rfc3339(moment).replace("-", "").replace(":", "")


def read_rfc3339(text: str) -> datetime:
    """Return the moment that was written, in UTC; ValueError for what is none, or has no time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a moment without a time zone: {moment}")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"a moment too far away: {moment}") from None


def format_moment(moment: datetime, zone: ZoneInfo) -> str:
    """Given a moment, return it to the minute in the zone: "2026-04-01 06:00 CEST"."""
    local = to_zone(moment, zone)
    return f"{local.date()} {local:%H:%M %Z}"


def to_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """Given a moment, return it in the zone; at the very ends of the calendar, where that cannot be, in UTC."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A length of calendar time, such as "1y6mo": its dates are counted in a zone, its hours are exact."""

    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0
    hours: int = 0

    def __post_init__(self) -> None:
        """Refuse what would reach forward, or nowhere."""
        amounts = (self.years, self.months, self.weeks, self.days, self.hours)
        if min(amounts) < 0 or not any(amounts):
            raise ValueError("a span must reach back: write at least 1h, or leave the rule out")

    def __str__(self) -> str:
        """As it would be written: "1y6mo"."""
        amounts = ((unit, getattr(self, name)) for unit, name in _SPAN_FIELDS.items())
        return "".join(f"{amount}{unit}" for unit, amount in amounts if amount)

    @property
    def most_days(self) -> int:
        """How many dates it can reach back at most."""
        return self.years * 366 + self.months * 31 + self.weeks * 7 + self.days + -(-self.hours // 24)

    def before(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """Return the cut-off, in UTC, that lies this span before the moment.

        Years and months are taken first and clamp to the month's last day, then weeks and days; the cut is at the
        first moment of that date in the zone; then the exact hours go. A span of hours alone is exact. The cut-off
        never moves back while the moment moves on, which restic's own month arithmetic does not promise; where the
        two differ, this one is the earlier.
        """
        try:
            start = moment.astimezone(UTC) if self._is_exact else first_moment(self._date_before(moment, zone), zone)
            return start - timedelta(hours=self.hours)
        except (OverflowError, ValueError):
            return EARLIEST

    @property
    def _is_exact(self) -> bool:
        return not (self.years or self.months or self.weeks or self.days)

    def _date_before(self, moment: datetime, zone: ZoneInfo) -> date:
        day = _settled_date(moment, zone)
        year, month = divmod(day.year * 12 + day.month - 1 - self.years * 12 - self.months, 12)
        clamped = min(day.day, monthrange(year, month + 1)[1])
        return date(year, month + 1, clamped) - timedelta(weeks=self.weeks, days=self.days)


def parse_span(text: str) -> Span:
    """Given "36h", "30d", "4w", "6mo", "2y" or a sum such as "1y6mo", return the span; else ValueError."""
    amounts = _amounts(text, "mo|[hdwy]")
    if amounts is None:
        months = "; months are mo" if re.search(r"[0-9]\s*m(?!o)", text) else ""
        raise ValueError(
            f'"{text}" is not a span: write a number with h, d, w, mo or y, such as 36h, 30d, 6mo or 1y6mo{months}'
        )
    return Span(**{_SPAN_FIELDS[unit]: amount for unit, amount in amounts.items()})


def first_moment(day: date, zone: ZoneInfo) -> datetime:
    """Return the first moment of the date in the zone, in UTC.

    Where midnight comes twice it is the first; where clocks jump over it, the jump. (Where they jumped from before
    midnight to after it, as in Toronto in 1919, it is a little earlier: more is kept.)
    """
    midnight = datetime.combine(day, time(), zone)
    start = midnight.astimezone(UTC)
    if (start - timedelta.resolution).astimezone(zone).date() < day:
        return start
    return midnight.replace(fold=1).astimezone(UTC)


def _settled_date(moment: datetime, zone: ZoneInfo) -> date:
    """Return the date in the zone; where clocks go back over midnight, the new date begins only when it does so for
    good.

    Otherwise a later moment could have an earlier date, and a cut-off would move back.
    """
    day = moment.astimezone(zone).date()
    begun = datetime.combine(day, time(fold=1), zone).astimezone(UTC) <= moment
    return day if begun else day - timedelta(days=1)


def _amounts(text: str, units: str) -> dict[str, int] | None:
    """Read a sum such as "1d12h" into {"d": 1, "h": 12}; None where it is not one, or names a unit twice."""
    part = rf"\s*([0-9]{{1,9}})\s*({units if '|' in units else f'[{units}]'})\s*"
    if not re.fullmatch(f"(?:{part})+", text):
        return None
    parts = re.findall(part, text)
    amounts = {unit: int(amount) for amount, unit in parts}
    return amounts if len(amounts) == len(parts) else None


def _one_decimal(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
