"""Orders over HTTP, as a person gives them with curl."""

import httpx
import pytest

from daemon.sandbox.app import PanelApp
from daemon.sandbox.records import NodeState, Server, State
from daemon.sandbox.scenes import KEY, one_server
from daemon.sandbox.settings import Settings
from daemon.sandbox.world import World
from tests.fakes import FakeClock
from tests.sandbox.conftest import over_http

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(clock: FakeClock) -> World:
    """One server; the creation throttle is off."""
    return one_server(clock, settings=Settings(creation_limit=0))[0]


@pytest.fixture
def server(world: World) -> Server:
    """That server."""
    return next(iter(world.servers.values()))


async def test_the_front_page_says_what_there_is_and_what_can_be_ordered(world: World, server: Server) -> None:
    """Keys, servers, faults with their parameters, and the endpoints."""
    async with over_http(world) as caller:
        page = (await caller.control("GET")).json()
    assert page["keys"] == {KEY: "admin"}
    assert page["servers"] == [{"id": server.identifier, "name": "survival", "node": "node1", "backups": 0}]
    assert "seconds" in page["faults"]["slow"]
    assert any(line.startswith("DELETE /sandbox/faults") for line in page["endpoints"])


async def test_faults_are_ordered_shown_and_forgotten(world: World, server: Server) -> None:
    """By name, with parameters and a number."""
    async with over_http(world) as caller:
        order = {"fault": "web_page", "on": "list", "times": 2, "with": {"status": 503}}
        answer = await caller.control("POST", "/faults", json=order)
        expected = [{"fault": "web_page 503", "on": "list", "server": None, "backup": None, "skip": 0, "times": 2}]
        assert answer.json() == {"waiting": expected, "happened": {}}
        assert (await caller.call("GET", f"/servers/{server.identifier}/backups")).status_code == 503
        assert (await caller.control("GET", "/faults")).json()["happened"] == {"web_page 503": 1}
        assert (await caller.control("DELETE", "/faults")).json()["waiting"] == []
        assert (await caller.call("GET", f"/servers/{server.identifier}/backups")).status_code == 200


async def test_fields_are_named_where_they_are_to_be_missing(world: World, server: Server) -> None:
    """The one fault with a list."""
    async with over_http(world) as caller:
        await caller.control("POST", "/faults", json={"fault": "without", "with": {"fields": ["name"]}})
        assert "name" not in (await caller.create(server)).json()["attributes"]


async def test_settings_nodes_and_servers_are_changed(world: World, server: Server) -> None:
    """And the answer says how they stand."""
    async with over_http(world) as caller:
        settings = {"api_limit": 60, "skew": 600, "zone": "Europe/Berlin", "housekeeping": None}
        answer = await caller.control("PATCH", "/settings", json=settings)
        assert (answer.json()["api_limit"], answer.json()["zone"]) == ("60", "Europe/Berlin")
        assert (await caller.create(server)).json()["attributes"]["created_at"] == "2026-04-01T06:10:00+02:00"
        await caller.control("PATCH", "/nodes/node1", json={"state": "down", "error": None})
        assert world.nodes["node1"].state is NodeState.DOWN
        work = {"seconds": 60, "outcome": "failed", "late": None, "flavour": "cut"}
        change = {"limit": None, "status": "suspended", "work": work}
        await caller.control("PATCH", f"/servers/{server.identifier}", json=change)
        assert (server.limit, server.status, server.work.seconds) == (None, "suspended", 60.0)


async def test_another_clients_backups_come_and_go(world: World, server: Server) -> None:
    """With any age, state and lock; then toggled, finished, failed and deleted past every rule."""
    async with over_http(world) as caller:
        path = f"/servers/{server.identifier}/backups"
        fields = {"name": "by hand", "locked": True, "age": 86_400, "state": "pending"}
        backup = server.backups[(await caller.control("POST", path, json=fields)).json()["uuid"]]
        assert (backup.name, backup.locked, backup.state) == ("by hand", True, State.PENDING)
        assert backup.created_at.day == 31
        states = [
            (await caller.control("POST", f"{path}/{backup.uuid}/{action}")).json()
            for action in ("lock", "fail", "finish", "lock", "delete")
        ]
        assert [(state["state"], state["locked"]) for state in states] == [
            *(("pending", False), ("failed", False), ("good", False), ("good", True), ("good", True)),
        ]
        assert server.backups == {}


async def test_the_ledger_is_read_from_where_one_left_off(world: World, server: Server) -> None:
    """Every line has all of it."""
    async with over_http(world) as caller:
        await caller.create(server, name="a")
        await caller.create(server, name="b")
        entries = (await caller.control("GET", "/ledger", params={"since": 1})).json()
    backup = list(server.backups.values())[1]
    assert entries == [
        {
            "at": "2026-04-01T04:00:00+00:00",
            "change": "created",
            "server": server.uuid,
            "backup": backup.uuid,
            "name": "b",
            "locked": False,
            "state": "pending",
            "by": "admin",
            "truncate": None,
        }
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/faults", {"fault": "nonsense"}, 404),
        ("POST", "/faults", {}, 404),
        ("POST", "/faults", {"fault": "slow", "on": "nonsense"}, 400),
        ("POST", "/faults", {"fault": "slow", "with": {"minutes": 1}}, 400),
        ("PATCH", "/settings", {"api_limit": "many"}, 400),
        ("PATCH", "/settings", {"nonsense": 1}, 404),
        ("PATCH", "/settings", ["api_limit"], 400),
        ("PATCH", "/nodes/nonsense", {}, 404),
        ("PATCH", "/servers/deadbeef", {}, 404),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(
    *, world: World, method: str, path: str, body: object, status: int
) -> None:
    """With a word about why, and nothing is changed."""
    async with over_http(world) as caller:
        answer = await caller.control(method, path, json=body)
        assert (answer.status_code, bool(answer.json()["error"])) == (status, True)
    assert world.faults.waiting() == []


async def test_a_change_is_made_whole_or_not_at_all(world: World) -> None:
    """The first field is not changed either."""
    async with over_http(world) as caller:
        await caller.control("PATCH", "/settings", json={"api_limit": 5, "zone": "Nowhere/At all"})
    assert world.settings.api_limit == 720


@pytest.mark.parametrize(("address", "status"), [("192.0.2.7", 403), ("127.0.0.9", 200), ("::1", 200)])
async def test_orders_are_taken_from_this_machine_only(world: World, address: str, status: int) -> None:
    """By the caller's address."""
    transport = httpx.ASGITransport(PanelApp(world), client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://panel.invalid") as http:
        assert (await http.get("/sandbox")).status_code == status


async def test_a_panel_can_be_made_to_refuse_in_another_language(world: World, server: Server) -> None:
    """What has no translation stays English; a language that is not there is refused."""
    server.status = "suspended"
    async with over_http(world) as caller:
        assert (await caller.control("PATCH", "/settings", json={"locale": "de"})).status_code == 200
        refusal = (await caller.create(server)).json()["errors"][0]
        assert (refusal["code"], "gesperrt" in refusal["detail"]) == ("ServerStateConflictException", True)
        server.status, server.limit = None, 0
        assert "reached its limit" in (await caller.create(server)).json()["errors"][0]["detail"]
        assert (await caller.control("PATCH", "/settings", json={"locale": "tlh"})).status_code == 400
