"""`drill`: the newest proven backup of the next server in turn, tried on a spare server."""

from collections.abc import Sequence

from daemon.cli.arguments import unknown
from daemon.cli.context import begin, server_named
from daemon.cli.onto import look_at, temporary_folder
from daemon.cli.reader import opened_reader
from daemon.cli.runner import CommandRunner
from daemon.cli.settings import Settings
from daemon.cli.ui.confirm import confirm, must_be_able_to_ask
from daemon.cli.ui.output import one_line
from daemon.cli.ui.progress import watching
from daemon.cli.ui.which import about, where
from daemon.clock import SystemClock
from daemon.config.values import DrillConfig
from daemon.core.drills import choose_backup, next_source
from daemon.core.model import Backup
from daemon.core.units import format_duration, format_size
from daemon.documents.operations import drilled
from daemon.errors import ProblemCode, UsageError
from daemon.operations.archives import BackupArchive
from daemon.operations.drill import Drilled, DrillOptions, drill
from daemon.operations.onto import Brought
from daemon.operations.operation import Operation, open_operation
from daemon.operations.result import OperationResult, refused
from daemon.operations.sent import usual_ways
from daemon.rotation.preview import Preview


def run_drill(settings: Settings, name: str, source: str | None, *, yes: bool, as_json: bool) -> int:
    """Run one drill: of the server `source`, or of that whose last one is longest ago."""
    config = begin(settings, level="error")
    if name not in config.drills:
        raise unknown("drill", name, tuple(config.drills))
    chosen = config.drills[name]
    if source is not None and source not in chosen.sources:
        raise UsageError(f"drill {name} has no server {source}", hint=f"it has {', '.join(chosen.sources)}")
    must_be_able_to_ask(yes=yes)
    runner = CommandRunner(settings, config, server_named(config, chosen.server), as_json)
    ends: list[Drilled] = []
    sources: list[str] = [source or chosen.sources[0]]

    async def work(spare: Operation) -> Sequence[OperationResult]:
        sources[0] = source or await _next(spare, chosen)
        tried = server_named(config, sources[0])
        async with open_operation(tried, state=config.state, clock=SystemClock(), tell=spare.tell) as origin:
            seen = await look_at(origin)
            backup = choose_backup(seen.plan.verdicts, seen.proven.proofs)
            if backup is None:
                text = f"{sources[0]} has no good backup to try"
                return [refused(None, ProblemCode.NOTHING, text, "`ptero-backupd backups list` shows what there is")]
            confirm(_facts(seen, await look_at(spare), backup, chosen), f"run drill {name}?", yes=yes)
            with temporary_folder(config.state_dir) as folder:
                ways = usual_ways(spare, watching, folder)
                options = DrillOptions(
                    name, sources[0], seen.server.uuid, ways, chosen.start, chosen.watch, chosen.console
                )
                async with opened_reader() as worker:
                    archive = BackupArchive(origin, seen, backup, watching, worker)
                    ends.append(await drill(spare, archive, options))
            return [ends[0].brought.outcome]

    return runner.carry_out(
        work,
        lambda outcomes: drilled(
            about(runner.server), name, sources[0], ends[0] if ends else Drilled(Brought(outcomes[0]), None)
        ),
        lambda outcome: _words(outcome, ends[0], sources[0], chosen),
    )


async def _next(spare: Operation, chosen: DrillConfig) -> str:
    """Return the server whose turn it is."""
    return next_source(chosen.rules, await spare.run.context.journal.drills()) or chosen.sources[0]


def _facts(seen: Preview, spare: Preview, backup: Backup, chosen: DrillConfig) -> list[str]:
    """Return the question's facts."""
    size = format_size(backup.bytes)
    return [
        f"the backup: {one_line(backup.name)} of {seen.config.name}, {size}",
        f"onto: {where(spare)}",
        "ALL files of that server are deleted, before the drill and after it",
        _trial(chosen),
    ]


def _trial(chosen: DrillConfig) -> str:
    if not chosen.start:
        return "it is not started"
    shows = f", and must show “{chosen.console}” in its console" if chosen.console else ""
    return f"it is started, and watched for {format_duration(chosen.watch)}{shows}"


def _words(outcome: OperationResult, ended: Drilled, source: str, chosen: DrillConfig) -> str:
    """Return what was done, for people."""
    backup = outcome.backup
    name = one_line(backup.name) if backup else ""
    if ended.seconds is None:
        there = "is" if ended.brought.compared else "is not"
        return f"{chosen.server} was changed, and {name} of {source} {there} on it"
    ran = f", and ran for {format_duration(chosen.watch)}" if chosen.start else ""
    ran += f", and showed “{chosen.console}”" if chosen.console else ""
    return f"{name} of {source} was restored onto {chosen.server} within {ended.seconds:.0f} s{ran}"
