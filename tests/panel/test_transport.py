"""The boundary to httpx: what goes out, what comes in, and what never gets through."""

import asyncio
import gc
import logging
import ssl
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from pydantic import SecretStr

from daemon.core.cut_off import Contact
from daemon.core.model import Server
from daemon.panel import errors, reach
from daemon.panel.answers import Answer, ApiCall
from daemon.panel.client import PanelClient
from daemon.panel.error_map import refusal
from daemon.panel.http import NOT_SENT
from tests.fakes import FakeClock
from tests.panel.stand_in import (
    KEY,
    SERVER,
    UUID,
    Reply,
    Script,
    backup,
    captured,
    client,
    html,
    listing,
    refusing,
    row,
)

pytestmark = pytest.mark.anyio

READ = ApiCall("GET", "/servers/x", "panel main, viewing")
WRITE = ApiCall("POST", "/servers/x", "panel main, writing")


# -- the facts' table --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "AuthenticationException", errors.KeyRefusedError),
        (403, "AccessDeniedHttpException", errors.PermissionLackingError),
        (404, "NotFoundHttpException", errors.NotFoundError),
        (409, "ServerStateConflictException", errors.ServerStateError),
        (422, "ValidationException", errors.InvalidRequestError),
        (429, "ThrottleRequestsException", errors.ApiLimitError),
        (429, "TooManyRequestsHttpException", errors.CreationThrottledError),
        (400, "TooManyBackupsException", errors.BackupLimitError),
        (400, "BackupLockedException", errors.BackupLockedError),
        (400, "BadRequestHttpException", errors.RefusedRequestError),
        (405, "MethodNotAllowedHttpException", errors.RefusedRequestError),
        (500, "QueryException", errors.PanelTroubleError),
        (503, "HttpException", errors.PanelTroubleError),
        (304, "Odd", errors.StrangeAnswerError),
        *[
            (status, "DaemonConnectionException", errors.NodeError)
            for status in (400, 403, 404, 409, 429, 500, 502, 504)
        ],
        (500, "RequestException", errors.PanelTroubleError),
        (500, "ConnectionException", errors.PanelTroubleError),
        (404, "ConnectionException", errors.NotFoundError),
    ],
)
def test_every_row_of_the_facts_table_is_its_own_error(status: int, code: str, error: type[errors.PanelError]) -> None:
    """The code decides before the status does."""
    answer = refusing(status, code, "Some words.")
    raised = refusal(Answer(status, {}, answer.content), READ)
    assert type(raised) is error
    assert (raised.status, raised.exit_code) == (status, 3 if error is errors.ServerStateError else 4)
    assert raised.text.endswith(": Some words") or "Some words (" in raised.text  # more may be added to it
    assert raised.text.startswith("panel main, viewing: ")
    assert raised.hint


@pytest.mark.parametrize("code", ["RequestException", "ConnectionException"])
def test_only_what_a_pelican_hands_to_the_node_fails_by_the_node(code: str) -> None:
    """Of any other call the same class name is that of a cache out of reach (Predis): the panel's own trouble."""
    answer = Answer(500, {}, refusing(500, code).content)
    for method, path in (("POST", "/backups"), ("POST", "/backups/y/restore"), ("DELETE", "/backups/y")):
        raised = refusal(answer, replace(WRITE, method=method, path=f"/servers/x{path}"))
        assert type(raised) is errors.NodeCallError
        assert (raised.transient, raised.hint, raised.status) == (True, errors.NodeError.default_hint, 500)
    for method, path in (("GET", "/backups"), ("GET", "/backups/y/download"), ("POST", "/backups/y/lock")):
        raised = refusal(answer, replace(WRITE, method=method, path=f"/servers/x{path}"))
        assert type(raised) is errors.PanelTroubleError
    create = replace(WRITE, path="/servers/x/backups")
    assert type(refusal(Answer(502, {}, answer.body), create)) is errors.PanelTroubleError


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, errors.StrangeAnswerError),
        (401, errors.KeyRefusedError),
        (403, errors.StrangeAnswerError),
        (404, errors.StrangeAnswerError),
        (429, errors.ApiLimitError),
        (502, errors.PanelTroubleError),
    ],
)
def test_what_the_panel_did_not_say_itself_is_judged_by_the_status(status: int, error: type[errors.PanelError]) -> None:
    """A proxy's page, or nothing."""
    for body in (b"<title>Nginx</title>", b"", b'{"error":"x"}', b'{"errors":[]}', b'{"errors":["x"]}', b"[1]"):
        raised = refusal(Answer(status, {}, body), READ)
        assert type(raised) is error
        assert raised.hint
    hint = refusal(Answer(401, {}, b"<title>401 Authorization Required</title>"), READ).hint
    assert "auth_basic" in hint  # the panel itself says 401 as JSON, so that no other key would help
    assert "API Credentials" not in hint
    assert "Nginx" in refusal(Answer(502, {}, b"<TITLE>Nginx</TITLE>"), READ).text


