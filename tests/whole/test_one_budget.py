"""One API budget for all members of a cluster: the panel answers nobody 429, and the reserve stays whole.

Whole daemons on virtual time, before the sandbox in this process: its window takes a minute, and only those after the
first show anything. What is not real is the database, the network, and the time that the processor takes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from io import StringIO
from pathlib import Path

import httpx
import pytest

from daemon.log import configure
from daemon.sandbox.faults import slow
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Work
from daemon.sandbox.scenes import KEY, empty
from daemon.sandbox.settings import Settings
from tests.virtual import VirtualClock
from tests.whole.fleet import Daemons, on_virtual_time
from tests.whole.members import Cluster, cluster
from tests.whole.rig import InProcess

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

LIMIT = 240
LEFT_TO_OTHERS = 48
SHARE = LIMIT - LEFT_TO_OTHERS
MINUTE = 60.0
OWN_WINDOW = 62
NODES, SERVERS = 12, 900


@dataclass
class Busy:
    """A cluster with more to do than its panel allows, and somebody else who uses the same key."""

    cluster: Cluster
    daemons: Daemons
    answers: list[int] = field(default_factory=list)
    """The statuses of the answers to somebody else."""

    async def use(self) -> None:
        """Ask for all that is left to others at once, each time 11 s later in the panel's window."""
        server = next(iter(self.daemons.world.servers.values()))
        path = f"https://panel.example.com/api/client/servers/{server.identifier}/resources"
        headers = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}
        async with httpx.AsyncClient(transport=InProcess(self.daemons.app), headers=headers) as web:
            await self.daemons.clock.sleep(MINUTE)
            while True:
                answers = await asyncio.gather(*(web.get(path) for _ in range(LEFT_TO_OTHERS)))
                self.answers += [answer.status_code for answer in answers]
                await self.daemons.clock.sleep(MINUTE + 11)

    async def until(self, minutes: float) -> None:
        """Go on until so many minutes have passed since the beginning."""
        await self.daemons.clock.sleep(minutes * MINUTE - self.daemons.clock.monotonic())

    @property
    def refused(self) -> int:
        """How many answers 429 there were, to whomever."""
        return sum(call.status == HTTPStatus.TOO_MANY_REQUESTS for call in self.daemons.app.calls)

    def asked(self, until: float, seconds: float = MINUTE) -> int:
        """How many requests the members sent in the time until that moment."""
        return sum(until - seconds < at <= until for at in self._ours)

    @property
    def _ours(self) -> list[float]:
        began, calls = self.daemons.clock.first, self.daemons.app.calls
        return [(call.at - began).total_seconds() for call in calls if call.call is not Call.RESOURCES]


@asynccontextmanager
async def busy(daemons: Daemons, *names: str) -> AsyncIterator[Busy]:
    """Let members of these names begin, and somebody else a minute later."""
    config = daemons.configure(keep="all")
    panels = {name: replace(panel, backups_per_node=SERVERS) for name, panel in config.panels.items()}
    servers = {name: replace(one, panel=panels[one.panel.name]) for name, one in config.servers.items()}
    async with cluster(daemons, replace(config, panels=panels, servers=servers)) as made:
        for name in names:
            await made.join(name)
        begun = Busy(made, daemons)
        other = asyncio.create_task(begun.use())
        try:
            yield begun
        finally:
            other.cancel()


@pytest.fixture
def daemons(monkeypatch: pytest.MonkeyPatch, virtual_clock: VirtualClock, tmp_path: Path) -> Daemons:
    """Servers that are due in a minute, for members to come."""
    configure("error", stream=StringIO())
    on_virtual_time(monkeypatch, virtual_clock)
    world, owner, _ = empty(virtual_clock, settings=Settings(api_limit=LIMIT, creation_limit=0))
    nodes = [world.add_node(f"machine-{number}") for number in range(NODES)]
    for number in range(SERVERS):
        home = nodes[number % NODES]
        world.add_server(f"server-{number}", owner=owner, node=home, limit=20, work=Work(seconds=5))
    world.faults.order(slow(0.02), times=None)
    return Daemons(world, virtual_clock, tmp_path)


async def test_three_members_at_full_load_leave_the_reserve_whole_and_nobody_is_answered_429(daemons: Daemons) -> None:
    """Whenever in the panel's window others take all that is left to them; and the members use what is theirs."""
    async with busy(daemons, "one", "two", "three") as seen:
        await seen.until(7)
    assert seen.refused == 0
    assert seen.answers == [HTTPStatus.OK] * 6 * LEFT_TO_OTHERS
    assert max(seen.asked(end, OWN_WINDOW) for end in range(7 * 60)) <= SHARE
    assert sum(seen.asked(minute * MINUTE) for minute in range(2, 8)) >= 0.85 * 6 * SHARE


async def test_a_member_that_is_cut_off_from_the_database_and_the_one_that_takes_over_leave_the_reserve_whole(
    daemons: Daemons,
) -> None:
    """It goes on at its half while the other one has all: what rule 1 does not hold back, rule 2 does."""
    async with busy(daemons, "one", "two") as seen:
        cut_off = seen.cluster.members[-1]
        await seen.until(2)
        cut_off.shares.cut_off()
        await seen.until(2.5)
        cut_off.shares.die()
        await seen.until(4)
        before = cut_off.requests
        await seen.until(8)
    assert seen.refused == 0
    assert seen.answers == [HTTPStatus.OK] * 6 * LEFT_TO_OTHERS
    assert cut_off.requests > before
