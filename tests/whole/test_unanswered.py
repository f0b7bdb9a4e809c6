"""Writes that nobody knows the outcome of, on a panel that does not let it be looked for either."""

from dataclasses import replace

import pytest

from daemon.panel.errors import ServerStateError
from daemon.rotation.outcome import LOOKED_AT_NEXT, UNDELETED_HINT, Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.settings import Kind
from tests.whole.rig import Rig

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", Kind)]


def from_then_on(fault: Fault, rig: Rig, *, seconds: float = 3600) -> Fault:
    """That fault, and every other call meets it too for so long."""

    def begin(*_: object) -> None:
        rig.world.faults.order(fault, on=None, times=None)
        rig.world.later(seconds, rig.world.faults.clear)

    return replace(fault, meanwhile=begin)


@pytest.mark.parametrize("retry_after", [None, "60", "1800"])
async def test_a_create_in_a_maintenance_is_looked_for_two_minutes_and_tried_again_when_the_panel_asks_for_it(
    rig: Rig, retry_after: str | None
) -> None:
    """The node's place is not held any longer; both reasons are told, and that nobody has to do anything."""
    maintenance = faults.refused(503, "HttpException", "Maintenance.", retry_after)
    rig.world.faults.order(from_then_on(maintenance, rig), on=Call.CREATE)
    began = rig.clock.now()
    outcome = await rig.rotate("schedule", began)
    (problem,) = outcome.problems
    assert (rig.clock.now() - began).total_seconds() == pytest.approx(120, abs=1)
    assert (outcome.result, problem.code, problem.hint) == (Result.FAILED, "create-unknown", LOOKED_AT_NEXT)
    assert "creating a backup" in problem.text
    assert "listing the backups" in problem.text
    assert outcome.retry_at is not None
    assert (outcome.retry_at - rig.clock.now()).total_seconds() == max(600, int(retry_after or 0))


async def test_a_create_on_a_panel_that_falls_silent_holds_its_place_two_minutes_and_the_time_of_an_answer(
    rig: Rig,
) -> None:
    """However long each of the looks would wait."""
    rig.world.faults.order(from_then_on(faults.slow(1000), rig), on=Call.CREATE)
    began = rig.clock.now()
    outcome = await rig.rotate("schedule", began)
    assert outcome.problems[-1].code == "create-unknown"
    assert (rig.clock.now() - began).total_seconds() == pytest.approx(60 + 120 + 30, abs=1)
    await rig.clock.sleep(1000)


@pytest.mark.parametrize("strange", [faults.redirected(), faults.web_page(404), faults.half_json()])
async def test_a_strange_answer_to_a_look_for_a_create_does_not_end_the_rotation(rig: Rig, strange: Fault) -> None:
    """A panel that comes up again, or a proxy before it, may answer so for a moment."""
    rig.world.faults.order(faults.error_after(503), on=Call.CREATE)
    rig.world.faults.order(strange, on=Call.LIST, skip=1)
    assert (await rig.rotate()).result is Result.DONE


async def test_of_a_deletion_nobody_knows_of_nobody_has_to_do_anything(rig: Rig) -> None:
    """While it is seen to stand it is asked for again, within a minute; the next rotation judges what is there then."""
    for _ in range(3):
        await rig.rotate()
    rig.world.faults.order(faults.web_page(502), on=Call.DELETE, times=None)
    outcome = await rig.rotate()
    assert [(problem.code, problem.hint) for problem in outcome.problems] == [("undeletable", UNDELETED_HINT)]
    rig.world.faults.clear()
    assert (await rig.rotate()).result is Result.DONE
    assert len(rig.names()) == 3


async def test_who_can_end_a_suspension_is_said_where_it_is_met(rig: Rig) -> None:
    """In the outcome, and so in the journal, the alert and `status`."""
    rig.server.status = "suspended"
    assert (await rig.rotate()).problems[-1].hint == ServerStateError.suspended_hint
