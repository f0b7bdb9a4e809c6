"""Every fault that can be ordered, as its victim sees it over real HTTP."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from daemon.sandbox import faults
from daemon.sandbox.app import PanelApp
from daemon.sandbox.orders import Call, ConnectionLostError, Fault
from daemon.sandbox.records import Backup, Change, Server
from daemon.sandbox.scenes import KEY, one_server
from daemon.sandbox.settings import Settings
from daemon.sandbox.world import World
from tests.fakes import FakeClock
from tests.sandbox.conftest import HEADERS, over_http

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(clock: FakeClock) -> World:
    """One server with three backups; the creation throttle is off."""
    world, server = one_server(clock, settings=Settings(creation_limit=0))
    for name in "abc":
        world.add_backup(server, name)
    return world


@pytest.fixture
def server(world: World) -> Server:
    """That server."""
    return next(iter(world.servers.values()))


def happened(world: World, change: Change) -> int:
    """How often that was done by the caller."""
    return sum(entry.change is change and entry.by == "admin" for entry in world.ledger)


REFUSALS: Mapping[str, tuple[Fault, int, str, str | None]] = {
    "a refusal of any kind": (faults.refused(409, "ServerStateConflictException", "No."), 409, "ServerState", None),
    "the API limit": (faults.api_limit(), 429, "ThrottleRequests", "60"),
    "the API limit without a wait": (faults.api_limit(None), 429, "ThrottleRequests", None),
    "the API limit with a wrong wait": (faults.api_limit("soon"), 429, "ThrottleRequests", "soon"),
    "the creation throttle": (faults.creation_throttle(), 429, "TooManyRequestsHttp", "599"),
    "the creation throttle without a wait": (faults.creation_throttle(None), 429, "TooManyRequestsHttp", None),
    "a node that cannot be reached": (faults.node_error(504), 504, "DaemonConnection", None),
    "a node that refuses": (faults.node_error(403), 403, "DaemonConnection", None),
    "a node in trouble": (faults.node_error(), 500, "DaemonConnection", None),
}


@pytest.mark.parametrize(("fault", "status", "code", "wait"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_comes_instead_of_doing_it(
    *, world: World, server: Server, fault: Fault, status: int, code: str, wait: str | None
) -> None:
    """In the panel's own form, once."""
    world.faults.order(fault, on=Call.CREATE)
    async with over_http(world) as caller:
        answer = await caller.create(server, name="x")
        assert answer.status_code == status
        assert answer.json()["errors"][0]["code"].startswith(code)
        assert answer.headers.get("retry-after") == wait
        assert happened(world, Change.CREATED) == 0
        assert (await caller.create(server, name="x")).status_code == 200


@pytest.mark.parametrize("status", [502, 503, 504, 520])
async def test_a_page_of_the_web_server_is_html(world: World, server: Server, status: int) -> None:
    """Though JSON was asked for."""
    world.faults.order(faults.web_page(status))
    async with over_http(world) as caller:
        answer = await caller.call("GET", "")
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")


async def test_a_redirect_leads_elsewhere(world: World, server: Server) -> None:
    """For clients that follow."""
    world.faults.order(faults.redirected("http://elsewhere.invalid/x"), on="view")
    async with over_http(world) as caller:
        answer = await caller.call("GET", f"/servers/{server.identifier}/backups/{next(iter(server.backups))}")
        assert (answer.status_code, answer.headers["location"]) == (302, "http://elsewhere.invalid/x")


@pytest.mark.parametrize("document", [None, [], "text", 5, {}, {"object": "list"}, {"object": "list", "data": [1]}])
async def test_an_odd_answer_is_any_json(world: World, server: Server, document: object) -> None:
    """With status 200."""
    world.faults.order(faults.odd(document), on="list")
    async with over_http(world) as caller:
        answer = await caller.call("GET", f"/servers/{server.identifier}/backups")
        assert (answer.status_code, answer.json()) == (200, document)


async def test_a_huge_answer_is_as_long_as_ordered(world: World, server: Server) -> None:
    """For clients that read without a bound."""
    world.faults.order(faults.huge(1_000_000))
    async with over_http(world) as caller:
        assert len((await caller.call("GET", "")).content) == 1_000_002


async def test_an_answer_lost_before_it_was_done_leaves_nothing_done(world: World, server: Server) -> None:
    """The connection is closed without a word, and the call is recorded without a status."""
    world.faults.order(faults.lost_before(), on="create")
    async with over_http(world) as caller:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await caller.create(server, name="x")
        assert happened(world, Change.CREATED) == 0
        assert caller.sandbox.app.calls[-1].status == 0


