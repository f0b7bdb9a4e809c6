"""A server's files and its process in the sandbox: real files, that come, are unpacked, packed and deleted."""

import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemon.sandbox.records import Change, Power, Pulls, Server
from daemon.sandbox.scenes import one_server
from daemon.sandbox.world import World
from tests.fakes import FakeClock
from tests.sandbox.conftest import Caller, over_http

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(clock: FakeClock, tmp_path: Path) -> World:
    """A panel with one server, which has a world of two files."""
    world, server = one_server(clock)
    server.folder = tmp_path
    server.files.write("world/level.dat", b"level")
    server.files.write("server.properties", b"motd=here")
    return world


@pytest.fixture
def only(world: World) -> Server:
    """That server."""
    return next(iter(world.servers.values()))


async def names(caller: Caller, server: Server, folder: str = "/") -> list[str]:
    """What the panel lists in a folder."""
    answer = await caller.call("GET", f"/servers/{server.identifier}/files/list", params={"directory": folder})
    return [row["attributes"]["name"] for row in answer.json()["data"]]


async def post(caller: Caller, server: Server, what: str, **fields: Any) -> httpx.Response:
    """One order for the server's files, or its process."""
    return await caller.call("POST", f"/servers/{server.identifier}/{what}", json=fields)


async def test_a_backup_holds_the_files_and_gives_them_back(world: World, only: Server, clock: FakeClock) -> None:
    """A restore that truncates leaves nothing else; one that does not writes over what is there."""
    made = world.create(only, "a", ignored=(), locked=False, by="admin")
    await clock.sleep(2)
    world.settle()
    only.files.empty()
    only.files.write("other", b"")
    world.restore(only, made, by="admin")
    await clock.sleep(2)
    world.settle()
    assert [row.name for row in only.files.rows("")] == ["other", "server.properties", "world"]
    world.restore(only, made, by="admin", truncate=True)
    await clock.sleep(2)
    world.settle()
    assert [row.name for row in only.files.rows("")] == ["server.properties", "world"]
    assert only.files.read("world/level.dat") == b"level"


async def test_a_restore_that_fails_has_emptied_the_server(world: World, only: Server, clock: FakeClock) -> None:
    """The node looks for the backup's file only then."""
    made = world.add_backup(only, "a")
    made.file_gone = True
    world.restore(only, made, by="admin", truncate=True)
    await clock.sleep(2)
    world.settle()
    assert only.files.rows("") == []


