"""`plan`: what retention would keep and delete now, for each server; it changes nothing."""

import asyncio
from collections.abc import Sequence

from daemon.cli.context import begin, servers_named
from daemon.cli.discovered import cover
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, write_json
from daemon.cli.ui.plan_view import plan_parts
from daemon.cli.ui.tables import cell, show
from daemon.cli.ui.verdicts import StoresWith
from daemon.cli.ui.which import about
from daemon.cli.unseen import say_unseen
from daemon.clock import SystemClock
from daemon.config.values import Config
from daemon.core.brake import is_candidate
from daemon.core.model import Action
from daemon.documents.commands import planned, unplanned
from daemon.operations.rotations import Failed, dry_run_outcome, preview_servers
from daemon.rotation.outcome import Outcome, Result, exit_code, refusal
from daemon.rotation.preview import Preview
from daemon.state import engine_for
from daemon.status.copies import stores_with


def plan_servers(settings: Settings, names: Sequence[str], *, as_json: bool) -> int:
    """Show the plan of the named servers, or of all."""
    return asyncio.run(_plan(settings, names, as_json=as_json))


async def _plan(settings: Settings, names: Sequence[str], *, as_json: bool) -> int:
    covering = await cover(begin(settings), names)
    servers = servers_named(covering.config, names)
    seen = await preview_servers(servers, state=covering.config.state, clock=SystemClock(), tell=say)
    stores = [await _stores(covering.config, each) for each in seen]
    if as_json:
        write_json({"servers": [_document(each, of) for each, of in zip(seen, stores, strict=True)]})
    else:
        for each, of in zip(seen, stores, strict=True):
            _show(each, of)
    return covering.exit_code(exit_code([_outcome(each) for each in seen]))


async def _stores(config: Config, seen: Preview | Failed) -> StoresWith | None:
    """Return the stores that were last seen to have each backup; None where nothing is copied."""
    server = seen.config
    if isinstance(seen, Failed) or not server.policy.copies:
        return None
    return await stores_with(engine_for(config.state).catalogue, server.panel.name, server.id)


def _document(seen: Preview | Failed, stores: StoresWith | None) -> dict[str, object]:
    if isinstance(seen, Failed):
        return unplanned(about(seen.config), seen.error)
    return planned(about(seen.config), seen.listing, seen.plan, seen.backlog, stores)


def _show(seen: Preview | Failed, stores: StoresWith | None) -> None:
    if isinstance(seen, Failed):
        say_unseen(seen.config.name, seen.error)
        return
    policy = seen.config.policy
    heading = cell(f"{seen.config.name} (policy {policy.name}, keep {policy.retention.keep})", "bold")
    going = sum(one.action is Action.DELETE and is_candidate(one, policy.scope) for one in seen.plan.verdicts)
    decided = seen.plan
    hint = refusal(seen.config.name, decided.code, decided.refused or "", seen=going, frozen=decided.frozen).hint
    waits = [cell(seen.backlog.words(seen.listing.taken_at), "yellow")] if seen.backlog else []
    show(heading, *plan_parts(seen.plan, seen.listing, policy.zone, hint, stores), *waits, cell(""))


def _outcome(seen: Preview | Failed) -> Outcome:
    """Return the outcome that a rotation with that end would have, so that one rule makes the exit code."""
    if isinstance(seen, Failed):
        return dry_run_outcome(seen)
    config, result = seen.config, Result.DONE if seen.plan.refused is None else Result.REFUSED
    return Outcome(config.name, config.panel.name, config.policy.name, result)
