"""Servers seen together: what it costs, counted, and that nobody pays for another's trouble.

The panel is the sandbox in this process, on virtual time.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from daemon.core.model import Server as Seen
from daemon.panel.client import PanelClient
from daemon.panel.errors import NotFoundError, PanelError
from daemon.sandbox import faults
from daemon.sandbox.app import PanelApp
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import Server, User
from daemon.sandbox.scenes import KEY, fleet
from tests.virtual import BACKEND, VirtualClock
from tests.whole.rig import InProcess

pytestmark = pytest.mark.anyio

SERVERS = 250
"""On three pages of a hundred."""


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


class Panel:
    """A panel with many servers, and a client of it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.world = fleet(self.clock, SERVERS)
        self.servers = list(self.world.servers.values())
        self.app = PanelApp(self.world)
        self.client = PanelClient(
            "main", "https://panel.example.com", SecretStr(KEY), clock=self.clock, transport=InProcess(self.app)
        )

    async def see(self, *servers: Server) -> list[Seen | BaseException]:
        """See them all at once."""
        return await asyncio.gather(
            *(self.client.seen_server(server.identifier) for server in servers), return_exceptions=True
        )

    async def seen(self, *servers: Server) -> bool:
        """Whether all of them are seen for what they are."""
        return [isinstance(one, Seen) and one.uuid for one in await self.see(*servers)] == [s.uuid for s in servers]

    async def cost(self) -> tuple[int, int]:
        """Pages of the list, and views, once what is on its way has come."""
        await self.clock.sleep(2)
        return self.app.requests(Call.SERVERS), self.app.requests(Call.SERVER)


@pytest.fixture
async def panel() -> AsyncIterator[Panel]:
    """A panel that nobody has asked yet."""
    made = Panel()
    yield made
    await made.client.aclose()


async def test_all_who_start_together_share_one_list(panel: Panel) -> None:
    """250 servers on three pages: three requests, and none for those who ask again within the minute."""
    assert await panel.seen(*panel.servers)
    await panel.clock.sleep(57)
    assert await panel.seen(*panel.servers)
    assert await panel.cost() == (3, 0)


async def test_who_starts_together_need_not_ask_in_the_very_same_moment(panel: Panel) -> None:
    """The first waits a blink for the others, and looks with them."""
    asking = []
    for server in panel.servers[:20]:
        asking.append(asyncio.create_task(panel.seen(server)))
        await panel.clock.sleep(0.002)
    assert all(await asyncio.gather(*asking))
    assert await panel.cost() == (3, 0)


async def test_after_a_minute_a_server_is_looked_at_again(panel: Panel) -> None:
    """What was seen longer ago is not used."""
    assert await panel.seen(*panel.servers[:120])
    await panel.clock.sleep(61)
    assert await panel.seen(*panel.servers[:120])
    assert await panel.cost() == (6, 0)


async def test_who_is_alone_costs_one_view_and_no_second_within_the_minute(panel: Panel) -> None:
    """A list would be the larger answer."""
    assert await panel.seen(panel.servers[0])
    assert await panel.seen(panel.servers[0])
    assert await panel.cost() == (0, 1)


async def test_a_list_of_more_pages_than_askers_is_given_up_after_its_first(panel: Panel) -> None:
    """Two servers of 250 are on one page or looked at singly; that the list is long is remembered."""
    assert await panel.seen(panel.servers[0], panel.servers[249])
    assert await panel.cost() == (1, 1)
    await panel.clock.sleep(61)
    assert await panel.seen(panel.servers[0], panel.servers[249])
    assert await panel.cost() == (1, 3)


async def test_a_steady_stream_of_lone_askers_shares_lists_too(panel: Panel) -> None:
    """One every five seconds, as places on nodes come free: far fewer requests than servers."""
    for server in panel.servers[:120]:
        assert await panel.seen(server)
        await panel.clock.sleep(5)
    pages, views = await panel.cost()
    assert views < 10
    assert pages <= 3 * 10 + 1


async def test_servers_that_the_list_does_not_show_are_viewed_and_keep_their_errors(panel: Panel) -> None:
    """An administrator sees more than the list of its own; who asks for nothing that is there gets the panel's 404."""
    foreign = panel.world.add_server("foreign", owner=User("bob"), node=panel.servers[0].node)
    unknown = panel.client.seen_server("00000000")
    seen, outcome = await asyncio.gather(panel.seen(*panel.servers, foreign), unknown, return_exceptions=True)
    assert seen is True
    assert isinstance(outcome, NotFoundError)
    assert await panel.cost() == (3, 2)


async def test_a_server_that_is_never_listed_causes_no_lists(panel: Panel) -> None:
    """It does not count as one for whom a list would be worth reading."""
    foreign = [panel.world.add_server(f"foreign-{n}", owner=User("bob"), node=panel.servers[0].node) for n in range(5)]
    assert await panel.seen(*panel.servers[:10], *foreign)
    assert await panel.cost() == (3, 5)
    await panel.clock.sleep(61)
    assert await panel.seen(*foreign)
    assert await panel.cost() == (3, 10)