async def test_a_pulled_backup_comes_half_first_and_is_unpacked(
    world: World, only: Server, clock: FakeClock, tmp_path: Path
) -> None:
    """Its link is used up; what the other server holds then is what this one had."""
    made = world.add_backup(only, "a")
    other = world.add_server("other", owner=only.owner, node=only.node)
    other.folder = tmp_path / "other"
    other.folder.mkdir()
    async with over_http(world) as caller:
        url = await caller.link(only, made)
        for _ in range(2):
            assert (await post(caller, other, "files/pull", url=url, directory="/", filename="a.gz")).status_code == 204
        sizes = []
        for _ in range(2):
            await clock.sleep(0.5)
            answer = await caller.call("GET", f"/servers/{other.identifier}/files/list")
            sizes.append(answer.json()["data"][0]["attributes"]["size"])
        assert sizes == [made.archive.size // 2, made.archive.size]
        assert (await post(caller, other, "files/decompress", root="/", file="a.gz")).status_code == 204
        assert (await post(caller, other, "files/delete", root="/", files=["a.gz", "no"])).status_code == 204
        assert await names(caller, other) == ["server.properties", "world"]
        assert await names(caller, other, "/world") == ["level.dat"]
        nothing = await caller.call("GET", f"/servers/{other.identifier}/files/list?directory=/nothing")
        outside = await caller.call("GET", f"/servers/{other.identifier}/files/list?directory=/../..")
    assert (nothing.status_code, outside.status_code) == (404, 404)
    changes = [entry.change for entry in world.ledger if entry.server == other.uuid]
    assert changes == [Change.PULLING, Change.PULLING, Change.UNPACKED, Change.FILES_DELETED]


@pytest.mark.parametrize(("pulls", "status"), [(Pulls.REFUSED, 400), (Pulls.SILENT, 204)])
async def test_a_node_may_not_fetch_from_there(world: World, only: Server, pulls: Pulls, status: int) -> None:
    """And does not always say so."""
    only.node.pulls = pulls
    async with over_http(world) as caller:
        assert (await post(caller, only, "files/pull", url="http://10.0.0.1/a")).status_code == status
        assert await names(caller, only) == ["server.properties", "world"]


async def test_pulls_are_throttled(world: World, only: Server) -> None:
    """Ten in five minutes, whatever became of them."""
    async with over_http(world) as caller:
        answers = [await post(caller, only, "files/pull") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert answers[-1].headers["retry-after"] == "300"


async def test_an_upload_goes_by_a_link_once_and_is_bounded(world: World, only: Server) -> None:
    """As a form, into the folder that the caller adds."""
    async with over_http(world) as caller:
        link = (await caller.call("GET", f"/servers/{only.identifier}/files/upload")).json()["attributes"]["url"]
        taken = await caller.http.post(f"{link}&directory=/new", files={"files": ("a.bin", b"\r\n--\x00\xff\r\n")})
        again = await caller.http.post(link, files={"files": ("a.bin", b"")})
        only.node.upload_limit = 3
        link = (await caller.call("GET", f"/servers/{only.identifier}/files/upload")).json()["attributes"]["url"]
        large = await caller.http.post(link, files={"files": ("b.bin", b"four")})
    assert (taken.status_code, again.status_code, large.status_code) == (200, 404, 400)
    assert only.files.read("new/a.bin") == b"\r\n--\x00\xff\r\n"


async def test_what_is_no_archive_is_not_unpacked(world: World, only: Server) -> None:
    """Neither is one whose names lead out of the folder; the panel tells of the node's trouble."""
    held = BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../outside"), BytesIO())
    only.files.write("bad.tar.gz", held.getvalue())
    async with over_http(world) as caller:
        for file in ("server.properties", "bad.tar.gz", "missing"):
            answer = await post(caller, only, "files/decompress", root="/", file=file)
            assert (answer.status_code, answer.json()["errors"][0]["code"]) == (500, "DaemonConnectionException")


async def test_an_unpacking_may_outlive_the_panels_patience(world: World, only: Server, clock: FakeClock) -> None:
    """The panel gives up after a quarter of an hour, and the node goes on."""
    only.files.write("a.tar.gz", b"".join(world.add_backup(only, "a").archive.pieces()))
    only.files.delete("", ["world"])
    only.node.unpack_seconds = 1000
    async with over_http(world) as caller:
        answer = await post(caller, only, "files/decompress", root="/", file="a.tar.gz")
        assert answer.status_code == 504
        assert await names(caller, only) == ["a.tar.gz", "server.properties"]
        await clock.sleep(100)
        assert await names(caller, only) == ["a.tar.gz", "server.properties", "world"]


async def test_a_process_starts_and_stops_in_time(world: World, only: Server, clock: FakeClock) -> None:
    """One that hangs stops only when it is killed, and one that crashes is offline again."""
    states = []

    async def told(caller: Caller) -> None:
        answer = await caller.call("GET", f"/servers/{only.identifier}/resources")
        states.append(answer.json()["attributes"]["current_state"])

    async with over_http(world) as caller:
        only.hangs = True
        for signal in ("stop", "kill", "start"):
            assert (await post(caller, only, "power", signal=signal)).status_code == 204
            await told(caller)
            await clock.sleep(2)
            await told(caller)
        only.hangs, only.crashes = False, 5.0
        await post(caller, only, "power", signal="restart")
        await clock.sleep(3)
        await told(caller)
        await clock.sleep(10)
        await told(caller)
        assert (await post(caller, only, "power", signal="explode")).status_code == 422
    assert states == [
        *("stopping", "stopping", "offline", "offline", "starting", "running"),
        *("running", "offline"),
    ]


async def test_a_server_without_a_folder_takes_nothing(world: World, only: Server) -> None:
    """Its list is empty, and its node fails at whatever it is to put there."""
    only.folder = None
    async with over_http(world) as caller:
        assert await names(caller, only) == []
        pulled = await post(caller, only, "files/pull", url="http://127.0.0.1:1/a")
        deleted = await post(caller, only, "files/delete", root="/", files=["a"])
        link = (await caller.call("GET", f"/servers/{only.identifier}/files/upload")).json()["attributes"]["url"]
        uploaded = await caller.http.post(link, files={"files": ("a", b"")})
    assert [answer.status_code for answer in (pulled, deleted, uploaded)] == [500, 404, 500]
    assert only.power is Power.RUNNING
