"""Every captured exchange, replayed through the client: the right value, or the right error."""

import re
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr

from daemon.core.files import FileEntry, Power
from daemon.core.model import Backup, Completeness, Listing, Obstacle, Server
from daemon.panel import errors
from daemon.panel.client import PanelClient
from tests.captures import Capture, every, load
from tests.fakes import FakeClock
from tests.panel.stand_in import Script, captured, client

pytestmark = pytest.mark.anyio

BY_CODE = {
    "DaemonConnectionException": errors.NodeError,
    "TooManyBackupsException": errors.BackupLimitError,
    "BackupLockedException": errors.BackupLockedError,
    "TooManyRequestsHttpException": errors.CreationThrottledError,
    "RequestException": errors.NodeCallError,
    "ConnectionException": errors.NodeCallError,
}
BY_STATUS = {
    302: errors.StrangeAnswerError,
    400: errors.RefusedRequestError,
    401: errors.KeyRefusedError,
    403: errors.PermissionLackingError,
    404: errors.NotFoundError,
    409: errors.ServerStateError,
    422: errors.InvalidRequestError,
    429: errors.ApiLimitError,
    500: errors.PanelTroubleError,
    502: errors.PanelTroubleError,
    503: errors.PanelTroubleError,
}
OF_THE_PANEL = [
    capture
    for capture in (*every(), *every("pelican"))
    if capture.path.startswith("/api/client") and capture.method != "PUT"  # no name is ever changed by us
]
NOBODY_KNOWS = ("QueryException", "Exception", "HttpException")
"""The panel's own 5xx to a write may come after the write was done."""


def expected(capture: Capture) -> type[errors.PanelError]:
    """The error for a capture, by the facts' table; a page's 404 was not said by the panel's API."""
    if "html" in capture.headers.get("content-type", "") and capture.status == 404:
        return errors.StrangeAnswerError
    code = re.search(r'"code": ?"(\w+)"', capture.body)
    if capture.method != "GET" and code and code[1] in NOBODY_KNOWS:
        return errors.OutcomeUnknownError
    return BY_CODE.get(code[1] if code else "", BY_STATUS.get(capture.status, errors.PanelError))


async def replay(panel: PanelClient, capture: Capture) -> object:  # noqa: PLR0911, C901, PLR0912 — one return a call
    """Make the call that the capture is of."""
    if capture.path == "/api/client":
        return await panel.servers()
    _, _, rest = capture.path.partition("/servers/")
    server, *path = [part for part in rest.split("/") if part]
    match capture.method, path:
        case "GET", []:
            return await panel.server(server)
        case "GET", ["backups"]:
            return await panel.backups(server)
        case "GET", ["activity"]:
            return await panel.restore_log(server)
        case "GET", ["backups", uuid]:
            return await panel.backup(server, uuid)
        case "GET", ["backups", uuid, "download"]:
            return await panel.download_link(server, uuid)
        case "POST", ["backups"]:
            return await panel.create(server, name="x")
        case "POST", ["backups", uuid, "restore"]:
            await panel.restore(server, uuid, truncate=False)
            return None
        case "GET", ["files", "list"]:
            return await panel.files.list(server)
        case "GET", ["files", "upload"]:
            return await panel.files.upload_link(server)
        case "GET", ["resources"]:
            return await panel.files.power(server)
        case "GET", ["websocket"]:
            return await panel.files.console(server)
        case "POST", ["files", "pull"]:
            await panel.files.pull(server, SecretStr("https://backups.example.com/x"), "/", "x")
            return None
        case "POST", ["files", "decompress"]:
            await panel.files.decompress(server, "/", "restore.tar.gz")
            return None
        case "POST", ["files", "delete"]:
            await panel.files.delete(server, "/", ["restore.tar.gz"])
            return None
        case "POST", ["power"]:
            await panel.files.signal(server, "stop")
            return None
        case "DELETE", ["backups", uuid]:
            return await panel.delete(server, uuid)
    raise AssertionError(capture)


def is_lock(capture: Capture) -> bool:
    """Whether the capture is of the toggle, which is more than one call here."""
    return capture.path.endswith("/lock")


def is_server_list(capture: Capture) -> bool:
    """Whether the capture is of the servers."""
    return capture.path == "/api/client" and capture.status < 300


def succeeds(capture: Capture) -> bool:
    """Whether it is a 2xx of the calls that map one to one."""
    return capture.status < 300 and not is_lock(capture) and not is_server_list(capture)


