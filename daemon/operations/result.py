"""What came of a deed by hand, in the words of a rotation's outcome, and what many of them mean for the exit code.

A rotation passes over a suspended server without failing, since the next one comes by itself. Here somebody asked for
this one thing, so a suspended server is a failure, and only a state that ends by itself is a skip.
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
from daemon.rotation.outcome import Outcome, Problem, Result, exit_code
from daemon.rotation.run import Halt

REFUSALS = (BackupLimitError, BackupLockedError)
"""Errors by which nothing failed: going on would have cost something, or the panel's own guard held."""


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What came of one deed on one backup.

    `backup` is the backup as last seen, None where there is none. `changed` says whether the panel, or our memory, is
    other than before; where `result` is "failed" and it is, a part of what was asked for is done. `passing` says that
    a skip was for a state that ends by itself.
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
        """The same with one thing more that the operator should know."""
        return replace(self, problems=(*self.problems, Problem(code, text, hint)), result=result or self.result)


def refused(
    backup: Backup | None, code: ProblemCode, text: str, hint: str = "", state: State | None = None
) -> OperationResult:
    """Nothing was done, because going on could cost something."""
    return OperationResult(backup, Result.REFUSED, state, problems=(Problem(code, text, hint),))


def ended_by(error: BackupdError | Halt, backup: Backup | None = None) -> OperationResult:
    """What came of a deed that this ended; the panel is as before, as far as is known."""
    if isinstance(error, Halt):
        return OperationResult(backup, error.result, problems=(error.problem,), passing=error.passing)
    problem = Problem(error.code, error.text + _when_again(error), error.hint)
    if isinstance(error, REFUSALS):
        return OperationResult(backup, Result.REFUSED, problems=(problem,))
    passing = isinstance(error, ServerBusyError) or (isinstance(error, ServerStateError) and error.transient)
    return OperationResult(backup, Result.SKIPPED if passing else Result.FAILED, problems=(problem,), passing=passing)


def _when_again(error: BackupdError) -> str:
    """How long the panel's throttle lasts, where it said so."""
    seconds = error.retry_after if isinstance(error, CreationThrottledError | ApiLimitError) else None
    return (
        "" if seconds is None else f"; it allows the next one in {format_duration(timedelta(seconds=round(seconds)))}"
    )


def exit_of(config: ServerConfig, handled: Iterable[OperationResult]) -> Exit:
    """The contract's exit code, by the one rule there is; a failure that left something done is no whole one."""
    handled = list(handled)
    about = Outcome(config.name, config.panel.name, config.policy.name, Result.DONE)
    code = exit_code([replace(about, result=one.result, passing=one.passing) for one in handled])
    return Exit.SOME_FAILED if code is Exit.FAILED and any(one.changed for one in handled) else code
