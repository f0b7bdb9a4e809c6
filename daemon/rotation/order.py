"""What a rotation is asked for, how far it is, and how it ends early."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from daemon.config.values import ServerConfig
from daemon.rotation.outcome import Problem, Result, Retry
from daemon.state import Trigger


@dataclass(frozen=True, slots=True)
class Order:
    """One rotation that is asked for.

    `start_at` is the scheduled start that it serves, or the moment since when one more backup is wanted (None by hand);
    `attempt` is how often that was tried before, `failed` how many of those tries made a backup that failed, and
    `hand_overs` how often it was another member's to make. `max_deletions` lifts the policy's brake once.
    """

    server: ServerConfig
    trigger: Trigger
    start_at: datetime | None = None
    attempt: int = 0
    failed: int = 0
    max_deletions: int | None = None
    hand_overs: int = 0


class Stage(StrEnum):
    """How far a rotation is. While it is queued, settles or waits, it can be left at any moment and picked up later.

    It settles while it looks for a backup that was asked for and not answered, and a journal tells the next start of
    it; without one it is still creating.
    """

    BEGINNING = "beginning"
    QUEUED = "queued"
    CREATING = "creating"
    SETTLING = "settling"
    WAITING = "waiting"
    DELETING = "deleting"
    REPORTING = "reporting"


class Halt(Exception):  # noqa: N818 — not an error of its own: it carries the result of a rotation that ends early
    """The rotation ends here, with this result and this problem."""

    def __init__(
        self,
        result: Result,
        problem: Problem,
        *,
        retry: Retry = Retry.NO,
        retry_after: float | None = None,
        passing: bool = False,
    ) -> None:
        super().__init__(problem.text)
        self.result = result
        self.problem = problem
        self.retry = retry
        self.retry_after = retry_after
        self.passing = passing
