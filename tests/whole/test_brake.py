"""The brake over whole rotations: what a slip of the pen, a second host or a forgotten variable would cost."""

from datetime import timedelta
from typing import Any

import pytest

from daemon.errors import ProblemCode, StateError
from daemon.operations import rotations as by_hand
from daemon.rotation.outcome import Outcome, Result
from daemon.rotation.preview import preview
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change
from daemon.sandbox.scenes import own_name
from tests.whole.rig import Rig, start_with_the_clock_set

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
BRAKE: dict[str, Any] = {"max_deletions": 10, "max_share": 0.5}


def code(outcome: Outcome) -> tuple[Result, str]:
    """How it ended, and the last thing that was wrong."""
    return outcome.result, outcome.problems[-1].code if outcome.problems else ""


def deleted(rig: Rig) -> int:
    """How many backups are gone."""
    return sum(entry.change is Change.DELETED for entry in rig.world.ledger)


async def hours(rig: Rig, count: float) -> None:
    """Let them pass."""
    await rig.clock.sleep(count * 3600)


# A share -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [{"keep": {"last": 1}}, {"keep": {"last": 30}, "total_size": "1KB"}], ids=str)
async def test_a_mistyped_policy_deletes_none_of_ten(rig: Rig, policy: dict[str, Any]) -> None:
    """Ten are no more than max_deletions; but all of them, or all but one."""
    rig.fill(10)
    rig.configure(**BRAKE, **policy)
    outcome = await rig.rotate()
    assert code(outcome) == (Result.REFUSED, "max-deletions")
    assert "would delete 10 of 11 good backups, more than max_share = 0.5" in outcome.problems[-1].text
    assert (deleted(rig), len(rig.names())) == (0, 11)


async def test_lifting_it_once_lifts_all_of_it(rig: Rig) -> None:
    """Number, share and day; the next rotation has its brake again."""
    rig.fill(10)
    rig.configure(**BRAKE, keep={"last": 10})
    assert code(await rig.rotate()) == (Result.DONE, "")
    rig.configure(**BRAKE, keep={"last": 4})
    assert code(await rig.rotate(max_deletions=6)) == (Result.REFUSED, "max-deletions")
    assert code(await rig.rotate(max_deletions=8)) == (Result.DONE, "")
    assert len(rig.names()) == 4
    rig.fill(10)
    assert code(await rig.rotate()) == (Result.REFUSED, "max-deletions")


# A day ---------------------------------------------------------------------------------------------------------------


async def test_a_narrowed_policy_waits_for_a_day_after_it_was_told(rig: Rig) -> None:
    """What the policy before deletes as well goes meanwhile; a restart makes no difference."""
    rig.fill(9)
    rig.configure(**BRAKE, keep={"last": 9})
    assert code(await rig.rotate()) == (Result.DONE, "")
    assert len(rig.names()) == 9
    rig.configure(**BRAKE, keep={"last": 7})
    for passed in (0, 6, 12):
        await hours(rig, 6)
        told = await rig.rotate()
        assert code(told) == (Result.REFUSED, "max-deletions")
        assert "held until 2026-04-02 1" in told.problems[-1].text
        assert len(told.deleted) == 1, passed
        assert len(rig.names()) == 9
        await rig.context.journal.close()
        rig.context = rig.open_context()
    await hours(rig, 13)
    done = await rig.rotate()
    assert (code(done), len(done.deleted), len(rig.names())) == ((Result.DONE, ""), 3, 7)


async def test_a_policy_that_is_put_right_again_lets_nothing_go(rig: Rig) -> None:
    """And what it was meanwhile waits anew, should it come again."""
    rig.fill(9)
    wide, narrow = {**BRAKE, "keep": {"last": 20}}, {**BRAKE, "keep": {"last": 7}}
    rig.configure(**wide)
    await rig.rotate()
    rig.configure(**narrow)
    assert code(await rig.rotate()) == (Result.REFUSED, "max-deletions")
    await hours(rig, 20)
    rig.configure(**wide)
    assert code(await rig.rotate()) == (Result.DONE, "")
    await hours(rig, 20)
    rig.configure(**narrow)
    assert code(await rig.rotate()) == (Result.REFUSED, "max-deletions")
    assert deleted(rig) == 0


async def test_what_waits_is_told_though_a_deletion_fails(rig: Rig) -> None:
    """Its day has begun, so the operator must know."""
    rig.fill(9)
    rig.configure(**BRAKE, keep={"last": 9})
    await rig.rotate()
    rig.configure(**BRAKE, keep={"last": 7})
    rig.world.faults.order(faults.node_error(500), on=Call.DELETE, times=40)
    outcome = await rig.rotate()
    assert outcome.result is Result.FAILED
    assert [problem.code for problem in outcome.problems].count(ProblemCode.MAX_DELETIONS) == 1


