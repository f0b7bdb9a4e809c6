"""The server itself: ports, start, stop, signals, and the ready worlds that it serves."""

import asyncio
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter

import httpx
import pytest

from daemon.sandbox.faults import slow
from daemon.sandbox.records import State
from daemon.sandbox.scenes import KEY, demo, empty, fleet, one_server, three_pages
from daemon.sandbox.serve import SandboxServer, in_background
from tests.fakes import FakeClock
from tests.sandbox.conftest import HEADERS, over_http

pytestmark = pytest.mark.anyio


async def test_it_leaves_the_signals_of_the_process_alone(clock: FakeClock) -> None:
    """The daemon alone handles them."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with SandboxServer(empty(clock)[0]):
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_its_ports_are_free_again_after_it_stopped(clock: FakeClock) -> None:
    """And were the ones asked for."""
    async with SandboxServer(empty(clock)[0]) as first:
        port, node_port = (int(url.rpartition(":")[2]) for url in (first.url, first.node_url))
    async with SandboxServer(empty(clock)[0], port=port, node_port=node_port) as second:
        assert (second.url, second.node_url) == (first.url, first.node_url)


@pytest.mark.parametrize("option", ["port", "node_port"])
async def test_a_port_that_is_taken_is_told(clock: FakeClock, option: str) -> None:
    """As an OSError, and nothing is left listening."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with SandboxServer(empty(clock)[0], **{option: port}):
                raise AssertionError


class PatientClock(FakeClock):
    """A clock that does wait, for ever; `asked` tells that somebody does."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Never return."""
        self.asked.set()
        await asyncio.Event().wait()


async def test_it_stops_at_once_though_an_answer_is_under_way(caplog: pytest.LogCaptureFixture) -> None:
    """The caller's connection is broken off, and nobody complains."""
    clock = PatientClock()
    world, _ = one_server(clock)
    world.faults.order(slow())
    async with httpx.AsyncClient(verify=False, trust_env=False) as http:  # noqa: S501 — no TLS is spoken
        async with SandboxServer(world) as sandbox:
            pending = asyncio.ensure_future(http.get(f"{sandbox.url}/api/client", headers=HEADERS))
            await clock.asked.wait()
        with pytest.raises(httpx.TransportError):
            await pending
    assert caplog.text == ""


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_it_listens_on_ipv6(clock: FakeClock) -> None:
    """The address stands in brackets."""
    try:
        async with SandboxServer(empty(clock)[0], host="::1") as sandbox:
            assert sandbox.url.startswith("http://[::1]:")
    except OSError:
        pytest.skip("this machine has no address ::1")


async def test_one_that_listens_everywhere_is_found_on_this_machine(clock: FakeClock) -> None:
    """Also by nodes that come later."""
    world, _, _ = empty(clock)
    async with SandboxServer(world, host="0.0.0.0") as sandbox:  # noqa: S104 — that is the point
        assert sandbox.url.startswith("http://127.0.0.1:")
        assert world.add_node("later").url == sandbox.node_url


def test_in_the_background_it_serves_code_without_a_loop(clock: FakeClock) -> None:
    """From a thread of its own, stopped at the end of the block."""
    with in_background(empty(clock)[0]) as sandbox:
        request = urllib.request.Request(f"{sandbox.url}/api/client", headers=HEADERS)  # noqa: S310 — http on 127.0.0.1
        with urllib.request.urlopen(request) as answer:  # noqa: S310 — as above
            assert answer.status == 200
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(request)  # noqa: S310 — as above


def test_in_the_background_too_a_port_that_is_taken_is_told(clock: FakeClock) -> None:
    """Instead of waiting for a start that never comes."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
        in_background(empty(clock)[0], port=taken.getsockname()[1]),
    ):
        raise AssertionError


SERVE = """
import sys
from daemon.sandbox.serve import serve
serve(ready=lambda sandbox: print(sandbox.url, flush=True))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_its_own_process_it_serves_the_demo_until_a_signal_comes(number: signal.Signals) -> None:
    """And ends without a traceback."""
    command = [sys.executable, "-c", SERVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        request = urllib.request.Request(f"{url}/api/client", headers=HEADERS)  # noqa: S310 — http on 127.0.0.1
        with urllib.request.urlopen(request) as answer:  # noqa: S310 — as above
            assert answer.status == 200
        process.send_signal(number)
        assert process.stdout.read() == "ended\n"
        assert process.stderr.read() == ""
        assert process.wait() == 0


async def test_the_demo_holds_what_makes_retention_interesting(clock: FakeClock) -> None:
    """More than two pages, locked, failed, foreign and pending ones; several servers, one of them suspended."""
    world = demo(clock)
    async with over_http(world) as caller:
        servers = [row["attributes"] for row in (await caller.call("GET", "")).json()["data"]]
        assert [server["name"] for server in servers] == ["survival", "creative", "lobby", "museum"]
        assert [server["is_suspended"] for server in servers] == [False, False, False, True]
        survival = next(iter(world.servers.values()))
        pages = [await caller.backups(survival, per_page=50, page=page) for page in (1, 2, 3, 4)]
    rows = [row for page in pages for row in page]
    assert [len(page) for page in pages][2:] == [35, 0]
    assert sum(row["is_locked"] for row in rows) == 5
    assert any(row["is_locked"] and not row["is_successful"] for row in rows)
    assert sum(not row["is_successful"] for row in rows) == 6
    assert sum(row["completed_at"] is None for row in rows) == 1
    assert sum(not row["name"].startswith("auto-survival-") for row in rows) == 4


def test_three_pages_are_as_the_issue_asks(clock: FakeClock) -> None:
    """120 backups: 7 locked, also failed and pending ones; 5 failed, 1 pending, 10 foreign."""
    _, server = three_pages(clock)
    rows = list(server.backups.values())
    assert Counter(row.state for row in rows) == {State.GOOD: 114, State.FAILED: 5, State.PENDING: 1}
    assert Counter(row.state for row in rows if row.locked) == {State.GOOD: 5, State.FAILED: 1, State.PENDING: 1}
    assert sum(not row.name.startswith("auto-survival-") for row in rows) == 10
    assert max(row.created_at for row in rows) <= clock.now()


def test_a_fleet_is_dealt_out_to_its_nodes(clock: FakeClock) -> None:
    """Evenly."""
    world = fleet(clock, 10, nodes=3)
    assert Counter(server.node.name for server in world.servers.values()) == {"node1": 4, "node2": 3, "node3": 3}
    assert KEY in world.keys
