"""What a fleet that starts together asks of its panel: requests counted for each rotation, on virtual time."""

from collections import Counter
from datetime import timedelta

import pytest

from daemon.sandbox import faults
from daemon.sandbox.app import CallMade
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Work
from daemon.sandbox.scenes import history
from tests.whole.fleet import Daemons, at, until

pytestmark = pytest.mark.anyio

SERVERS, NODES, BACKUPS, SECONDS = 20, 5, 60, 90
PAGES = 2
TOO_MANY = 429
IDEAL = 3 + 1 + (PAGES - 1) * 2
"""List, create, list, DELETE: each list on two pages."""


@pytest.fixture
async def fleet(daemons: Daemons) -> Daemons:
    """Servers on few nodes, so that they wait for each other."""
    return populated(daemons, NODES)


def populated(daemons: Daemons, nodes: int) -> Daemons:
    """Servers that are as full as their policy lets them be; backups take as long as they always did."""
    world = daemons.world
    world.servers.clear()
    owner = next(iter(world.keys.values())).user
    machines = [world.add_node(f"machine-{number}") for number in range(nodes)]
    for number in range(SERVERS):
        home = machines[number % nodes]
        server = world.add_server(f"server-{number}", owner=owner, node=home, limit=100, work=Work(seconds=SECONDS))
        history(world, server, [world.now() - timedelta(days=day - 0.5) for day in range(BACKUPS, 0, -1)])
    return daemons


async def a_night(fleet: Daemons) -> list[CallMade]:
    """All start at five; the last of four to a node ends long before six. Returns what was asked meanwhile."""
    async with fleet.running(fleet.configure(schedule="0 5 * * *", keep={"last": BACKUPS})):
        await until(fleet.clock, at(1, 4, 59, 59))
        before = len(fleet.app.calls)
        await until(fleet.clock, at(1, 6))
    return list(fleet.app.calls)[before:]


async def test_each_rotation_costs_what_it_must_and_servers_are_seen_together(fleet: Daemons) -> None:
    """In the median the ideal and nothing more: the servers come from a list when they start and one for each turn."""
    calls = await a_night(fleet)
    of_its_own = Counter(call.server for call in calls if call.server is not None)
    assert list(of_its_own.values()) == [IDEAL] * SERVERS
    assert len(calls) == SERVERS * IDEAL + SERVERS // NODES


async def test_without_a_list_every_server_is_rotated_all_the_same(fleet: Daemons) -> None:
    """A panel that cannot list servers costs a view for each, and a request a minute to find that out."""
    fleet.world.faults.order(faults.web_page(502), on=Call.SERVERS, times=None)
    calls = await a_night(fleet)
    asked = Counter(call.call for call in calls)
    assert asked[Call.CREATE] == SERVERS
    assert asked[Call.SERVERS] == SERVERS // NODES
    assert asked[Call.SERVER] == 2 * SERVERS - NODES  # before the wait for a place and, where it was long, after it


async def test_at_the_api_limit_nothing_is_asked_twice(daemons: Daemons) -> None:
    """With 25 requests a minute for twenty rotations each waits most of a minute for its turn, and is fresh even so."""
    fleet = populated(daemons, SERVERS)
    fleet.world.settings.api_limit = 32
    calls = await a_night(fleet)
    assert Counter(call.server for call in calls if call.call is not Call.SERVERS) == dict.fromkeys(
        fleet.world.servers, IDEAL
    )
    assert TOO_MANY not in {call.status for call in fleet.app.calls}
