"""`rotate`: one rotation now, of each named server; with --dry-run, only its report."""

import asyncio
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from daemon.cli.context import begin, servers_named
from daemon.cli.discovered import covered_now
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, write_json
from daemon.cli.ui.tables import led, show
from daemon.clock import SystemClock
from daemon.config.opinion import opinion_of
from daemon.config.values import Config, ServerConfig
from daemon.core.units import format_moment, format_size
from daemon.documents.commands import rotated
from daemon.errors import Exit, UsageError
from daemon.operations.rotations import dry_run_outcome, is_rotated, preview_servers, rotate_servers
from daemon.rotation.order import Stage
from daemon.rotation.outcome import Outcome, Result, exit_code
from daemon.rotation.run import Run


def rotate_now(
    settings: Settings, names: Sequence[str], *, dry_run: bool, max_deletions: int | None, as_json: bool
) -> int:
    """Rotate the named servers, or all; log what happens as it happens, and report at the end.

    Raises UsageError if the brake is to be lifted for servers that are not named.
    """
    if max_deletions is not None and not names:
        raise UsageError(
            f"--max-deletions {max_deletions} would lift the brake on every server",
            hint="name the servers whose plan you have looked at",
        )
    covering = covered_now(begin(settings, level="info"), names)
    servers = servers_named(covering.config, names)
    rotation = _rotate(covering.config, servers, dry_run=dry_run, max_deletions=max_deletions, as_json=as_json)
    return covering.exit_code(asyncio.run(rotation))


async def _rotate(
    config: Config, servers: Sequence[ServerConfig], *, dry_run: bool, max_deletions: int | None, as_json: bool
) -> Exit:
    state, clock = config.state, SystemClock()
    if dry_run:
        seen = await preview_servers(servers, state=state, clock=clock, max_deletions=max_deletions, tell=say)
        outcomes = [dry_run_outcome(each, busy=await is_rotated(each, state)) for each in seen]
    else:
        outcomes = await rotate_servers(
            servers,
            state=state,
            clock=clock,
            own=opinion_of(config),
            max_deletions=max_deletions,
            left=_say_left,
            tell=say,
        )
    if as_json:
        write_json(rotated(outcomes, dry_run=dry_run))
    else:
        for outcome in outcomes:
            _show(outcome, dry_run=dry_run)
    return exit_code(outcomes)


_TAKEN_OVER = "if it still runs then, the server's next rotation takes it over"


def _say_left(run: Run) -> None:
    """On Ctrl-C, print what the panel continues with, if anything was asked of it."""
    server, backup = run.config.name, run.created
    if backup is not None and run.stage is Stage.DELETING:
        say(f"{server}: {backup.name} is made; what else is beyond retention is left to the server's next rotation")
    elif backup is not None:
        follow = f"`ptero-backupd backups show {server} {backup.uuid}` follows it"
        say(f"{server}: {backup.name} goes on at the panel; {_TAKEN_OVER}; {follow}")
    elif run.stage in {Stage.CREATING, Stage.SETTLING}:
        look = f"`ptero-backupd backups list {server}` shows it"
        say(f"{server}: a backup may have begun; {_TAKEN_OVER}; {look}")


def _show(outcome: Outcome, *, dry_run: bool) -> None:
    lines = [led(f"{outcome.server}: ", _summary(outcome, dry_run=dry_run), _STYLES[outcome.result])]
    lines += [led("  ", f"{'would delete' if dry_run else 'deleted'} {backup.name}") for backup in outcome.deleted]
    for problem in outcome.problems:
        lines.append(led("  ", problem.text))
        if problem.hint:
            lines.append(led("  hint: ", problem.hint, "dim"))
    show(*lines)


_STYLES = {
    Result.DONE: "bold green",
    Result.SKIPPED: "bold yellow",
    Result.FAILED: "bold red",
    Result.REFUSED: "bold red",
}


def _summary(outcome: Outcome, *, dry_run: bool) -> str:
    """Return the outcome on one line."""
    if dry_run:
        return _rehearsed(outcome)
    parts = [outcome.result.value]
    if outcome.created is not None:
        parts.append(f"created {outcome.created.name} ({format_size(outcome.created.bytes)})")
    if outcome.kept is not None:
        parts.append(f"deleted {len(outcome.deleted)}, kept {outcome.kept}")
    return "; ".join(parts)


def _rehearsed(outcome: Outcome) -> str:
    """Return what would happen. What retention refuses is the deletions, which come after the backup."""
    if outcome.kept is None:
        return f"would be {outcome.result.value}"
    others = "the other " if outcome.deleted else ""
    refused = f"{others}deletions would be refused; " if outcome.result is Result.REFUSED else ""
    return f"would {_obtained(outcome)}; {refused}would delete {len(outcome.deleted)}, keep {outcome.kept}"


def _obtained(outcome: Outcome) -> str:
    """Return how it would get its backup; a pending one of ours is waited for instead of a new one."""
    if outcome.created is None:
        return "create a backup"
    made = outcome.created.created_at
    since = f", pending since {format_moment(made, ZoneInfo('UTC'))}" if made else ""
    return f"adopt {outcome.created.name}{since}"