Raised = TypeVar("Raised", bound=Exception)


def every_subclass(root: type[Raised]) -> Iterator[type[Raised]]:
    """The tree below a class, itself included."""
    yield root
    for branch in root.__subclasses__():
        yield from every_subclass(branch)


def test_every_error_has_a_code_of_its_own_and_a_hint() -> None:
    """Scripts tell them apart, and nobody is left without advice."""
    tree = [error for error in every_subclass(errors.PanelError) if error is not errors.PanelError]
    assert len({error.code for error in tree}) == len(tree)
    assert all(error("x").hint for error in tree)
    drawn = errors.__doc__ or ""
    assert all(error.__name__ in drawn for error in tree)


# -- httpx's own errors ------------------------------------------------------------------------------------------------

FOREIGN_ROOTS: tuple[type[Exception], ...] = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.CookieConflict,
    httpx.StreamError,
)
EVERY_FOREIGN = [error for root in FOREIGN_ROOTS for error in every_subclass(root)]
ALL_NAMED = [thing for thing in vars(httpx).values() if isinstance(thing, type) and issubclass(thing, Exception)]


def made(error: type[Exception]) -> Exception:
    """One of them, with the key in its words, as h11 does it."""
    words = f"Illegal header value b'Bearer {KEY}'"
    if issubclass(error, httpx.HTTPStatusError):
        return error(words, request=httpx.Request("GET", "https://x"), response=httpx.Response(500))
    if issubclass(error, httpx.StreamError) and error is not httpx.StreamError:
        return error()  # type: ignore[call-arg]  # the classes below it take nothing
    return error(words)


def test_the_trees_hold_every_error_that_httpx_names() -> None:
    """A new one in a new version is noticed here."""
    assert set(ALL_NAMED) <= set(EVERY_FOREIGN)


@pytest.mark.parametrize("error", [*EVERY_FOREIGN, OSError, TimeoutError, ssl.SSLError, UnicodeError])
async def test_every_foreign_error_is_translated_and_leaves_no_trace(error: type[Exception]) -> None:
    """Neither its words nor its chain get through; a write is unknown unless it surely was not sent."""
    for call in ("read", "write"):
        async with client(made(error)) as panel:
            with pytest.raises(errors.PanelError) as caught:
                await (panel.server(SERVER) if call == "read" else panel.create(SERVER, name="n"))
        raised = caught.value
        sent = not issubclass(error, NOT_SENT)
        unknown = call == "write" and sent
        assert type(raised) is (errors.OutcomeUnknownError if unknown else errors.PanelUnreachableError)
        assert raised.__cause__ is None
        assert raised.__context__ is None
        everything = "".join(traceback.format_exception(raised)) + repr(raised) + raised.hint
        assert KEY not in everything


async def test_a_refused_connection_says_why_but_never_the_key() -> None:
    """The operator needs the reason; a connection's words are the only foreign ones that are told."""
    async with client(httpx.ConnectError(f"[Errno 111] Connection refused {KEY}")) as panel:
        with pytest.raises(errors.PanelUnreachableError, match="Connection refused …"):
            await panel.server(SERVER)


# -- what goes out -----------------------------------------------------------------------------------------------------


async def test_every_request_carries_key_and_accept_and_no_more_of_us() -> None:
    """`Bearer` with a capital, JSON and nothing else, no cookie that an answer set."""
    script = Script(httpx.Response(200, json=row(), headers={"set-cookie": "session=1; Path=/"}))
    async with client(script) as panel:
        await panel.backup(SERVER, UUID)
        await panel.backup(SERVER, UUID)
    headers = script.asked[1].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["accept"] == "application/json"
    assert "cookie" not in headers


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://panel.example.com", "https://panel.example.com/api/client/servers/a"),
        ("https://panel.example.com/", "https://panel.example.com/api/client/servers/a"),
        ("https://example.com:8443/panel/", "https://example.com:8443/panel/api/client/servers/a"),
        ("http://127.0.0.1:8800", "http://127.0.0.1:8800/api/client/servers/a"),
    ],
)
async def test_the_url_may_have_a_path_and_a_slash(url: str, expected: str) -> None:
    """A panel may live below another site."""
    script = Script(captured("007"))
    async with client(script, url=url) as panel:
        await panel.server("a")
    assert str(script.asked[0].url) == expected


