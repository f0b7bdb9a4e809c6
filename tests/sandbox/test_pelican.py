"""The sandbox as a Pelican, held against what a real one answered; what is compared is said in `test_captures`."""

import asyncio
import hashlib
import os
import tarfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import takewhile
from pathlib import Path

import pytest

from daemon.sandbox import scenes
from daemon.sandbox.database import OneFile
from daemon.sandbox.faults import database_locked
from daemon.sandbox.limits import Window
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change, NodeState, Pulls, Server, State, Storage, User
from daemon.sandbox.scenes import demo, one_server
from daemon.sandbox.settings import Kind, pelican
from daemon.sandbox.world import World
from tests import captures
from tests.captures import Capture
from tests.fakes import FakeClock
from tests.sandbox.conftest import over_http
from tests.sandbox.test_captures import (
    Given,
    answer_to,
    as_listed,
    backup,
    both,
    differences,
    full,
    header_differences,
    logged,
    node,
    nothing,
    of_path,
    server,
    settings,
    status,
    throttled,
)

pytestmark = pytest.mark.anyio

ROOT, ALICE, BOB, CAROL = User("root", admin=True), User("alice"), User("bob"), User("carol")
SERVERS = (
    ("35185e86-d0cc-45ff-b0dc-557c38731321", "zero", 0),
    ("604f03a1-bb7f-44ad-be4c-86526cf621c5", "one", 1),
    ("b958676e-af16-4619-8280-4445f369a9bb", "three", 3),
    ("b03c0126-a570-46c4-84e6-040eb3171f1d", "fifty", 50),
    ("d2ecf79d-d8b4-4002-961c-a8b445d366e8", "twohundred", 200),
)
KEY = "pacc_EXAMPLE"
"""Whoever asked, the captures call his key so."""
ASKED_BY = {
    **dict.fromkeys(("002", "007", "028", "049", "051", "052", "054", "110", "205", "214", "219", "221"), BOB),
    **dict.fromkeys(("008", "093"), ROOT),
    "029": CAROL,
}
TOOK = {"088": 15, "089": 15}
"""For how many seconds the panel was silent before the moment that the answer is dated."""


def number(capture: Capture) -> str:
    """The capture's number."""
    return "".join(takewhile(str.isdigit, capture.name.removeprefix("pelican/")))


def world_of(capture: Capture) -> World:
    """The captured Pelican, half a second past the capture's moment."""
    date = parsedate_to_datetime(capture.headers["date"]).astimezone(UTC)
    began = date - timedelta(seconds=TOOK.get(number(capture), 0)) + timedelta(milliseconds=500)
    world = World(FakeClock(began), settings=replace(pelican(), creation_limit=0))
    stand_in = world.add_node("stand-in")
    for uuid, name, limit in SERVERS:
        made = world.add_server(name, owner=ALICE, node=stand_in, limit=limit, server_uuid=uuid)
        made.subusers["bob"] = ("backup.read", "websocket.connect")
    server(world, "604f03a1").subusers["carol"] = ("backup.read", "backup.create")
    world.add_key("papp_EXAMPLE", ALICE)
    if number(capture) != "011":
        allowed = ["192.0.2.1"] if number(capture) == "016" else []
        world.add_key(KEY, ASKED_BY.get(number(capture), ALICE), allowed_ips=allowed)
    return world


def attempts(count: int, seconds: float) -> Given:
    """So many attempts at a restore of the server, of which the first was that long ago."""

    def given(world: World, capture: Capture) -> None:
        length = float(world.settings.restore_seconds)
        world.restore_windows[of_path(world, capture).uuid] = Window(length, length - seconds, count)

    return given


def limited(world: World, _capture: Capture) -> None:
    """Alice has used up the API limit, for another 49 s."""
    world.windows["alice"] = Window(ends=48.5, count=256)


def unknown_adapter(world: World, capture: Capture) -> None:
    """The host that keeps the server's backups is of a kind that the panel does not know."""
    of_path(world, capture).storage = Storage.OTHER


def long_list(world: World, _capture: Capture) -> None:
    """23 backups, 4 of them failed; the first five as one of the captures shows them."""
    shown = captures.load("pelican/120")
    as_listed(world, shown)
    for position in range(18):
        state = State.FAILED if position < 3 else State.GOOD
        world.add_backup(of_path(world, shown), f"other {position}", state=state)


def deleted_meanwhile(world: World, capture: Capture) -> None:
    """Two were made of late, and one of them is gone: only a Pelican lets a third be made."""
    throttled(2, 600, 5.0, 4.0)(world, capture)
    target = of_path(world, capture)
    world.remove(target, next(iter(target.backups.values())), by="alice")