@pytest.mark.parametrize("capture", [c for c in OF_THE_PANEL if succeeds(c)], ids=str)
async def test_each_captured_success_is_understood(capture: Capture) -> None:
    """What the panel granted comes back as the value that the body holds."""
    async with client(Script(captured(capture.name))) as panel:
        value = await replay(panel, capture)
    if capture.status == 204:
        assert value in (True, None)
    elif capture.path.endswith("/files/list"):
        assert value == (FileEntry("restore.tar.gz", 65536, True), FileEntry("world", 4096, False))
    elif capture.path.endswith("/resources"):
        assert value is Power.RUNNING
    elif isinstance(value, tuple):
        entries = [row["attributes"] for row in capture.json["data"]]
        assert [(entry.id, entry.event) for entry in value] == [(entry["id"], entry["event"]) for entry in entries]
        assert all(entry.at is not None and entry.name for entry in value)
    elif isinstance(value, Listing):
        uuids = [row["attributes"]["uuid"] for row in capture.json["data"]]
        assert [backup.uuid for backup in value.backups] == uuids
        assert not any(backup.unreadable for backup in value.backups)
        assert value.total == capture.json["meta"]["pagination"]["total"]
    elif capture.path.endswith(("/download", "/upload", "/websocket")):
        assert "JWT" not in repr(value)
    else:
        assert isinstance(value, Backup | Server)
        assert value.uuid == capture.json["attributes"]["uuid"]
        assert getattr(value, "unreadable", None) is None


@pytest.mark.parametrize("capture", [c for c in OF_THE_PANEL if c.status >= 300 and not is_lock(c)], ids=str)
async def test_each_captured_refusal_is_its_error(capture: Capture) -> None:
    """What the panel refused is raised as its own class, with a hint, the panel's words and no key."""
    if (capture.method, capture.status) == ("DELETE", 404) and "NotFoundHttpException" in capture.body:
        async with client(Script(captured(capture.name), captured("007"))) as panel:
            assert await replay(panel, capture) is False  # deleting what is gone already is no error
        return
    async with client(Script(captured(capture.name))) as panel:
        with pytest.raises(errors.PanelError) as caught:
            await replay(panel, capture)
    error = caught.value
    assert type(error) is expected(capture)
    assert error.status == capture.status
    assert error.hint
    assert error.code != "panel"
    if "json" in capture.headers["content-type"]:
        detail = re.search(r'"detail": ?"(.{10})', capture.body)
        assert detail is not None
        assert detail[1] in error.text


@pytest.mark.parametrize("capture", [c for c in OF_THE_PANEL if is_lock(c)], ids=str)
async def test_each_captured_toggle_is_looked_at(capture: Capture) -> None:
    """A toggle's answer is taken where it shows the lock that was wanted, and its refusal is raised."""
    uuid = capture.path.split("/")[-2]
    before = dict(load("039").json["attributes"], uuid=uuid)
    if capture.status == 200:
        wanted = capture.json["attributes"]["is_locked"]
        before["is_locked"] = not wanted
        script = Script(_view(before), captured(capture.name))
        async with client(script) as panel:
            assert (await panel.set_lock("95bfba30", uuid, wanted)).locked is wanted
        assert [line.split()[0] for line in script.lines] == ["GET", "POST"]
    else:
        async with client(Script(_view(before), captured(capture.name))) as panel:
            with pytest.raises(BY_STATUS[capture.status]):
                await panel.set_lock("95bfba30", uuid, True)


def _view(attributes: dict[str, object]) -> httpx.Response:
    return httpx.Response(200, json={"object": "backup", "attributes": attributes})


@pytest.mark.parametrize("capture", [c for c in OF_THE_PANEL if is_server_list(c)], ids=str)
async def test_each_captured_server_list_is_understood(capture: Capture) -> None:
    """The servers come back with what a rotation must know of them."""
    async with client(Script(captured(capture.name))) as panel:
        servers = await panel.servers()
    assert [s.identifier for s in servers] == [row["attributes"]["identifier"] for row in capture.json["data"]]
    assert all(s.permissions is None and s.node in ("node1", "stand-in") for s in servers)


async def test_a_captured_server_view_holds_limit_state_and_permissions() -> None:
    """The view says what `check` must know."""
    async with client(captured("007")) as panel:
        mine = await panel.server("95bfba30")
    async with client(captured("167")) as panel:
        shared = await panel.server("77eb721b")
    async with client(captured("010")) as panel:
        suspended = await panel.server("0ade63a1")
    async with client(captured("138")) as panel:
        restoring = await panel.server("95bfba30")
    assert mine.backup_limit == 10
    assert mine.obstacle is None
    assert mine.permissions is not None
    assert "*" in mine.permissions
    assert shared.permissions == frozenset({"websocket.connect", "backup.read"})
    assert suspended.obstacle == "suspended"
    assert restoring.obstacle == "restoring a backup"


async def test_a_failed_reinstallation_hinders_a_pelican_and_no_pterodactyl() -> None:
    """The one says that the server is installing, and the other that it is not."""
    async with client(captured("304")) as panel:
        pterodactyls = await panel.server("7509c238")
    async with client(captured("pelican/091_server_view_reinstall_failed")) as panel:
        pelicans = await panel.server("d2ecf79d")
    assert pterodactyls.status == pelicans.status == "reinstall_failed"
    assert (pterodactyls.obstacle, pelicans.obstacle) == (None, Obstacle.REINSTALL_FAILED)


def translated(name: str, words: str) -> httpx.Response:
    """The captured refusal in other words."""
    said = captured(name)
    content = re.sub(rb'"detail": "[^"]*"', f'"detail": "{words}"'.encode(), said.content)
    return httpx.Response(said.status_code, content=content, headers=said.headers)


