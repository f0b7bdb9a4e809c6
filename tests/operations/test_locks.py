"""Locking by hand ends in what was asked for, whoever else is at it, whatever is lost."""

import asyncio

import pytest

from daemon.operations.locks import set_locks
from daemon.operations.result import OperationResult, exit_of
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import Backup, Change, State
from tests.operations.conftest import Hand

pytestmark = pytest.mark.anyio


async def locked(hand: Hand, *rows: Backup, lock: bool = True) -> tuple[OperationResult, ...]:
    """Lock, or unlock, these."""
    return await set_locks(hand.operation(), [await hand.verdict(row) for row in rows], lock)


@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize("state", list(State))
async def test_it_is_locked_and_unlocked_whatever_its_state(hand: Hand, state: State, lock: bool) -> None:
    """One toggle."""
    row = hand.add(state=state, locked=not lock)
    (outcome,) = await locked(hand, row, lock=lock)
    assert (outcome.result, outcome.changed, row.locked) == (Result.DONE, True, lock)
    assert hand.rig.requests(Call.LOCK) == 1


@pytest.mark.parametrize("lock", [True, False])
async def test_already_so_is_done_without_a_toggle(hand: Hand, lock: bool) -> None:
    """Success, and nothing was changed."""
    row = hand.add(locked=lock)
    (outcome,) = await locked(hand, row, lock=lock)
    assert (outcome.result, outcome.changed, row.locked) == (Result.DONE, False, lock)
    assert hand.rig.requests(Call.LOCK) == 0


@pytest.mark.parametrize(
    "fault",
    [faults.lost_after(), faults.cut(), faults.reset(), faults.slow(90), faults.late(65), faults.late(85)],
    ids=lambda fault: fault.name,
)
@pytest.mark.parametrize("lock", [True, False])
async def test_a_lost_answer_is_settled_by_reading(hand: Hand, fault: Fault, lock: bool) -> None:
    """A blind repetition would have flipped it back, also where the panel did it after we gave up waiting."""
    row = hand.add(locked=not lock)
    hand.rig.world.faults.order(fault, on=Call.LOCK)
    (outcome,) = await locked(hand, row, lock=lock)
    await hand.rig.clock.sleep(120)
    assert (outcome.result, outcome.changed, row.locked) == (Result.DONE, True, lock)
    assert hand.rig.requests(Call.LOCK) == 1


@pytest.mark.parametrize(
    ("fault", "done"),
    [(faults.lost_before(), False), (faults.web_page(502), False), (faults.late(200), True)],
    ids=["never", "not by a proxy", "late"],
)
@pytest.mark.parametrize("lock", [True, False])
async def test_a_toggle_that_may_still_be_done_is_not_made_again(
    hand: Hand, fault: Fault, done: bool, lock: bool
) -> None:
    """Two would cancel out where the panel does the first one late; so it is said that nobody knows."""
    row = hand.add(locked=not lock)
    hand.rig.world.faults.order(fault, on=Call.LOCK)
    (outcome,) = await locked(hand, row, lock=lock)
    assert (outcome.result, row.locked) == (Result.FAILED, not lock)
    assert [problem.code for problem in outcome.problems] == ["outcome-unknown"]
    await hand.rig.clock.sleep(200)
    assert (row.locked is lock, hand.rig.requests(Call.LOCK)) == (done, 1)


@pytest.mark.parametrize("retry_after", [None, "60"])
async def test_a_lost_toggle_is_looked_at_for_half_a_minute_also_where_the_panel_is_down(
    hand: Hand, retry_after: str | None
) -> None:
    """As the documentation says; somebody waits for it."""
    row, down = hand.add(), faults.refused(503, "HttpException", "Maintenance.", retry_after)
    hand.rig.world.faults.order(down, on=Call.LOCK)
    hand.rig.world.faults.order(down, on=Call.VIEW, times=None, skip=1)
    began = hand.rig.clock.monotonic()
    (outcome,) = await locked(hand, row)
    assert hand.rig.clock.monotonic() - began == pytest.approx(30, abs=1)
    assert "Maintenance" in outcome.problems[0].text
    assert "viewing backup" in outcome.problems[0].text


@pytest.mark.parametrize("lock", [True, False])
async def test_another_client_that_does_the_same_at_the_same_moment_undoes_nothing(hand: Hand, lock: bool) -> None:
    """Between our reading and our toggle it is toggled: ours flips it back, and once more sets it right."""
    row = hand.add(locked=not lock)
    hand.before(Call.LOCK, lambda world: world.toggle_lock(hand.rig.server, row, by="somebody else"))
    (outcome,) = await locked(hand, row, lock=lock)
    assert (outcome.result, row.locked) == (Result.DONE, lock)
    assert hand.rig.requests(Call.LOCK) == 2


@pytest.mark.parametrize("seconds", [(0, 0), (5, 0), (0, 5), (5, 5), (90, 1)])
async def test_two_at_once_end_in_what_both_asked_for(hand: Hand, seconds: tuple[float, float]) -> None:
    """However their answers lie."""
    row = hand.add()
    for late in seconds:
        hand.rig.world.faults.order(faults.slow(late), on=Call.LOCK)
    both = await asyncio.gather(locked(hand, row), locked(hand, row))
    await hand.rig.clock.sleep(200)
    assert row.locked
    assert [outcome.result for (outcome,) in both] == [Result.DONE, Result.DONE]


async def test_somebody_who_keeps_changing_it_is_not_fought_for_ever(hand: Hand) -> None:
    """Three toggles, then it is said."""
    row = hand.add()
    hand.before(Call.LOCK, lambda world: world.toggle_lock(hand.rig.server, row, by="somebody else"), times=None)
    (outcome,) = await locked(hand, row)
    assert outcome.result is Result.FAILED
    assert "somebody else keeps changing it" in outcome.problems[0].text
    assert hand.rig.requests(Call.LOCK) == 3


async def test_one_that_fails_does_not_stop_the_others(hand: Hand) -> None:
    """The first vanished after the look."""
    first, second = hand.add(days=2), hand.add(days=1)
    verdicts = [await hand.verdict(first), await hand.verdict(second)]
    hand.rig.world.remove(hand.rig.server, first, by="somebody else")
    outcomes = await set_locks(hand.operation(), verdicts, True)
    assert [one.result for one in outcomes] == [Result.FAILED, Result.DONE]
    assert (second.locked, exit_of(hand.rig.config, outcomes)) == (True, 3)


async def test_a_key_that_may_only_read_locks_nothing(hand: Hand) -> None:
    """403, exit 4."""
    row = hand.add()
    hand.as_user("backup.read")
    outcomes = await locked(hand, row)
    assert [problem.code for problem in outcomes[0].problems] == ["permission-lacking"]
    assert (row.locked, exit_of(hand.rig.config, outcomes)) == (False, 4)
    assert hand.did(Change.LOCKED) == []
