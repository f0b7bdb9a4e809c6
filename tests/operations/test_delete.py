"""Deleting by hand: nothing locked, nothing that is still made, nothing that was not shown."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pytest

from daemon.core.agreement import Opinion
from daemon.core.brake import Brake
from daemon.core.plan import plan
from daemon.errors import UsageError
from daemon.operations.delete import delete, delete_beyond_retention, gone, loss, obstacle
from daemon.operations.pick import is_uuid, pick, pick_or_gone
from daemon.operations.result import OperationResult, exit_of
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import Backup, Change, State
from daemon.sandbox.world import World
from daemon.state.local.locks import server_lock
from tests.operations.conftest import Hand

pytestmark = pytest.mark.anyio

ALONE = Opinion.of({})
ABSENT = "00000000-0000-4000-8000-00000000abcd"


async def deleted(hand: Hand, *rows: Backup) -> tuple[OperationResult, ...]:
    """Delete these, as they were listed."""
    operation = hand.operation()
    return await delete(operation, await operation.look(), [await hand.verdict(row) for row in rows])


async def deleted_after(hand: Hand, row: Backup, action: Callable[[], None]) -> tuple[OperationResult, ...]:
    """Delete this one as it was listed, though something happened to it since."""
    operation, verdict = hand.operation(), await hand.verdict(row)
    seen = await operation.look()
    action()
    return await delete(operation, seen, [verdict])


def codes(outcomes: Sequence[OperationResult]) -> list[str]:
    """The codes of what was said."""
    return [problem.code for one in outcomes for problem in one.problems]


async def test_what_is_named_goes_the_oldest_first(hand: Hand) -> None:
    """Own or foreign, good or failed, and nothing else."""
    rows = [hand.add(days=1), hand.add("by hand", days=9), hand.add(days=5, state=State.FAILED)]
    other = hand.add(days=7)
    outcomes = await deleted(hand, *rows)
    assert [(one.result, one.changed) for one in outcomes] == [(Result.DONE, True)] * 3
    assert hand.did(Change.DELETED) == ["by hand", rows[2].name, rows[0].name]
    assert hand.rig.names() == [other.name]


@pytest.mark.parametrize("state", list(State))
async def test_a_locked_one_is_refused_whatever_its_state(hand: Hand, state: State) -> None:
    """The panel itself would delete the failed and the pending one; no DELETE is sent."""
    row = hand.add(state=state, locked=True)
    outcomes = await deleted(hand, row)
    assert (outcomes[0].result, codes(outcomes), exit_of(hand.rig.config, outcomes)) == (
        Result.REFUSED,
        ["backup-locked"],
        5,
    )
    assert "`ptero-backupd backups unlock` first" in outcomes[0].problems[0].hint
    assert (hand.rig.requests(Call.DELETE), hand.rig.names()) == (0, [row.name])


async def test_a_pending_one_is_refused(hand: Hand) -> None:
    """The node would go on writing a file that nobody knows of."""
    row = hand.add(state=State.PENDING)
    outcomes = await deleted(hand, row)
    assert (codes(outcomes), exit_of(hand.rig.config, outcomes), hand.rig.requests(Call.DELETE)) == (["pending"], 5, 0)


@pytest.mark.parametrize("state", [State.GOOD, State.FAILED])
async def test_one_that_is_locked_after_it_was_listed_is_refused(hand: Hand, state: State) -> None:
    """It is read again right before."""
    row = hand.add(state=state)
    outcomes = await deleted_after(hand, row, lambda: setattr(row, "locked", True))
    assert (codes(outcomes), hand.rig.names()) == (["backup-locked"], [row.name])


async def test_one_that_is_locked_at_the_last_moment_is_saved_by_the_panel(hand: Hand) -> None:
    """400, and refused as if it had been seen."""
    row = hand.add()
    hand.before(Call.DELETE, lambda world: world.toggle_lock(hand.rig.server, row, by="somebody else"))
    outcomes = await deleted(hand, row)
    assert (outcomes[0].result, codes(outcomes), hand.rig.names()) == (Result.REFUSED, ["backup-locked"], [row.name])


async def test_a_failed_one_that_turned_good_since_it_was_listed_is_refused(hand: Hand) -> None:
    """The operator chose to delete a failed one."""
    row = hand.add(state=State.FAILED)
    outcomes = await deleted_after(hand, row, lambda: hand.rig.world.report(hand.rig.server, row, success=True))
    assert (codes(outcomes), hand.rig.names()) == (["changed"], [row.name])


async def test_one_that_is_gone_since_it_was_listed_is_done(hand: Hand) -> None:
    """That is what was wanted; nothing was changed by us."""
    row = hand.add()
    (outcome,) = await deleted_after(hand, row, lambda: hand.rig.world.remove(hand.rig.server, row, by="somebody"))
    assert (outcome.result, outcome.changed) == (Result.DONE, False)


async def test_one_that_goes_at_the_last_moment_is_done_too(hand: Hand) -> None:
    """404 to the DELETE."""
    row = hand.add()
    hand.before(Call.DELETE, lambda world: world.remove(hand.rig.server, row, by="somebody else"))
    (outcome,) = await deleted(hand, row)
    assert (outcome.result, outcome.changed) == (Result.DONE, False)


@pytest.mark.parametrize("fault", [faults.lost_after(), faults.cut(), faults.slow(90)], ids=lambda fault: fault.name)
async def test_a_lost_answer_is_settled_by_reading(hand: Hand, fault: Fault) -> None:
    """Gone, by one DELETE."""
    row = hand.add()
    hand.rig.world.faults.order(fault, on=Call.DELETE)
    (outcome,) = await deleted(hand, row)
    assert (outcome.result, outcome.changed, hand.rig.names()) == (Result.DONE, True, [])
    assert hand.rig.requests(Call.DELETE) <= 1


async def test_one_that_fails_does_not_stop_the_others(hand: Hand) -> None:
    """The node's trouble with the first; exit 3."""
    first, second = hand.add(days=2), hand.add(days=1)
    hand.rig.world.faults.order(faults.node_error(500), on=Call.DELETE)
    outcomes = await deleted(hand, first, second)
    assert [one.result for one in outcomes] == [Result.FAILED, Result.DONE]
    assert (hand.rig.names(), exit_of(hand.rig.config, outcomes)) == ([first.name], 3)


