"""What the writing commands share: they run an operation at a panel, and report its result.

What was done is data, and goes to stdout; what went wrong, and any warning, goes to stderr, or into the one document
with `--json`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from daemon.cli.context import begin, server_named
from daemon.cli.discovered import covered_now
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, say_trouble, write, write_json
from daemon.cli.ui.steps import steps
from daemon.clock import SystemClock
from daemon.config.values import Config, ServerConfig
from daemon.documents.commands import Document
from daemon.errors import BackupdError, UsageError
from daemon.operations.operation import Operation, open_operation
from daemon.operations.result import OperationResult, ended_by, exit_of
from daemon.rotation.outcome import Result
from daemon.rotation.setup import Tell


@dataclass(frozen=True)
class CommandRunner:
    """One command on one server."""

    settings: Settings
    config: Config
    server: ServerConfig
    as_json: bool
    max_deletions: int | None = None

    @classmethod
    def at(cls, settings: Settings, name: str, *, as_json: bool, max_deletions: int | None = None) -> "CommandRunner":
        """Return a runner for the server of that name; raises ConfigError and UsageError."""
        written = begin(settings, level="error")  # whatever else is to be known is in the report
        config = covered_now(written, [name]).config
        return cls(settings, config, server_named(config, name), as_json, max_deletions)

    def carry_out(
        self,
        work: Callable[[Operation], Awaitable[Sequence[OperationResult]]],
        document: Callable[[Sequence[OperationResult]], Document],
        words: Callable[[OperationResult], str],
    ) -> int:
        """Do the work and report: `words` formats each result that is done, `document` all of them."""
        return asyncio.run(self._carry_out(work, document, words))

    async def _carry_out(
        self,
        work: Callable[[Operation], Awaitable[Sequence[OperationResult]]],
        document: Callable[[Sequence[OperationResult]], Document],
        words: Callable[[OperationResult], str],
    ) -> int:
        with steps(self.settings) as tell:
            outcomes = await self._do(work, tell)
        if self.as_json:
            write_json(document(outcomes))
        else:
            for one in outcomes:
                _report(one, words)
        return exit_of(self.server, outcomes)

    async def _do(
        self, work: Callable[[Operation], Awaitable[Sequence[OperationResult]]], tell: Tell
    ) -> Sequence[OperationResult]:
        """Do the work; on Ctrl-C, print what the panel continues with."""
        state, clock, most = self.config.state, SystemClock(), self.max_deletions
        async with open_operation(self.server, state=state, clock=clock, tell=tell, max_deletions=most) as begun:
            try:
                return await work(begun)
            except UsageError:
                raise
            except BackupdError as error:
                return [ended_by(error)]
            except (asyncio.CancelledError, KeyboardInterrupt):
                if begun.going_on:
                    say(begun.going_on)
                raise


def _report(outcome: OperationResult, words: Callable[[OperationResult], str]) -> None:
    if outcome.backup is not None and (outcome.result is Result.DONE or outcome.changed):
        write(f"{words(outcome)}\n")
    for number, problem in enumerate(reversed(outcome.problems)):
        if number == 0 and outcome.result is not Result.DONE:
            say_trouble(problem.text, problem.hint)
        else:
            say(f"note: {problem.text}" + (f" ({problem.hint})" if problem.hint else ""))
