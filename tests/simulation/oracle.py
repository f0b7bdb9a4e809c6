"""A second, deliberately naive implementation of the retention rules, to hold the first against.

Written from the design's words, as loops over plain rows; it is slow, knows no reasons, and shares no line with
`daemon/core`. A policy is the table as it stands in the configuration file.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

DEFAULTS: Mapping[str, Any] = {
    "timezone": "UTC",
    "name": "auto-{server}-{time}-{id}",
    "also_own": (),
    "min_good": 1,
    "total_size": "off",
    "failed_after": "2d",
    "suspicious": 0.5,
    "suspicious_for": "3d",
    "max_deletions": 10,
    "max_share": 0.5,
}
RETENTION = (
    *("timezone", "name", "also_own", "min_good", "total_size", "failed_after", "suspicious", "suspicious_for"),
    "copy_before_delete",
)
SHAPES = {"{time}": r"\d{8}T\d{6}Z", "{id}": r"[0-9a-f]{8}"}
TOO_FAR_AHEAD = timedelta(minutes=5)
A_MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Row:
    """One backup as the panel has it; `strange` where an answer could not be read."""

    uuid: str
    name: str
    successful: bool
    locked: bool
    bytes: int
    created: datetime
    completed: datetime | None
    strange: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What each backup is worth, and which are to go, oldest first."""

    states: Mapping[str, str]
    deletions: tuple[str, ...]
    candidates: tuple[str, ...]
    """The good, unlocked ones in scope, newest first."""
    spare: tuple[str, ...]
    """The suspicious ones that may make room at the panel's limit, oldest first."""

    def good_deletions(self) -> tuple[str, ...]:
        """Those of them that are good."""
        return tuple(uuid for uuid in self.deletions if self.states[uuid] == "good")


def setting(policy: Mapping[str, Any], key: str) -> Any:
    """A key of the policy, or its default."""
    return policy.get(key, DEFAULTS.get(key))


def owns(policy: Mapping[str, Any], server: str, name: str) -> bool:
    """Whether the policy could have made that name."""
    for template in (setting(policy, "name"), *setting(policy, "also_own")):
        if _pattern(template, server).fullmatch(name):
            return True
    return False


@cache
def _pattern(template: str, server: str) -> re.Pattern[str]:
    pattern = re.escape(template.replace("{server}", server))
    for placeholder, shape in SHAPES.items():
        pattern = pattern.replace(re.escape(placeholder), shape)
    return re.compile(pattern)


def named(policy: Mapping[str, Any], server: str, made: datetime, number: int) -> str:
    """The name that a policy gives to a backup that is made then; the number is its id."""
    name = str(setting(policy, "name")).replace("{server}", server)
    return name.replace("{time}", f"{made:%Y%m%dT%H%M%SZ}").replace("{id}", f"{number:08x}")


def judge(
    rows: Sequence[Row],
    policy: Mapping[str, Any],
    server: str,
    now: datetime,
    *,
    complete: bool = True,
    earlier: Sequence[Row] = (),
    accepted: Collection[str] = (),
    asked: Collection[str] = (),
    proven: Collection[str] = (),
    coming: Row | None = None,
) -> Judgement:
    """What the policy makes of these backups; a coming one is good. Earlier rows are a measure of sizes as well.

    The newest of those that are `proven` stay, as many as the policy says.

    Those whose deletion was asked for already may have no file: the others are judged without them, and each of them as
    if it were the only one of these.
    """
    sizes = _sizes(rows, policy, server, now, earlier=earlier, accepted=accepted)
    states = dict(sizes.states)
    if coming is not None:
        rows, states = [*rows, coming], {**states, coming.uuid: "good"}
    newest_first = sorted(rows, key=_age, reverse=True)
    in_scope = {row.uuid for row in rows if policy["scope"] == "all" or owns(policy, server, row.name)}
    candidates = [row for row in newest_first if states[row.uuid] == "good" and not row.locked and row.uuid in in_scope]
    doomed: set[str] = set()
    for doubtful in (None, *(row for row in candidates if row.uuid in asked)):
        there = [row for row in candidates if row.uuid not in asked or row is doubtful]
        kept = _kept(there, policy)
        for row in there[: setting(policy, "min_good")]:
            kept.add(row.uuid)
        untouchable = _untouchable(sizes, there, policy, server, now)
        if complete and setting(policy, "total_size") != "off":
            _cap(there, kept - untouchable, kept, setting(policy, "total_size"), setting(policy, "min_good"))
        kept |= untouchable
        judged_now = there if doubtful is None else [doubtful]
        doomed |= {row.uuid for row in judged_now if row.uuid not in kept}
    whole = [row.uuid for row in candidates if row.uuid in proven and row.uuid not in asked]
    doomed -= set(whole[: policy.get("prove", {}).get("keep_proven", 0)])
    for row in newest_first:
        if states[row.uuid] == "failed" and not row.locked and row.uuid in in_scope and _overdue(row, policy, now):
            doomed.add(row.uuid)
    oldest_first = tuple(row.uuid for row in reversed(newest_first) if row.uuid in doomed)
    spare = tuple(
        row.uuid
        for row in reversed(newest_first)
        if row.uuid in sizes.inside and row.uuid in in_scope and not row.locked
    )
    worth = {row.uuid: states[row.uuid] for row in rows}
    return Judgement(worth, oldest_first, tuple(row.uuid for row in candidates), spare)