async def test_a_key_that_may_only_read_deletes_nothing(hand: Hand) -> None:
    """403, exit 4."""
    row = hand.add()
    hand.as_user("backup.read")
    outcomes = await deleted(hand, row)
    assert (codes(outcomes), exit_of(hand.rig.config, outcomes)) == (["permission-lacking"], 4)
    assert hand.rig.names() == [row.name]


async def test_what_is_in_the_way_is_known_before_asking(hand: Hand) -> None:
    """Of a good one that is not locked: nothing."""
    good, locked = hand.add(), hand.add("mine", locked=True)
    assert obstacle(await hand.backup(good)) is None
    hindered = obstacle(await hand.backup(locked))
    assert hindered is not None
    assert hindered.result is Result.REFUSED


# Which ones ----------------------------------------------------------------------------------------------------------


async def known(_: str) -> bool:
    """The journal knows of it."""
    return True


async def unknown(_: str) -> bool:
    """It does not."""
    return False


async def test_a_whole_uuid_that_is_not_there_is_gone_already(hand: Hand) -> None:
    """A script that deletes twice is right twice. In upper case too."""
    row = hand.add()
    seen = await hand.operation().look()
    verdicts, missing = await pick_or_gone(seen, [row.uuid.upper(), ABSENT, ABSENT], known)
    assert ([verdict.backup.uuid for verdict in verdicts], missing) == ([row.uuid], [ABSENT])
    assert (gone(ABSENT).result, gone(ABSENT).changed) == (Result.DONE, False)


