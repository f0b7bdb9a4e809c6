"""A variable that says how hosts are reached, and cannot be used, is named by all who reach one."""

import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from daemon.alerts.formats import Post
from daemon.alerts.sender import Sender
from daemon.errors import BackupdError
from daemon.panel import reach
from daemon.panel.client import PanelClient
from daemon.panel.console import open_console
from daemon.panel.download import FileHost
from daemon.panel.server_files import ConsoleAccess
from daemon.panel.upload import upload
from daemon.stores.open import open_store
from daemon.stores.values import BucketLocation, Credentials, StoreSettings
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio

NOWHERE = "https://127.0.0.1:1"


async def panel(_: Path) -> None:
    async with PanelClient("main", NOWHERE, SecretStr("ptlc_EXAMPLE"), clock=FakeClock()) as client:
        await client.server("1a7ce997")


async def alert(_: Path) -> None:
    sender = Sender()
    failure = await sender.send(Post(NOWHERE, "application/json", b"{}"))
    assert failure is not None
    raise BackupdError(failure.reason)


async def download(_: Path) -> None:
    with FileHost(clock=FakeClock()).open(SecretStr(NOWHERE)):
        raise AssertionError("opened")


async def upload_file(folder: Path) -> None:
    (folder / "file").touch()
    upload(SecretStr(NOWHERE), folder / "file", "/", "file", clear=False, moved=lambda _: None)


async def console(_: Path) -> None:
    async def access() -> ConsoleAccess:
        return ConsoleAccess("wss://127.0.0.1:1/ws", SecretStr("token"))

    async with open_console(access, panel=NOWHERE, clear=False):
        raise AssertionError("opened")


async def s3(_: Path) -> None:
    credentials = Credentials(SecretStr("AKIAEXAMPLE"), SecretStr("secret-EXAMPLE"))
    location = BucketLocation("s3", "bucket", "")
    settings = StoreSettings("offsite", location, endpoint=NOWHERE, credentials=credentials)
    async with open_store(settings, clock=FakeClock()) as store:
        await store.list_all()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Nothing of the machine's own, and no certificates read before."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    reach.trusted.cache_clear()
    yield monkeypatch
    reach.trusted.cache_clear()


EVERYBODY = [panel, alert, download, upload_file, console, s3]


@pytest.mark.parametrize("ask", EVERYBODY)
@pytest.mark.parametrize("no_proxy", ["::1/128", "fd07:b51a:cc66:f0::/64", "[::1]", "[::1]:8080", "127.0.0.0/99"])
async def test_no_proxy_as_engines_write_it_keeps_nobody_from_a_host(
    environment: pytest.MonkeyPatch, tmp_path: Path, ask: Callable[[Path], Awaitable[None]], no_proxy: str
) -> None:
    """Each gets as far as the host, which is not there: every https alert was lost once, though no proxy was set."""
    environment.setenv("NO_PROXY", no_proxy)
    with pytest.raises(BackupdError) as caught:
        await ask(tmp_path)
    assert re.search("[Cc]onnect|reached|answer", caught.value.text)
    assert "cannot be used" not in caught.value.text
    assert "client can be made" not in caught.value.text


def test_an_entry_that_is_dropped_is_told_once(environment: pytest.MonkeyPatch) -> None:
    """However many requests go past it."""
    environment.setenv("NO_PROXY", "10.0.0.0/99,localhost")
    reach._tell_unread.cache_clear()
    with capture_logs() as lines:
        assert [reach.proxy(NOWHERE), reach.proxy(NOWHERE)] == [None, None]
    assert [(line["event"], line["entry"]) for line in lines] == [("no_proxy_entry_ignored", "10.0.0.0/99")]


@pytest.mark.parametrize("ask", EVERYBODY)
@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("SSL_CERT_FILE={}/nothing.pem", "No such file or directory"),
        ("SSL_CERT_FILE={}/no.pem", "it holds none"),
        ("HTTPS_PROXY=http://127.0.0.1:80800", "its port is no number up to 65535"),
    ],
)
async def test_it_is_named_with_what_is_wrong(
    environment: pytest.MonkeyPatch, tmp_path: Path, ask: Callable[[Path], Awaitable[None]], setting: str, why: str
) -> None:
    """Else the host would be looked at, or the answer be a bug."""
    (tmp_path / "no.pem").write_text("no certificate")
    variable, value = setting.split("=")
    environment.setenv(variable, value.format(tmp_path))
    with pytest.raises(BackupdError) as caught:
        await ask(tmp_path)
    assert f"in {variable} cannot be used: {why}" in caught.value.text
