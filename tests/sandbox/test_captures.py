"""The sandbox's answers, held against what a real panel answered: the same request in the same state of the world.

`GIVEN` says for each capture what the world is like beforehand; a capture that is not named there needs nothing but
the servers. Compared are the status, the headers that matter, and every value of the JSON but those that are made
anew each time (`VOLATILE`), of which only the type is. What an administrator sets for a server is not looked at
(`SET_BY_HAND`).
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from daemon.sandbox.activity import EVENTS
from daemon.sandbox.limits import Window
from daemon.sandbox.links import sign_link
from daemon.sandbox.records import Change, Entry, NodeState, Server, State, User
from daemon.sandbox.settings import Settings
from daemon.sandbox.world import World
from tests import captures
from tests.captures import Capture
from tests.fakes import FakeClock
from tests.sandbox.conftest import over_http

pytestmark = pytest.mark.anyio

ADMIN, ALICE, BOB, CAROL = User("admin", admin=True), User("alice"), User("bob"), User("carol")
SERVERS = (
    ("32f8a4b7-f2db-4947-9047-130f45aae325", "srv zero", ADMIN, 0),
    ("ff52825e-0c95-4fd7-81ac-1e51404592da", "srv one", ADMIN, 1),
    ("431967f8-47f5-4b35-b20e-40523d7c2eca", "srv three", ADMIN, 3),
    ("95bfba30-34f2-4881-b0e8-53b221663613", "srv ten", ADMIN, 10),
    ("cf0e5a39-148a-4709-85de-0cecb6731016", "srv sixty", ADMIN, 200),
    ("0ade63a1-d872-4f16-8ffd-598b25242e7d", "srv suspended", ADMIN, 10),
    ("77eb721b-b640-4d90-8d6f-e674c7174c74", "srv bob", BOB, 10),
    ("456538e9-4698-44d2-b878-3f138a95b90e", "srv hundredfifty", ADMIN, 200),
)
TWENTY = "7509c238-dee9-47cb-809b-3cf2cb572bd7"
"""A server of Alice's, who came later than most captures."""
VOLATILE = {
    *("uuid", "checksum", "bytes", "created_at", "completed_at", "internal_id", "id", "port"),
    *("invocation", "variables", "ip", "token"),
}
SET_BY_HAND = {"limits", "feature_limits", "docker_image", "egg_features"}
"""What is of no concern here, and each server's own."""
NEEDS_A_LINK = {"115", "116", "118"}
HANGS = {"188": 15}
"""For how many seconds the panel was silent before the moment that the answer is dated."""

Given = Callable[[World, Capture], None]


def world_of(capture: Capture) -> World:
    """The captured panel: its users, keys and servers, at the moment of the capture (half a second past it)."""
    date = parsedate_to_datetime(capture.headers["date"]).astimezone(UTC)
    began = date - timedelta(seconds=HANGS.get(capture.name[:3], 0))
    world = World(FakeClock(began + timedelta(milliseconds=500)), settings=Settings(creation_limit=0))
    node = world.add_node("node1")
    for uuid, name, owner, limit in SERVERS:
        world.add_server(name, owner=owner, node=node, limit=limit, server_uuid=uuid)
    if TWENTY[:8] in capture.path:
        twenty = world.add_server("Twenty", owner=ALICE, node=node, limit=20, server_uuid=TWENTY)
        twenty.description = "exam Twenty"
        twenty.subusers["carol"] = ("websocket.connect", "backup.read")
    server(world, "0ade63a1").status = "suspended"
    server(world, "77eb721b").subusers["carol"] = ("websocket.connect", "backup.read")
    server(world, "95bfba30").subusers["carol"] = ("backup.read", "backup.create")
    server(world, "431967f8").subusers["bob"] = ("backup.read", "backup.create", "backup.delete")
    for token, user in (("admin", ADMIN), ("alice", ALICE), ("bob", BOB), ("carol_readonly", CAROL), ("carol", CAROL)):
        world.add_key(f"ptlc_EXAMPLE_{token}", user)
    world.add_key("ptlc_EXAMPLE_ip_locked", ADMIN, allowed_ips=["192.0.2.1"])
    world.add_key("ptla_EXAMPLE", ADMIN)
    return world


def server(world: World, identifier: str) -> Server:
    """The server with that short id."""
    found = world.find_server(identifier)
    assert found is not None
    return found


def of_path(world: World, capture: Capture) -> Server:
    """The server that the capture's path names."""
    return server(world, capture.path.split("/")[4])


def seeds(identifier: str, count: int) -> Given:
    """So many good backups, named as in the captures."""

    def given(world: World, _capture: Capture) -> None:
        for number in range(count):
            world.add_backup(server(world, identifier), f"seed {number:03}")

    return given


