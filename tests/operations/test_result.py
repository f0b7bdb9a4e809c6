"""The exit code of what was done by hand is that of the contract."""

import pytest

from daemon.config.values import ServerConfig
from daemon.core.model import Obstacle
from daemon.errors import BackupdError, ProblemCode, ServerBusyError, StateError
from daemon.operations.result import OperationResult, ended_by, exit_of
from daemon.panel.errors import (
    ApiLimitError,
    BackupLimitError,
    BackupLockedError,
    CreationThrottledError,
    KeyRefusedError,
    PanelUnreachableError,
    ServerStateError,
)
from daemon.rotation.order import Halt
from daemon.rotation.outcome import Problem, Result
from tests.operations.conftest import Hand

DONE = OperationResult(None, Result.DONE, changed=True)
SAME = OperationResult(None, Result.DONE)
FAILED = OperationResult(None, Result.FAILED)
REFUSED = OperationResult(None, Result.REFUSED)
PASSING = OperationResult(None, Result.SKIPPED, passing=True)
PARTLY = OperationResult(None, Result.FAILED, changed=True)


@pytest.fixture
async def config(hand: Hand) -> ServerConfig:
    """Any server."""
    return hand.rig.config


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], 0),
        ([DONE, SAME], 0),
        ([FAILED], 4),
        ([FAILED, FAILED], 4),
        ([FAILED, SAME], 3),
        ([PARTLY], 3),
        ([PASSING], 3),
        ([FAILED, REFUSED, DONE], 5),
    ],
)
async def test_5_wins_then_4_if_all_failed_then_3(
    config: ServerConfig, outcomes: list[OperationResult], code: int
) -> None:
    """What failed and left something done is some, not all."""
    assert exit_of(config, outcomes) == code


@pytest.mark.parametrize(
    ("error", "result", "passing"),
    [
        (BackupLimitError("full"), Result.REFUSED, False),
        (BackupLockedError("locked"), Result.REFUSED, False),
        (ServerBusyError("busy"), Result.SKIPPED, True),
        (ServerStateError("installing"), Result.SKIPPED, True),
        (ServerStateError("suspended", obstacle=Obstacle.SUSPENDED), Result.FAILED, False),
        (StateError("disk full"), Result.FAILED, False),
        (KeyRefusedError("401"), Result.FAILED, False),
        (PanelUnreachableError("away"), Result.FAILED, False),
        (Halt(Result.SKIPPED, Problem(ProblemCode.TIMEOUT, "y"), passing=True), Result.SKIPPED, True),
    ],
    ids=str,
)
def test_what_ends_an_operation_says_what_came_of_it(error: BackupdError | Halt, result: Result, passing: bool) -> None:
    """With its own words."""
    outcome = ended_by(error)
    assert (outcome.result, outcome.passing) == (result, passing)
    assert outcome.problems[0].text == (error.problem.text if isinstance(error, Halt) else error.text)


@pytest.mark.parametrize("kind", [ApiLimitError, CreationThrottledError])
def test_a_throttle_says_how_long_it_lasts(kind: type[ApiLimitError | CreationThrottledError]) -> None:
    """Where the panel said so."""
    assert ended_by(kind("no", retry_after=89.6)).problems[0].text == "no; it allows the next one in 1 min 30 s"
    assert ended_by(kind("no")).problems[0].text == "no"
