"""Many who are connected, and slow ones, over real sockets: the daemon keeps its files, its time and its health."""

import asyncio
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

import httpx
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from daemon.config.values import HttpConfig
from daemon.web import site as site_of_the_page
from daemon.web.crowd import Connection, Limits
from daemon.web.fleet_page import FleetPage
from daemon.web.site import Site
from tests.web.gallery import Gallery

pytestmark = pytest.mark.anyio

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""None is spoken, and to load certificates takes longer than all the rest."""

HERE = HttpConfig("127.0.0.1", 0, frozenset(), None)
FEW = Limits(connections=8, requests=2, backlog=4)
QUICK = Limits(connections=8, requests=2, backlog=4, ask_seconds=0.5, answer_seconds=0.5)


@asynccontextmanager
async def listening(gallery: Gallery, limits: Limits) -> AsyncIterator[Site]:
    """The page within these limits."""
    site = Site(gallery.fleet_status, limits)
    await site.follow(HERE)
    try:
        yield site
    finally:
        await site.follow(None)


async def status_of(site: Site, path: str = "/healthz") -> int:
    """What is answered there, on a connection of its own."""
    async with httpx.AsyncClient(timeout=30, verify=NO_TLS, trust_env=False) as client:
        return (await client.get(f"http://127.0.0.1:{site.port}{path}")).status_code


class Visitor:
    """One connection that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, text: str) -> None:
        """Send it."""
        self._writer.write(text.encode())

    async def told(self) -> bytes:
        """All that comes until the daemon closes the connection."""
        try:
            async with asyncio.timeout(30):
                return await self._reader.read()
        except ConnectionError:
            return b""


@asynccontextmanager
async def visiting(site: Site, *, room: int | None = None) -> AsyncIterator[Visitor]:
    """Connected; `room` is how many bytes are taken before somebody reads."""
    with socket.socket() as opened:
        opened.setblocking(False)
        if room is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", site.port))
        reader, writer = await asyncio.open_connection(sock=opened, limit=1024)
        try:
            yield Visitor(reader, writer)
        finally:
            writer.transport.abort()


async def soon(holds: Callable[[], bool]) -> None:
    """Wait until it holds, for half a minute at most."""
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.01)  # noqa: TID251 — sockets are waited for
    raise AssertionError("waited in vain")


def held(site: Site) -> int:
    """How many connections the daemon holds."""
    assert site._now
    return len(site._now.server.server_state.connections)


def crowd_of(site: Site) -> list[Connection]:
    """The connections themselves."""
    assert site._now
    return [one for one in site._now.server.server_state.connections if isinstance(one, Connection)]