async def test_timeouts_fit_what_the_panel_does() -> None:
    """It waits 15 s for a node before it answers a write."""
    script = Script(backup())
    async with client(script) as panel:
        await panel.backup(SERVER, UUID)
        await panel.create(SERVER, name="n")
    timeouts = [request.extensions["timeout"] for request in script.asked]
    assert [(limits["connect"], limits["read"]) for limits in timeouts] == [(10.0, 30.0), (10.0, 60.0)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed_or_taken_for_success(status: int) -> None:
    """The key would go where the answer says."""
    script = Script(httpx.Response(status, headers={"location": "https://evil.example.com/"}))
    async with client(script) as panel:
        for call in (panel.server(SERVER), panel.delete(SERVER, UUID), panel.create(SERVER, name="n")):
            with pytest.raises(errors.StrangeAnswerError, match="redirect"):
                await call
    assert {request.url.host for request in script.asked} == {"panel.example.com"}
    assert len(script.asked) == 3


async def test_an_endless_answer_is_cut() -> None:
    """Sixteen mebibytes are more than any list."""
    pulled = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pulled
        while True:
            pulled += 2**20
            yield b" " * 2**20

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=endless())

    panel = PanelClient(
        "main", "https://x.example.com", SecretStr(KEY), clock=FakeClock(), transport=httpx.MockTransport(handle)
    )
    async with panel:
        with pytest.raises(errors.StrangeAnswerError, match="16 MiB"):
            await panel.server(SERVER)
    assert pulled <= 18 * 2**20


@pytest.mark.parametrize("key", ["", "ptlc_EX AMPLE", "ptlc_EXAMPLE\n", "ptlc_EXAMPLEÄ"])
async def test_a_key_that_cannot_be_one_is_not_sent(key: str) -> None:
    """What httpx would say about it holds the key."""
    script = Script(backup())
    panel = PanelClient(
        "main", "https://x.example.com", SecretStr(key), clock=FakeClock(), transport=httpx.MockTransport(script)
    )
    async with panel:
        with pytest.raises(errors.KeyRefusedError) as caught:
            await panel.server(SERVER)
    assert "EX" not in caught.value.text
    assert script.asked == []


# -- secrets -----------------------------------------------------------------------------------------------------------


async def test_the_key_is_in_no_repr_error_or_log(caplog: pytest.LogCaptureFixture) -> None:
    """Even where every logger tells all, and where the panel echoes the key itself."""
    caplog.set_level(logging.DEBUG)
    async with client(refusing(400, "Odd", f"you sent {KEY}")) as panel:
        with pytest.raises(errors.RefusedRequestError, match=r"you sent \[key\]") as caught:
            await panel.server(SERVER)
        shown = repr(panel) + repr(vars(panel)) + repr(vars(panel._transport)) + repr(caught.value)
        assert repr(panel) == "<PanelClient main>"
    assert KEY not in shown
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert caplog.text
    assert KEY not in caplog.text


# -- reads are repeated ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble", [html(502), captured("192"), httpx.ConnectError("x"), httpx.ReadTimeout("x"), captured("195")], ids=str
)
async def test_a_read_in_passing_trouble_is_tried_four_times_with_growing_pauses(trouble: httpx.Response) -> None:
    """Then it is an error like any other."""
    clock, script = FakeClock(), Script(trouble)
    async with client(script, clock=clock) as panel:
        with pytest.raises(errors.PanelError) as caught:
            await panel.server(SERVER)
    assert caught.value.transient
    assert len(script.asked) == 4
    assert [int(nap) for nap in clock.naps] in ([1, 2, 4], [1, 2, 5], [1, 3, 4], [1, 3, 5])


async def test_a_read_goes_on_as_soon_as_the_trouble_has_passed() -> None:
    """One bad answer costs a second."""
    script = Script(html(502), captured("007"))
    async with client(script) as panel:
        assert (await panel.server(SERVER)).identifier == SERVER
    assert len(script.asked) == 2


