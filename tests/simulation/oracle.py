"""A second, deliberately naive implementation of the retention rules, to hold the first against.

Written from the design's words, as loops over plain rows; it is slow, knows no reasons, and shares no line with
`daemon/core`. A policy is the table as it stands in the configuration file.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
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
    "max_deletions": 10,
    "max_share": 0.5,
}
RETENTION = ("timezone", "name", "also_own", "min_good", "total_size", "failed_after", "suspicious")
SHAPES = {"{time}": r"\d{8}T\d{6}Z", "{id}": r"[0-9a-f]{8}"}
TOO_FAR_AHEAD = timedelta(minutes=5)


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

    def good_deletions(self) -> tuple[str, ...]:
        """Those of them that are good."""
        return tuple(uuid for uuid in self.deletions if self.states[uuid] == "good")


def setting(policy: Mapping[str, Any], key: str) -> Any:
    """A key of the policy, or its default."""
    return policy.get(key, DEFAULTS.get(key))


def owns(policy: Mapping[str, Any], server: str, name: str) -> bool:
    """Whether the policy could have made that name."""
    for template in (setting(policy, "name"), *setting(policy, "also_own")):
        pattern = re.escape(template.replace("{server}", server))
        for placeholder, shape in SHAPES.items():
            pattern = pattern.replace(re.escape(placeholder), shape)
        if re.fullmatch(pattern, name):
            return True
    return False


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
    states: Mapping[str, str] | None = None,
) -> Judgement:
    """What the policy makes of these backups."""
    newest_first = sorted(rows, key=lambda row: (row.created, row.uuid), reverse=True)
    if states is None:
        states = classify(newest_first, policy, server, now)
    everyone = policy["scope"] == "all"
    in_scope = {row.uuid for row in rows if everyone or owns(policy, server, row.name)}
    candidates = [row for row in newest_first if states[row.uuid] == "good" and not row.locked and row.uuid in in_scope]
    kept = _kept(candidates, policy)
    for row in candidates[: setting(policy, "min_good")]:
        kept.add(row.uuid)
    if complete and setting(policy, "total_size") != "off":
        _shrink(candidates, kept, setting(policy, "total_size"), setting(policy, "min_good"))
    doomed = {row.uuid for row in candidates if row.uuid not in kept}
    for row in newest_first:
        if states[row.uuid] == "failed" and not row.locked and row.uuid in in_scope and _overdue(row, policy, now):
            doomed.add(row.uuid)
    oldest_first = tuple(row.uuid for row in reversed(newest_first) if row.uuid in doomed)
    return Judgement(states, oldest_first, tuple(row.uuid for row in candidates))


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
    lately: bool = False,
) -> tuple[str, ...]:
    """What may make room for a backup that is about to be made: one of them, the first that can be deleted.

    `lately` says that room was made within the last day, which is once too often where too many would go.
    """
    before = judge(rows, policy, server, now, complete=complete)
    after = with_coming(rows, policy, server, now, complete=complete)
    good = after.good_deletions()
    if over(after, policy) and (lately or setting(policy, "max_deletions") == 0):
        return ()
    protected = before.candidates[: setting(policy, "min_good")]
    return tuple(uuid for uuid in good if uuid not in protected and uuid != "~coming")


def beyond(
    rows: Sequence[Row],
    before: Mapping[str, Any],
    policy: Mapping[str, Any],
    server: str,
    now: datetime,
    *,
    room: bool = False,
) -> list[str]:
    """What the policy deletes and the one before it did not; with a good one to come, where `room` is made for it."""
    earlier, present = (
        with_coming(rows, each, server, now) if room else judge(rows, each, server, now) for each in (before, policy)
    )
    return [uuid for uuid in present.deletions if uuid not in earlier.deletions]


def with_coming(
    rows: Sequence[Row], policy: Mapping[str, Any], server: str, now: datetime, *, complete: bool = True
) -> Judgement:
    """What the policy makes of these backups once one more has turned good."""
    before = judge(rows, policy, server, now, complete=complete)
    coming = Row("~coming", named(policy, server, now, 0), True, False, 0, now, now)
    return judge([*rows, coming], policy, server, now, complete=complete, states={**before.states, "~coming": "good"})


def same_retention(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two policies say the same of what goes."""
    return all(setting(one, key) == setting(other, key) for key in (*RETENTION, "keep", "scope"))


def classify(newest_first: Sequence[Row], policy: Mapping[str, Any], server: str, now: datetime) -> dict[str, str]:
    """good, failed, pending, suspicious or strange, by uuid."""
    states = {}
    for row in newest_first:
        if row.strange or row.created > now + TOO_FAR_AHEAD:
            states[row.uuid] = "strange"
        elif row.completed is None:
            states[row.uuid] = "pending"
        else:
            states[row.uuid] = "good" if row.successful else "failed"
    for mine in (True, False):
        side = [
            row
            for row in reversed(newest_first)
            if states[row.uuid] == "good" and owns(policy, server, row.name) is mine
        ]
        for uuid in _suspicious(side, setting(policy, "suspicious")):
            states[uuid] = "suspicious"
    return states


def _suspicious(oldest_first: Sequence[Row], share: float) -> set[str]:
    found: set[str] = set()
    believed: list[int] = []
    row_of_small: list[Row] = []
    for row in oldest_first:
        before = sorted(believed[-5:])
        middle = 0.0
        if before:
            half = len(before) // 2
            middle = before[half] if len(before) % 2 else (before[half - 1] + before[half]) / 2
        if row.bytes > 0 and row.bytes >= share * middle:
            believed.append(row.bytes)
            row_of_small = []
            continue
        found.add(row.uuid)
        row_of_small.append(row)
        last = [small.bytes for small in row_of_small[-3:]]
        if len(last) == 3 and min(last) > 0 and max(last) <= 2 * min(last):
            for small in row_of_small:
                everyone = [small.bytes, *last]
                if min(everyone) > 0 and max(everyone) <= 2 * min(everyone):
                    found.discard(small.uuid)
                    believed.append(small.bytes)
            row_of_small = []
    return found


def _overdue(row: Row, policy: Mapping[str, Any], now: datetime) -> bool:
    delay = setting(policy, "failed_after")
    if policy["keep"] == "all" or delay == "never" or row.completed is None:
        return False
    return now - row.completed >= timedelta(hours=_hours(delay))


def _hours(text: str) -> float:
    return int(text[:-1]) * {"h": 1, "d": 24, "m": 1 / 60, "w": 168}[text[-1]]


def _shrink(candidates: Sequence[Row], kept: set[str], most: int, min_good: int) -> None:
    remaining = [row for row in candidates if row.uuid in kept]
    while len(remaining) > min_good and sum(row.bytes for row in remaining) > most:
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
    return (local.year, local.month) if rule == "monthly" else local.year


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