@pytest.mark.parametrize(
    ("refusal", "view", "obstacle"),
    [
        ("011", "010", Obstacle.SUSPENDED),
        ("139", "138", Obstacle.RESTORING),
        ("307", "308", Obstacle.INSTALL_FAILED),
        ("201", "202", Obstacle.INSTALLING),
        ("pelican/090_list_reinstall_failed", "pelican/091_server_view_reinstall_failed", Obstacle.REINSTALL_FAILED),
        ("pelican/092_create_suspended", "pelican/091_server_view_suspended", Obstacle.SUSPENDED),
        ("pelican/094_list_node_maintenance", "pelican/095_view_node_maintenance", Obstacle.MAINTENANCE),
    ],
)
async def test_which_state_is_in_the_way_is_seen_by_the_servers_view(
    refusal: str, view: str, obstacle: Obstacle
) -> None:
    """Not by the panel's words, which are in any language (APP_LOCALE)."""
    script = Script(translated(refusal, "Geht gerade nicht."), captured(view))
    async with client(script) as panel:
        with pytest.raises(errors.ServerStateError) as caught:
            await replay(panel, load(refusal))
    assert (caught.value.obstacle, caught.value.transient) == (obstacle, obstacle.passes)
    assert "Geht gerade nicht" in caught.value.text
    assert str(obstacle) in caught.value.text
    assert caught.value.hint == errors.ServerStateError.hints.get(obstacle, errors.ServerStateError.default_hint)
    assert len(script.asked) == 2


@pytest.mark.parametrize("view", ["007", "012", "197"])
async def test_a_state_that_is_not_to_be_seen_any_more_is_one_that_passes(view: str) -> None:
    """It ended meanwhile, or nobody can look: one look is made, and the refusal stands as it is."""
    script = Script(captured("011"), captured(view))
    async with client(script) as panel:
        with pytest.raises(errors.ServerStateError) as caught:
            await panel.backups("95bfba30")
    assert (caught.value.obstacle, caught.value.transient, caught.value.suspended) == (None, True, False)
    assert len(script.asked) == 2


async def test_a_captured_list_is_dated_by_the_panel() -> None:
    """Whatever this machine's clock says, a listing and the time since are the panel's."""
    clock = FakeClock()
    async with client(captured("019"), clock=clock) as panel:
        assert panel.panel_now() is None
        listing = await panel.backups("cf0e5a39")
        clock.elapsed += 7
        assert panel.panel_now() == listing.taken_at + timedelta(seconds=7)
    assert listing.taken_at.isoformat() == "2026-11-23T06:55:14+00:00"
    assert (listing.completeness, len(listing.backups), listing.pages) == (Completeness.COMPLETE, 45, 1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("155", errors.Lacking.CLIENT_KEY),
        ("156", errors.Lacking.ADDRESS),
        ("160", errors.Lacking.PERMISSION),
    ],
)
async def test_the_three_kinds_of_403_have_three_hints(name: str, kind: errors.Lacking) -> None:
    """The operator is told which of key, address and permission it is."""
    async with client(captured(name)) as panel:
        with pytest.raises(errors.PermissionLackingError) as caught:
            await panel.backups("95bfba30")
    assert caught.value.kind is kind
    assert caught.value.hint == errors.PermissionLackingError.hints[kind]


@pytest.mark.parametrize("name", ["155", "pelican/015_application_key"])
async def test_the_kinds_of_403_are_told_without_words(name: str) -> None:
    """They are in the panel's own language: the kind of key is seen by the key, and an address stands in any words."""
    for key, kind in (("papp_EXAMPLE", errors.Lacking.CLIENT_KEY), ("pacc_EXAMPLE", errors.Lacking.PERMISSION)):
        async with client(translated(name, "Geht nicht."), key=key) as panel:
            with pytest.raises(errors.PermissionLackingError) as caught:
                await panel.servers()
        assert caught.value.kind is kind
    for address in ("192.0.2.7", "2001:db8::7", "::1"):
        async with client(translated("156", f"Von {address} aus geht das nicht.")) as panel:
            with pytest.raises(errors.PermissionLackingError) as caught:
                await panel.servers()
        assert caught.value.kind is errors.Lacking.ADDRESS


async def test_the_limit_and_the_throttle_carry_their_numbers() -> None:
    """Limit and seconds are values, not only words."""
    async with client(captured("215")) as panel:
        with pytest.raises(errors.BackupLimitError) as full:
            await panel.create("95bfba30", name="x")
    async with client(captured("084")) as panel:
        with pytest.raises(errors.CreationThrottledError) as throttled:
            await panel.create("95bfba30", name="x")
    async with client(captured("093")) as panel:
        with pytest.raises(errors.CreationThrottledError) as nameless:
            await panel.create("95bfba30", name="x")
    async with client(captured("057")) as panel:
        with pytest.raises(errors.InvalidRequestError) as overlong:
            await panel.create("95bfba30", name="x" * 192)
    assert full.value.limit == 2
    assert (throttled.value.retry_after, nameless.value.retry_after) == (601.0, None)
    assert (overlong.value.field, "191" in overlong.value.hint) == ("name", True)
