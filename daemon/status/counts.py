"""What is counted since the daemon began: plain numbers, so that a daemon without metrics loads nothing for them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.rotation.outcome import Result
from daemon.state import Step, StepName

LATENESS = (0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
DURATIONS = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0)

STEPS: Mapping[str, tuple[str, str]] = {
    StepName.GATHERED: ("gather", "done"),
    StepName.ADOPTED: ("create", "adopted"),
    StepName.CREATED: ("create", "done"),
    StepName.CREATE_REFUSED: ("create", "refused"),
    StepName.TURNED_GOOD: ("wait", "done"),
    StepName.PLANNED: ("plan", "done"),
    StepName.ROOM_DONE: ("room", "done"),
    StepName.DELETE_DONE: ("delete", "done"),
}
"""What each of a rotation's steps that tell an end is counted as; the others only tell a beginning."""


class Spread:
    """How a measure spreads: how many were at most each bound, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        """Take one in."""
        self.sum += value
        self._counts[bisect_left(self.bounds, value)] += 1

    def cumulative(self) -> list[int]:
        """For each bound how many were at most that; at the end, all."""
        total, totals = 0, []
        for count in self._counts:
            total += count
            totals.append(total)
        return totals


@dataclass(slots=True)
class Counts:
    """All of it. A server's and a panel's are by name."""

    rotations: Counter[tuple[str, Result]] = field(default_factory=Counter)
    deletions: Counter[str] = field(default_factory=Counter)
    steps: Counter[tuple[str, str]] = field(default_factory=Counter)
    durations: Spread = field(default_factory=lambda: Spread(DURATIONS))
    lateness: Spread = field(default_factory=lambda: Spread(LATENESS))

    def count_steps(self, steps: tuple[Step, ...]) -> None:
        """Count what a rotation's steps came to."""
        for step in steps:
            known = STEPS.get(step.name)
            if known is not None:
                refused = step.name == StepName.PLANNED and step.detail.get("refused") is not None
                self.steps["plan", "refused"] += refused
                self.steps[known] += not refused


@dataclass(frozen=True, slots=True)
class Reload:
    """Whether the configuration on disk could be read at the last try, and when one last could."""

    successful: bool
    succeeded_at: datetime