async def test_the_day_does_not_last_for_months_where_a_clock_was_set_back_meanwhile(rig: Rig) -> None:
    """The machine came up with a date two months ahead, and was put right after it was told what waits."""
    rig.fill(9)
    rig.configure(**BRAKE, keep={"last": 9})
    assert code(await rig.rotate()) == (Result.DONE, "")
    rig.configure(**BRAKE, keep={"last": 7})
    start_with_the_clock_set(rig, 60 * DAY)
    assert code(await rig.rotate()) == (Result.REFUSED, "max-deletions")
    start_with_the_clock_set(rig, -60 * DAY)
    assert code(await rig.rotate()) == (Result.REFUSED, "max-deletions")
    await hours(rig, 25)
    assert code(await rig.rotate()) == (Result.DONE, "")


async def test_another_change_waits_for_a_day_of_its_own(rig: Rig) -> None:
    """However long ago the first was told."""
    rig.fill(9)
    rig.configure(**BRAKE, keep={"last": 20})
    await rig.rotate()
    rig.configure(**BRAKE, keep={"last": 8})
    await rig.rotate()
    await hours(rig, 30)
    rig.configure(**BRAKE, keep={"last": 7})
    assert code(await rig.rotate()) == (Result.REFUSED, "max-deletions")
    assert deleted(rig) == 0


async def test_a_wider_scope_of_names_waits_as_well(rig: Rig) -> None:
    """Earlier templates bring backups in that nobody has judged for long."""
    rig.fill(9)
    rig.configure(**BRAKE, name="b {time}", keep={"last": 3})
    assert code(await rig.rotate()) == (Result.DONE, "")
    rig.configure(
        **{**BRAKE, "max_share": 1}, name="b {time}", also_own=["auto-{server}-{time}-{id}"], keep={"last": 3}
    )
    assert code(await rig.rotate()) == (Result.REFUSED, "max-deletions")
    assert deleted(rig) == 0


async def test_without_a_record_number_and_share_alone_act(rig: Rig) -> None:
    """A copy of the daemon on a second host knows nothing of the first."""
    rig.fill(9)
    rig.configure(**BRAKE, keep={"last": 6})
    outcome = await rig.rotate()
    assert (code(outcome), len(outcome.deleted)) == ((Result.DONE, ""), 4)


async def test_the_plan_shows_what_waits_and_until_when(rig: Rig) -> None:
    """As a rehearsal does; looking does not begin the day."""
    rig.fill(9)
    rig.configure(**BRAKE, keep={"last": 9})
    await rig.rotate()
    rig.configure(**BRAKE, keep={"last": 7})
    seen = await preview(rig.config, rig.client, rig.context.journal, rig.clock)
    rehearsed = by_hand.dry_run_outcome(seen)
    assert (code(rehearsed), len(rehearsed.deleted)) == ((Result.REFUSED, "max-deletions"), 1)
    assert [verdict.reasons[0].rule for verdict in seen.plan.verdicts][-2:] == ["held", "held"]
    await hours(rig, 30)
    assert len((await preview(rig.config, rig.client, rig.context.journal, rig.clock)).plan.held) == 2


async def test_a_journal_that_cannot_tell_what_was_applied_lets_nothing_go(rig: Rig) -> None:
    """Nobody knows then what waits."""
    rig.fill(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(rig.journal), "applied", _unreadable)
        outcome = await rig.rotate()
    assert (outcome.result, deleted(rig)) == (Result.FAILED, 0)


def _unreadable(*_: object) -> None:
    raise StateError("the journal cannot be read")


# What was not completed ----------------------------------------------------------------------------------------------


async def test_one_that_was_let_through_before_does_not_count_once_it_is_gone_either(rig: Rig) -> None:
    """Two such go, then something changes and the plan is made anew: the third, which is new, is within the bound."""
    rig.fill(5)
    rig.configure(max_deletions=-1, keep={"last": 4})
    rig.world.faults.order(faults.node_error(500), on=Call.DELETE, times=2)
    assert (await rig.rotate()).result is Result.FAILED
    rig.world.faults.clear()
    third = list(rig.server.backups.values())[2]
    lock = faults.meanwhile(lambda _world, _server: setattr(third, "locked", True))
    rig.world.faults.order(lock, on=Call.DELETE, backup=third.uuid)
    extra = rig.world.now() - timedelta(hours=1)
    rig.world.add_backup(rig.server, own_name("survival", extra, 77), created_at=extra, by="history")
    rig.configure(max_deletions=2, max_share=1, keep={"last": 4})
    outcome = await rig.rotate()
    assert (code(outcome), len(outcome.deleted)) == ((Result.DONE, ""), 3)