async def test_idle_connections_never_keep_the_health_from_answering(gallery: Gallery) -> None:
    """Who waits longest gives way, so that a probe always gets in and the files stay few."""
    async with listening(gallery, FEW) as site, AsyncExitStack() as stack:
        visitors = [await stack.enter_async_context(visiting(site)) for _ in range(40)]
        for visitor in visitors[::2]:
            visitor.say("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        assert await status_of(site) == 200
        assert await status_of(site, "/") == 200
        assert held(site) <= FEW.connections
        assert await visitors[0].told() == b""


@pytest.mark.parametrize("begun", ["", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "])
async def test_headers_that_do_not_come_end_the_connection(gallery: Gallery, begun: str) -> None:
    """Whether none came or they drip."""
    async with listening(gallery, QUICK) as site, visiting(site) as visitor:
        visitor.say(begun)
        assert await visitor.told() == b""


async def test_headers_that_do_not_come_after_an_answer_end_the_connection(gallery: Gallery) -> None:
    """The first letters of the next request buy no time."""
    async with listening(gallery, QUICK) as site, visiting(site) as visitor:
        visitor.say("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /heal")
        assert (await visitor.told()).startswith(b"HTTP/1.1 200 OK")


async def test_an_answer_that_is_not_taken_ends_the_connection(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory is not held for somebody who does not read."""

    async def render(*_: object, **__: object) -> str:
        return "x" * 20_000_000

    monkeypatch.setattr(FleetPage, "render", render)
    async with listening(gallery, QUICK) as site, visiting(site, room=4096) as visitor:
        visitor.say("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await soon(lambda: held(site) == 1)
        await soon(lambda: held(site) == 0)


async def test_of_many_who_ask_at_once_some_are_asked_to_come_again_and_health_is_not_counted(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two may wait for an answer; the third is told so at once."""
    go_on = asyncio.Event()

    async def render(*_: object, **__: object) -> str:
        await go_on.wait()
        return "the page"

    monkeypatch.setattr(FleetPage, "render", render)
    async with listening(gallery, FEW) as site:
        first = [asyncio.create_task(status_of(site, "/")) for _ in range(2)]
        await soon(lambda: held(site) == 2)
        assert await status_of(site, "/") == 503
        assert await status_of(site) == 200
        assert await status_of(site, "/readyz") == 200
        go_on.set()
        assert await asyncio.gather(*first) == [200, 200]


async def test_one_rendering_serves_all_who_ask_within_a_second(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty who ask at once cost as much as one, and so does who asks right after them.

    The second is as long as an hour here: on a busy machine fifty answers may take longer than a second.
    """
    made = 0
    render = FleetPage.render

    async def counted(page: FleetPage, *, refresh: bool = False) -> str:
        nonlocal made
        made += 1
        return await render(page, refresh=refresh)

    monkeypatch.setattr(FleetPage, "render", counted)
    monkeypatch.setattr(site_of_the_page, "SHARED_SECONDS", 3600.0)
    async with listening(gallery, Limits(connections=60, requests=60)) as site:
        assert await asyncio.gather(*(status_of(site, "/") for _ in range(50))) == [200] * 50
        assert await status_of(site, "/") == 200
        assert made == 1
        assert await status_of(site, "/?refresh") == 200
        assert made == 2


async def test_who_goes_away_leaves_the_others_their_answer(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one who asked first is not the one who owns it."""
    go_on = asyncio.Event()

    async def render(*_: object, **__: object) -> str:
        await go_on.wait()
        return "the page"

    monkeypatch.setattr(FleetPage, "render", render)
    async with listening(gallery, FEW) as site:
        async with visiting(site) as first:
            first.say("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            second = asyncio.create_task(status_of(site, "/"))
            await soon(lambda: held(site) == 2)
        go_on.set()
        assert await second == 200


def test_uvicorn_is_as_the_crowd_builds_on_it() -> None:
    """Else deadlines and limits would silently be none; the bound in pyproject.toml holds until it was looked at."""
    missing = [
        f"{kind.__name__}.{name}"
        for kind, names in {
            H11Protocol: ("connection_made", "connection_lost", "data_received", "on_response_complete"),
            RequestResponseCycle: ("run_asgi",),
        }.items()
        for name in names
        if name not in vars(kind)
    ]
    missing += sorted({"cycle", "transport", "loop"} - set(H11Protocol.__init__.__code__.co_names))
    missing += sorted({"response_complete"} - set(RequestResponseCycle.__init__.__code__.co_names))
    assert missing == [], f"uvicorn {version('uvicorn')} is built otherwise: mend daemon/web/crowd.py"


@pytest.mark.parametrize(
    ("files", "most"), [(1024, 128), (524_288, 128), (resource.RLIM_INFINITY, 128), (256, 32), (64, 8), (16, 4)]
)
def test_the_sockets_are_few_of_the_files_that_may_be_open(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    """Each rotation needs some, and so does the journal."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    limits = Limits.of_this_process()
    assert limits.connections == most
    assert 1 <= limits.requests < limits.connections
    assert limits.backlog <= limits.connections


async def test_who_asks_much_and_reads_nothing_gives_way_to_a_probe(gallery: Gallery) -> None:
    """Health is not counted, so as many as may be connected can be waiting for their answers to be taken."""
    async with listening(gallery, FEW) as site, AsyncExitStack() as stack:
        for _ in range(FEW.connections):
            visitor = await stack.enter_async_context(visiting(site, room=4096))
            visitor.say("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20_000)
        await soon(lambda: all(one.busy for one in crowd_of(site)) and held(site) == FEW.connections)
        assert await status_of(site) == 200
        assert held(site) <= FEW.connections