@pytest.mark.parametrize("name", ["152", "160", "012", "011", "057", "068"])
async def test_a_refusal_is_not_tried_again(name: str) -> None:
    """It would be the same."""
    script = Script(captured(name))
    async with client(script) as panel:
        with pytest.raises(errors.PanelError):
            await panel.server(SERVER)
    assert len(script.asked) == 1


async def together(panel: PanelClient, count: int) -> list[BaseException | Server]:
    """Ask for so many servers at once."""
    asked = (panel.server(f"{number:08x}") for number in range(count))
    return await asyncio.gather(*asked, return_exceptions=True)


DOWN = [httpx.ConnectError("refused"), httpx.ReadTimeout(""), html(502), html(503), html(504)]


@pytest.mark.parametrize("down", DOWN, ids=str)
async def test_of_a_panel_that_is_down_one_call_finds_out_for_all(down: Reply) -> None:
    """The others look once, and so does who comes within a minute; after that one tries again as usual."""
    clock, script = FakeClock(), Script(down)
    async with client(script, clock=clock) as panel:
        ended = await together(panel, 5)
        assert all(isinstance(error, errors.PanelError) for error in ended)
        assert len(script.asked) == 4 + 4
        with pytest.raises(errors.PanelError):
            await panel.server(SERVER)
        assert len(script.asked) == 9
        clock.elapsed += 61
        with pytest.raises(errors.PanelError):
            await panel.server(SERVER)
    assert len(script.asked) == 13


async def test_a_panel_that_comes_back_serves_all_who_waited() -> None:
    """Whoever found it down looks again once another got its answer."""
    script = Script(*[html(503)] * 6, captured("007"))
    async with client(script) as panel:
        ended = await together(panel, 5)
        assert all(isinstance(server, Server) for server in ended)
        script.replies = [html(503), captured("007")]
        assert isinstance(await panel.server(SERVER), Server)


async def test_one_address_that_is_always_out_of_reach_speaks_for_no_other() -> None:
    """A list that takes too long is a 504 each time, while all else is answered."""

    def answer(request: httpx.Request) -> httpx.Response:
        return html(504) if "00000000" in request.url.path else captured("007")

    script = Script(answer)
    async with client(script) as panel:
        (slow, other) = await together(panel, 2)
        assert (type(slow), type(other)) == (errors.PanelTroubleError, Server)
        script.replies = [html(502), captured("007")]
        assert isinstance(await panel.server(SERVER), Server)  # which is still tried again


async def test_who_tries_for_all_and_is_left_lets_the_others_try() -> None:
    """A rotation that is cancelled takes nothing from the others."""
    script = Script(httpx.ConnectError("refused"))
    async with client(script) as panel:
        first = asyncio.create_task(panel.server("00000000"))
        others = asyncio.create_task(together(panel, 2))
        while len(script.asked) < 3:  # noqa: ASYNC110 — it is the stand-in that counts
            await asyncio.sleep(0)  # noqa: TID251 — lets them come
        first.cancel()
        script.replies = [captured("007")]
        assert all(isinstance(server, Server) for server in await others)


async def test_any_answer_shows_that_the_panel_is_reached_and_none_since_when_it_is_not() -> None:
    """A 5xx and a login page reach every member of a cluster alike. It is asked once, for as little as there is."""
    clock, known = FakeClock(), []
    script = Script(html(502), httpx.ConnectError("refused"), httpx.ReadTimeout("late"), html(200), backup())
    async with client(script, clock=clock) as panel:
        assert panel.contact == Contact()
        for _ in range(5):
            await clock.sleep(10)
            with suppress(errors.PanelError):
                await panel.knock()
            known.append(panel.contact)
    assert known == [Contact(10), Contact(10, 20, 20), Contact(10, 20, 30), Contact(40), Contact(50)]
    assert [dict(request.url.params) for request in script.asked] == [{"per_page": "1"}] * 5


async def test_a_write_that_is_held_back_says_nothing_of_whether_the_panel_is_reached() -> None:
    """Nothing was sent."""
    async with client(backup(), hindrance=lambda *, creates: "no") as panel:
        with pytest.raises(errors.HeldBackError):
            await panel.create(SERVER, name="n")
        assert panel.contact == Contact()


