"""`backups restore --onto`: a backup of one server brought onto another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from daemon.cli.backups.runner import CommandRunner
from daemon.cli.backups.writes import line, where
from daemon.cli.commands.plan import about
from daemon.cli.context import server_named
from daemon.cli.discovered import covered_now
from daemon.cli.settings import Settings
from daemon.cli.ui.confirm import confirm, must_be_able_to_ask
from daemon.cli.ui.output import one_line
from daemon.cli.ui.progress import watching
from daemon.clock import SystemClock
from daemon.core.units import format_size
from daemon.documents.operations import brought
from daemon.errors import UsageError
from daemon.operations.archives import Archive, BackupArchive
from daemon.operations.onto import Brought, OntoOptions, bring_onto
from daemon.operations.operation import Operation, open_operation
from daemon.operations.pick import pick
from daemon.operations.restore import unfit
from daemon.operations.result import OperationResult
from daemon.operations.ways import PullWay
from daemon.rotation.preview import Preview


@dataclass(frozen=True, slots=True)
class OntoArguments:
    """What was asked for on the command line."""

    truncate: bool = False
    into: str | None = None
    stop: bool = False
    safety: bool = True
    unproven: bool = False
    yes: bool = False
    as_json: bool = False

    def check(self) -> None:
        """Raise UsageError if the arguments contradict each other, or the folder can be none."""
        if self.into is None:
            return
        if self.truncate:
            raise UsageError("--truncate deletes all files of the server, and --into leaves them: choose one")
        parts = self.into.strip("/").split("/")
        if not self.into.isprintable() or {"", ".", ".."} & set(parts):
            raise UsageError(f"--into: {self.into!r} is no folder of a server", hint="write it as /backup/survival")

    @property
    def folder(self) -> str:
        """The folder to unpack in."""
        return f"/{(self.into or '').strip('/')}"


def restore_onto(settings: Settings, name: str, wanted: str, onto: str, arguments: OntoArguments) -> int:
    """Bring a backup of the server `name` onto the server `onto`, after confirmation."""
    arguments.check()
    runner = CommandRunner.at(settings, onto, as_json=arguments.as_json)
    source = server_named(covered_now(runner.config, [name]).config, name)
    must_be_able_to_ask(yes=arguments.yes)
    ends: list[Brought] = []

    async def work(operation: Operation) -> Sequence[OperationResult]:
        async with open_operation(
            source, state=runner.config.state, clock=SystemClock(), tell=operation.tell
        ) as origin:
            seen = await origin.look()
            (verdict,) = pick(seen, [wanted])
            if hindered := unfit(verdict):
                return [hindered]
            target = await operation.look()
            facts = [
                f"the backup: {line(seen, verdict)}, of {name}",
                *consequences(target, verdict.backup.bytes, arguments),
            ]
            confirm(facts, f"restore {one_line(verdict.backup.name)} of {name} onto {onto}?", yes=arguments.yes)
            ends.append(await bring(operation, BackupArchive(origin, verdict.backup, watching), arguments))
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


async def bring(operation: Operation, archive: Archive, arguments: OntoArguments) -> Brought:
    """Bring an archive onto the operation's server by the first way that is open."""
    options = OntoOptions(
        ways=[PullWay(operation, watching)],
        truncate=arguments.truncate,
        into=arguments.folder,
        stop=arguments.stop,
        safety=arguments.safety,
        read=not arguments.unproven,
    )
    return await bring_onto(operation, archive, options)


def consequences(target: Preview, size: int, arguments: OntoArguments) -> Iterator[str]:
    """Return the question's facts: what will happen to which server."""
    yield f"onto: {where(target)}"
    if arguments.unproven:
        yield "the backup is NOT read first: if its file is damaged, only what is left of it is restored"
    else:
        yield f"first, the backup is read to its end and checked: {format_size(size)} are downloaded"
    if arguments.stop:
        yield "then the server is stopped"
    if not arguments.safety:
        yield "NO backup is made of what is there now"
    else:
        yield "what is there now is backed up, and that backup is locked"
    if arguments.truncate:
        yield "ALL files of the server are deleted"
    if arguments.into:
        yield f"the backup is unpacked into {arguments.folder}, which must be empty or new"


def words(outcome: OperationResult, ended: Brought, onto: str) -> str:
    """Return what was done, for people."""
    backup = outcome.backup
    name = one_line(backup.name) if backup else ""
    if ended.way is None:
        return f"{onto} was changed, and {name} is not on it"
    before = ended.safety.backup if ended.safety else None
    kept = f"; what was there before is in {one_line(before.name)}, locked" if before else ""
    files = f", {ended.compared.right} files are there as in the archive" if ended.compared else ""
    return f"restored {name} onto {onto} by {ended.way}{files}{kept}"
