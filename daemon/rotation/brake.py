"""The brake of one server: the configured bounds, and what the journal remembers for it (invariant 7)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.config.values import ServerConfig
from daemon.core import applied
from daemon.core.applied import NOTHING, AppliedRetention
from daemon.core.brake import Applied, Brake
from daemon.core.copied import uncopied
from daemon.core.model import Action, State, Verdict
from daemon.core.plan import Plan
from daemon.core.proven import awaits_proof
from daemon.rotation.proven import proven_rule
from daemon.state import Journal, StepName


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
    """Return when room was last made, or asked for and never answered. Of most servers one question tells: never."""
    if await journal.last_step(server_uuid, (StepName.ROOM_DONE, StepName.ROOM, StepName.ROOM_REFUSED)) is None:
        return None
    steps = (
        await journal.last_step(server_uuid, (StepName.ROOM_DONE,)),
        await journal.last_step(server_uuid, (StepName.ROOM, StepName.ROOM_REFUSED)),
    )
    return max((step.at for step in steps if step is not None and step.name != StepName.ROOM_REFUSED), default=None)


def brake_of(config: ServerConfig, known: Remembered, *, once: int | None, panel_ahead: timedelta) -> Brake:
    """Return the brake for a configuration; `once` lifts all of it, except a bound of its own."""
    if once is not None:
        return Brake(once)
    policy = config.policy
    return applied.brake_of(
        known.row,
        applied_by(config),
        most=policy.max_deletions,
        share=policy.max_share,
        earlier=known.before,
        room_at=None if known.room_at is None else known.room_at + panel_ahead,
    )


def told(row: AppliedRetention, config: ServerConfig, held: tuple[Verdict, ...], at: datetime) -> AppliedRetention:
    """Return what to record once the operator is told what waits, or that nothing does."""
    present = applied_by(config)
    return applied.told(row, present, at) if held else applied.taken_back(row, present)


def let_through(row: AppliedRetention, config: ServerConfig, decided: Plan) -> AppliedRetention:
    """Return what to record of a plan that the brake did not refuse."""
    if decided.held:
        return row
    # What waits for its copy or for proofs was let through as well: later it goes without being counted again.
    going = (one for one in decided.verdicts if one.action is Action.DELETE or uncopied(one) or awaits_proof(one))
    passed = (verdict.backup.uuid for verdict in reversed(tuple(going)) if verdict.state is State.GOOD)
    return applied.let_through(applied_by(config), passed)


def applied_by(config: ServerConfig) -> Applied:
    """Return everything in a server's configuration that decides what is deleted."""
    stores = frozenset(rules.name for rules in config.policy.copy_before_delete)
    return Applied(config.policy.retention, config.ownership, stores, proven_rule(config.policy))
