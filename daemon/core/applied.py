"""What was last applied to a server or to one of its stores, as it is remembered between runs (invariant 7).

What must hold: a power cut that loses the last record may hold deletions for longer, never for less time.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from daemon.core.brake import Applied, Brake
from daemon.core.keep import Keep
from daemon.core.model import Scope
from daemon.core.names import Ownership, Template
from daemon.core.proof import Level
from daemon.core.proven import NO_RULE, KeepProven
from daemon.core.retention import Retention


@dataclass(frozen=True, slots=True)
class AppliedRetention:
    """What decided when something was last deleted, or could have been, as the text that `written` returns.

    `passed` are the uuids that it let be deleted then, or the keys of copies. `coming` is the retention in force since,
    and was announced at `told_at` because it deletes more.
    """

    retention: str | None = None
    passed: tuple[str, ...] = ()
    coming: str | None = None
    told_at: datetime | None = None


NOTHING = AppliedRetention()


def brake_of(
    row: AppliedRetention,
    present: Applied,
    *,
    most: int,
    share: float,
    earlier: AppliedRetention | None = None,
    room_at: datetime | None = None,
) -> Brake:
    """Return the brake with these bounds, by what is remembered; `earlier` is what was before this very run (None:
    the same).
    """
    text, before = written(present), row if earlier is None else earlier
    return Brake(
        most,
        share,
        # What this very run named counts still: a plan that is made anew could otherwise go beyond the bounds.
        excused=frozenset(before.passed if before.retention == text else ()),
        before=read(row.retention),
        told_at=row.told_at if row.coming == text else None,
        room_at=room_at,
    )


def told(row: AppliedRetention, present: Applied, at: datetime) -> AppliedRetention:
    """Return what to remember once the operator is told what waits; for the same retention the first time counts.

    If that time is in the future, a clock has been set back since, and the 24 hours begin again.
    """
    text = written(present)
    if row.coming == text and row.told_at is not None and row.told_at <= at:
        return row
    return replace(row, coming=text, told_at=at)


def taken_back(row: AppliedRetention, present: Applied) -> AppliedRetention:
    """Return what to remember while nothing waits: what was told of another retention counts no more, so that the same
    mistake made again is given its day again.
    """
    is_other = row.coming is not None and row.coming != written(present)
    return replace(row, coming=None, told_at=None) if is_other else row


def let_through(present: Applied, passed: Iterable[str]) -> AppliedRetention:
    """Return what to remember of deletions that the brake did not refuse, and of which none waits for its day."""
    return AppliedRetention(written(present), tuple(passed))


# As text -----------------------------------------------------------------------------------------------------------


def written(applied: Applied) -> str:
    """Return the text that is stored; equal values give equal texts."""
    retention, ownership = applied.retention, applied.ownership
    parts: dict[str, Any] = {field.name: getattr(retention, field.name) for field in fields(retention)}
    parts |= {"keep": str(retention.keep), "zone": retention.zone.key, "scope": retention.scope.value}
    parts |= {"templates": [template.text for template in ownership.templates], "server": ownership.server}
    parts |= {"stores": sorted(applied.stores)} if applied.stores else {}
    if applied.proven.number:  # without it the level keeps nothing
        parts |= {"keep_proven": applied.proven.number, "proven_level": applied.proven.level.value}
    return json.dumps(parts, default=_seconds, sort_keys=True)


def _seconds(value: timedelta) -> Mapping[str, float]:
    return {"seconds": value.total_seconds()}


def read(text: str | None) -> Applied | None:
    """Return what was stored; None if nothing was, or by another version, whose retention says nothing here."""
    if text is None:
        return None
    try:
        parts = {name: _plain(value) for name, value in json.loads(text).items()}
        ownership = Ownership(tuple(map(Template.parse, parts.pop("templates"))), parts.pop("server"))
        stores = frozenset(parts.pop("stores", ()))
        number, level = parts.pop("keep_proven", 0), parts.pop("proven_level", NO_RULE.level)
        parts |= {"keep": Keep.parse(parts["keep"]), "zone": ZoneInfo(parts["zone"]), "scope": Scope(parts["scope"])}
        return Applied(Retention(**parts), ownership, stores, KeepProven(int(number), Level(level)))
    except (ValueError, TypeError, KeyError, AttributeError):  # ZoneInfoNotFoundError is a KeyError
        return None


def _plain(value: Any) -> Any:  # noqa: ANN401 — any JSON
    return timedelta(seconds=value["seconds"]) if isinstance(value, dict) else value
