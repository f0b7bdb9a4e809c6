"""The console of a server over a real websocket: what is read of it, what ends it, and what is never shown."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from daemon.panel import console as boundary
from daemon.panel import reach
from daemon.panel.client import PanelClient
from daemon.panel.console import Console, ConsoleError
from daemon.panel.errors import PermissionLackingError
from daemon.sandbox import faults
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import NodeState, User
from tests.panel.console import Node, node, says_once_asked, tokens_hold
from tests.panel.stand_in import captured, client
from tests.stores.services import program

__all__ = ["node"]

pytest.importorskip("websockets")
pytestmark = pytest.mark.anyio


async def test_what_was_shown_before_comes_first_and_then_each_line(node: Node) -> None:
    """The node still knows what was written before; the panel's key never reaches it."""
    async with node.opened() as lines:
        assert [await anext(lines), await anext(lines)] == node.server.console
        node.server.console.append("one more")
        assert await anext(lines) == "one more"
    assert node.sandbox.node_app.keys_seen == []
    assert not {record.call for record in node.sandbox.app.calls} - {Call.WEBSOCKET}


async def test_a_token_that_runs_out_is_renewed_in_time(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node says so while it still holds, so that no line is lost, and none comes twice."""
    taken = tokens_hold(monkeypatch, lambda n: 0.0 if n < 3 else 600.0)
    async with node.opened() as lines:
        found = [await anext(lines) for _ in range(2)]
        node.world.later(0.0, lambda: node.server.console.append("still here"))
        found.append(await anext(lines))
    assert (found[2], taken) == ("still here", list(dict.fromkeys(node.given)))


async def test_what_was_shown_after_a_token_ran_out_is_asked_for(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node sends none of it while no token holds, and all that it still has once the next one does."""
    taken = tokens_hold(monkeypatch, lambda n: -1.0 if n < 2 else 600.0)
    async with asyncio.timeout(20), node.opened() as lines:
        assert [await anext(lines) for _ in range(2)] == node.server.console
    assert len(taken) == 2


async def test_a_node_that_wants_ever_more_tokens_gets_no_more(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs a request to the panel."""
    monkeypatch.setattr(boundary, "MOST_RENEWALS", 2)
    taken = tokens_hold(monkeypatch, lambda _: 0.0)
    assert "asks for more than" in (await node.refusal()).text
    assert len(taken) == 3


async def test_a_token_that_the_node_refuses_is_told(node: Node) -> None:
    """In the node's words."""
    node.world.faults.order(faults.token_refused(), on=Call.CONSOLE)
    told = (await node.refusal()).text
    assert (
        told
        == "host 127.0.0.1 does not accept the panel's token: Error Event [0]: jwt: created too far in past (denylist)"
    )


async def test_a_node_takes_only_its_panel_s_own_address(node: Node) -> None:
    """The hint says what helps where the panel is asked by another one."""
    refused = await node.refusal("https://inner.example.com")
    assert refused.text == "host 127.0.0.1 answers 403"
    assert "`allowed_origins`" in refused.hint


async def test_no_redirect_is_followed(node: Node) -> None:
    """It would carry the token to another host."""
    address = node.sandbox.node_url.replace("http", "ws") + f"/api/servers/{node.server.uuid}/ws"
    node.world.faults.order(faults.redirected(address), on=Call.CONSOLE)
    assert (await node.refusal()).text == "host 127.0.0.1 answers 302"


@pytest.mark.parametrize("lost", [faults.cut(), faults.reset(), faults.lost_before()], ids=lambda fault: fault.name)
async def test_a_connection_that_breaks_is_told(node: Node, monkeypatch: pytest.MonkeyPatch, lost: Fault) -> None:
    """Before the node lets us in, or in the middle."""
    node.server.says = ()
    node.world.faults.order(lost, on=Call.CONSOLE)
    says_once_asked(node, monkeypatch, "last words")
    assert "host 127.0.0.1 " in (await node.refusal()).text


async def test_a_node_that_is_down_is_told(node: Node) -> None:
    """The panel still gives access."""
    node.server.node.state = NodeState.DOWN
    assert "host 127.0.0.1 " in (await node.refusal()).text


async def test_a_message_that_is_too_large_ends_it(node: Node) -> None:
    """Nobody's memory is filled."""
    node.server.console = ["x" * (boundary.LARGEST_MESSAGE + 1)]
    assert "ends the connection to the console (ConnectionClosed" in (await node.refusal()).text


async def test_what_the_node_echoes_shows_no_token(node: Node) -> None:
    """Whoever reads the console's last lines may not open it."""
    node.on_give = lambda: node.server.console.append(f"auth with {node.given[-1]}")
    async with node.opened() as lines:
        assert [await anext(lines) for _ in range(3)][2] == "auth with [token]"


@pytest.mark.parametrize(
    "address", ["ws://node.example.com/ws", "https://node.example.com", "wss://", "wss://a:x/", "x"]
)
async def test_where_the_console_may_not_be_read_from_nothing_is_sent(node: Node, address: str) -> None:
    """Unencrypted beyond this machine, or no websocket at all."""
    node.address = address
    told = (await node.refusal()).text
    assert told in {
        "the panel is asked by https, and the console at node.example.com is unencrypted",
        "the panel gives no address for the console",
    }


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for this machine that nobody has signed, with its key."""
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=here -keyout key -out pem"
    named = ["-addext", "subjectAltName=IP:127.0.0.1"]
    openssl = program("openssl", "apt-get install openssl")
    subprocess.run([openssl, *made.split(), *named], cwd=tmp_path, check=True, capture_output=True)  # noqa: S603
    return tmp_path


async def test_certificates_are_checked(node: Node, certificate: Path) -> None:
    """One that nobody trusts sees no token; one that is trusted does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "pem", certificate / "key")
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        node.address = f"wss://127.0.0.1:{port}/ws"
        assert "CERTIFICATE_VERIFY_FAILED" in (await node.refusal()).text
        assert heard == []
        trusted = ssl.create_default_context(cafile=certificate / "pem")
        await node.refusal(verify=trusted)
        assert heard == [b"GET /ws HTTP/1.1\r\n"]


async def test_a_proxy_of_the_environment_carries_it(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does downloads: in a tunnel."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        node.address = "wss://node.example.com/ws"
        await node.refusal()
    assert heard == [b"CONNECT node.example.com:443 HTTP/1.1\r\n"]
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://here")
    assert "the proxy in HTTPS_PROXY cannot be used" in (await node.refusal()).text
    monkeypatch.setenv("HTTPS_PROXY", "socks5h://127.0.0.1:1080")
    monkeypatch.setattr(reach, "find_spec", lambda _: None)
    assert "a console through SOCKS needs a library: pip install python-socks" in (await node.refusal()).text


# What is read --------------------------------------------------------------------------------------------------------


@dataclass
class FakeConnection:
    """Messages that no node sends, and what is sent to it."""

    messages: list[str | bytes]
    sent: list[str] = field(default_factory=list)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Each message."""
        for message in self.messages:
            yield message

    async def recv(self) -> str:
        """Let us in."""
        return '{"event": "auth success"}'

    async def send(self, message: str) -> None:
        """Keep it."""
        self.sent.append(message)


@pytest.mark.parametrize(
    "message",
    [b"\xff", "", "null", "[]", "{}", "[" * 100_000, '{"event": 1}', '{"event": "console output", "args": 7}',
     '{"event": "stats", "args": ["{}"]}', '{"event": null, "args": [null]}'],
    ids=range(10),
)  # fmt: skip
async def test_what_no_node_sends_is_passed_over(message: str | bytes) -> None:
    """It is no line, and ends nothing."""
    line = json.dumps({"event": "console output", "args": ["a\ud800", "b"]})
    connection = FakeConnection([message, line])
    console = Console(cast("Any", connection), "node", cast("Any", None))
    await console.let_in(SecretStr("EXAMPLE"))
    assert [json.loads(one)["event"] for one in connection.sent] == ["auth", "send logs"]
    found: list[str] = []

    async def read() -> None:
        async for text in console.lines():
            found.append(text)  # noqa: PERF401 — it ends by an error, and what came before counts

    with pytest.raises(ConsoleError, match="host node closes the connection to the console"):
        await read()
    assert found[-1] == "a\ufffd b"
    assert set(found[:-1]) <= {""}


async def test_a_captured_access_is_understood_and_its_own_limit_is_not_the_panel_s() -> None:
    """A Pelican gives five tokens a minute; taken for its API limit, that would hold up every rotation."""
    async with client(captured("pelican/223_websocket")) as panel:
        access = await panel.files.console("b03c0126")
        assert panel.budget is None
    assert access.address == "ws://127.0.0.2:18210/api/servers/b03c0126-a570-46c4-84e6-040eb3171f1d/ws"
    assert access.token.get_secret_value() == "eyJEXAMPLE.JWT.CUT"
    assert "eyJ" not in repr(access)


async def test_without_the_permission_there_is_no_console(node: Node) -> None:
    """The panel says so."""
    node.world.add_key("ptlc_EXAMPLE_reader", User("reader"))
    node.server.subusers["reader"] = ("file.read",)
    url, clock = node.sandbox.url, node.world.clock
    async with PanelClient("main", url, SecretStr("ptlc_EXAMPLE_reader"), clock=clock) as reader:
        with pytest.raises(PermissionLackingError):
            await reader.files.console(node.server.identifier)
