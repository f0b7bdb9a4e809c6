"""`plan`: what retention would keep and delete now, for each server; changes nothing."""

import asyncio
from collections.abc import Sequence

from daemon.cli.context import begin, servers_named
from daemon.cli.covering import cover
from daemon.cli.documents import About, planned, unplanned
from daemon.cli.options import Settings
from daemon.cli.output import say_error, write_json
from daemon.cli.plan_view import plan_parts
from daemon.cli.tables import cell, show
from daemon.clock import SystemClock
from daemon.config.values import ServerConfig
from daemon.panel.errors import ServerStateError
from daemon.rotation.by_hand import Failed, survey_servers
from daemon.rotation.outcome import Outcome, Result, exit_code
from daemon.rotation.survey import Survey


def plan_servers(settings: Settings, names: Sequence[str], *, as_json: bool) -> int:
    """Show the plan of the named servers, or of all."""
    return asyncio.run(_plan(settings, names, as_json=as_json))


async def _plan(settings: Settings, names: Sequence[str], *, as_json: bool) -> int:
    covering = await cover(begin(settings), names)
    servers = servers_named(covering.config, names)
    seen = await survey_servers(servers, state_dir=covering.config.state_dir, clock=SystemClock())
    if as_json:
        write_json({"servers": [_document(each) for each in seen]})
    else:
        for each in seen:
            _show(each)
    return covering.exit_code(exit_code([_outcome(each) for each in seen]))


def about(config: ServerConfig) -> About:
    """The server as documents name it."""
    return About(config.name, config.panel.name, config.id)


def _document(seen: Survey | Failed) -> dict[str, object]:
    if isinstance(seen, Failed):
        return unplanned(about(seen.config), seen.error)
    return planned(about(seen.config), seen.listing, seen.plan)


def _show(seen: Survey | Failed) -> None:
    if isinstance(seen, Failed):
        say_error(seen.error, about=seen.config.name)
        return
    policy = seen.config.policy
    heading = cell(f"{seen.config.name} (policy {policy.name}, keep {policy.retention.keep})", "bold")
    show(heading, *plan_parts(seen.plan, seen.listing, policy.zone), cell(""))


def _outcome(seen: Survey | Failed) -> Outcome:
    """What a rotation with that end would be reported as, so that one rule makes the exit code."""
    config, result, passing = seen.config, Result.DONE, False
    if isinstance(seen, Survey):
        result = Result.DONE if seen.plan.refused is None else Result.REFUSED
    elif isinstance(seen.error, ServerStateError):
        result, passing = Result.SKIPPED, not seen.error.suspended
    else:
        result = Result.FAILED
    return Outcome(config.name, config.panel.name, config.policy.name, result, passing=passing)
