"""What a rotation does where another member of its cluster would decide differently (invariant 20)."""

import pytest

from daemon.alerts.assess import report_of
from daemon.config.values import ServerConfig
from daemon.core.alerting import Event
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome, Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from tests.whole.rig import Rig

pytestmark = pytest.mark.anyio

WHY = "members of the cluster differ, so nothing is deleted"


def differ(rig: Rig) -> None:
    """Let another member say something else, from now on."""

    def disputed(_: ServerConfig, /, *_stores: str) -> str:
        return WHY

    rig.context.disputed = disputed


def trouble(rig: Rig, outcome: Outcome) -> Event | None:
    """What is alerted of it."""
    return report_of(Order(rig.config, "schedule"), outcome).trouble


async def test_the_backup_is_made_and_nothing_is_deleted(rig: Rig) -> None:
    """That is alerted once for all servers, and not for each rotation."""
    names = rig.fill(5)
    differ(rig)
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems[-1].code, outcome.problems[-1].text) == (Result.REFUSED, "disputed", WHY)
    assert "cluster status" in outcome.problems[-1].hint
    assert (outcome.created is not None, rig.names()[:5], outcome.deleted) == (True, names, ())
    assert trouble(rig, outcome) is None


async def test_where_nothing_was_to_be_deleted_the_rotation_is_done(rig: Rig) -> None:
    """There is nothing to tell."""
    rig.fill(2)
    differ(rig)
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems) == (Result.DONE, ())


async def test_one_that_begins_while_a_rotation_deletes_saves_what_is_left(rig: Rig) -> None:
    """It is looked at before each DELETE."""
    names = rig.fill(6)
    rig.world.faults.order(faults.meanwhile(lambda *_: differ(rig)), on=Call.DELETE)
    outcome = await rig.rotate()
    assert [backup.name for backup in outcome.deleted] == names[:1]
    assert (outcome.result, outcome.problems[-1].code) == (Result.REFUSED, "disputed")


async def test_no_room_is_made_at_the_limit(rig: Rig) -> None:
    """Then there is no backup, which is alerted as ever."""
    names = rig.fill(4)
    rig.server.limit = 4
    differ(rig)
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems[-1].code, rig.names()) == (Result.REFUSED, "limit", names)
    assert outcome.problems[-1].text.endswith(WHY)
    assert trouble(rig, outcome) is Event.LIMIT


async def test_what_was_refused_is_not_counted_by_the_brake_as_let_through(rig: Rig) -> None:
    """The first plan that is carried out meets the brake, as it is by then."""
    rig.fill(6)
    differ(rig)
    rig.configure(max_deletions=10, max_share=1.0)
    first = await rig.rotate()
    assert (first.result, first.problems[-1].code, first.deleted) == (Result.REFUSED, "disputed", ())
    rig.context.disputed = lambda _config, *_stores: ""
    rig.configure(max_deletions=1, max_share=1.0)
    second = await rig.rotate()
    assert (second.result, second.problems[-1].code, second.deleted) == (Result.REFUSED, "max-deletions", ())
