"""The result of an operation, in the words of a rotation's outcome, and the exit code of many results.

A rotation skips a suspended server without failing, since the next one comes by itself. Here somebody asked for this
one operation, so a suspended server is a failure, and only a state that ends by itself is a skip.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from daemon.config.values import ServerConfig
from daemon.core.model import Backup, State
from daemon.core.units import format_duration
from daemon.errors import BackupdError, Exit, ProblemCode, ServerBusyError
from daemon.panel.errors import (
    ApiLimitError,
    BackupLimitError,
    BackupLockedError,
    CreationThrottledError,
    ServerStateError,
)
from daemon.rotation.order import Halt
from daemon.rotation.outcome import Outcome, Problem, Result, exit_code

REFUSALS = (BackupLimitError, BackupLockedError)
"""Errors that are refusals, not failures: going on could have lost something, or the panel itself refused."""


@dataclass(frozen=True, slots=True)
class OperationResult:
    """The result of one operation on one backup.

    `backup` is the backup as last seen, None if there is none. `changed` says whether the panel or the journal differs
    from before; a failed result that changed something is partly done. `passing` says that it was skipped for a state
    that ends by itself.
    """

    backup: Backup | None
    result: Result
    state: State | None = None
    changed: bool = False
    problems: tuple[Problem, ...] = ()
    passing: bool = False

    def with_problem(
        self, code: ProblemCode, text: str, hint: str = "", *, result: Result | None = None
    ) -> "OperationResult":
        """Return the result with one more problem."""
        return replace(self, problems=(*self.problems, Problem(code, text, hint)), result=result or self.result)


def refused(
    backup: Backup | None, code: ProblemCode, text: str, hint: str = "", state: State | None = None
) -> OperationResult:
    """Return the result of an operation that was refused, because going on could lose something."""
    return OperationResult(backup, Result.REFUSED, state, problems=(Problem(code, text, hint),))


def ended_by(error: BackupdError | Halt, backup: Backup | None = None) -> OperationResult:
    """Return the result of an operation that this error ended; the panel is unchanged, as far as is known."""
    if isinstance(error, Halt):
        return OperationResult(backup, error.result, problems=(error.problem,), passing=error.passing)
    problem = Problem(error.code, error.text + _when_again(error), error.hint)
    if isinstance(error, REFUSALS):
        return OperationResult(backup, Result.REFUSED, problems=(problem,))
    passing = isinstance(error, ServerBusyError) or (isinstance(error, ServerStateError) and error.transient)
    return OperationResult(backup, Result.SKIPPED if passing else Result.FAILED, problems=(problem,), passing=passing)


def _when_again(error: BackupdError) -> str:
    """Return how long the panel's throttle lasts, if it said so."""
    seconds = error.retry_after if isinstance(error, CreationThrottledError | ApiLimitError) else None
    return (
        "" if seconds is None else f"; it allows the next one in {format_duration(timedelta(seconds=round(seconds)))}"
    )


def exit_of(config: ServerConfig, outcomes: Iterable[OperationResult]) -> Exit:
    """Return the exit code of several results; if some changed something and others failed, it is partly done (3)."""
    outcomes = list(outcomes)
    about = Outcome(config.name, config.panel.name, config.policy.name, Result.DONE)
    code = exit_code([replace(about, result=one.result, passing=one.passing) for one in outcomes])
    return Exit.SOME_FAILED if code is Exit.FAILED and any(one.changed for one in outcomes) else code
