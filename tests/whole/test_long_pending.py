"""A backup of ours that is pending far longer than earlier ones took: waited for, told, and in nobody's way."""

import asyncio
import io
import json
from datetime import timedelta

import pytest

from daemon.log import configure
from daemon.operations.rotations import dry_run_outcome
from daemon.rotation.outcome import Result
from daemon.rotation.preview import preview
from daemon.sandbox.orders import Call
from daemon.sandbox.records import BackupEnding, State, Work
from daemon.sandbox.scenes import own_name
from tests.whole.rig import Rig
from tests.whole.test_trouble import deleted

pytestmark = pytest.mark.anyio


def pending(rig: Rig, *, minutes: float) -> str:
    """Put a pending one of ours into the panel, made so many minutes ago; return its uuid."""
    made = rig.world.now() - timedelta(minutes=minutes)
    name = own_name("survival", made, 77)
    return rig.world.add_backup(rig.server, name, created_at=made, state=State.PENDING, by="history").uuid


@pytest.fixture
async def history(rig: Rig) -> list[str]:
    """Five good ones, which took seconds."""
    return rig.fill(5)


async def test_an_adopted_one_that_is_pending_for_an_hour_does_not_hold_its_nodes_place(
    rig: Rig, history: list[str]
) -> None:
    """The node restarted meanwhile; the neighbour's backup is made at once."""
    pending(rig, minutes=60)
    began = rig.clock.now()
    adopting = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(1)
    neighbour = await rig.rotate(of=rig.neighbour("creative"))
    assert neighbour.result is Result.DONE
    assert rig.clock.now() - began < timedelta(minutes=1)
    adopting.cancel()
    await asyncio.gather(adopting, return_exceptions=True)


async def test_a_new_one_gives_its_place_back_once_it_took_twenty_times_as_long_as_usual(
    rig: Rig, history: list[str]
) -> None:
    """After half an hour, and not after node_hold."""
    rig.server.coming.append(Work(outcome=BackupEnding.STUCK))
    began = rig.clock.now()
    stuck = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(1)
    assert (await rig.rotate(of=rig.neighbour("creative"))).result is Result.DONE
    assert timedelta(minutes=30) <= rig.clock.now() - began < timedelta(minutes=31)
    await stuck


async def test_one_without_forerunners_holds_its_place_for_node_hold(rig: Rig) -> None:
    """Nobody knows how long the first one takes."""
    rig.server.coming.append(Work(outcome=BackupEnding.STUCK))
    began = rig.clock.now()
    stuck = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(1)
    assert (await rig.rotate(of=rig.neighbour("creative"))).result is Result.DONE
    assert rig.clock.now() - began >= timedelta(hours=1)
    await stuck


async def test_it_is_told_while_it_is_waited_for(rig: Rig, history: list[str]) -> None:
    """Since when, how long it takes otherwise, and when it is given up; seldom, and at once for one that is old."""
    pending(rig, minutes=60)
    configure(stream=(stream := io.StringIO()), clock=rig.clock)
    await rig.rotate()
    told = [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == "still_pending"]
    assert told[0]["since"] == "2026-04-01 02:59 UTC"
    assert told[0]["usually"] == "1 min"
    assert told[0]["given_up_at"] == "2026-04-01 08:59 UTC"
    assert 2 <= len(told) <= 4


async def test_one_that_is_made_as_usual_is_not_told(rig: Rig, history: list[str]) -> None:
    """The log says that it began and that it ended."""
    configure(stream=(stream := io.StringIO()), clock=rig.clock)
    await rig.rotate()
    assert "still_pending" not in stream.getvalue()


async def test_a_rehearsal_says_that_it_would_adopt_it(rig: Rig, history: list[str]) -> None:
    """It creates none, and counts the pending one as the new one, as the rotation will."""
    uuid = pending(rig, minutes=60)
    rehearsed = dry_run_outcome(await preview(rig.config, rig.client, rig.context.journal, rig.clock))
    assert rehearsed.created is not None
    assert rehearsed.created.uuid == uuid
    backup = rig.server.backups[uuid]
    rig.world.later(60, lambda: rig.world.report(rig.server, backup, success=True))
    outcome = await rig.rotate()
    assert rig.requests(Call.CREATE) == 0
    assert [one.name for one in rehearsed.deleted] == deleted(rig)
    assert rehearsed.kept == outcome.kept


async def test_a_rehearsal_at_the_limit_adopts_without_room(rig: Rig, history: list[str]) -> None:
    """What is pending holds its place already."""
    pending(rig, minutes=60)
    rig.server.limit = 6
    rig.configure(keep={"last": 10})
    rehearsed = dry_run_outcome(await preview(rig.config, rig.client, rig.context.journal, rig.clock))
    assert (rehearsed.result, rehearsed.deleted) == (Result.DONE, ())


async def test_a_rehearsal_says_which_ones_are_stuck(rig: Rig, history: list[str]) -> None:
    """As the rotation does; it makes a new one then."""
    pending(rig, minutes=7 * 60)
    rehearsed = dry_run_outcome(await preview(rig.config, rig.client, rig.context.journal, rig.clock))
    assert rehearsed.created is None
    assert [problem.code for problem in rehearsed.problems] == ["stuck"]
    assert [problem.code for problem in (await rig.rotate()).problems] == ["stuck"]
