"""What the captures do not hold: rules of the panel over real HTTP, one by one."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from daemon.sandbox.records import Node, NodeState, Server, State, User
from daemon.sandbox.scenes import KEY, empty, one_server
from daemon.sandbox.settings import Kind, Settings
from daemon.sandbox.world import World
from tests.fakes import FakeClock
from tests.sandbox.conftest import HEADERS, Caller, over_http

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(clock: FakeClock) -> World:
    """One server; the creation throttle is off."""
    return one_server(clock, settings=Settings(creation_limit=0))[0]


@pytest.fixture
def server(world: World) -> Server:
    """That server."""
    return next(iter(world.servers.values()))


async def as_user(caller: Caller, token: str, method: str, path: str, **options: Any) -> httpx.Response:
    """One call with another key."""
    headers = {**HEADERS, "Authorization": f"Bearer {token}"}
    url = f"{caller.sandbox.url}/api/client{path}"
    return await caller.http.request(method, url, headers=headers, **options)


def error(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["errors"][0]["code"]


async def test_the_panels_clock_is_in_every_date_and_stamp(world: World, server: Server) -> None:
    """Ten minutes ahead, in a zone of its own."""
    world.settings.skew, world.settings.zone = timedelta(minutes=10), ZoneInfo("Europe/Berlin")
    async with over_http(world) as caller:
        answer = await caller.create(server)
        assert answer.headers["date"] == "Wed, 01 Apr 2026 04:10:00 GMT"
        attributes = answer.json()["attributes"]
        assert attributes["created_at"] == "2026-04-01T06:10:00+02:00"
        assert attributes["name"] == "Backup at 2026-04-01 06:10:00"


async def test_times_can_end_in_z(world: World, server: Server) -> None:
    """As the specification's example has it."""
    world.settings.zulu = True
    async with over_http(world) as caller:
        assert (await caller.create(server)).json()["attributes"]["created_at"] == "2026-04-01T04:00:00Z"


async def test_the_api_limit_is_per_user_across_keys_and_ends_with_its_minute(
    world: World, server: Server, clock: FakeClock
) -> None:
    """The 429 itself counts for nothing; unknown servers neither."""
    world.settings.api_limit = 3
    world.add_key("ptlc_EXAMPLE_second", User("admin", admin=True))
    async with over_http(world) as caller:
        await caller.call("GET", "/servers/deadbeef")
        answers = [await as_user(caller, "ptlc_EXAMPLE_second", "GET", "")]
        clock.elapsed += 20.5
        answers += [await caller.call("GET", f"/servers/{server.identifier}") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
        assert answers[-1].headers["retry-after"] == "40"
        clock.elapsed += 39.5
        assert (await caller.call("GET", "")).headers["x-ratelimit-remaining"] == "2"


async def test_parallel_creates_get_through_the_limit_while_the_panel_waits_for_the_node(
    world: World, server: Server
) -> None:
    """It takes no locks: six at once against a limit of one."""
    server.limit, server.node.answer_seconds = 1, 2.0
    async with over_http(world) as caller:
        answers = await asyncio.gather(*(caller.create(server) for _ in range(6)))
        assert sum(answer.status_code == 200 for answer in answers) > 1
        assert error(await caller.create(server)) == (400, "TooManyBackupsException")


async def test_the_panel_gives_a_slow_node_up_after_15_seconds(world: World, server: Server, clock: FakeClock) -> None:
    """A node that takes 10 is waited for."""
    async with over_http(world) as caller:
        server.node.answer_seconds = 10
        assert (await caller.create(server)).status_code == 200
        server.node.answer_seconds = 20
        assert error(await caller.create(server)) == (504, "DaemonConnectionException")
        assert clock.naps == [10, 15]
        assert len(server.backups) == 1


async def test_a_server_that_is_removed_while_its_node_is_waited_for_gets_no_backup(
    world: World, server: Server, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no row any more that the backup's could belong to."""
    server.node.answer_seconds = 10

    async def sleep(seconds: float) -> None:
        clock.elapsed += seconds
        world.remove_server(server)

    async with over_http(world) as caller:
        monkeypatch.setattr(clock, "sleep", sleep)
        assert error(await caller.create(server)) == (500, "QueryException")
    assert not server.backups


async def test_a_node_that_does_not_know_the_file_does_not_hinder_a_delete(world: World, server: Server) -> None:
    """The panel takes 404 for done."""
    backup = world.add_backup(server, "a")
    server.node.error = 404
    async with over_http(world) as caller:
        answer = await caller.call("DELETE", f"/servers/{server.identifier}/backups/{backup.uuid}")
        assert answer.status_code == 204


async def test_deleting_from_an_object_store_needs_no_node(world: World, server: Server) -> None:
    """It may be down."""
    backup = world.add_backup(server, "a")
    server.node.state = NodeState.DOWN
    async with over_http(world) as caller:
        path = f"/servers/{server.identifier}/backups/{backup.uuid}"
        assert error(await caller.call("DELETE", path)) == (504, "DaemonConnectionException")
        await caller.control("PATCH", f"/servers/{server.identifier}", json={"storage": "s3"})
        assert (await caller.call("DELETE", path)).status_code == 204


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("installing", "installation"),
        ("install_failed", "installation"),
        ("suspended", "suspended"),
        ("restoring_backup", "restoring"),
    ],
)
async def test_a_status_that_conflicts_hinders_every_backup_call_and_not_the_view(
    world: World, server: Server, status: str, words: str
) -> None:
    """409, with the reason; the server's view tells the status."""
    server.status = status
    async with over_http(world) as caller:
        answer = await caller.call("GET", f"/servers/{server.identifier}/backups")
        assert error(answer) == (409, "ServerStateConflictException")
        assert words in answer.json()["errors"][0]["detail"]
        assert (await caller.call("GET", f"/servers/{server.identifier}")).json()["attributes"]["status"] == status