async def test_an_answer_lost_after_it_was_done_leaves_it_done(world: World, server: Server) -> None:
    """The caller cannot tell the one from the other."""
    world.faults.order(faults.lost_after(), on="create")
    async with over_http(world) as caller:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await caller.create(server, name="x")
        assert happened(world, Change.CREATED) == 1
        assert [row["name"] for row in await caller.backups(server)] == ["a", "b", "c", "x"]


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("page", [False, True])
async def test_an_error_after_it_was_done_looks_like_one_instead_of_it(
    world: World, server: Server, status: int, page: bool
) -> None:
    """The panel stumbles over what comes afterwards, or the web server over the panel; the caller cannot tell."""
    instead = faults.web_page(status) if page else faults.refused(status)
    world.faults.order(faults.error_after(status, page=page), on="create")
    world.faults.order(instead, on="create")
    async with over_http(world) as caller:
        after, before = await caller.create(server, name="x"), await caller.create(server, name="y")
        assert (after.status_code, after.content) == (before.status_code, before.content)
        assert after.status_code == status
        assert [row["name"] for row in await caller.backups(server)] == ["a", "b", "c", "x"]


async def test_a_cut_answer_ends_in_the_middle(world: World, server: Server) -> None:
    """After it was done."""
    world.faults.order(faults.cut(), on="create")
    async with over_http(world) as caller:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            await caller.create(server, name="x")
        assert happened(world, Change.CREATED) == 1


async def test_a_reset_connection_is_reset(world: World, server: Server) -> None:
    """After it was done, and not merely closed."""
    world.faults.order(faults.reset(), on="delete")
    async with over_http(world) as caller:
        with pytest.raises(httpx.ReadError):
            await caller.call("DELETE", f"/servers/{server.identifier}/backups/{next(iter(server.backups))}")
        assert happened(world, Change.DELETED) == 1


