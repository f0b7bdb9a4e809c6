"""A suspicious backup is good once an operator says so, and that is remembered."""

import pytest

from daemon.core.model import State
from daemon.errors import StateError, UsageError
from daemon.operations.accept import accept, must_remember
from daemon.operations.delete import delete
from daemon.operations.result import OperationResult, exit_of
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Backup
from daemon.sandbox.records import State as Panel
from tests.operations.conftest import Hand

pytestmark = pytest.mark.anyio


@pytest.fixture
async def small(hand: Hand) -> Backup:
    """A backup of a tenth of the usual size, after three of it."""
    for days in range(2, 5):
        hand.add(days=days)
    return hand.add(days=1, size=2_000)


async def accepted(hand: Hand, row: Backup) -> OperationResult:
    """Accept that one."""
    operation = hand.operation()
    seen = await operation.look()
    verdict = next(one for one in seen.plan.verdicts if one.backup.uuid == row.uuid)
    return await accept(operation, seen, verdict)


async def test_it_is_good_from_then_on(hand: Hand, small: Backup) -> None:
    """For whoever opens the journal later, too."""
    assert (await hand.verdict(small)).state is State.SUSPICIOUS
    outcome = await accepted(hand, small)
    assert (outcome.result, outcome.changed, outcome.state) == (Result.DONE, True, State.GOOD)
    hand.rig.journal.close()
    hand.rig.context = hand.rig.open_context()
    assert (await hand.verdict(small)).state is State.GOOD


async def test_a_second_time_changes_nothing(hand: Hand, small: Backup) -> None:
    """It is good already."""
    await accepted(hand, small)
    outcome = await accepted(hand, small)
    assert (outcome.result, outcome.changed) == (Result.DONE, False)


async def test_one_of_a_row_that_is_believed_can_be_accepted(hand: Hand) -> None:
    """Then the last one from before it shrank need not stay; one from before it says nothing of that."""
    whole = [hand.add(days=days) for days in (12, 11)]
    row = [hand.add(days=days, size=2_000) for days in range(10, 5, -1)]
    stays = "the last before it shrank"
    assert any(reason.text.startswith(stays) for reason in (await hand.verdict(whole[-1])).reasons)
    assert (await accepted(hand, whole[0])).changed is False
    assert [(await accepted(hand, one)).changed for one in (row[0], row[0])] == [True, False]
    assert not any(reason.text.startswith(stays) for reason in (await hand.verdict(whole[-1])).reasons)


@pytest.mark.parametrize("state", [Panel.FAILED, Panel.PENDING])
async def test_only_a_suspicious_one_can_be_accepted(hand: Hand, state: Panel) -> None:
    """A failed one holds nothing that could be good."""
    row = hand.add(state=state)
    outcome = await accepted(hand, row)
    assert (outcome.result, outcome.problems[0].code) == (Result.REFUSED, "not-suspicious")
    assert exit_of(hand.rig.config, [outcome]) == 5
    assert hand.rig.journal.accepted(hand.rig.server.uuid) == frozenset()


async def test_one_without_a_byte_is_never_good(hand: Hand) -> None:
    """Whatever an operator says."""
    row = hand.add()
    row.claimed_bytes = 0
    outcome = await accepted(hand, row)
    assert (outcome.result, outcome.problems[0].code) == (Result.REFUSED, "empty")


async def test_without_a_journal_it_is_a_usage_error(hand: Hand) -> None:
    """`state_dir = "none"` remembers nothing."""
    hand.rig.journal.close()
    hand.rig.state = False
    hand.rig.context = hand.rig.open_context()
    with pytest.raises(UsageError, match='state_dir is "none"'):
        must_remember(hand.operation())


async def test_with_a_journal_that_cannot_be_opened_it_is_an_error_of_the_state_folder(hand: Hand) -> None:
    """Nothing is accepted into a memory that ends with the command."""
    hand.rig.journal.close()
    (hand.rig.folder / "state").rename(hand.rig.folder / "aside")
    (hand.rig.folder / "state").write_text("a file where the folder should be")
    hand.rig.context = hand.rig.open_context()
    with pytest.raises(StateError):
        must_remember(hand.operation())


async def test_one_whose_deletion_was_not_completed_has_its_file_once_an_operator_says_so(hand: Hand) -> None:
    """It is good, and displaces others again."""
    hand.add(days=2)
    row = hand.add(days=1)
    hand.rig.world.faults.order(faults.refused(500), on=Call.DELETE, times=None)
    operation = hand.operation()
    await delete(operation, await operation.look(), [await hand.verdict(row)])
    assert hand.rig.journal.asked(hand.rig.server.uuid) == {row.uuid}
    outcome = await accepted(hand, row)
    assert (outcome.result, outcome.changed, outcome.state) == (Result.DONE, True, State.GOOD)
    assert hand.rig.journal.asked(hand.rig.server.uuid) == frozenset()