def backup(name: str = "a", state: State = State.GOOD, *, locked: bool = False) -> Given:
    """The backup that the path names, or just one where it names none."""

    def given(world: World, capture: Capture) -> None:
        uuid = re.search(r"/backups/([0-9a-fA-F-]{36})", capture.path)
        world.add_backup(
            of_path(world, capture), name, state=state, locked=locked, backup_uuid=uuid and uuid[1].lower()
        )

    return given


def settings(**values: Any) -> Given:
    """The panel set like that."""

    def given(world: World, _capture: Capture) -> None:
        for name, value in values.items():
            setattr(world.settings, name, value)

    return given


def node(**values: Any) -> Given:
    """The node in that state."""

    def given(world: World, _capture: Capture) -> None:
        (only,) = world.nodes.values()
        for name, value in values.items():
            setattr(only, name, value)

    return given


def status(value: str) -> Given:
    """The server of the path in that state."""

    def given(world: World, capture: Capture) -> None:
        of_path(world, capture).status = value

    return given


def throttled(limit: int, seconds: int, *ages: float, deleted: bool = False) -> Given:
    """The creation throttle set like that, after backups that were made so many seconds ago."""

    def given(world: World, capture: Capture) -> None:
        world.settings.creation_limit, world.settings.creation_seconds = limit, seconds
        for age in ages:
            target = of_path(world, capture)
            made = world.add_backup(target, "a", created_at=world.now() - timedelta(seconds=age))
            if deleted:
                world.remove(target, made, by="admin")

    return given


def limited(used: int) -> Given:
    """An API limit of 5, of which so many are used up."""

    def given(world: World, _capture: Capture) -> None:
        world.settings.api_limit = 5
        world.windows["admin"] = Window(ends=60.0, count=used)

    return given


def nothing(_world: World, _capture: Capture) -> None:
    """The servers are enough."""


def lowered(world: World, capture: Capture) -> None:
    """Five backups, and a limit lowered to two."""
    seeds("95bfba30", 5)(world, capture)
    server(world, "95bfba30").limit = 2


def as_listed(world: World, capture: Capture) -> None:
    """The backups that the captured list shows."""
    for row in (row["attributes"] for row in capture.json["data"]):
        world.add_backup(
            of_path(world, capture),
            row["name"],
            state=State.GOOD if row["is_successful"] else State.FAILED if row["completed_at"] else State.PENDING,
            locked=row["is_locked"],
            ignored=row["ignored_files"],
            backup_uuid=row["uuid"],
        )


def full(world: World, capture: Capture) -> None:
    """As many backups as the server may have."""
    for _ in range(of_path(world, capture).limit or 0):
        world.add_backup(of_path(world, capture), "a")


def file_gone(world: World, capture: Capture) -> None:
    """The node has lost the file of the backup."""
    backup()(world, capture)
    for made in of_path(world, capture).backups.values():
        made.file_gone = True


def both(one: Given, other: Given) -> Given:
    """The one and the other."""

    def given(world: World, capture: Capture) -> None:
        one(world, capture)
        other(world, capture)

    return given


def done_and_pending(world: World, _capture: Capture) -> None:
    """One that is done and one that is not."""
    world.add_backup(server(world, "95bfba30"), "plain one")
    world.add_backup(server(world, "95bfba30"), "slow", state=State.PENDING)


def two_failed(world: World, capture: Capture) -> None:
    """The throttle at its default, after two failed ones."""
    settings(creation_limit=2)(world, capture)
    for name in "ab":
        world.add_backup(server(world, "95bfba30"), name, state=State.FAILED)


def throttled_and_full(world: World, capture: Capture) -> None:
    """Throttled, and the limit reached as well."""
    throttled(2, 600, 2.0, 1.0)(world, capture)
    server(world, "95bfba30").limit = 2


def logged(world: World, capture: Capture) -> None:
    """What the server's activity log says, the same as in the capture; what its page does not show is older."""
    changes = {event: change for change, event in EVENTS.items()}
    shown = capture.json["data"]
    target, last = of_path(world, capture).uuid, datetime(2026, 11, 1, tzinfo=UTC)
    for _ in range(capture.json["meta"]["pagination"]["total"] - len(shown)):
        world.ledger.append(Entry(last, Change.RESTORED, target, "", "older", False, State.GOOD, "node"))
    for row in reversed(shown):
        one = row["attributes"]
        by, truncate = ("alice" if one["is_api"] else "node"), one["properties"].get("truncate")
        asked = None if truncate is None else bool(truncate)
        at, change = datetime.fromisoformat(one["timestamp"]), changes[one["event"]]
        name = one["properties"]["name"]
        world.ledger.append(Entry(at, change, target, "", name, False, State.GOOD, by, asked))


