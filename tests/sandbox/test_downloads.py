"""Downloads over real HTTP: a node's links, an object store's, and what can go wrong with either."""

import gzip
import hashlib
import io
import tarfile
from datetime import timedelta

import httpx
import pytest
from starlette.types import Message

from daemon.sandbox import faults
from daemon.sandbox.links import sign_link
from daemon.sandbox.node import NO_FAULT, FileResponse
from daemon.sandbox.orders import Fault
from daemon.sandbox.records import Backup, NodeState, Server, State, Storage
from daemon.sandbox.scenes import one_server
from daemon.sandbox.world import World
from tests.fakes import FakeClock
from tests.sandbox.conftest import over_http

pytestmark = pytest.mark.anyio

BOTH = pytest.mark.parametrize("storage", [Storage.NODE, Storage.S3])


@pytest.fixture
def world(clock: FakeClock) -> World:
    """One server with one backup."""
    world, server = one_server(clock)
    world.add_backup(server, "a", size=50_000)
    return world


@pytest.fixture
def server(world: World) -> Server:
    """That server."""
    return next(iter(world.servers.values()))


@pytest.fixture
def backup(server: Server) -> Backup:
    """That backup."""
    return next(iter(server.backups.values()))


@BOTH
async def test_the_file_is_what_the_panel_says(world: World, server: Server, backup: Backup, storage: Storage) -> None:
    """Size, sha1 and a readable archive, from another host than the panel's."""
    server.storage = storage
    async with over_http(world) as caller:
        told = await caller.view(server, backup.uuid)
        url = await caller.link(server, backup)
        assert url.startswith(caller.sandbox.node_url)
        assert caller.sandbox.node_url != caller.sandbox.url
        data = (await caller.http.get(url)).content
    assert len(data) == told["bytes"]
    assert "sha1:" + hashlib.sha1(data, usedforsecurity=False).hexdigest() == told["checksum"]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as tar:
        assert tar.getnames() == ["server.properties", "world/region/r.0.0.mca"]


async def test_a_nodes_link_works_once(world: World, server: Server, backup: Backup) -> None:
    """A retry needs a new one."""
    async with over_http(world) as caller:
        url = await caller.link(server, backup)
        assert [(await caller.http.get(url)).status_code for _ in range(2)] == [200, 404]
        assert (await caller.http.get(await caller.link(server, backup))).status_code == 200


async def test_a_nodes_link_knows_no_range(world: World, server: Server, backup: Backup) -> None:
    """The whole file comes, whatever was asked for."""
    async with over_http(world) as caller:
        answer = await caller.http.get(await caller.link(server, backup), headers={"Range": "bytes=100-"})
        assert (answer.status_code, len(answer.content)) == (200, 50_000)
        assert "content-range" not in answer.headers


async def test_a_stores_link_works_again_and_knows_ranges(world: World, server: Server, backup: Backup) -> None:
    """From the middle to the end, or up to a given byte."""
    server.storage = Storage.S3
    async with over_http(world) as caller:
        url = await caller.link(server, backup)
        whole = (await caller.http.get(url)).content
        rest = await caller.http.get(url, headers={"Range": "bytes=20000-"})
        assert (rest.status_code, rest.headers["content-range"]) == (206, "bytes 20000-49999/50000")
        assert rest.content == whole[20_000:]
        some = await caller.http.get(url, headers={"Range": "bytes=5-9"})
        assert (some.content, some.headers["content-length"]) == (whole[5:10], "5")
        beyond = await caller.http.get(url, headers={"Range": "bytes=50000-"})
        assert (beyond.status_code, "InvalidRange" in beyond.text) == (416, True)


@pytest.mark.parametrize(("storage", "minutes", "status"), [(Storage.NODE, 15, 500), (Storage.S3, 5, 403)])
async def test_a_link_grows_too_old(
    *, world: World, server: Server, backup: Backup, clock: FakeClock, storage: Storage, minutes: int, status: int
) -> None:
    """After 15 minutes at a node, after 5 in a store; a second before it still works."""
    server.storage = storage
    async with over_http(world) as caller:
        one, other = [await caller.link(server, backup) for _ in range(2)]
        clock.elapsed += minutes * 60 - 1
        assert (await caller.http.get(one)).status_code == 200
        clock.elapsed += 1
        assert (await caller.http.get(other)).status_code == status


async def test_a_forged_link_is_refused(world: World, server: Server, backup: Backup) -> None:
    """By either host."""
    node_link = sign_link(world, server, backup).partition("/download")[2]
    async with over_http(world) as caller:
        url = caller.sandbox.node_url
        for target in (f"/download{node_link}x", "/download/backup?token=a.b.c", "/download/backup"):
            assert (await caller.http.get(url + target)).status_code == 500
        store = f"{url}/store/{server.uuid}/{backup.uuid}.tar.gz"
        assert (await caller.http.get(f"{store}?X-Amz-Expires=9999999999&X-Amz-Signature=x")).status_code == 403
        assert (await caller.http.get(url + "/elsewhere")).status_code == 404


@BOTH
@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
async def test_links_are_handed_out_for_files_that_are_not_there(
    world: World, server: Server, storage: Storage, state: State
) -> None:
    """The panel does not look; the host answers 404."""
    server.storage = storage
    backup = world.add_backup(server, "b", state=state)
    async with over_http(world) as caller:
        assert (await caller.http.get(await caller.link(server, backup))).status_code == 404


@BOTH
async def test_a_file_can_be_gone_from_the_host(world: World, server: Server, backup: Backup, storage: Storage) -> None:
    """Though the panel says that all is well."""
    server.storage = storage
    backup.file_gone = True
    async with over_http(world) as caller:
        assert (await caller.http.get(await caller.link(server, backup))).status_code == 404


