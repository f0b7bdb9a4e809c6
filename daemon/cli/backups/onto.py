"""`backups restore --onto`: a backup of one server brought onto another."""

from collections.abc import Sequence

from daemon.cli.context import server_named
from daemon.cli.discovered import covered_now
from daemon.cli.onto import OntoArguments, bring, consequences, look_at, words
from daemon.cli.reader import opened_reader
from daemon.cli.runner import CommandRunner
from daemon.cli.settings import Settings
from daemon.cli.ui.confirm import confirm, must_be_able_to_ask
from daemon.cli.ui.output import one_line
from daemon.cli.ui.progress import watching
from daemon.cli.ui.which import about, line
from daemon.clock import SystemClock
from daemon.documents.operations import brought
from daemon.operations.archives import BackupArchive
from daemon.operations.fit import unfit, unsound
from daemon.operations.onto import Brought
from daemon.operations.operation import Operation, open_operation
from daemon.operations.pick import pick
from daemon.operations.result import OperationResult


def restore_onto(settings: Settings, name: str, wanted: str, onto: str, arguments: OntoArguments) -> int:
    """Bring a backup of the server `name` onto the server `onto`, after confirmation."""
    arguments.check()
    runner = CommandRunner.at(settings, onto, as_json=arguments.as_json)
    source = server_named(covered_now(runner.config, [name]).config, name)
    must_be_able_to_ask(yes=arguments.yes)
    ends: list[Brought] = []
    state_dir = runner.config.state_dir

    async def work(operation: Operation) -> Sequence[OperationResult]:
        async with open_operation(
            source, state=runner.config.state, clock=SystemClock(), tell=operation.tell
        ) as origin:
            seen = await look_at(origin)
            (verdict,) = pick(seen, [wanted])
            if hindered := unfit(verdict) or (None if arguments.unproven else unsound(seen, verdict.backup)):
                return [hindered]
            facts = [
                f"the backup: {line(seen, verdict)}, of {name}",
                *await consequences(operation, verdict.backup.bytes, arguments),
            ]
            confirm(facts, f"restore {one_line(verdict.backup.name)} of {name} onto {onto}?", yes=arguments.yes)
            async with opened_reader() as worker:
                archive = BackupArchive(origin, seen, verdict.backup, watching, worker)
                ends.append(await bring(operation, archive, arguments, state_dir))
            return [ends[0].outcome]

    return runner.carry_out(
        work,
        lambda outcomes: brought(
            about(runner.server),
            name,
            ends[0] if ends else Brought(outcomes[0]),
            truncate=arguments.truncate,
            into=arguments.folder,
        ),
        lambda outcome: words(outcome, ends[0], onto),
    )