PAGES = seeds("cf0e5a39", 45)
FIVE = seeds("95bfba30", 5)
GIVEN: dict[str, Given] = {
    **dict.fromkeys(["016", "017", "018", "019", "022", "023", "024", "025", "026", "027", "028", "029"], PAGES),
    **dict.fromkeys(["030", "031", "032", "033", "034", "036"], PAGES),
    **dict.fromkeys(("020", "021"), seeds("456538e9", 120)),
    **dict.fromkeys(("039", "040"), backup("plain one")),
    "042": backup("slow", State.PENDING),
    "043": done_and_pending,
    "068": backup(),
    **dict.fromkeys(("070", "071", "073", "074"), backup("fails", State.FAILED)),
    "072": backup("fails", State.FAILED),
    "076": backup("fails", State.FAILED),
    "077": backup("fails", State.FAILED, locked=True),
    "079": backup("a", State.PENDING),
    "084": throttled(2, 600, 2.0, 0.0),
    "085": throttled(2, 600),
    "086": backup(),
    "087": throttled(2, 600, 2.0, 0.0, deleted=True),
    "090": throttled_and_full,
    "092": throttled(1, 5, 0.0),
    "093": throttled(1, 5, 5.0),
    "094": throttled(1, 5, 10.0),
    "097": two_failed,
    "102": limited(4),
    **dict.fromkeys(("103", "104", "106"), limited(5)),
    "108": backup(),
    "109": backup(locked=True),
    "110": backup(locked=True),
    "111": backup(),
    **dict.fromkeys(("113", "114", "117", "122"), backup()),
    "128": backup("a", State.PENDING, locked=True),
    **dict.fromkeys(("129", "130"), backup("a", State.PENDING)),
    "132": backup("a", State.PENDING, locked=True),
    **dict.fromkeys(("135", "136", "137", "144", "301"), backup()),
    **dict.fromkeys(("138", "139", "140"), status("restoring_backup")),
    "141": both(backup(), status("restoring_backup")),
    **dict.fromkeys(("146", "148", "149"), file_gone),
    **dict.fromkeys(("158", "159", "161", "162", "163", "164", "168"), backup()),
    "171": node(state=NodeState.DOWN),
    **dict.fromkeys(("173", "174", "176", "177", "179"), both(backup(), node(state=NodeState.DOWN))),
    **dict.fromkeys(("172", "180", "189", "190"), both(backup(), node(state=NodeState.DOWN))),
    "178": both(backup(locked=True), node(state=NodeState.DOWN)),
    "181": node(error=500),
    "182": node(error=502),
    "183": node(error=404),
    "184": node(error=403),
    "185": node(error=429),
    **dict.fromkeys(("186", "187"), both(backup(), node(error=500))),
    "188": node(state=NodeState.HANGING),
    **dict.fromkeys(("192", "193", "194"), settings(maintenance=True)),
    **dict.fromkeys(("195", "196"), settings(database_down=True)),
    "197": settings(web_down=True),
    **dict.fromkeys(("199", "200"), node(maintenance=True)),
    **dict.fromkeys(("201", "202"), status("installing")),
    "206": throttled(2, 8, 4.0, 0.0),
    "207": throttled(2, 8, 9.3, 5.0),
    **dict.fromkeys(("209", "210", "211", "212"), FIVE),
    "213": backup("seed 001"),
    "215": lowered,
    "235": backup("stuck", State.PENDING, locked=True),
    "236": backup("stuck", State.FAILED, locked=True),
    "237": backup("stuck", State.FAILED, locked=True),
    "242": backup(),
    "302": logged,
    "304": status("reinstall_failed"),
    "305": both(as_listed, status("reinstall_failed")),
    "306": both(full, status("reinstall_failed")),
    **dict.fromkeys(("307", "308"), status("install_failed")),
}
REQUESTED_AGAIN = {
    "243": {
        "accept": "application/json",
        "content-type": "application/json",
        "authorization": "Bearer ptlc_EXAMPLE_carol_readonly",
    }
}
"""The one capture that keeps only a comment of its request; the key is one without `backup.delete`."""


async def answer_to(capture: Capture, world: World) -> httpx.Response:
    """Send the captured request over real HTTP, with nothing added that the capture does not hold."""
    headers = REQUESTED_AGAIN.get(capture.name[:3], capture.request_headers)
    async with over_http(world) as caller:
        base, target = caller.sandbox.url, capture.target
        if target.startswith("/download/"):
            base, target = caller.sandbox.node_url, await link_for(capture, world, caller.http)
        request = caller.http.build_request(
            capture.method, base + target, content=capture.request_body.encode() or None
        )
        for name in ("accept", "accept-encoding", "user-agent"):
            del request.headers[name]
        request.headers.update({name: value for name, value in headers.items() if name != "content-length"})
        return await caller.http.send(request)