async def test_a_whole_uuid_that_nobody_knows_is_not_on_this_server(hand: Hand) -> None:
    """It may be another server's: to call it gone would let somebody believe that it was deleted there."""
    seen = await hand.operation().look()
    with pytest.raises(UsageError, match="is not on this server") as refused:
        await pick_or_gone(seen, [ABSENT], unknown)
    assert "another server's" in refused.value.hint


async def test_what_was_deleted_by_hand_is_known_to_have_been_there(hand: Hand) -> None:
    """With the same command again it is gone already; of another server nothing is known."""
    row = hand.add()
    operation = hand.operation()
    seen = await operation.look()
    await delete(operation, seen, pick(seen, [row.uuid]))
    journal = operation.run.context.journal
    assert await journal.knows(seen.server.uuid, row.uuid)
    assert not await journal.knows("another", row.uuid)


@pytest.mark.parametrize("word", ["mistyped", "0000", ABSENT[:-1], f"{{{ABSENT}}}"])
async def test_anything_else_that_is_not_there_is_a_mistake(hand: Hand, word: str) -> None:
    """A name or a beginning could be mistyped."""
    hand.add()
    with pytest.raises(UsageError, match="no backup"):
        await pick_or_gone(await hand.operation().look(), [word], known)
    assert not is_uuid(word)


async def test_a_list_that_is_not_whole_does_not_say_that_anything_is_gone(hand: Hand) -> None:
    """It may be on the page that was missed."""
    hand.add()
    restless = replace(faults.wrong_total(5), meanwhile=faults.appears("one more").meanwhile)
    hand.rig.world.faults.order(restless, on=Call.LIST, times=None)
    seen = await hand.operation().look()
    assert seen.plan.code == "partial-listing"
    with pytest.raises(UsageError, match="no backup"):
        await pick_or_gone(seen, [ABSENT], known)


async def test_the_same_one_named_twice_is_meant_once(hand: Hand) -> None:
    """By its name and by its uuid."""
    row = hand.add()
    seen = await hand.operation().look()
    assert [verdict.backup.uuid for verdict in pick(seen, [row.name, row.uuid, "latest"])] == [row.uuid]


async def test_whoever_deletes_the_newest_good_one_is_told(hand: Hand) -> None:
    """And what is left then, if anything is."""
    old, new = hand.add(days=2), hand.add(days=1)
    hand.add(days=0, state=State.FAILED)
    verdicts = (await hand.operation().look()).plan.verdicts
    by_uuid = {verdict.backup.uuid: verdict for verdict in verdicts}
    assert loss(verdicts, [by_uuid[old.uuid]]) is None
    assert loss([], []) is None
    one, both = loss(verdicts, [by_uuid[new.uuid]]), loss(verdicts, [by_uuid[new.uuid], by_uuid[old.uuid]])
    assert one == (by_uuid[new.uuid].backup, f"{new.name} is the newest good backup; the newest is then {old.name}")
    assert both is not None
    assert both[1] == f"{new.name} is the newest good backup; NO good backup is left then"


async def test_one_that_may_have_no_file_is_not_what_is_left(hand: Hand) -> None:
    """Its deletion was left half done: whoever deletes the one before it may be left with none."""
    whole, half = hand.add(days=2), hand.add(days=1)
    hand.rig.journal.ask(hand.rig.server.uuid, half.uuid, hand.rig.clock.now())
    verdicts = (await hand.operation().look()).plan.verdicts
    told = loss(verdicts, [verdict for verdict in verdicts if verdict.backup.uuid == whole.uuid])
    assert told is not None
    assert told[1] == f"{whole.name} is the newest good backup; NO good backup is left then"


def _lock(hand: Hand, row: Backup, world: World) -> None:
    world.toggle_lock(hand.rig.server, row, by="somebody")


