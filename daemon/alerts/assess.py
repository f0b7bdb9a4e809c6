"""What a rotation's outcome means to somebody who wants to know only of trouble."""

from daemon.core.alerting import Event, RotationReport
from daemon.core.shrunk import has_shrunk
from daemon.errors import ProblemCode
from daemon.rotation.order import Order
from daemon.rotation.outcome import NO_RIGHT_TO_DELETE, Outcome, Result
from daemon.status.history import got_good

_BY_CODE = {ProblemCode.LIMIT: Event.LIMIT, ProblemCode.BACKUP_SUSPICIOUS: Event.SUSPICIOUS}
_THOUGH_DONE = {NO_RIGHT_TO_DELETE.code}
"""What somebody must mend before it stops backups, though the rotation that tells of it is done."""
_TOLD_ELSEWHERE = {ProblemCode.UNPROVEN, ProblemCode.DISPUTED}
"""What is alerted once, as a proof fails or members of the cluster begin to differ, and not for each rotation."""


def report_of(order: Order, outcome: Outcome) -> RotationReport:
    """Given a rotation's outcome, return what is wrong, if anything.

    A failure that will be tried again in ten minutes is no trouble until that has failed too: a panel that restarts at
    four in the morning would otherwise wake somebody for each of its servers. Neither is a passing state; if it does
    not pass, the next good backup will be overdue. What was another member's to make did not fail at the panel.
    """
    good = got_good(outcome)
    backup = outcome.created.uuid if outcome.created and (good or outcome.result is Result.DONE) else None
    shrunk = has_shrunk(outcome.verdicts)
    if outcome.result is Result.DONE:
        mend = any(problem.code in _THOUGH_DONE for problem in outcome.problems)
        return RotationReport(good=True, shrunk=shrunk, backup=backup, trouble=Event.FAILED if mend else None)
    if outcome.result is Result.SKIPPED:
        return RotationReport(excused=not outcome.passing)
    if good and outcome.problems and outcome.problems[-1].code in _TOLD_ELSEWHERE:
        return RotationReport(good=True, shrunk=shrunk, backup=backup)
    if outcome.retry_at is not None and (order.attempt == 0 or outcome.handed_over):
        lasting = Event.FAILED if outcome.undeleted else None
        return RotationReport(good=good, shrunk=shrunk, backup=backup, lasting=lasting)
    codes = (_BY_CODE.get(problem.code) for problem in reversed(outcome.problems))
    trouble = next((event for event in codes if event), Event.FAILED)
    return RotationReport(good=good, shrunk=shrunk, backup=backup, trouble=trouble)
