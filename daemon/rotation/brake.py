"""The brake of one server: the configured bounds, and what the journal remembers for it (invariant 7).

What must hold: a power cut that loses the last record may hold deletions for longer, never for less time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from daemon.config.values import ServerConfig
from daemon.core.brake import Applied, Brake
from daemon.core.copied import uncopied
from daemon.core.keep import Keep
from daemon.core.model import Action, Scope, State, Verdict
from daemon.core.names import Ownership, Template
from daemon.core.plan import Plan
from daemon.core.proof import Level
from daemon.core.proven import NO_RULE, KeepProven, awaits_proof
from daemon.core.retention import Retention
from daemon.rotation.proven import proven_rule
from daemon.state import AppliedRetention, Journal, StepName

NOTHING = AppliedRetention()


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the journal knows of a server, and what it knew `before` this rotation; `room_at` is by our clock."""

    row: AppliedRetention = NOTHING
    before: AppliedRetention = NOTHING
    room_at: datetime | None = None


async def recall(journal: Journal, server_uuid: str) -> Remembered:
    """Read what the brake needs to know; raises StateError."""
    row = await journal.applied(server_uuid) or NOTHING
    return Remembered(row, row, await _last_room(journal, server_uuid))


async def _last_room(journal: Journal, server_uuid: str) -> datetime | None:
    """Return when room was last made, or asked for and never answered."""
    steps = (
        await journal.last_step(server_uuid, (StepName.ROOM_DONE,)),
        await journal.last_step(server_uuid, (StepName.ROOM, StepName.ROOM_REFUSED)),
    )
    return max((step.at for step in steps if step is not None and step.name != StepName.ROOM_REFUSED), default=None)


def brake_of(config: ServerConfig, known: Remembered, *, once: int | None, panel_ahead: timedelta) -> Brake:
    """Return the brake for a configuration; `once` lifts all of it, except a bound of its own."""
    if once is not None:
        return Brake(once)
    policy, row = config.policy, known.row
    present = written(applied_by(config))
    return Brake(
        policy.max_deletions,
        policy.max_share,
        # What this very rotation named counts still: a plan that is made anew could otherwise go beyond the bounds.
        excused=frozenset(known.before.passed if known.before.retention == present else ()),
        before=_read(row.retention),
        told_at=row.told_at if row.coming == present else None,
        room_at=None if known.room_at is None else known.room_at + panel_ahead,
    )


def told(row: AppliedRetention, config: ServerConfig, held: tuple[Verdict, ...], at: datetime) -> AppliedRetention:
    """Return what to record once the operator is told what waits; for the same retention the first time counts.

    If that time is in the future, a clock has been set back since, and the 24 hours begin again.
    """
    present = written(applied_by(config))
    if not held or (row.coming == present and row.told_at is not None and row.told_at <= at):
        return row
    return replace(row, coming=present, told_at=at)


def let_through(row: AppliedRetention, config: ServerConfig, decided: Plan) -> AppliedRetention:
    """Return what to record of a plan that the brake did not refuse."""
    if decided.held:
        return row
    # What waits for its copy or for proofs was let through as well: later it goes without being counted again.
    going = (one for one in decided.verdicts if one.action is Action.DELETE or uncopied(one) or awaits_proof(one))
    passed = (verdict.backup.uuid for verdict in reversed(tuple(going)) if verdict.state is State.GOOD)
    return AppliedRetention(written(applied_by(config)), tuple(passed))


def applied_by(config: ServerConfig) -> Applied:
    """Return everything in a server's configuration that decides what is deleted."""
    stores = frozenset(rules.name for rules in config.policy.copy_before_delete)
    return Applied(config.policy.retention, config.ownership, stores, proven_rule(config.policy))


# As text -----------------------------------------------------------------------------------------------------------


def written(applied: Applied) -> str:
    """Return the text that is stored; equal values give equal texts."""
    retention, ownership = applied.retention, applied.ownership
    told: dict[str, Any] = {field.name: getattr(retention, field.name) for field in fields(retention)}
    told |= {"keep": str(retention.keep), "zone": retention.zone.key, "scope": retention.scope.value}
    told |= {"templates": [template.text for template in ownership.templates], "server": ownership.server}
    told |= {"stores": sorted(applied.stores)} if applied.stores else {}
    if applied.proven.number:  # without it the level keeps nothing
        told |= {"keep_proven": applied.proven.number, "proven_level": applied.proven.level.value}
    return json.dumps(told, default=_seconds, sort_keys=True)


def _seconds(value: timedelta) -> Mapping[str, float]:
    return {"seconds": value.total_seconds()}


def _read(text: str | None) -> Applied | None:
    """Return what was stored; None if nothing was, or by another version, whose retention says nothing here."""
    if text is None:
        return None
    try:
        told = {name: _plain(value) for name, value in json.loads(text).items()}
        ownership = Ownership(tuple(map(Template.parse, told.pop("templates"))), told.pop("server"))
        stores = frozenset(told.pop("stores", ()))
        number, level = told.pop("keep_proven", 0), told.pop("proven_level", NO_RULE.level)
        told |= {"keep": Keep.parse(told["keep"]), "zone": ZoneInfo(told["zone"]), "scope": Scope(told["scope"])}
        return Applied(Retention(**told), ownership, stores, KeepProven(int(number), Level(level)))
    except (ValueError, TypeError, KeyError, AttributeError):  # ZoneInfoNotFoundError is a KeyError
        return None


def _plain(value: Any) -> Any:  # noqa: ANN401 — any JSON
    return timedelta(seconds=value["seconds"]) if isinstance(value, dict) else value