async def test_one_that_was_locked_meanwhile_is_in_no_doubt(hand: Hand) -> None:
    """The panel refused, so its file is there; a doubt that was there before stays."""
    row, doubted = hand.add(days=3), hand.add(days=2)
    hand.rig.journal.ask(hand.rig.server.uuid, doubted.uuid, hand.rig.clock.now())
    for one in (row, doubted):
        hand.before(Call.DELETE, partial(_lock, hand, one))
        assert codes(await deleted(hand, one)) == ["backup-locked"]
    assert hand.rig.journal.asked(hand.rig.server.uuid) == {doubted.uuid}


async def test_one_that_is_locked_after_its_delete_failed_stays_in_doubt(hand: Hand) -> None:
    """The node may have removed its file before the panel said 500."""
    row = hand.add(days=3)
    hand.rig.world.faults.order(faults.refused(500, "Exception"), on=Call.DELETE)
    hand.rig.world.later(1, lambda: setattr(row, "locked", True))
    assert codes(await deleted(hand, row)) == ["backup-locked"]
    assert hand.rig.journal.asked(hand.rig.server.uuid) == {row.uuid}


async def test_deleting_the_newest_good_one_is_in_its_report(hand: Hand) -> None:
    """For scripts, that were not asked; not for the others, and not where it is still there."""
    old, new = hand.add(days=2), hand.add(days=1)
    assert codes(await deleted(hand, old)) == []
    hand.rig.world.faults.order(faults.node_error(500), on=Call.DELETE)
    assert codes(await deleted(hand, new)) == ["node"]
    assert codes(await deleted(hand, new)) == ["newest-good"]


# Beyond retention ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def history(hand: Hand) -> list[Backup]:
    """Seven own ones, the oldest first, of which keep = { last = 3 } lets four go; a foreign and a locked one."""
    hand.add("by hand", days=20)
    hand.add(days=30, locked=True)
    return [hand.add(days=days) for days in range(7, 0, -1)]


async def beyond(hand: Hand, shown: Sequence[Backup] | None = None, **options: int) -> tuple[OperationResult, ...]:
    """Delete what is beyond retention, having shown these, or all of it."""
    operation = hand.operation(**options)
    if shown is None:
        seen = await operation.look()
        return await delete_beyond_retention(operation, {one.backup.uuid for one in seen.plan.deletions}, ALONE)
    return await delete_beyond_retention(operation, {row.uuid for row in shown}, ALONE)


async def test_exactly_what_the_plan_says_is_deleted(hand: Hand, history: list[Backup]) -> None:
    """In its order."""
    seen = await hand.operation().look()
    said = [verdict.backup.name for verdict in seen.plan.deletions]
    outcomes = await beyond(hand)
    assert hand.did(Change.DELETED) == said == [row.name for row in history[:4]]
    assert [one.backup.name for one in outcomes if one.backup] == said
    again = plan(
        (await hand.operation().look()).listing,
        hand.rig.config.policy.retention,
        ownership=hand.rig.config.ownership,
        brake=Brake(),
    )
    assert again.deletions == ()


async def test_only_what_was_shown_is_deleted(hand: Hand, history: list[Backup]) -> None:
    """A backup that came meanwhile pushes another one out: nobody has agreed to that one."""
    shown = history[:4]
    hand.add(days=0)
    await beyond(hand, shown)
    assert hand.did(Change.DELETED) == [row.name for row in shown]
    assert history[4].name in hand.rig.names()


async def test_what_was_shown_and_is_kept_now_stays(hand: Hand, history: list[Backup]) -> None:
    """The newest three are gone meanwhile, so the next three are kept."""
    for row in history[4:]:
        hand.rig.world.remove(hand.rig.server, row, by="somebody else")
    await beyond(hand, history[:4])
    assert [row.name in hand.rig.names() for row in history[:4]] == [False, True, True, True]


async def test_the_brake_holds_by_hand_too(hand: Hand, history: list[Backup]) -> None:
    """Four are more than three: none is deleted, and exit 5."""
    hand.rig.configure(max_deletions=3)
    outcomes = await beyond(hand, history[:4])
    assert (codes(outcomes), exit_of(hand.rig.config, outcomes)) == (["max-deletions"], 5)
    assert hand.did(Change.DELETED) == []
    await beyond(hand, max_deletions=4)
    assert len(hand.did(Change.DELETED)) == 4


