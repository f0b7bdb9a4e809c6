"""Apprise itself, sending to a receiver on loopback; and that nobody else pays for it."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.alerts import by_apprise, refuse_unusable
from daemon.alerts.sender import Failure
from daemon.config.errors import ConfigError
from daemon.core.alerting import Event
from tests.alerts.build import message, server
from tests.alerts.receiver import receiving, status
from tests.config.support import ENVIRONMENT, RIGHT, loaded

# Apprise imports modules that Python has deprecated.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def address(url: str) -> str:
    """Apprise's own kind of address for a receiver of JSON."""
    return url.replace("http://", "json://") + "/hunter2"


async def test_a_message_arrives_by_apprise(tmp_path: Path) -> None:
    """With its title, its text and what to do."""
    about = message(server(tmp_path), Event.FAILED, "it broke", hint="mend it")
    async with receiving() as receiver:
        assert await by_apprise.send(address(receiver.url), about) is None
    (request,) = receiver.requests
    assert request.target == "/hunter2"
    document = request.document
    assert (document["title"], document["type"]) == ("survival: the backup failed", "failure")
    assert (document["message"].startswith("it broke"), "mend it" in document["message"]) == (True, True)


async def test_a_refusal_is_passing_trouble_and_shows_no_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Apprise says only that it failed, and its own log would say where."""
    with caplog.at_level(logging.DEBUG):
        async with receiving() as receiver:
            receiver.answers.append(status("500 Internal Server Error"))
            failure = await by_apprise.send(address(receiver.url), message(server(tmp_path)))
    assert failure == Failure("Apprise could not send it", passing=True)
    assert "hunter2" not in caplog.text


async def test_a_send_has_one_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Apprise does in its threads."""
    monkeypatch.setattr(by_apprise, "SECONDS", 0.0)
    async with receiving() as receiver:
        failure = await by_apprise.send(address(receiver.url), message(server(tmp_path)))
    assert failure == Failure("Apprise could not send it", passing=True)


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("http://me:hunter2@127.0.0.1:80800", "its port is no number up to 65535"),
        ("socks5://me:hunter2@127.0.0.1:1080", "for SOCKS, Apprise needs a library: pip install PySocks"),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, why: str
) -> None:
    """Apprise itself reads it, and only fails."""
    for name in ("https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setattr(by_apprise, "find_spec", lambda _: None)
    failure = await by_apprise.send("jsons://receiver.example.com", message(server(tmp_path)))
    assert failure == Failure(
        f"Apprise could not send it, and the proxy in HTTPS_PROXY cannot be used: {why}", passing=True
    )


async def test_an_address_that_apprise_does_not_know_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a mistake of the configuration, without the address; sending to it would fail for good."""
    text = f'{RIGHT}\n[alerts.ops]\ntype = "apprise"'
    for url, understood in (("mailto://operator:hunter2@example.com", True), ("hunter2://example.com", False)):
        config = loaded(tmp_path, text, {**ENVIRONMENT, "PTERO_BACKUPD_ALERTS__OPS__URL": url})
        if understood:
            refuse_unusable(config)
            continue
        with pytest.raises(ConfigError) as refusal:
            refuse_unusable(config)
        assert "alerts.ops.url: Apprise does not understand the address" in refusal.value.text
        assert "hunter2" not in refusal.value.text
    assert "hunter2" not in caplog.text
    failure = await by_apprise.send("hunter2://example.com", message(server(tmp_path)))
    assert failure == Failure("Apprise does not understand the address", passing=False)


def test_who_does_not_use_apprise_does_not_load_it() -> None:
    """It takes a seventh of a second and many modules."""
    code = "import sys, daemon.service.life; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