@pytest.mark.parametrize("status", ["reinstall_failed", "something_new"])
async def test_a_status_that_does_not_conflict_hinders_no_backup(world: World, server: Server, status: str) -> None:
    """But a restore, which wants none at all."""
    server.status = status
    async with over_http(world) as caller:
        made = (await caller.create(server)).json()["attributes"]["uuid"]
        assert (await caller.call("GET", f"/servers/{server.identifier}/backups")).status_code == 200
        view = (await caller.call("GET", f"/servers/{server.identifier}")).json()["attributes"]
        assert (view["status"], view["is_installing"]) == (status, False)
        path = f"/servers/{server.identifier}/backups/{made}"
        assert error(await caller.call("POST", f"{path}/restore", json={"truncate": False}))[0] == 400
        assert (await caller.call("DELETE", path)).status_code == 204


async def test_a_pelican_takes_a_failed_reinstallation_for_an_installation(world: World, server: Server) -> None:
    """So it is in the way there."""
    world.settings.kind, server.status = Kind.PELICAN, "reinstall_failed"
    async with over_http(world) as caller:
        assert error(await caller.create(server)) == (409, "ServerStateConflictException")
        view = (await caller.call("GET", f"/servers/{server.identifier}")).json()["attributes"]
        assert (view["status"], view["is_installing"]) == ("reinstall_failed", True)


async def test_a_server_in_transfer_is_no_place_for_backups(world: World, server: Server) -> None:
    """Its status is null meanwhile."""
    server.transferring = True
    async with over_http(world) as caller:
        assert "transferred" in (await caller.create(server)).json()["errors"][0]["detail"]
        view = (await caller.call("GET", f"/servers/{server.identifier}")).json()["attributes"]
        assert (view["status"], view["is_transferring"]) == (None, True)


async def test_servers_come_in_pages_of_fifty(clock: FakeClock) -> None:
    """120 of them on three."""
    world, owner, node = empty(clock)
    for number in range(120):
        world.add_server(f"s{number}", owner=owner, node=node)
    async with over_http(world) as caller:
        pages = [(await caller.call("GET", "", params={"page": page})).json() for page in (1, 2, 3)]
    assert [page["meta"]["pagination"]["count"] for page in pages] == [50, 50, 20]
    assert pages[1]["meta"]["pagination"]["links"].keys() == {"previous", "next"}
    assert len({row["attributes"]["uuid"] for page in pages for row in page["data"]}) == 120


PERMISSIONS: Mapping[str, Sequence[tuple[str, str, object]]] = {
    "backup.read": [("GET", "", None), ("GET", "/{backup}", None)],
    "backup.create": [("POST", "", {})],
    "backup.delete": [("DELETE", "/{backup}", None), ("POST", "/{backup}/lock", None)],
    "backup.download": [("GET", "/{backup}/download", None)],
    "backup.restore": [("POST", "/{backup}/restore", {"truncate": False})],
}


@pytest.mark.parametrize("permission", PERMISSIONS)
async def test_each_permission_opens_its_own_calls_and_no_others(world: World, server: Server, permission: str) -> None:
    """All others are answered 403."""
    world.add_key("ptlc_EXAMPLE_carol", User("carol"))
    server.subusers["carol"] = (permission,)
    async with over_http(world) as caller:
        for needed, calls in PERMISSIONS.items():
            for method, path, body in calls:
                backup = world.add_backup(server, "a")
                target = f"/servers/{server.identifier}/backups{path.format(backup=backup.uuid)}"
                answer = await as_user(caller, "ptlc_EXAMPLE_carol", method, target, json=body)
                assert (answer.status_code == 403) == (needed != permission), (method, path)


