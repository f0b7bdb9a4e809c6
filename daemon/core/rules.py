"""What each rule keeps of the candidates, and why it keeps no other.

The candidates are good, unlocked and in scope, newest first. Each rule judges by itself and has an opinion of each
candidate. A rule keeps the newest of a period, for the n newest periods that have backups; while it is not filled it
also keeps the oldest. Periods are read off the wall clock of the zone, as restic does: an hour that comes twice is
one. Keys are compared as a set, since a wall clock can go back over midnight.

What must hold (invariant 5): whatever a rule keeps of all candidates it also keeps of any part of them that
holds it. Reasons are shared between backups wherever they say the same, so that a hundred thousand are cheap.
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import repeat
from zoneinfo import ZoneInfo

from daemon.core.keep import ALL, Keep
from daemon.core.model import Reason
from daemon.core.units import Span, format_moment, to_zone


@dataclass(frozen=True, slots=True)
class Period:
    """A unit of the calendar: its noun, a key of the one that each local time falls into, and that one's name."""

    noun: str
    keys: Callable[[Sequence[datetime]], Sequence[Hashable]]
    slot: Callable[[datetime], str]


def _week_slot(local: datetime) -> str:
    year, week, _ = local.isocalendar()
    return f"{year:04}-W{week:02}"


PERIODS = {
    "hourly": Period(
        "hour", lambda times: [(t.toordinal(), t.hour) for t in times], lambda t: f"{t.date()}T{t.hour:02}"
    ),
    "daily": Period("day", lambda times: [t.toordinal() for t in times], lambda t: str(t.date())),
    "weekly": Period("week", lambda times: [(t.toordinal() - 1) // 7 for t in times], _week_slot),  # day 1 was a Monday
    "monthly": Period("month", lambda times: [(t.year, t.month) for t in times], lambda t: f"{t.year:04}-{t.month:02}"),
    "yearly": Period("year", lambda times: [t.year for t in times], lambda t: f"{t.year:04}"),
}


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one rule says, by place (0 is the newest): why it keeps some, and for each place why it would not."""

    keeps: Mapping[int, Reason]
    drops: Sequence[Reason]


class Candidates:
    """The names and moments of the candidates, newest first; what several rules need of them is computed once."""

    def __init__(self, names: Sequence[str], moments: Sequence[datetime], zone: ZoneInfo) -> None:
        self.names = names
        self.moments = moments
        self.zone = zone
        self._keys: dict[str, Sequence[Hashable]] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.moments)

    @cached_property
    def local(self) -> list[datetime]:
        """The moments on the wall clock of the zone."""
        try:
            return [moment.astimezone(self.zone) for moment in self.moments]
        except OverflowError:
            return [to_zone(moment, self.zone) for moment in self.moments]

    def keys(self, period: Period) -> Sequence[Hashable]:
        """Return the key of the period that each falls into."""
        if period.noun not in self._keys:
            self._keys[period.noun] = period.keys(self.local)
        return self._keys[period.noun]

    def inside(self, cutoff: datetime) -> int:
        """Return how many, counted from the newest, are not older than the cut-off."""
        return bisect_left(self.moments, True, key=lambda moment: moment < cutoff)


def opinions(keep: Keep, candidates: Candidates) -> list[Opinion]:
    """Return every rule's opinion of the candidates (at least one), in the order of the rules."""
    if keep.everything:
        reason = Reason("all", None, 'keep = "all" deletes nothing')
        return [Opinion(dict.fromkeys(range(len(candidates)), reason), [reason] * len(candidates))]
    by_count = [_count(rule, count, candidates) for rule, count in keep.counts.items()]
    return by_count + [_within(rule, span, candidates) for rule, span in keep.spans.items()]


def _count(rule: str, count: int, candidates: Candidates) -> Opinion:
    if rule == "last":
        return _last(count, candidates)
    period = PERIODS[rule]
    if count == ALL:
        ending, oldest = "", f"oldest, as no {period.noun} is let go"
    else:
        ending, oldest = f", {{}} of {count}", f"oldest, while fewer than {count} {period.noun}s are covered"
    dropped = Reason(rule, None, f"beyond the {_newest(count, period.noun)}")
    return _by_period(
        rule, candidates, count=count, inside=len(candidates), ending=ending, oldest=oldest, dropped=dropped
    )


def _last(count: int, candidates: Candidates) -> Opinion:
    number = len(candidates) if count == ALL else min(count, len(candidates))
    words = "last = -1 lets none go" if count == ALL else f"{{}} of the {_newest(count, 'backup')}"
    keeps = {place: Reason("last", None, words.format(place + 1)) for place in range(number)}
    return Opinion(keeps, [Reason("last", None, f"beyond the {_newest(count, 'backup')}")] * len(candidates))


def _within(rule: str, span: Span, candidates: Candidates) -> Opinion:
    if not candidates:
        return Opinion({}, ())
    cutoff = span.before(candidates.moments[0], candidates.zone)
    inside = candidates.inside(cutoff)
    since = format_moment(cutoff, candidates.zone)
    dropped = Reason(rule, None, f"older than {span} before the newest good backup (cut-off {since})")
    near = f"within {span} of the newest good backup"
    if rule == "within":
        return Opinion(dict.fromkeys(range(inside), Reason(rule, None, near)), [dropped] * len(candidates))
    return _by_period(
        rule, candidates, count=ALL, inside=inside, ending=f", {near}", oldest=f"oldest, {near}", dropped=dropped
    )


def _by_period(
    rule: str, candidates: Candidates, *, count: int, inside: int, ending: str, oldest: str, dropped: Reason
) -> Opinion:
    """Keep the newest of each of the `count` newest periods among the first `inside` candidates.

    Where the rule is not filled by then, also keep the oldest candidate, if it is inside.
    """
    period = PERIODS[rule.removeprefix("within_")]
    keys = candidates.keys(period)[:inside]
    newest = dict(zip(reversed(keys), reversed(range(len(keys))), strict=True))  # the last to be entered stays
    chosen = sorted(newest.values())[: None if count == ALL else count]

    keeps, superseded = {}, {}
    for number, place in enumerate(chosen, start=1):
        slot = period.slot(candidates.local[place])
        where = f"{period.noun} {slot}"
        keeps[place] = Reason(rule, slot, f"newest of {where}{ending.format(number)}")
        superseded[keys[place]] = Reason(rule, slot, f"superseded by {candidates.names[place]} in {where}")
    last = len(candidates) - 1
    if chosen and len(chosen) != count and inside > last:
        keeps.setdefault(last, Reason(rule, None, oldest))
    return Opinion(keeps, list(map(superseded.get, keys, repeat(dropped))) + [dropped] * (len(candidates) - inside))


def _newest(count: int, noun: str) -> str:
    return f"newest {noun}" if count == 1 else f"{count} newest {noun}s"