def pulled(count: int) -> Given:
    """So many files were pulled of late."""

    def given(world: World, capture: Capture) -> None:
        length = float(world.settings.pull_seconds)
        world.pull_windows[of_path(world, capture).uuid] = Window(length, length, count)

    return given


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a captured server has its files."""
    monkeypatch.setattr(f"{__name__}.FOLDER", tmp_path)


def with_files(world: World, capture: Capture) -> None:
    """A world, and an archive in the same folder."""
    (FOLDER / "world").mkdir()
    with tarfile.open(FOLDER / "restore.tar.gz", "w:gz"):
        pass
    os.truncate(FOLDER / "restore.tar.gz", 65536)
    for path in FOLDER.iterdir():
        os.utime(path, (WRITTEN.timestamp(),) * 2)
    of_path(world, capture).folder = FOLDER


FOLDER = Path()
WRITTEN = datetime(2026, 11, 28, 19, tzinfo=UTC)
PENDING, FAILED = backup("pending", State.PENDING, locked=True), backup("failed", State.FAILED)
STUCK = "auto-twohundred-20261128T162712Z-44480030"
UP, DOWN = backup("g2"), node(state=NodeState.DOWN)
GIVEN: dict[str, Given] = {
    "030": full,
    "035": throttled(2, 600, 1.0, 0.0),
    "040": as_listed,
    **dict.fromkeys(("041", "042", "046", "049", "050", "051", "052", "054", "055", "061"), backup("plain one")),
    **dict.fromkeys(("047", "048"), backup("plain one", locked=True)),
    "053": backup("plain one"),
    **dict.fromkeys(("056", "057"), status("restoring_backup")),
    "058": both(backup("plain one"), status("restoring_backup")),
    "059": both(backup("plain one"), attempts(3, 5.0)),
    **dict.fromkeys(("064", "065", "067"), PENDING),
    "066": both(PENDING, attempts(3, 5.0)),
    **dict.fromkeys(("068", "069", "070"), FAILED),
    "071": backup("failed", State.FAILED, locked=True),
    "080": node(error=500),
    "081": node(error=404),
    "082": node(error=403),
    "083": node(error=429),
    "084": DOWN,
    "085_delete_node_403": both(UP, node(error=403)),
    "085_delete_node_500": both(UP, node(error=500)),
    "086": both(UP, node(error=404)),
    "087": both(UP, node(error=500)),
    "088": node(answer_seconds=17.0),
    "089": both(UP, node(answer_seconds=17.0)),
    **{
        f"{about}_{name}": status(name.replace("restoring", "restoring_backup"))
        for about in ("090_list", "091_server_view", "092_create")
        for name in ("install_failed", "installing", "reinstall_failed", "restoring", "suspended")
    },
    "093": status("suspended"),
    **dict.fromkeys(("094", "095"), node(maintenance=True)),
    "096": unknown_adapter,
    "097": both(UP, unknown_adapter),
    "098": node(backup_host=False),
    "100": DOWN,
    **dict.fromkeys(("101", "102"), both(UP, DOWN)),
    **dict.fromkeys(("103", "104"), settings(maintenance=True)),
    "105": settings(maintenance=True, maintenance_retry=60),
    "106": settings(database_down=True),
    **dict.fromkeys(("107", "108", "109"), limited),
    "110": both(as_listed, limited),
    **dict.fromkeys(("120", "121", "122", "123"), long_list),
    "124": throttled(2, 4, 4.0, 3.5),
    "125": throttled(2, 600, 5.0, 4.0),
    "126": deleted_meanwhile,
    "127": backup(STUCK, State.FAILED, locked=True),
    "128": backup(STUCK, locked=True),
    "129": backup(STUCK, locked=True),
    **dict.fromkeys(("201", "203"), backup()),
    **dict.fromkeys(("202", "204", "206"), logged),
    **dict.fromkeys(("210", "211", "216", "217"), with_files),
    "212": both(pulled(1), node(pulls=Pulls.REFUSED)),
    "215": pulled(5),
}


def given(capture: Capture) -> Given:
    """What the world is like before that capture; by its name, or else by its number."""
    return GIVEN.get(capture.name.removeprefix("pelican/"), GIVEN.get(number(capture), nothing))


@pytest.mark.parametrize("capture", captures.every("pelican"), ids=str)
async def test_the_same_request_gets_the_same_answer_of_a_pelican(capture: Capture) -> None:
    """Status, headers that matter and JSON are those of the real panel."""
    world = world_of(capture)
    given(capture)(world, capture)
    ours = await answer_to(capture, world)
    assert ours.status_code == capture.status
    assert header_differences(capture.headers, ours.headers) == []
    if capture.headers.get("content-type", "").startswith("application/json"):
        assert differences(capture.json, ours.json()) == []


def test_every_preparation_is_for_a_capture_of_a_pelican() -> None:
    """No line of the table has been left behind."""
    names = {capture.name.removeprefix("pelican/") for capture in captures.every("pelican")}
    assert names | {name[:3] for name in names} >= {*GIVEN, *ASKED_BY, *TOOK}


@pytest.fixture
def world(clock: FakeClock) -> World:
    """A Pelican with one server; the creation throttle is off."""
    world, server = one_server(clock, settings=replace(pelican(), creation_limit=0))
    world.add_key(scenes.KEY, server.owner)
    return world


@pytest.fixture
def only(world: World) -> Server:
    """That server."""
    return next(iter(world.servers.values()))


async def test_a_file_can_go_and_its_row_stay(world: World, only: Server) -> None:
    """SQLite was locked when the row was to go: it counts on as good, and the same DELETE again is done with it."""
    made = world.add_backup(only, "a")
    world.faults.order(database_locked(), on=Call.DELETE)
    path = f"/servers/{only.identifier}/backups/{made.uuid}"
    async with over_http(world) as caller:
        refused = await caller.call("DELETE", path)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (500, "QueryException")
        assert (await caller.view(only, made.uuid))["is_successful"] is True
        link = await caller.link(only, made)
        assert (await caller.http.get(link)).status_code == 404
        assert (await caller.call("DELETE", path)).status_code == 204
    assert [entry.change for entry in world.ledger[1:]] == [Change.FILE_DELETED, Change.DELETED]


async def test_creates_come_one_after_another(world: World, only: Server) -> None:
    """Six at once against a limit of one: exactly one gets through, where a Pterodactyl lets four or five."""
    only.limit, only.node.answer_seconds = 1, 1.0
    async with over_http(world) as caller:
        answers = await asyncio.gather(*(caller.create(only) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, *[400] * 5]


@pytest.mark.parametrize(
    ("kind", "order"), [(Kind.PELICAN, ["create", "look"]), (Kind.PTERODACTYL, ["look", "create"])]
)
async def test_a_slow_node_holds_up_everybody(clock: FakeClock, kind: Kind, order: list[str]) -> None:
    """A create has written its row when it asks the node: all others wait until that is told, or taken back."""
    database, done = OneFile(), []

    async def call(name: str, *, writes_first: bool, turns: int) -> None:
        async with database.held(writes_first, kind):
            for _ in range(turns):
                await clock.sleep(0.0)
            done.append(name)

    await asyncio.gather(call("create", writes_first=True, turns=9), call("look", writes_first=False, turns=1))
    assert done == order


async def test_a_name_can_be_changed(world: World, only: Server) -> None:
    """By whoever may delete; it must be there and not too long, and no Pterodactyl knows of it."""
    made = world.add_backup(only, "a")
    path = f"/servers/{only.identifier}/backups/{made.uuid}/rename"
    async with over_http(world) as caller:
        assert (await caller.call("PUT", path, json={"name": " b "})).json()["attributes"]["name"] == "b"
        refused = [await caller.call("PUT", path, json={"name": name}) for name in ("", "n" * 256, ["b"])]
        world.settings.kind = Kind.PTERODACTYL
        unknown = await caller.call("PUT", path, json={"name": "c"})
    assert [answer.json()["errors"][0]["meta"]["rule"] for answer in refused] == ["required", "max", "string"]
    assert (unknown.status_code, made.name) == (404, "b")
    assert world.ledger[-1].change is Change.RENAMED


async def test_what_the_panels_own_schedule_made_is_called_so(world: World, only: Server) -> None:
    """By a field that a Pterodactyl does not have."""
    async with over_http(world) as caller:
        path = f"/servers/{only.identifier}/backups"
        assert (await caller.control("POST", path, json={"name": "nightly", "scheduled": True})).status_code == 200
        assert [row["is_scheduled"] for row in await caller.backups(only)] == [True]
        world.settings.kind = Kind.PTERODACTYL
        assert ["is_scheduled" in row for row in await caller.backups(only)] == [False]


async def test_checksums_are_what_the_nodes_make_them(world: World, only: Server) -> None:
    """sha256, where they were told to."""
    made = world.add_backup(only, "a")
    async with over_http(world) as caller:
        assert (await caller.control("PATCH", "/settings", json={"checksum": "sha256"})).status_code == 200
        told = (await caller.view(only, made.uuid))["checksum"]
        data = (await caller.http.get(await caller.link(only, made))).content
    assert told == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_pelican_is_told_from_its_settings(clock: FakeClock) -> None:
    """The demo's panel as one; its key is called as a Pelican calls keys."""
    world = demo(clock, Kind.PELICAN)
    assert (world.settings.kind, world.settings.name_limit, list(world.keys)) == (
        Kind.PELICAN,
        255,
        ["pacc_EXAMPLE_sandbox"],
    )