async def test_one_that_is_locked_meanwhile_stays_and_the_others_go(hand: Hand, history: list[Backup]) -> None:
    """The list is taken and judged anew, as in a rotation."""
    hand.before(Call.DELETE, lambda world: world.toggle_lock(hand.rig.server, history[1], by="somebody"), skip=1)
    outcomes = await beyond(hand)
    assert hand.did(Change.DELETED) == [history[number].name for number in (0, 2, 3)]
    assert exit_of(hand.rig.config, outcomes) == 0


async def test_one_that_the_node_does_not_delete_stays_and_the_others_go(hand: Hand, history: list[Backup]) -> None:
    """It is said which and why: exit 3."""
    hand.rig.world.faults.order(faults.node_error(500), on=Call.DELETE, skip=2)
    outcomes = await beyond(hand)
    assert hand.did(Change.DELETED) == [history[number].name for number in (0, 1, 3)]
    assert (codes(outcomes), exit_of(hand.rig.config, outcomes)) == (["undeletable"], 3)


async def test_trouble_with_the_key_in_the_middle_ends_it_and_tells_what_was_deleted(
    hand: Hand, history: list[Backup]
) -> None:
    """Two are gone, then the key is refused, as it would be for each: exit 3."""
    hand.rig.world.faults.order(faults.refused(401, "AuthenticationException"), on=Call.DELETE, skip=2)
    outcomes = await beyond(hand)
    assert [one.backup.name for one in outcomes if one.backup] == [row.name for row in history[:2]]
    assert (codes(outcomes), exit_of(hand.rig.config, outcomes)) == (["key-refused"], 3)


async def test_what_changes_each_time_it_is_looked_at_is_said(hand: Hand, history: list[Backup]) -> None:
    """Three lists, then it ends."""
    locked = faults.refused(400, "BackupLockedException", "Cannot delete a backup that is marked as locked.")
    hand.rig.world.faults.order(locked, on=Call.DELETE, times=None)
    outcomes = await beyond(hand)
    assert (codes(outcomes), hand.rig.requests(Call.DELETE)) == (["changing"], 3)
    assert exit_of(hand.rig.config, outcomes) == 3


async def test_a_rotation_under_way_keeps_the_hand_off(hand: Hand, history: list[Backup]) -> None:
    """Two that delete would count each for itself."""
    with server_lock(hand.rig.folder / "state", hand.rig.server.uuid):
        outcomes = await beyond(hand)
    assert (codes(outcomes), exit_of(hand.rig.config, outcomes), hand.did(Change.DELETED)) == (["busy"], 3, [])


async def test_without_a_journal_that_is_configured_nothing_is_deleted(hand: Hand, history: list[Backup]) -> None:
    """What was accepted is not known then."""
    hand.rig.journal.close()
    journal = hand.rig.folder / "state" / "history.sqlite3"
    with sqlite3.connect(journal) as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    hand.rig.context = hand.rig.open_context()
    outcomes = await beyond(hand, history[:4])
    assert "journal" in codes(outcomes)
    assert (hand.did(Change.DELETED), exit_of(hand.rig.config, outcomes)) == ([], 4)


async def test_with_a_panel_whose_total_is_wrong_it_is_said(hand: Hand, history: list[Backup]) -> None:
    """The part that is seen twice is judged."""
    hand.rig.world.faults.order(faults.wrong_total(), on=Call.LIST, times=None)
    outcomes = await beyond(hand)
    assert (codes(outcomes), len(hand.did(Change.DELETED))) == (["wrong-total"], 4)


async def test_it_leaves_no_row_that_could_pass_for_a_rotation(hand: Hand, history: list[Backup]) -> None:
    """A start would else not count as missed, though no backup was made."""
    await asyncio.gather(beyond(hand))
    assert hand.rig.journal.recent() == []