async def test_other_callers_keep_their_connections(world: World, server: Server) -> None:
    """Only the victim's is broken: on the other's, still open from before, a second request is answered."""
    world.faults.order(faults.lost_after(), on="create")
    async with over_http(world) as caller:
        url = httpx.URL(caller.sandbox.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        for _ in range(2):
            writer.write(b"GET /api/client HTTP/1.1\r\nHost: panel\r\nAccept: application/json\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 401")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            with contextlib.suppress(httpx.RemoteProtocolError):
                await caller.create(server, name="x")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(("fault", "done_at"), [(faults.slow(20), 0), (faults.late(20), 20)])
async def test_a_slow_answer_waits_by_the_worlds_clock(
    world: World, server: Server, clock: FakeClock, fault: Fault, done_at: int
) -> None:
    """It is done before the wait or after it; the answer is dated by its end."""
    world.faults.order(fault, on="create")
    start = world.now()
    async with over_http(world) as caller:
        answer = await caller.create(server, name="x")
        assert clock.naps == [20]
        assert (world.ledger[-1].at - start).total_seconds() == done_at
        assert answer.headers["date"] == "Wed, 01 Apr 2026 04:00:20 GMT"


async def test_a_fork_answers_with_a_job(world: World, server: Server) -> None:
    """Neither a backup nor an empty answer."""
    world.faults.order(faults.job(), on="create")
    async with over_http(world) as caller:
        answer = await caller.create(server, name="x")
        assert answer.status_code == 202
        assert answer.json().keys() == {"job_id", "status", "message"}


async def test_half_a_json_text_is_no_json(world: World, server: Server) -> None:
    """In an HTTP answer without fault."""
    world.faults.order(faults.half_json(), on="list")
    async with over_http(world) as caller:
        answer = await caller.call("GET", f"/servers/{server.identifier}/backups")
        assert answer.status_code == 200
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            answer.json()


async def test_fields_can_be_missing_odd_or_new_in_lists_and_in_single_answers(world: World, server: Server) -> None:
    """In every row."""
    world.faults.order(faults.without("completed_at", "bytes"), on="list")
    world.faults.order(faults.with_values({"created_at": "yesterday", "colour": "red"}), on="create")
    async with over_http(world) as caller:
        assert all(not {"completed_at", "bytes"} & row.keys() for row in await caller.backups(server))
        attributes = (await caller.create(server, name="x")).json()["attributes"]
        assert (attributes["created_at"], attributes["colour"]) == ("yesterday", "red")


async def test_a_total_can_be_wrong(world: World, server: Server) -> None:
    """The rows are right."""
    world.faults.order(faults.wrong_total(-2), on="list")
    async with over_http(world) as caller:
        document = (await caller.call("GET", f"/servers/{server.identifier}/backups")).json()
        assert (document["meta"]["pagination"]["total"], len(document["data"])) == (1, 3)


async def test_rows_can_come_in_another_order(world: World, server: Server) -> None:
    """None is lost."""
    world.faults.order(faults.shuffled(seed=1), on="list")
    async with over_http(world) as caller:
        names = [row["name"] for row in await caller.backups(server)]
        assert names != ["a", "b", "c"]
        assert sorted(names) == ["a", "b", "c"]


@pytest.mark.parametrize("fault", [faults.wrong_total(), faults.shuffled(), faults.without("name")])
async def test_what_changes_lists_leaves_refusals_alone(world: World, server: Server, fault: Fault) -> None:
    """There is nothing to change in them."""
    server.status = "suspended"
    world.faults.order(fault, on="list")
    async with over_http(world) as caller:
        answer = await caller.call("GET", f"/servers/{server.identifier}/backups")
        assert answer.json()["errors"][0]["code"] == "ServerStateConflictException"
        world.settings.web_down = True
        world.faults.order(fault, on="list")
        assert (await caller.call("GET", f"/servers/{server.identifier}/backups")).status_code == 502


async def test_pages_shift_when_another_client_deletes_between_them(world: World, server: Server) -> None:
    """The second page leaves out a row that the first did not show."""
    world.faults.order(faults.vanishes(), on="list", skip=1)
    async with over_http(world) as caller:
        first, second = [await caller.backups(server, per_page=1, page=page) for page in (1, 2)]
        assert [row["name"] for row in first + second] == ["a", "c"]
        assert world.ledger[-1].by == "somebody else"


async def test_a_backup_of_another_client_appears_between_pages(world: World, server: Server) -> None:
    """At the end, where new ones are."""
    world.faults.order(faults.appears("theirs"), on="list", skip=1)
    async with over_http(world) as caller:
        assert len(await caller.backups(server)) == 3
        assert (await caller.backups(server))[-1]["name"] == "theirs"


async def test_no_backup_of_another_client_appears_beyond_the_limit(world: World, server: Server) -> None:
    """It binds others, too."""
    server.limit = len(server.backups)
    world.faults.order(faults.appears("theirs"), on="list")
    async with over_http(world) as caller:
        assert "theirs" not in [row["name"] for row in await caller.backups(server)]


@pytest.mark.parametrize("fault", [faults.appears(), faults.vanishes()])
async def test_what_others_do_to_backups_does_not_concern_the_list_of_servers(world: World, fault: Fault) -> None:
    """No server is named there."""
    world.faults.order(fault, on="servers")
    async with over_http(world) as caller:
        assert (await caller.call("GET", "")).status_code == 200
        assert len(world.ledger) == 3


async def test_anything_can_happen_just_before_a_call(world: World, server: Server) -> None:
    """A lock set by somebody at the last moment, here."""

    def lock(world: World, server: str | None) -> None:
        assert server is not None
        world.toggle_lock(world.servers[server], backup, by="bob")

    backup: Backup = next(iter(server.backups.values()))
    world.faults.order(faults.meanwhile(lock, "locked at the last moment"), on="delete")
    async with over_http(world) as caller:
        answer = await caller.call("DELETE", f"/servers/{server.identifier}/backups/{backup.uuid}")
        assert answer.json()["errors"][0]["code"] == "BackupLockedException"


def taken(world: World, server: str, *calls: Call) -> list[str | None]:
    """The names of the faults that these calls would meet."""
    met = [world.faults.take(call, server) for call in calls]
    return [fault.name if fault else None for fault in met]


def test_orders_count_skip_and_wait_for_what_fits(world: World) -> None:
    """The first that fits is taken; what is used up is gone, what has no number stays."""
    world.faults.order(faults.cut(), on="create", times=2, skip=1)
    world.faults.order(faults.odd(), on="list", server="aaaaaaaa-0000")
    world.faults.order(faults.reset(), on="view", times=None)
    create, listing, view = Call.CREATE, Call.LIST, Call.VIEW
    assert taken(world, "aaaaaaaa", create, create, create, create) == [None, "cut", "cut", None]
    assert taken(world, "bbbbbbbb", listing) == [None]
    assert taken(world, "AAAAAAAA-1", listing, listing) == ["odd", None]
    assert taken(world, "aaaaaaaa", view, view, view) == ["reset"] * 3
    assert world.faults.happened == {"cut": 2, "odd": 1, "reset": 3}
    (left,) = world.faults.waiting()
    assert left == {"fault": "reset", "on": "view", "server": None, "backup": None, "skip": 0, "times": None}
    world.faults.clear()
    assert taken(world, "aaaaaaaa", view) == [None]


@pytest.mark.parametrize("fault", [faults.lost_before(), faults.lost_after(), faults.cut(), faults.reset()])
async def test_in_process_a_lost_connection_is_raised(world: World, server: Server, fault: Fault) -> None:
    """Whoever drives the app without a server translates it."""
    world.faults.order(fault)
    transport = httpx.ASGITransport(PanelApp(world))
    async with httpx.AsyncClient(transport=transport, base_url="http://panel.invalid") as http:
        with pytest.raises(ConnectionLostError):
            await http.get("/api/client", headers={"Authorization": f"Bearer {KEY}"})
        assert (await http.get("/api/client", headers=HEADERS)).status_code == 200


ARGUMENTS: Mapping[str, tuple[Any, ...]] = {"with_values": ({"a": 1},), "without": ("a",)}


@pytest.mark.parametrize("maker", faults.MAKERS.values(), ids=faults.MAKERS)
def test_every_fault_that_has_a_name_can_be_made(maker: Callable[..., Fault]) -> None:
    """With its own defaults, but where it needs to be told."""
    assert maker(*ARGUMENTS.get(maker.__name__, ())).name
