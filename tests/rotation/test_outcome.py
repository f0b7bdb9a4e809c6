"""What many outcomes mean for the exit code of the contract."""

import pytest

from daemon.errors import Exit
from daemon.rotation.outcome import Outcome, Result, exit_code

DONE = Outcome("a", "main", "p", Result.DONE)
FAILED = Outcome("b", "main", "p", Result.FAILED)
REFUSED = Outcome("c", "main", "p", Result.REFUSED)
SUSPENDED = Outcome("d", "main", "p", Result.SKIPPED)
PASSING = Outcome("e", "main", "p", Result.SKIPPED, passing=True)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], Exit.DONE),
        ([DONE], Exit.DONE),
        ([DONE, SUSPENDED], Exit.DONE),
        ([SUSPENDED], Exit.DONE),
        ([DONE, PASSING], Exit.SOME_FAILED),
        ([PASSING], Exit.SOME_FAILED),
        ([DONE, FAILED], Exit.SOME_FAILED),
        ([SUSPENDED, FAILED], Exit.SOME_FAILED),
        ([FAILED], Exit.FAILED),
        ([FAILED, FAILED], Exit.FAILED),
        ([FAILED, REFUSED], Exit.REFUSED),
        ([DONE, REFUSED, PASSING], Exit.REFUSED),
    ],
)
def test_of_several_results_5_wins_then_4_if_all_failed_then_3(outcomes: list[Outcome], code: Exit) -> None:
    """Given outcomes, return the contract's exit code."""
    assert exit_code(outcomes) is code