async def test_an_asked_for_pause_is_kept_and_bounded() -> None:
    """Retry-After is obeyed up to a minute."""
    for asked, kept in (("7", 7), ("3000", 60)):
        clock, script = FakeClock(), Script(refusing(503, "HttpException", retry_after=asked), captured("007"))
        async with client(script, clock=clock) as panel:
            await panel.server(SERVER)
        assert kept <= clock.elapsed <= kept + 1


# -- the API limit -----------------------------------------------------------------------------------------------------


async def test_the_api_limit_is_waited_for_by_reads_and_writes_alike() -> None:
    """It turns a request away at the door, so that even a write may be sent again; everybody waits."""
    full = refusing(
        429, "ThrottleRequestsException", retry_after="30", x_ratelimit_limit="5", x_ratelimit_remaining="0"
    )
    clock, script = FakeClock(), Script(full, backup())
    async with client(script, clock=clock) as panel:
        await panel.backup(SERVER, UUID)
        assert 31 <= clock.elapsed < 33
        script.replies = [full, backup()]
        await panel.create(SERVER, name="n")
        assert panel.requests == 4


async def test_a_wait_for_the_api_limit_is_told_and_not_each_second_again() -> None:
    """Nobody at a terminal should take half a minute of silence for a hang."""
    full = refusing(429, "ThrottleRequestsException", retry_after="30")
    told: list[str] = []
    script = Script(full, backup())
    async with client(script, tell=told.append) as panel:
        await asyncio.gather(*(panel.backup(SERVER, UUID) for _ in range(3)))
        assert told[0].startswith("panel main: waiting 3")
        assert told[0].endswith("s for room below its API limit")
        assert len(told) <= 3
        script.replies, told[:] = [html(502), backup()], []
        await panel.backup(SERVER, UUID)
        assert told == []


async def test_an_api_limit_that_never_ends_is_an_error() -> None:
    """After four attempts the caller decides."""
    script = Script(captured("103"))
    async with client(script) as panel:
        with pytest.raises(errors.ApiLimitError) as caught:
            await panel.backups(SERVER)
    assert len(script.asked) == 4
    assert caught.value.retry_after == 60


async def test_a_limit_of_one_kind_of_write_is_not_taken_for_the_api_limit() -> None:
    """Newer panels allow three restores in a quarter of an hour: nobody else waits for it."""
    own = refusing(
        429, "ThrottleRequestsException", retry_after="800", x_ratelimit_limit="3", x_ratelimit_remaining="0"
    )
    clock, script = FakeClock(), Script(captured("039"), own, backup())
    async with client(script, clock=clock) as panel:
        await panel.backup(SERVER, "9f2f9b87-86fa-4ba7-9810-0062696ca805")
        with pytest.raises(errors.ApiLimitError):
            await panel.restore(SERVER, UUID, truncate=False)
        await panel.backup(SERVER, UUID)
        assert clock.elapsed == 0
        assert panel.budget is not None
        assert panel.budget.limit == 720


async def test_headers_that_are_nonsense_teach_nothing() -> None:
    """A proxy may join two limiters' headers into one."""
    for headers in ({"x-ratelimit-limit": "720, 60"}, {"x-ratelimit-limit": "0", "x-ratelimit-remaining": "0"}):
        async with client(listing([], 0, **headers)) as panel:
            await panel.backups(SERVER)
            assert panel.budget is None


async def test_no_more_than_ten_requests_are_under_way() -> None:
    """Before the first answer nothing else bounds a fleet."""
    under_way = most = 0

    async def handle(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)  # noqa: TID251 — lets the others come
        under_way -= 1
        return backup()

    panel = PanelClient(
        "main", "https://x.example.com", SecretStr(KEY), clock=FakeClock(), transport=httpx.MockTransport(handle)
    )
    async with panel:
        await asyncio.gather(*(panel.backup(SERVER, UUID) for _ in range(50)))
    assert most == 10
    assert panel.requests == 50


async def test_each_request_is_counted_by_its_answer_once_also_where_the_caller_gives_up() -> None:
    """The sum of the answers is the number of requests, whatever ended them."""
    sent = asyncio.Event()

    async def handle(request: httpx.Request) -> httpx.Response:
        sent.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    panel = PanelClient(
        "main", "https://x.example.com", SecretStr(KEY), clock=FakeClock(), transport=httpx.MockTransport(handle)
    )
    async with panel:
        look = asyncio.create_task(panel.backup(SERVER, UUID))
        await sent.wait()
        look.cancel()
        await asyncio.wait([look])
    assert (panel.requests, dict(panel.answers)) == (1, {"none": 1})