def over(judged: Judgement, policy: Mapping[str, Any], *, already: int = 0, named: Collection[str] = ()) -> bool:
    """Whether more good ones would go than may go at once; `already` went before, `named` an earlier plan named."""
    most, going = setting(policy, "max_deletions"), [uuid for uuid in judged.good_deletions() if uuid not in named]
    if most == -1 or not going:
        return False
    there = [uuid for uuid in judged.candidates if uuid not in named]
    number, among = already + len(going), already + len(there)
    return number > most or (number >= 3 and number > setting(policy, "max_share") * among)


def room(
    rows: Sequence[Row],
    policy: Mapping[str, Any],
    server: str,
    now: datetime,
    *,
    complete: bool = True,
    earlier: Sequence[Row] = (),
    asked: Collection[str] = (),
    proven: Collection[str] = (),
    named: Collection[str] = (),
    lately: bool = False,
    again: bool = False,
) -> tuple[str, ...]:
    """What may make room for a backup that is about to be made: one of them, the first that can be deleted.

    `lately` says that room was made within the last day, which is once too often where too many would go, those that an
    earlier plan `named` apart. Made `again`, before a backup turned good, it is a small one from inside its row.
    """
    before = judge(rows, policy, server, now, complete=complete, earlier=earlier, asked=asked)
    after = with_coming(rows, policy, server, now, complete=complete, earlier=earlier, asked=asked, proven=proven)
    none_at_all = setting(policy, "max_deletions") == 0
    small = () if none_at_all else before.spare
    own = [row for row in sorted(rows, key=_age) if owns(policy, server, row.name)]
    ended = [before.states[row.uuid] for row in own if before.states[row.uuid] in {"good", "suspicious"}]
    least = setting(policy, "min_good")
    protected = [
        uuid
        for place, uuid in enumerate(before.candidates)
        if sum(newer not in asked for newer in before.candidates[:place]) < least
    ]
    good = after.good_deletions()
    free = [uuid for uuid in good if uuid not in protected and uuid != "~coming"]
    too_many = over(after, policy) and over(after, policy, named=named)
    if again or (too_many and (lately or none_at_all)):
        free = []
    order = (*small, *free) if ended[-1:] == ["suspicious"] else (*free, *small)
    tried = tuple(uuid for uuid in (*free, *small) if uuid in asked)
    return (*(uuid for uuid in order if uuid not in asked), *tried)


def beyond(
    rows: Sequence[Row],
    before: Mapping[str, Any],
    policy: Mapping[str, Any],
    server: str,
    now: datetime,
    *,
    room: bool = False,
    asked: Collection[str] = (),
) -> list[str]:
    """What the policy deletes and the one before it did not; with a good one to come, where `room` is made for it."""
    decide = with_coming if room else judge
    earlier, present = (decide(rows, each, server, now, asked=asked) for each in (before, policy))
    return [uuid for uuid in present.deletions if uuid not in earlier.deletions]


def with_coming(
    rows: Sequence[Row],
    policy: Mapping[str, Any],
    server: str,
    now: datetime,
    *,
    complete: bool = True,
    earlier: Sequence[Row] = (),
    asked: Collection[str] = (),
    proven: Collection[str] = (),
) -> Judgement:
    """What the policy makes of these backups once one more has turned good."""
    coming = Row("~coming", named(policy, server, now, 0), True, False, 0, now, now)
    known: Mapping[str, Any] = {"complete": complete, "earlier": earlier, "asked": asked, "proven": proven}
    return judge(rows, policy, server, now, **known, coming=coming)