async def test_fields_that_are_wrong_are_all_told_at_once(world: World, server: Server) -> None:
    """One member of `errors` each."""
    async with over_http(world) as caller:
        answer = await caller.create(server, name=5, ignored=["a"], is_locked="perhaps")
        fields = [row["meta"]["source_field"] for row in answer.json()["errors"]]
        assert fields == ["name", "ignored", "is_locked"]
        backup = world.add_backup(server, "a")
        path = f"/servers/{server.identifier}/backups/{backup.uuid}/restore"
        answer = await caller.call("POST", path, json={"truncate": "perhaps"})
        assert answer.json()["errors"][0]["meta"] == {"source_field": "truncate", "rule": "boolean"}


async def test_a_form_is_read_as_json_is(world: World, server: Server) -> None:
    """And JSON of another form than an object holds no fields."""
    async with over_http(world) as caller:
        path = f"/servers/{server.identifier}/backups"
        answer = await caller.call("POST", path, data={"name": " x ", "is_locked": "1", "ignored": " "})
        attributes = answer.json()["attributes"]
        assert (attributes["name"], attributes["is_locked"], attributes["ignored_files"]) == ("x", True, [])
        answer = await caller.call("POST", path, json=["a"])
        assert answer.json()["attributes"]["name"].startswith("Backup at")


async def test_a_method_or_path_that_is_none_is_refused(world: World) -> None:
    """405 and 404."""
    async with over_http(world) as caller:
        answer = await caller.call("PUT", "")
        assert (error(answer), answer.headers["allow"]) == ((405, "MethodNotAllowedHttpException"), "GET")
        assert error(await caller.call("GET", "/nowhere")) == (404, "NotFoundHttpException")


async def test_calls_are_counted_by_kind(world: World, server: Server) -> None:
    """So that a test can say how many a rotation costs."""
    async with over_http(world) as caller:
        for _ in range(2):
            await caller.backups(server)
        await caller.create(server)
        app = caller.sandbox.app
        assert (app.requests("list"), app.requests("create", "list"), app.requests("view"), app.requests()) == (
            2,
            3,
            0,
            3,
        )
        assert app.calls[-1].server == server.uuid


async def test_somebody_who_is_let_in_sees_less_of_a_server(world: World, server: Server, clock: FakeClock) -> None:
    """And an owner who is no administrator holds every permission without the administrator's."""
    bob = User("bob")
    world.add_key("ptlc_EXAMPLE_bob", bob)
    theirs = world.add_server("theirs", owner=bob, node=Node("node9", "http://node9.invalid"))
    async with over_http(world) as caller:
        view = (await as_user(caller, "ptlc_EXAMPLE_bob", "GET", f"/servers/{theirs.identifier}")).json()
        assert view["meta"] == {"is_server_owner": True, "user_permissions": ["*"]}
        names = [
            row["attributes"]["name"] for row in (await as_user(caller, "ptlc_EXAMPLE_bob", "GET", "")).json()["data"]
        ]
        assert names == ["theirs"]


async def test_rows_stay_in_the_order_of_their_insertion(world: World, server: Server) -> None:
    """Whatever their dates, and failed ones among them."""
    for name, days in (("new", 0), ("old", 9), ("middle", 3)):
        world.add_backup(server, name, created_at=world.now() - timedelta(days=days), state=State.FAILED)
    async with over_http(world) as caller:
        assert [row["name"] for row in await caller.backups(server)] == ["new", "old", "middle"]


async def test_all_servers_are_an_administrators_to_see(world: World, server: Server) -> None:
    """Whoever asks for them without being one sees none at all (capture 312), not even his own."""
    server.owner = User("bob")
    world.add_key("ptlc_EXAMPLE_bob", User("bob"))
    async with over_http(world) as caller:
        seen = {
            (token, path): [
                row["attributes"]["uuid"] for row in (await as_user(caller, token, "GET", path)).json()["data"]
            ]
            for token in (KEY, "ptlc_EXAMPLE_bob")
            for path in ("", "?type=admin-all")
        }
    assert seen == {
        (KEY, ""): [],
        (KEY, "?type=admin-all"): [server.uuid],
        ("ptlc_EXAMPLE_bob", ""): [server.uuid],
        ("ptlc_EXAMPLE_bob", "?type=admin-all"): [],
    }
