"""Rotations and previews by hand, of many servers at once: each reports for itself, and none stops another."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from daemon.clock import Clock
from daemon.config.values import PanelConfig, ServerConfig, StatePlace
from daemon.core.agreement import Opinion
from daemon.core.model import Backup
from daemon.core.plan import Plan
from daemon.errors import BackupdError, ProblemCode, ServerBusyError
from daemon.log import get_logger
from daemon.operations.agreement import disputed_by_hand
from daemon.panel.client import PanelClient
from daemon.rotation.order import Order
from daemon.rotation.outcome import NO_RIGHT_TO_CREATE, NO_RIGHT_TO_DELETE, Outcome, Problem, Result, refusal
from daemon.rotation.preview import (
    Preview,
    adoption,
    judged,
    lacks,
    preview,
    room_at_limit,
    stuck_problem,
    with_coming,
    without,
)
from daemon.rotation.rotate import halted_by, rotate
from daemon.rotation.run import Run
from daemon.rotation.setup import Tell, open_clients, open_context
from daemon.state import engine_for

log = get_logger()


@dataclass(frozen=True, slots=True)
class Failed:
    """A server that could not be viewed."""

    config: ServerConfig
    error: BackupdError


async def rotate_servers(
    servers: Sequence[ServerConfig],
    *,
    state: StatePlace,
    clock: Clock,
    own: Opinion,
    max_deletions: int | None = None,
    left: Callable[[Run], None] = lambda _: None,
    tell: Tell = lambda _: None,
) -> list[Outcome]:
    """Rotate these servers now and report; nothing is tried again.

    `own` is the opinion by the configuration, which is compared with those of the cluster. `left` is called with
    those that are abandoned, `tell` with a text for each wait for the API limit.
    """
    by_name = {server.name: server for server in servers}
    context = await open_context(engine_for(state), clock, by_name.get, random.Random())  # noqa: S311 — names, not secrets
    context.on_abandoned = left
    try:
        context.disputed = await disputed_by_hand(context.engine.leadership, own)
        async with open_clients(
            panels_of(servers), clock, tell, hindrance=context.engine.leadership.hindrance
        ) as clients:
            orders = [Order(server, "manual", max_deletions=max_deletions) for server in servers]
            rotations = (rotate(order, clients[order.server.panel.name], context) for order in orders)
            ended = await asyncio.gather(*rotations, return_exceptions=True)
            return [_reported(order, outcome) for order, outcome in zip(orders, ended, strict=True)]
    finally:
        await context.close()


def _reported(order: Order, ended: Outcome | BaseException) -> Outcome:
    """Return the outcomes. A bug ends only its own rotation; the others are reported as they ended."""
    if isinstance(ended, Outcome):
        return ended
    log.error("rotation_bug", server=order.server.name, exc_info=ended)
    problem = Problem(
        ProblemCode.BUG, f"a bug of ours ended it: {type(ended).__name__}", "please report it, with the log"
    )
    server = order.server
    return Outcome(server.name, server.panel.name, server.policy.name, Result.FAILED, problems=(problem,))


async def preview_servers(
    servers: Sequence[ServerConfig],
    *,
    state: StatePlace,
    clock: Clock,
    max_deletions: int | None = None,
    tell: Tell = lambda _: None,
) -> list[Preview | Failed]:
    """Preview these servers now; change nothing. `tell` is called with a text for each wait."""
    engine = engine_for(state)
    context = await open_context(engine, clock, lambda _: None, random.Random())  # noqa: S311 — not used for looking

    async def look(server: ServerConfig, client: PanelClient) -> Preview | Failed:
        try:
            known = engine.catalogue
            return await preview(server, client, context.journal, clock, max_deletions=max_deletions, catalogue=known)
        except BackupdError as error:
            return Failed(server, error)

    try:
        async with open_clients(panels_of(servers), clock, tell) as clients:
            return await asyncio.gather(*(look(server, clients[server.panel.name]) for server in servers))
    finally:
        await context.close()


async def is_rotated(seen: Preview | Failed, state: StatePlace) -> bool:
    """Return whether a server that was previewed is being rotated at this moment."""
    return isinstance(seen, Preview) and await engine_for(state).locks.is_held(seen.server.uuid)


def dry_run_outcome(seen: Preview | Failed, *, busy: bool = False) -> Outcome:
    """Return what a rotation of that server would do now, as far as can be known before its backup exists.

    `created` is the pending backup that it would adopt, None if it would create one. `busy` says that another rotation
    of the server is under way.
    """
    config = seen.config
    about = Outcome(config.name, config.panel.name, config.policy.name, Result.DONE)
    if isinstance(seen, Failed):
        return _halted(about, seen.error)
    if busy:
        return _halted(about, ServerBusyError(seen.server.uuid))
    now = seen.listing.taken_at
    found = adoption(config, seen.plan.verdicts, start_at=now, ahead=timedelta(0), now=now)
    about = replace(about, created=found.adopted, problems=tuple(map(stuck_problem, found.stuck)))
    if found.adopted is None and lacks(seen.server, "backup.create"):
        return _with(about, NO_RIGHT_TO_CREATE, Result.FAILED)  # what else the key may not comes after that
    if lacks(seen.server, "backup.delete"):
        about = _with(about, NO_RIGHT_TO_DELETE)
    room = None if found.adopted is not None else room_at_limit(seen)
    if isinstance(room, Problem):
        return _with(about, room, Result.REFUSED)
    gone = () if room is None else (room,)
    listing = with_coming(config, without(seen.listing, gone), found.adopted)
    decided = judged(
        config,
        listing,
        ownership=seen.ownership,
        accepted=seen.accepted,
        asked=seen.asked,
        brake=seen.brake,
        already_deleted=sum(one.successful and one.uuid not in seen.brake.excused for one in gone),
        copied=seen.copied,
        proven=seen.proven,
    )
    return _pruned(about, decided, gone)


def _with(about: Outcome, problem: Problem, result: Result | None = None) -> Outcome:
    return replace(about, result=result or about.result, problems=(*about.problems, problem))


def _pruned(about: Outcome, decided: Plan, gone: tuple[Backup, ...]) -> Outcome:
    """Return the deletions that would follow, once the new backup is good, after what is `gone` to make room for it."""
    deleted = tuple(verdict.backup for verdict in decided.deletions)
    about = replace(about, deleted=(*gone, *deleted), kept=len(decided.verdicts) - len(deleted))
    if decided.refused is not None:
        return _with(about, refusal(about.server, decided.code, decided.refused, frozen=decided.frozen), Result.REFUSED)
    if deleted and NO_RIGHT_TO_DELETE in about.problems:
        return replace(about, result=Result.FAILED, deleted=(), kept=len(decided.verdicts))
    if decided.waits is not None:
        return _with(about, refusal(about.server, ProblemCode.MAX_DELETIONS, decided.waits), Result.REFUSED)
    return about


def _halted(about: Outcome, error: BackupdError) -> Outcome:
    """Return the outcome of a rotation that meets that error before it asks for anything."""
    halt = halted_by(error)
    return replace(about, result=halt.result, problems=(halt.problem,), passing=halt.passing)


def panels_of(servers: Iterable[ServerConfig]) -> list[PanelConfig]:
    """Return the panels that these servers are on, each once."""
    return list({server.panel.name: server.panel for server in servers}.values())