async def test_a_link_to_a_server_that_is_gone_leads_nowhere(world: World, server: Server, backup: Backup) -> None:
    """The node does not know it any more, nor does the store."""
    async with over_http(world) as caller:
        link = await caller.link(server, backup)
        server.storage = Storage.S3
        store_link = await caller.link(server, backup)
        world.remove_server(server)
        assert [(await caller.http.get(url)).status_code for url in (link, store_link)] == [404, 404]


async def test_an_unknown_kind_of_storage_has_no_links(world: World, server: Server, backup: Backup) -> None:
    """400, as the specification says."""
    server.storage = Storage.OTHER
    async with over_http(world) as caller:
        answer = await caller.call("GET", f"/servers/{server.identifier}/backups/{backup.uuid}/download")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "BadRequestHttpException")


async def test_size_and_checksum_can_be_told_wrongly(world: World, server: Server, backup: Backup) -> None:
    """Or be of a kind that nobody knows."""
    backup.claimed_bytes, backup.claimed_checksum = 49_999, "blake3:00"
    async with over_http(world) as caller:
        told = await caller.view(server, backup.uuid)
        assert (told["bytes"], told["checksum"]) == (49_999, "blake3:00")
        assert len((await caller.http.get(await caller.link(server, backup))).content) == 50_000


@BOTH
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.cut(), httpx.RemoteProtocolError),
        (faults.reset(), httpx.ReadError),
        (faults.lost_before(), httpx.RemoteProtocolError),
    ],
)
async def test_a_download_can_break(
    *, world: World, server: Server, backup: Backup, storage: Storage, fault: Fault, error: type[Exception]
) -> None:
    """Before the first byte or in the middle."""
    server.storage = storage
    world.faults.order(fault, on="file")
    async with over_http(world) as caller:
        url = await caller.link(server, backup)
        with pytest.raises(error):
            await caller.http.get(url)
        assert (await caller.http.get(await caller.link(server, backup))).status_code == 200


async def test_half_of_the_file_arrives_before_it_is_cut(world: World, server: Server, backup: Backup) -> None:
    """And what arrives is the beginning of the true file."""
    world.faults.order(faults.cut(), on="file")
    received = bytearray()

    async def read(http: httpx.AsyncClient, url: str) -> None:
        async with http.stream("GET", url) as answer:
            async for piece in answer.aiter_bytes():
                received.extend(piece)

    async with over_http(world) as caller:
        url = await caller.link(server, backup)
        with pytest.raises(httpx.RemoteProtocolError):
            await read(caller.http, url)
    assert bytes(received) == b"".join(backup.archive.pieces())[:25_000]


@BOTH
async def test_a_download_can_be_refused_slow_or_led_elsewhere(
    world: World, server: Server, backup: Backup, clock: FakeClock, storage: Storage
) -> None:
    """As any call can; here a redirect, a slow one, and one before which the backup is deleted."""
    server.storage = storage
    world.faults.order(faults.redirected("http://elsewhere.invalid/"), on="file")
    world.faults.order(faults.slow(30), on="file")
    world.faults.order(faults.vanishes(), on="file")
    async with over_http(world) as caller:
        answer = await caller.http.get(await caller.link(server, backup))
        assert (answer.status_code, answer.headers["location"]) == (302, "http://elsewhere.invalid/")
        assert (await caller.http.get(await caller.link(server, backup))).status_code == 200
        assert clock.naps == [30]
        link = await caller.link(server, backup)
        assert (await caller.http.get(link)).status_code == 404


@pytest.mark.parametrize("state", [NodeState.DOWN, NodeState.HANGING])
async def test_a_node_that_is_down_answers_nothing(
    world: World, server: Server, backup: Backup, clock: FakeClock, state: NodeState
) -> None:
    """At once or after an hour; the panel hands out links all the same, and an object store is no node."""
    server.node.state = state
    async with over_http(world) as caller:
        url = await caller.link(server, backup)
        with pytest.raises(httpx.RemoteProtocolError):
            await caller.http.get(url)
        server.storage = Storage.S3
        assert (await caller.http.get(await caller.link(server, backup))).status_code == 200
    assert clock.naps == ([3600.0] if state is NodeState.HANGING else [])


async def test_nothing_more_is_sent_once_the_caller_has_gone(backup: Backup) -> None:
    """A large file that nobody reads costs nothing."""
    sent: list[Message] = []
    backup.size = 100_000_000

    async def receive() -> Message:
        return {"type": "http.disconnect" if len(sent) > 5 else "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await FileResponse(backup, {}, fault=NO_FAULT)({"type": "http", "headers": []}, receive, send)
    assert len(sent) < 40


async def test_a_key_that_is_sent_to_the_host_is_noticed(world: World, server: Server, backup: Backup) -> None:
    """So that a test can say that none was."""
    async with over_http(world) as caller:
        await caller.http.get(await caller.link(server, backup))
        assert caller.sandbox.node_app.keys_seen == []
        await caller.http.get(await caller.link(server, backup), headers={"Authorization": "Bearer leaked"})
        assert caller.sandbox.node_app.keys_seen == ["Bearer leaked"]


async def test_the_hosts_clock_is_the_worlds(world: World, server: Server, backup: Backup) -> None:
    """Ahead or not."""
    world.settings.skew = timedelta(minutes=10)
    async with over_http(world) as caller:
        answer = await caller.http.get(await caller.link(server, backup))
        assert answer.headers["date"] == "Wed, 01 Apr 2026 04:10:00 GMT"