async def test_deletions_that_were_let_through_and_not_done_do_not_pile_up_against_the_brake(rig: Rig) -> None:
    """The node refuses each DELETE for three rotations; then all go, though they are more than max_deletions."""
    rig.fill(4)
    rig.configure(max_deletions=2, keep={"last": 3})
    rig.world.faults.order(faults.node_error(500), on=Call.DELETE, times=40)
    for _ in range(4):
        await rig.rotate()
    assert deleted(rig) == 0
    rig.world.faults.clear()
    outcome = await rig.rotate()
    assert (code(outcome), len(outcome.deleted)) == ((Result.DONE, ""), 6)


# Room ----------------------------------------------------------------------------------------------------------------


async def test_at_the_limit_and_over_the_brake_a_backup_is_made_once_a_day(rig: Rig) -> None:
    """Limit 20, 20 there, 12 of them beyond retention: one goes, the backup is made, the rest is refused."""
    rig.fill(20)
    rig.server.limit = 20
    rig.configure(**BRAKE, keep={"last": 8})
    outcome = await rig.rotate()
    assert code(outcome) == (Result.REFUSED, "max-deletions")
    assert (outcome.created is not None, len(outcome.deleted), len(rig.names())) == (True, 1, 20)
    await hours(rig, 6)
    refused = await rig.rotate()
    assert (code(refused), refused.created) == ((Result.REFUSED, "limit"), None)
    assert "room is made once in 24 hours all the same, next at 2026-04-02 0" in refused.problems[-1].text
    assert "--max-deletions" in refused.problems[-1].hint
    await hours(rig, 18.1)
    again = await rig.rotate()
    assert (again.created is not None, len(again.deleted), deleted(rig)) == (True, 1, 2)


async def test_with_no_deletion_allowed_no_room_is_made(rig: Rig) -> None:
    """max_deletions = 0 means it."""
    rig.fill(6)
    rig.server.limit = 6
    rig.configure(max_deletions=0)
    assert code(await rig.rotate()) == (Result.REFUSED, "limit")
    assert deleted(rig) == 0


async def test_room_is_not_made_of_what_waits_and_its_day_begins_all_the_same(rig: Rig) -> None:
    """Without being told at the limit it would wait for ever."""
    rig.fill(6)
    rig.configure(**BRAKE, keep={"last": 20})
    await rig.rotate()
    rig.server.limit = 7
    rig.configure(**BRAKE, keep={"last": 6})
    refused = await rig.rotate()
    assert (code(refused), refused.created) == ((Result.REFUSED, "limit"), None)
    assert "held until 2026-04-02 0" in refused.problems[-1].text
    await hours(rig, 24.1)
    done = await rig.rotate()
    assert (code(done), len(done.deleted), len(rig.names())) == ((Result.DONE, ""), 2, 6)


async def test_at_the_limit_a_mistake_that_is_made_again_is_told_again(rig: Rig) -> None:
    """Put right meanwhile, it let nothing through by which it could have been forgotten: no backup was made."""
    rig.fill(7)
    wide, narrow = {**BRAKE, "keep": {"last": 20}}, {**BRAKE, "keep": {"last": 6}}
    rig.configure(**wide)
    await rig.rotate()
    rig.server.limit = len(rig.names())
    for policy in (narrow, wide):
        rig.configure(**policy)
        assert code(await rig.rotate()) == (Result.REFUSED, "limit")
    await hours(rig, 72)
    there = rig.names()
    rig.configure(**narrow)
    refused = await rig.rotate()
    assert (code(refused), rig.names()) == ((Result.REFUSED, "limit"), there)
    assert "held until 2026-04-0" in refused.problems[-1].text


async def test_a_rehearsal_at_the_limit_knows_when_room_was_made(rig: Rig) -> None:
    """It says what the rotation would."""
    rig.fill(20)
    rig.server.limit = 20
    rig.configure(**BRAKE, keep={"last": 8})
    await rig.rotate()
    rehearsed = by_hand.dry_run_outcome(await preview(rig.config, rig.client, rig.context.journal, rig.clock))
    assert code(rehearsed) == (Result.REFUSED, "limit")
    assert "next at " in rehearsed.problems[-1].text
