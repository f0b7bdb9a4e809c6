"""What a rotation's outcome means to somebody who only wants to know of trouble."""

from dataclasses import replace

from daemon.core.alerting import AlertState, Event, Report
from daemon.core.model import State
from daemon.core.shrunk import has_shrunk
from daemon.errors import ProblemCode
from daemon.rotation.outcome import NO_RIGHT_TO_DELETE, Outcome, Result
from daemon.rotation.run import Order

_BY_CODE = {ProblemCode.LIMIT: Event.LIMIT, ProblemCode.BACKUP_SUSPICIOUS: Event.SUSPICIOUS}
_THOUGH_DONE = {NO_RIGHT_TO_DELETE.code}
"""What somebody must mend before it stops backups, though the rotation that tells of it is done."""


def report_of(order: Order, outcome: Outcome) -> Report:
    """Given a rotation's outcome, return what is wrong, if anything.

    A failure that is tried again in ten minutes is no trouble until that has failed too: a panel that restarts at four
    in the morning would otherwise wake somebody for each of its servers. A state that passes is none either; where it
    does not pass, the next good backup will be overdue.
    """
    good = outcome.result is Result.DONE or got_good(outcome)
    shrunk = has_shrunk(outcome.verdicts)
    if outcome.result is Result.DONE:
        mend = any(problem.code in _THOUGH_DONE for problem in outcome.problems)
        return Report(good=True, shrunk=shrunk, trouble=Event.FAILED if mend else None)
    if outcome.result is Result.SKIPPED:
        return Report(excused=not outcome.passing)
    if outcome.retry_at is not None and order.attempt == 0:
        return Report(good=good, shrunk=shrunk, lasting=Event.FAILED if outcome.undeleted else None)
    codes = (_BY_CODE.get(problem.code) for problem in reversed(outcome.problems))
    return Report(good=good, shrunk=shrunk, trouble=next((event for event in codes if event), Event.FAILED))


def knowing(watch: AlertState, outcome: Outcome) -> AlertState:
    """Given what is remembered, return it with the good backup that a rotation saw, where none is remembered yet."""
    if watch.good_at is not None or outcome.good_seen_at is None:
        return watch
    return replace(watch, good_at=outcome.good_seen_at)


def got_good(outcome: Outcome) -> bool:
    """Whether the new backup is good, though the rotation did not end well (nothing was deleted, say)."""
    created = outcome.created
    return created is not None and any(
        verdict.backup.uuid == created.uuid and verdict.state is State.GOOD for verdict in outcome.verdicts
    )
