"""A world that is next to nothing from one night on: no rotation gives the whole ones away for it."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.answers import SandboxAnswer
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import Work
from tests.whole.rig import Rig

pytestmark = pytest.mark.anyio

HOUR, DAY = 3600.0, 86_400.0
WIPED = Work(size=50)


async def rotations(rig: Rig, count: int, every: float) -> list[Result]:
    """So many rotations, one after the other."""
    results = []
    for _ in range(count):
        results.append((await rig.rotate()).result)
        await rig.clock.sleep(every)
    return results


async def test_a_row_of_small_ones_is_believed_after_days_and_the_last_whole_one_stays(rig: Rig) -> None:
    """`last = 3`: three small ones in a row delete none, and the fourth day's lets all go but the newest whole one."""
    whole = rig.fill(7)
    rig.server.work = WIPED
    assert await rotations(rig, 3, DAY) == [Result.FAILED] * 3
    assert set(whole) < set(rig.names())
    assert await rotations(rig, 20, DAY) == [Result.DONE] * 20
    assert set(whole) & set(rig.names()) == {whole[-1]}
    assert await rotations(rig, 10, DAY) == [Result.DONE] * 10
    assert set(whole) & set(rig.names()) == set()


async def test_hourly_backups_go_on_at_a_small_limit_and_no_whole_one_goes_for_them(rig: Rig) -> None:
    """Six places, of which three hold whole ones: room is made inside the row of small ones, again and again."""
    whole = rig.fill(3)
    rig.server.limit, rig.server.work = 6, WIPED
    assert await rotations(rig, 60, HOUR) == [Result.FAILED] * 60
    assert set(whole) < set(rig.names())
    assert len(rig.names()) == 6
    assert (await rotations(rig, 20, HOUR))[-5:] == [Result.DONE] * 5
    assert whole[-1] in rig.names()


async def test_no_second_whole_one_makes_room_for_small_ones(rig: Rig) -> None:
    """Four places for `last = 3`: there is none for a row, and the schedule stops until somebody has looked."""
    whole = rig.fill(4)
    rig.server.limit, rig.server.work = 4, WIPED
    results = await rotations(rig, 4, HOUR)
    assert results == [Result.FAILED, *[Result.REFUSED] * 3]
    assert set(whole) - set(rig.names()) == {whole[0]}
    small = next(one.uuid for one in rig.server.backups.values() if one.name not in whole)
    rig.journal.accept(rig.server.uuid, small, rig.clock.now())
    assert await rotations(rig, 1, HOUR) == [Result.DONE]


async def a_whole_one_made_room_and_a_small_one_did_not(rig: Rig, *, killed: bool = False) -> list[str]:
    """Four whole ones and two places: the first makes room for a third small one, and no small one for a fourth."""
    whole = rig.fill(4)
    rig.server.limit, rig.server.work = 6, WIPED
    assert await rotations(rig, 3, HOUR) == [Result.FAILED] * 3
    assert set(whole) - set(rig.names()) == {whole[0]}
    rig.world.faults.order(replace(faults.node_error(502), before=30), on=Call.DELETE)
    rotation = asyncio.create_task(rig.rotate())
    if killed:
        await rig.clock.sleep(10)
        rotation.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rotation
    else:
        assert (await rotation).result is Result.REFUSED
    await rig.clock.sleep(HOUR)
    return whole


@pytest.mark.parametrize("killed", [False, True], ids=["refused", "killed before it was asked for"])
async def test_a_small_one_that_could_not_make_room_does_not_let_a_second_whole_one_go(rig: Rig, killed: bool) -> None:
    """The whole one went before that, and no backup has turned good since (seeds 827515 and 830347)."""
    whole = await a_whole_one_made_room_and_a_small_one_did_not(rig, killed=killed)
    for one in rig.server.backups.values():
        one.locked = one.name not in whole
    assert await rotations(rig, 2, HOUR) == [Result.REFUSED] * 2
    assert set(whole) - set(rig.names()) == {whole[0]}


async def test_small_ones_that_are_gone_are_not_taken_for_a_place_that_somebody_else_took(rig: Rig) -> None:
    """Their creates were accepted after the room that a whole one made, whatever was to make room since."""
    whole = await a_whole_one_made_room_and_a_small_one_did_not(rig)
    for one in [one for one in rig.server.backups.values() if one.name not in whole]:
        del rig.server.backups[one.uuid]
        rig.world.add_backup(rig.server, "taken", created_at=rig.world.now(), by="somebody")
    assert await rotations(rig, 2, DAY) == [Result.REFUSED] * 2
    assert set(whole) - set(rig.names()) == {whole[0]}


@pytest.mark.parametrize("seen_before", [True, False])
async def test_a_part_of_the_list_is_compared_with_the_last_whole_list(rig: Rig, seen_before: bool) -> None:
    """Rows that a list leaves out, with a wrong total, are a measure all the same, in the next process too."""
    rig.fill(7)
    if seen_before:
        await rig.rotate()
    rig.journal.close()
    rig.context = rig.open_context()

    def leave_out_the_large(answer: SandboxAnswer) -> SandboxAnswer:
        document = json.loads(answer.body)
        document["data"] = [row for row in document["data"] if row["attributes"]["bytes"] < 1000]
        return replace(answer, body=json.dumps(document).encode())

    rig.world.faults.order(Fault("part", change=leave_out_the_large), on=Call.LIST, times=None)
    rig.server.work = WIPED
    await rig.clock.sleep(timedelta(days=1).total_seconds())
    outcome = await rig.rotate()
    assert "backup-suspicious" in {problem.code for problem in outcome.problems} or not seen_before
    assert outcome.result is (Result.FAILED if seen_before else Result.DONE)