# -- the machine around it ---------------------------------------------------------------------------------------------


def opened(url: str) -> httpx.AsyncClient:
    """The httpx client as it is made for that url."""
    return PanelClient("main", url, SecretStr(KEY), clock=FakeClock())._transport._session._open()


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine of the tests has set."""
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.usefixtures("no_proxies")
async def test_a_proxy_of_the_environment_carries_https_and_never_sees_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a tunnel the key cannot be read; without one it would be handed over."""
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example.com:3128")
    for url, proxies in (("https://panel.example.com", 1), ("http://127.0.0.1:8800", 0)):
        async with opened(url) as opened_client:
            assert len([mount for mount in opened_client._mounts.values() if mount]) == proxies


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("no_proxy", ["::1/128", "fd07:b51a:cc66:f0::/64", "[::1]", "[::1]:8080", "10.0.0.0/99"])
async def test_what_engines_write_into_no_proxy_costs_no_panel(monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    """httpx itself would raise at each of them, also where no proxy is set."""
    monkeypatch.setenv("NO_PROXY", no_proxy)
    async with opened("https://panel.example.com") as opened_client:
        assert [mount for mount in opened_client._mounts.values() if mount] == []


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize(
    "proxy", ["gopher://user:{}@proxy", "http://user:{}@127.0.0.1:80800", "http://user:{}@b\x01c:1"]
)
async def test_a_proxy_that_cannot_be_used_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """It names the variable and not the address, which may hold a password; nothing is tried again."""
    monkeypatch.setenv("ALL_PROXY", proxy.format(KEY))
    panel = PanelClient("main", "https://panel.example.com", SecretStr(KEY), clock=FakeClock())
    async with panel:
        with pytest.raises(errors.ProxyError) as caught:
            await panel.server(SERVER)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert "the proxy in ALL_PROXY cannot be used" in caught.value.text
    assert not caught.value.transient


@pytest.mark.usefixtures("no_proxies")
async def test_without_the_extra_a_socks_proxy_is_said_to_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than an ImportError; the command that installs it stands in the text, since an alert shows no hint."""
    monkeypatch.setattr(reach, "SOCKS_ERRORS", ())
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    async with PanelClient("main", "https://panel.example.com", SecretStr(KEY), clock=FakeClock()) as panel:
        with pytest.raises(errors.ProxyError, match=r"SOCKS needs an extra: pip install 'ptero-backupd\[socks\]'$"):
            await panel.server(SERVER)


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("answer", [b"\x05\x00", b"nonsense", b""])
async def test_a_socks_proxy_that_leads_nowhere_is_no_connection(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    """Whatever it answers; what was to be written was not sent."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(3)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
        async with PanelClient("main", "https://panel.example.com", SecretStr(KEY), clock=FakeClock()) as panel:
            with pytest.raises(errors.PanelUnreachableError, match="no connection"):
                await panel.create(SERVER, name="auto")
    gc.collect()  # httpcore leaves it to the collector to close such a connection


async def test_the_netrc_file_is_never_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Somebody's password for the same host must not replace the key."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine panel.example.com login a password b")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    script = Script(backup())
    async with client(script) as panel:
        await panel.backup(SERVER, UUID)
    assert script.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_certificates_are_checked_with_one_shared_context() -> None:
    """It costs 40 ms, so it is built once, and only where there is TLS."""
    context = reach.trusted()
    assert context is reach.trusted()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_certificates_of_older_private_authorities_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python sets OpenSSL's strict flag from 3.13 on, and would refuse what curl and browsers take."""

    def strict() -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(httpx, "create_ssl_context", strict)
    reach.trusted.cache_clear()
    try:
        assert not reach.trusted().verify_flags & ssl.VERIFY_X509_STRICT
    finally:
        reach.trusted.cache_clear()


@pytest.mark.parametrize(
    "words",
    [
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1)",
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1)",
    ],
)
async def test_a_private_authority_is_said_how_to_be_believed(words: str) -> None:
    """By the variable that OpenSSL, curl and we read."""
    async with client(Script(httpx.ConnectError(words))) as panel:
        with pytest.raises(errors.PanelUnreachableError) as caught:
            await panel.server(SERVER)
    assert "SSL_CERT_FILE" in caught.value.hint
