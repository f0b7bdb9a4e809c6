"""One request to a real receiver on loopback, and what is said where it fails."""

import asyncio
import socket

import pytest

from daemon.alerts import sender as post
from daemon.alerts.formats import Post
from daemon.alerts.sender import Failure, Sender
from tests.alerts.receiver import receiving, status

pytestmark = pytest.mark.anyio


async def sent(url: str) -> Failure | None:
    """What comes of one try."""
    sender = Sender()
    try:
        return await sender.send(Post(url, "application/json", b"{}"))
    finally:
        await sender.aclose()


async def test_what_is_sent_arrives() -> None:
    """With its kind, its query, and the password that stood in the address as it should."""
    async with receiving() as receiver:
        assert await sent(receiver.url.replace("//", "//user:word@") + "/hook?thread=1") is None
    (request,) = receiver.requests
    assert (request.method, request.target, request.body) == ("POST", "/hook?thread=1", b"{}")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "ptero-backupd"
    assert request.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (status("204 No Content"), None),
        (status("404 Not Found"), Failure("answered 404", passing=False)),
        (status("401 Unauthorized"), Failure("answered 401", passing=False)),
        (status("408 Request Timeout"), Failure("answered 408", passing=True)),
        (status("500 Internal Server Error"), Failure("answered 500", passing=True)),
        (status("429 Too Many Requests", Retry_After="2.5"), Failure("answered 429", passing=True, retry_after=2.5)),
        (status("503 Unavailable", Retry_After="Thu, 01 Jan 1970"), Failure("answered 503", passing=True)),
        (status("503 Unavailable", Retry_After="-1"), Failure("answered 503", passing=True)),
        (None, Failure("no answer (RemoteProtocolError)", passing=True)),
        ("nonsense\r\n", Failure("no answer (RemoteProtocolError)", passing=True)),
    ],
)
async def test_an_answer_says_whether_to_try_again(answer: str | None, failure: Failure | None) -> None:
    """What passes is tried again, what is wrong in itself is not."""
    async with receiving() as receiver:
        receiver.answers.append(answer)
        assert await sent(f"{receiver.url}/hunter2") == failure


async def test_a_redirect_is_not_followed() -> None:
    """It would carry the message, and the address's secret, to somewhere else."""
    async with receiving() as receiver, receiving() as elsewhere:
        receiver.answers.append(status("307 Temporary Redirect", Location=f"{elsewhere.url}/stolen"))
        failure = await sent(receiver.url)
    assert failure == Failure("answered 307, a redirect, which is not followed", passing=False)
    assert elsewhere.requests == []


async def test_nobody_there_is_passing_trouble_and_says_no_address() -> None:
    """A closed port, and a name that there is not."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/hunter2", "http://hunter2.invalid/"):
        failure = await sent(url)
        assert failure == Failure("no answer (ConnectError)", passing=True)


async def test_an_address_that_httpx_cannot_take_is_no_bug() -> None:
    """Whatever the configuration let through."""
    failure = await sent("http://ho\x00st/hunter2")
    assert failure is not None
    assert (failure.passing, "hunter2" in failure.reason) == (False, False)


async def test_a_proxy_that_cannot_be_used_is_said_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is not tried again. What engines write into NO_PROXY costs no alert."""
    for name in ("https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:80800")
    why = "the proxy in HTTPS_PROXY cannot be used: its port is no number up to 65535"
    assert await sent("https://127.0.0.1:1/") == Failure(why, passing=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8,::1/128")
    assert await sent("https://127.0.0.1:1/") == Failure("no answer (ConnectError)", passing=True)


async def test_a_receiver_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole try has one bound, however slowly the answer drips."""
    monkeypatch.setattr(post, "SECONDS", 0.05)
    async with receiving() as receiver:
        receiver.silent = True
        failure = await sent(receiver.url)
    assert failure is not None
    assert failure.passing
    await asyncio.sleep(0)  # noqa: TID251 — lets the receiver see that we left
