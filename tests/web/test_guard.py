"""Who may ask, and how answers are fenced in."""

from base64 import b64encode
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr

from daemon.config.values import HttpConfig
from daemon.web.app import make_app
from daemon.web.guard import is_ours, shows
from tests.web.gallery import Gallery

pytestmark = pytest.mark.anyio

TOKEN = "0123456789abcdefEXAMPLE"
PATHS = ("/healthz", "/readyz", "/metrics", "/api/status", "/", "/servers/survival")
HEALTH = ("/healthz", "/readyz")
OPEN = HttpConfig("127.0.0.1", 0, frozenset({"backups.example.com"}), None)
CLOSED = replace(OPEN, token=SecretStr(TOKEN))


def asking(gallery: Gallery, config: HttpConfig = OPEN, base: str = "http://127.0.0.1:9180") -> httpx.AsyncClient:
    """Somebody who asks, by that address."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(make_app(gallery.fleet_status, lambda: config)), base_url=base
    )


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:9180", "10.1.2.3:80", "[::1]:9180", "[2001:db8::1]", "localhost", "LOCALHOST:1",
     "page.localhost:9180", "backups.example.com", "Backups.Example.com:9180", "localhost.", "localhost.:9180",
     "backups.example.com."],
)  # fmt: skip
def test_a_name_of_ours_or_a_plain_address_is_right(host: str) -> None:
    """A plain address cannot be pointed elsewhere."""
    assert is_ours(host, OPEN.hosts)


@pytest.mark.parametrize(
    "host",
    ["", ":9180", "evil.example", "backups.example.com.evil.example", "localhost.evil.example",
     "127.0.0.1.evil.example",
     "[evil.example]", "backups.example.com@evil.example", "1", "0x7f.1"],
)  # fmt: skip
def test_any_other_name_is_not(host: str) -> None:
    """A foreign page could have had it point here."""
    assert not is_ours(host, OPEN.hosts)


@pytest.mark.parametrize("path", [path for path in PATHS if path not in HEALTH])
async def test_a_foreign_name_reads_nothing(gallery: Gallery, path: str) -> None:
    """The answer does not repeat the name, and says where it would have to be written."""
    async with asking(gallery, base="http://evil.example") as client:
        answer = await client.get(path)
    assert answer.status_code == 421
    assert "evil" not in answer.text
    assert "survival" not in answer.text
    assert 'hosts = ["NAME"]' in answer.text
    assert "PTERO_BACKUPD_HTTP__HOSTS" in answer.text


@pytest.mark.parametrize("host", ["", "ptero-backupd", "backupd.svc.cluster.local:9180", "evil.example", "localhost."])
@pytest.mark.parametrize("path", HEALTH)
async def test_health_is_told_by_any_name(gallery: Gallery, path: str, host: str) -> None:
    """An orchestrator asks by the name of a service, or in HTTP/1.0 by none; it is told nothing of any server."""
    async with asking(gallery) as client:
        answer = await client.get(path, headers={"Host": host})
    assert answer.status_code == 200
    assert answer.text in {"alive\n", "ready\n"}


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_is_fenced_in(gallery: Gallery, path: str) -> None:
    """No script, no frame, no guess at its type, no copy kept, no word of where the visitor came from."""
    async with asking(gallery) as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"


async def test_refusals_are_fenced_in_too(gallery: Gallery) -> None:
    """Whoever made them."""
    async with asking(gallery, CLOSED) as client:
        for answer in (
            await client.get("/"),
            await client.get("/nowhere", auth=("any", TOKEN)),
            await client.put("/healthz"),
        ):
            assert answer.status_code in {401, 404, 405}
            assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", PATHS)
async def test_with_a_token_only_health_is_open(gallery: Gallery, path: str) -> None:
    """Which says no more than that the daemon is there; all else is asked for the token, in a browser's way too."""
    async with asking(gallery, CLOSED) as client:
        answer = await client.get(path)
    if path in {"/healthz", "/readyz"}:
        assert answer.status_code == 200
        return
    assert answer.status_code == 401
    assert "survival" not in answer.text
    assert {"Basic", "Bearer"} <= set(answer.headers["www-authenticate"].replace(",", " ").split())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer  {TOKEN} ",
                                           "Basic " + b64encode(f"me:{TOKEN}".encode()).decode()])  # fmt: skip
async def test_who_shows_the_token_is_let_in(gallery: Gallery, path: str, authorization: str) -> None:
    """As a bearer's, or as the password of any user."""
    async with asking(gallery, CLOSED) as client:
        assert (await client.get(path, headers={"Authorization": authorization})).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    ["", TOKEN, "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Token {TOKEN}", "Basic",
     "Basic ???", "Basic " + b64encode(TOKEN.encode()).decode(), "Basic " + b64encode(f"{TOKEN}:".encode()).decode(),
     "Bearer ümlaut"],
)  # fmt: skip
def test_anything_else_is_not_the_token(authorization: str) -> None:
    """However near."""
    assert not shows(authorization, SecretStr(TOKEN))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_nothing_can_be_changed(gallery: Gallery, path: str, method: str) -> None:
    """Only GET and HEAD are answered."""
    async with asking(gallery) as client:
        assert (await client.request(method, path)).status_code == 405
        assert (await client.head(path)).status_code == 200


async def test_no_answer_holds_a_secret(gallery: Gallery) -> None:
    """Neither a panel's key nor the token, whole or in part."""
    async with asking(gallery, CLOSED) as client:
        for path in PATHS:
            answer = await client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
            told = answer.text + str(answer.headers)
            assert TOKEN not in told
            assert "ptlc_" not in told
