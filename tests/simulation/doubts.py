"""The rule of clocks: nothing goes by a list that was read while they differed, or after one was set, by too much."""

from collections.abc import Sequence
from datetime import timedelta

from tests.simulation.checker import Checker
from tests.simulation.recorder import Exchange
from tests.simulation.scenario import HOUR

SLACK = 120.0
"""Seconds that an answer may be on its way, and that dates are cut by."""


class Doubts:
    """Holds a list's date against the clock of the daemon's machine as it was then."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._recorder = checker.recorder

    def surely(self, page: Exchange) -> bool:
        """Whether no deletion may rest on that answer."""
        return self._host_set(page) > HOUR + SLACK or self._apart(page) > HOUR + SLACK

    def perhaps(self, page: Exchange) -> bool:
        """Whether a deletion may have been refused for it.

        A client notices that the panel's clock was set since its own first answer. One that a changed address or key
        made in the midst of the run may have begun by a clock that was wrong, and was set right again.
        """
        if page.date is None or page.dated_first is None:
            return True
        panel_set = abs(_sum(self._checker.panel_set, page.dated_first, page.sent))
        return max(self._host_set(page), self._apart(page), panel_set) > HOUR - SLACK

    def _host_set(self, page: Exchange) -> float:
        """By how much the machine's clock was set since the process began."""
        return abs(_sum(self._checker.host_set, self._checker.begun[page.process], page.sent))

    def _apart(self, page: Exchange) -> float:
        """By how much the panel's clock differs from the machine's."""
        if page.date is None:
            return 0.0
        ago = timedelta(seconds=self._recorder.now() - page.sent)
        ours = self._recorder.world.clock.now() - ago + timedelta(seconds=_sum(self._checker.host_set, -1.0, page.sent))
        return abs((page.date - ours).total_seconds())


def _sum(sets: Sequence[tuple[float, float]], since: float, until: float) -> float:
    return sum(by for at, by in sets if since < at <= until)