async def test_the_list_brings_good_news_only(panel: Panel) -> None:
    """Who is suspended, or has no backups, by the list is looked at by himself; the others are not."""
    panel.servers[1].status = "suspended"
    panel.servers[2].limit = 0
    seen = await panel.see(*panel.servers)
    assert [server.name for server in seen if isinstance(server, Seen) and server.obstacle] == [panel.servers[1].name]
    assert await panel.cost() == (3, 2)


@pytest.mark.parametrize("field", ["feature_limits", "node", "uuid", "identifier"])
async def test_an_odd_list_stops_nobody(panel: Panel, field: str) -> None:
    """A list without a field that matters is as good as none; everybody is looked at by himself."""
    panel.world.faults.order(faults.without(field), on=Call.SERVERS, times=None)
    assert await panel.seen(*panel.servers[:30])
    assert (await panel.cost())[1] == 30


@pytest.mark.parametrize(
    "fault",
    [faults.web_page(502), faults.lost_after(), faults.odd(), faults.half_json(), faults.slow(31)],
    ids=lambda fault: fault.name,
)
async def test_a_list_that_fails_costs_one_request_and_stops_nobody(panel: Panel, fault: Fault) -> None:
    """Each looks by himself, and the list is left alone for a minute."""
    panel.world.faults.order(fault, on=Call.SERVERS)
    assert await panel.seen(*panel.servers[:30])
    assert await panel.cost() == (1, 30)
    await panel.clock.sleep(30)
    assert await panel.seen(*panel.servers[30:40])
    assert await panel.cost() == (1, 40)
    await panel.clock.sleep(61)
    assert await panel.seen(*panel.servers[:30])
    assert await panel.cost() == (4, 40)


async def test_a_second_page_that_fails_takes_nothing_from_the_first(panel: Panel) -> None:
    """Who was on the first page goes on at once; the rest look by themselves."""
    panel.world.faults.order(faults.web_page(502), on=Call.SERVERS, skip=1)
    assert await panel.seen(*panel.servers)
    assert await panel.cost() == (2, 150)


async def test_who_is_on_the_first_page_does_not_wait_for_the_last(panel: Panel) -> None:
    """Each page is handed out as it comes."""
    panel.world.faults.order(faults.slow(20), on=Call.SERVERS, skip=1)
    rest = asyncio.create_task(panel.seen(*panel.servers[1:]))
    assert await panel.seen(panel.servers[0])
    assert panel.clock.monotonic() < 1
    assert await rest


async def test_the_list_goes_before_what_waits_for_the_api_limit(panel: Panel) -> None:
    """Two minutes of requests are queued: those who need to see their server do not wait behind them."""
    panel.world.settings.api_limit = 240
    queued = [asyncio.create_task(panel.client.backups(server.identifier)) for server in panel.servers for _ in "12"]
    await panel.clock.sleep(5)
    assert await panel.seen(*panel.servers)
    assert panel.clock.monotonic() < 10
    for task in queued:
        task.cancel()


async def test_who_comes_while_the_list_is_read_is_still_taken_for_one_that_it_shows(panel: Panel) -> None:
    """His page went by while he was suspended; he looks by himself this once, and is served by the next list."""
    late, *others = panel.servers
    late.status = "suspended"
    panel.world.faults.order(faults.slow(20), on=Call.SERVERS, skip=1, times=2)
    rest = asyncio.create_task(panel.seen(*others))
    await panel.clock.sleep(10)
    late.status = None
    assert await panel.seen(late)
    assert await rest
    assert await panel.cost() == (3, 1)
    await panel.clock.sleep(61)
    assert await panel.seen(*panel.servers)
    assert await panel.cost() == (6, 1)


async def test_who_gives_up_takes_nothing_from_the_others(panel: Panel) -> None:
    """The first to ask is cancelled while the list is on its way, and one of two who wait for the same server."""
    panel.world.faults.order(faults.slow(10), on=Call.SERVERS)
    first, second, *others = (
        asyncio.create_task(panel.client.seen_server(server.identifier))
        for server in (panel.servers[0], panel.servers[1], *panel.servers)
    )
    await panel.clock.sleep(5)
    first.cancel()
    second.cancel()
    assert [server.uuid for server in await asyncio.gather(*others)] == [server.uuid for server in panel.servers]
    assert await panel.cost() == (3, 0)


async def test_a_client_that_is_closed_reads_no_further(panel: Panel) -> None:
    """No task is left; who still waits is not left waiting either."""
    panel.world.faults.order(faults.slow(10), on=Call.SERVERS)
    waiting = asyncio.create_task(panel.see(*panel.servers[:5]))
    await panel.clock.sleep(5)
    await panel.client.aclose()
    assert all(isinstance(one, Seen | PanelError | RuntimeError) for one in await waiting)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "reading the server list"]