async def link_for(capture: Capture, world: World, http: httpx.AsyncClient) -> str:
    """The target of a true link (used up once for the second use); the captured one where it is wrong anyway."""
    if capture.name[:3] not in NEEDS_A_LINK:
        return capture.target
    target = server(world, "95bfba30")
    made = world.add_backup(target, "a", backup_uuid="86c5180a-da60-42b7-9ab4-4c8cec28a7c0", size=20384)
    link = sign_link(world, target, made)
    if capture.name[:3] == "116":
        await http.get(link)
    return link.removeprefix(target.node.url)


def masked(text: str) -> str:
    """The text without hosts, uuids and tokens, which are others each time."""
    text = re.sub(r"(http|ws)://127\.0\.0\.\d(:\d+)?", r"\1://HOST", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
    text = re.sub(r"token=.*", "token=TOKEN", text)
    return text.replace("injected by the stub", "…").replace("ordered in the sandbox", "…")


def differences(real: Any, ours: Any, at: str = "") -> list[str]:
    """Where two JSON documents differ in what must be the same."""
    if at.rpartition(".")[2] in SET_BY_HAND:
        return []
    if type(real) is not type(ours):
        return [f"{at}: {real!r} is {ours!r} here"]
    if at.rpartition(".")[2] in VOLATILE:
        return []
    if isinstance(real, dict) and real.keys() == ours.keys():
        return [line for key in real for line in differences(real[key], ours[key], f"{at}.{key}")]
    if isinstance(real, list) and len(real) == len(ours):
        return [line for one, other in zip(real, ours, strict=True) for line in differences(one, other, f"{at}[]")]
    same = masked(real) == masked(ours) if isinstance(real, str) else real == ours
    return [] if same else [f"{at}: {real!r} is {ours!r} here"]


def header_differences(real: dict[str, str], ours: httpx.Headers) -> list[str]:
    """Where headers that matter differ: kind of content, limits, waits, redirects and the clock."""
    exact = ("retry-after", "x-ratelimit-limit", "content-disposition", "x-ratelimit-reset", "date")
    wrong = [f"{name}: {real.get(name)} is {ours.get(name)} here" for name in exact if real.get(name) != ours.get(name)]
    if ("x-ratelimit-remaining" in real) != ("x-ratelimit-remaining" in ours):
        wrong.append("x-ratelimit-remaining")
    if masked(real.get("location", "")) != masked(ours.get("location", "")):
        wrong.append(f"location: {ours.get('location')}")
    kinds = [headers.get("content-type", "").partition(";")[0] for headers in (real, ours)]
    return wrong if kinds[0] == kinds[1] else [*wrong, f"content-type: {kinds[0]} is {kinds[1]} here"]


@pytest.mark.parametrize("capture", captures.every(), ids=str)
async def test_the_same_request_gets_the_same_answer(capture: Capture) -> None:
    """Status, headers that matter and JSON are those of the real panel."""
    world = world_of(capture)
    GIVEN.get(capture.name[:3], nothing)(world, capture)
    ours = await answer_to(capture, world)
    assert ours.status_code == capture.status
    assert header_differences(capture.headers, ours.headers) == []
    if capture.headers.get("content-type", "").startswith("application/json"):
        assert differences(capture.json, ours.json()) == []


def test_the_comparison_sees_a_difference() -> None:
    """A value, a type, a field, a row or a header that differs is told; what is made anew is not."""
    row = {"name": "a", "uuid": "1", "bytes": 1, "url": "http://127.0.0.1:1/x"}
    assert differences([row], [{**row, "uuid": "2", "bytes": 2, "url": "http://127.0.0.1:2/x"}]) == []
    assert differences([row], []) == [f": {[row]} is [] here"]
    assert differences(row, {"name": "a"}) == [f": {row} is {{'name': 'a'}} here"]
    assert differences({"name": "a"}, {"name": "b"}) == [".name: 'a' is 'b' here"]
    assert differences({"bytes": 1}, {"bytes": None}) == [".bytes: 1 is None here"]
    assert header_differences({"retry-after": "60"}, httpx.Headers()) == ["retry-after: 60 is None here"]


def test_every_preparation_is_for_a_capture() -> None:
    """No line of the table has been left behind."""
    assert {*GIVEN, *REQUESTED_AGAIN} <= {capture.name[:3] for capture in captures.every()}


def test_the_clock_of_the_captures_is_read_rightly() -> None:
    """The world stands at the capture's own moment."""
    assert world_of(captures.load("068")).now().replace(microsecond=0) == datetime(2026, 11, 23, 6, 55, 26, tzinfo=UTC)