def same_retention(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two policies say the same of what goes."""
    return all(setting(one, key) == setting(other, key) for key in (*RETENTION, "keep", "scope"))


def classify(newest_first: Sequence[Row], policy: Mapping[str, Any], server: str, now: datetime) -> Mapping[str, str]:
    """good, failed, pending, suspicious or strange, by uuid."""
    return _sizes(newest_first, policy, server, now).states


def _age(row: Row) -> tuple[datetime, str]:
    return (row.created, row.uuid)


class _Sizes:
    """What sizes tell: each backup's state, which lie inside a row of small ones, and where the usual size fell.

    A fall is of own ones or of the others; it has the first of the new size, or the one that was accepted, and the last
    one before it, unless it was accepted. The small ones since the last good one are kept in groups of one size.
    """

    def __init__(self, policy: Mapping[str, Any], accepted: Collection[str]) -> None:
        self.states: dict[str, str] = {}
        self.inside: set[str] = set()
        self.falls: list[tuple[bool, Row, Row | None]] = []
        self._policy = policy
        self._accepted = accepted
        self._good: dict[bool, list[Row]] = {True: [], False: []}
        self._everyone: list[Row] = []
        self._knows_its_size: set[bool] = set()
        self._groups: dict[bool, list[list[Row]]] = {True: [], False: []}
        self._before: dict[str, Row] = {}

    def take(self, row: Row, side: bool) -> None:
        """Weigh the next successful one, on the side of the own ones or on the other."""
        if len(self._good[side]) >= 3:
            self._knows_its_size.add(side)
        mixed = self._policy["scope"] == "all" and side not in self._knows_its_size
        measure = self._everyone if mixed else self._good[side]
        word = row.uuid in self._accepted and row.bytes > 0
        least = setting(self._policy, "suspicious") * _median([one.bytes for one in measure[-5:]])
        if row.bytes > 0 and row.bytes >= least:
            if word and any(of == side for of, _, _ in self.falls):
                self._believe_an_operator(row, side)
            self._are_good([row], side)
            return
        self.states[row.uuid] = "suspicious"
        group = self._grouped(row, side, measure)
        if word:
            self._groups[side].pop()
            self._believe_an_operator(row, side)
            self._are_good(group, side)
        elif self._lasts(group):
            self._groups[side].pop()
            self.falls.append((side, group[0], self._before[group[0].uuid]))
            self._are_good(group, side)

    def end(self) -> None:
        """What is still in doubt needs its first, its newest, and the first of the newest size."""
        for groups in self._groups.values():
            first = {group[0].uuid for group in groups[-1:]}
            self.inside |= {row.uuid for row in [row for group in groups for row in group][1:-1]} - first

    def _grouped(self, row: Row, side: bool, measure: Sequence[Row]) -> list[Row]:
        groups = self._groups[side]
        if groups and _alike([*groups[-1], row]):
            groups[-1].append(row)
            return groups[-1]
        groups.append([row])
        if measure:
            self._before[row.uuid] = measure[-1]
        return groups[-1]

    def _lasts(self, group: Sequence[Row]) -> bool:
        days = timedelta(hours=_hours(setting(self._policy, "suspicious_for")))
        return len(group) >= 3 and group[-1].created - group[0].created >= days

    def _believe_an_operator(self, row: Row, side: bool) -> None:
        self.falls = [fall for fall in self.falls if fall[0] != side] + [(side, row, None)]
        self._knows_its_size.add(side)
        self._good[side], self._everyone = [], []

    def _are_good(self, rows: Sequence[Row], side: bool) -> None:
        left = [row for group in self._groups[side] for row in group]
        self.inside |= {row.uuid for row in left[1:-1]}
        self._groups[side] = []
        self._good[side] += rows
        self._everyone += rows
        for row in rows:
            self.states[row.uuid] = "good"


def _sizes(
    rows: Sequence[Row],
    policy: Mapping[str, Any],
    server: str,
    now: datetime,
    *,
    earlier: Sequence[Row] = (),
    accepted: Collection[str] = (),
) -> _Sizes:
    there = {row.uuid for row in rows}
    found = _Sizes(policy, accepted)
    for row in sorted([*rows, *(row for row in earlier if row.uuid not in there)], key=_age):
        found.states[row.uuid] = _plainly(row, now)
        if found.states[row.uuid] == "good":
            found.take(row, owns(policy, server, row.name))
    found.end()
    return found


def _plainly(row: Row, now: datetime) -> str:
    """What a backup is, whatever its size."""
    if row.strange or row.created > now + TOO_FAR_AHEAD:
        return "strange"
    if row.completed is None:
        return "pending"
    return "good" if row.successful else "failed"


def _median(sizes: Sequence[int]) -> float:
    ordered = sorted(sizes)
    half = len(ordered) // 2
    if not ordered:
        return 0.0
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _alike(rows: Sequence[Row]) -> bool:
    sizes = [row.bytes for row in rows]
    return min(sizes) > 0 and max(sizes) <= 2 * min(sizes)


def _untouchable(
    sizes: _Sizes, candidates: Sequence[Row], policy: Mapping[str, Any], server: str, now: datetime
) -> set[str]:
    """Those that stay since the usual size fell: the last from before for a month, the first since, the newest two."""
    stay: set[str] = set()
    for side, first, last in sizes.falls:
        stay.add(first.uuid)
        if last is None:
            continue
        if now < first.created + A_MONTH:
            stay.add(last.uuid)
        stay |= {row.uuid for row in [one for one in candidates if owns(policy, server, one.name) == side][:2]}
    return stay & {row.uuid for row in candidates}


def _overdue(row: Row, policy: Mapping[str, Any], now: datetime) -> bool:
    delay = setting(policy, "failed_after")
    if policy["keep"] == "all" or delay == "never" or row.completed is None:
        return False
    return now - row.completed >= timedelta(hours=_hours(delay))


def _hours(text: str) -> float:
    return int(text[:-1]) * {"h": 1, "d": 24, "m": 1 / 60, "s": 1 / 3600, "w": 168}[text[-1]]


def _cap(candidates: Sequence[Row], counted: set[str], kept: set[str], most: int, min_good: int) -> None:
    """Take away the oldest of those that count until the rest fits, but none of the newest `min_good`."""
    newest = {row.uuid for row in candidates[:min_good]}
    remaining = [row for row in candidates if row.uuid in counted]
    while remaining and remaining[-1].uuid not in newest and sum(row.bytes for row in remaining) > most:
        kept.discard(remaining.pop().uuid)


def _kept(candidates: Sequence[Row], policy: Mapping[str, Any]) -> set[str]:
    """The union of what every rule keeps."""
    rules = policy["keep"]
    if rules == "all" or not candidates:
        return {row.uuid for row in candidates}
    zone = ZoneInfo(setting(policy, "timezone"))
    kept: set[str] = set()
    for rule, value in rules.items():
        if rule == "last":
            kept |= {row.uuid for row in (candidates if value == -1 else candidates[:value])}
        elif rule == "within":
            cutoff = _cutoff(value, candidates[0].created, zone)
            kept |= {row.uuid for row in candidates if row.created >= cutoff}
        elif rule.startswith("within_"):
            cutoff = _cutoff(value, candidates[0].created, zone)
            kept |= _by_period(rule.removeprefix("within_"), -1, candidates, zone, cutoff)
        else:
            kept |= _by_period(rule, value, candidates, zone, None)
    return kept


def _by_period(rule: str, count: int, candidates: Sequence[Row], zone: ZoneInfo, cutoff: datetime | None) -> set[str]:
    kept: set[str] = set()
    seen: set[object] = set()
    for row in candidates:
        if cutoff is not None and row.created < cutoff:
            continue
        period = _period(rule, row.created.astimezone(zone))
        if period not in seen and (count == -1 or len(seen) < count):
            seen.add(period)
            kept.add(row.uuid)
    oldest = candidates[-1]
    if (count == -1 or len(seen) < count) and (cutoff is None or oldest.created >= cutoff):
        kept.add(oldest.uuid)
    return kept


def _period(rule: str, local: datetime) -> object:
    if rule == "hourly":
        return (local.date(), local.hour)
    if rule == "daily":
        return local.date()
    if rule == "weekly":
        return local.isocalendar()[:2]
    if rule == "monthly":
        return (local.year, local.month)
    if rule == "yearly":
        return local.year
    raise ValueError(f"the oracle does not know the rule {rule}")


def _cutoff(span: str, moment: datetime, zone: ZoneInfo) -> datetime:
    amounts = {unit: int(number) for number, unit in re.findall(r"(\d+)(mo|[hdwy])", span)}
    if set(amounts) == {"h"}:
        return moment - timedelta(hours=amounts["h"])
    day = moment.astimezone(zone).date()
    months = day.year * 12 + day.month - 1 - amounts.get("mo", 0) - 12 * amounts.get("y", 0)
    last = (datetime(months // 12, months % 12 + 1, 28, tzinfo=UTC) + timedelta(days=4)).replace(day=1)
    length = (last - timedelta(days=1)).day
    day = day.replace(year=months // 12, month=months % 12 + 1, day=min(day.day, length))
    day -= timedelta(weeks=amounts.get("w", 0), days=amounts.get("d", 0))
    start = datetime.combine(day, time(), zone).astimezone(UTC)
    return start - timedelta(hours=amounts.get("h", 0))
