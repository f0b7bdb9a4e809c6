"""A console that is read beside a drill: opened again where it is lost, and bounded."""

from types import SimpleNamespace
from typing import Any

import pytest

from daemon.core import console as core
from daemon.operations import console
from daemon.operations.console import watched_console
from daemon.operations.restore_errors import NotStartedError
from daemon.panel.console import ConsoleError
from daemon.sandbox import faults
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import Power
from tests.fakes import FakeClock
from tests.panel.console import Node, node, says_once_asked, tokens_hold

__all__ = ["node"]

pytest.importorskip("websockets")
pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something never comes, that is known soon; what comes may take its time on a busy machine."""
    monkeypatch.setattr(console, "QUIET_SECONDS", 2.0)


def operation(node: Node) -> Any:
    """As much of an operation on the node's server as its console takes."""
    panel = SimpleNamespace(url=node.sandbox.url, clear_links=False)
    config = SimpleNamespace(name="lobby", id=node.server.identifier, panel=panel)
    client = SimpleNamespace(files=SimpleNamespace(console=lambda _: node.give()))
    return SimpleNamespace(client=client, config=config, clock=FakeClock())


async def failure(node: Node, text: str) -> str:
    """Why the text was not shown."""
    with pytest.raises(NotStartedError) as caught:
        async with watched_console(operation(node), text) as watched:
            await watched.must_have_shown()
    return caught.value.text


async def test_a_text_that_is_shown_is_enough(node: Node) -> None:
    """Whenever it comes: before the console was opened, or while it is."""
    async with watched_console(operation(node), "Done (") as watched:
        await watched.must_have_shown()
        assert watched.shown_at == 0.0
    async with watched_console(operation(node), None) as unwatched:
        await unwatched.must_have_shown()
        assert (unwatched.shown_at, await unwatched.last_lines()) == (None, "")


async def test_what_was_shown_before_the_start_does_not_count(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the node is asked for its lines: while the server is off, it has none."""
    taken = tokens_hold(monkeypatch, lambda n: -1.0 if n < 3 else 600.0)
    node.server.power, node.server.says = Power.OFFLINE, ("Done (2.5s)!",)
    async with watched_console(operation(node), "Done (") as watched:
        with pytest.raises(NotStartedError):
            await watched.must_have_shown()
        assert (watched.shown_at, len(taken)) == (None, 3)
    async with watched_console(operation(node), "Done (") as watched:
        await node.client.files.signal(node.server.identifier, "start")
        await watched.must_have_shown()


@pytest.mark.parametrize("lost", [faults.cut(), faults.reset()], ids=lambda fault: fault.name)
async def test_a_connection_that_is_lost_is_opened_again(node: Node, lost: Fault) -> None:
    """The node still knows what was shown meanwhile."""
    node.world.faults.order(lost, on=Call.CONSOLE)
    told = operation(node)
    async with watched_console(told, "last words") as watched:
        node.server.console.append("last words")
        await watched.must_have_shown()
        assert watched.shown_at is not None


async def test_one_that_is_lost_for_good_is_told(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """With why it could not be had any more; the times that it is tried are few."""
    monkeypatch.setattr(console, "MOST_LOSSES", 2)
    node.world.faults.order(faults.cut(), on=Call.CONSOLE)
    node.world.faults.order(faults.token_refused(), on=Call.CONSOLE, times=None)
    says_once_asked(node, monkeypatch, "more")
    told = await failure(node, "never")
    assert told.startswith("the console of lobby could not be read to the end: host 127.0.0.1 does not accept")
    assert len(node.given) == 3


async def test_one_that_cannot_be_opened_lets_nothing_begin(node: Node) -> None:
    """Before the block."""
    node.world.faults.order(faults.token_refused(), on=Call.CONSOLE)
    with pytest.raises(ConsoleError):
        async with watched_console(operation(node), "never"):
            pytest.fail("it began")
    assert len(node.given) == 1


async def test_a_flood_is_not_read_to_its_end(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as such."""
    monkeypatch.setattr(core, "MOST_LINES", 500)
    node.server.console = []
    says_once_asked(node, monkeypatch, *["spam"] * 5000)
    assert await failure(node, "never") == "lobby has not shown “never” in the first 500 lines of its console"


async def test_a_text_that_never_comes_is_told_with_the_last_lines(node: Node) -> None:
    """Without colours, and without what looks like a secret."""
    node.server.console.append("GET /x?token=EXAMPLEsecret")
    async with watched_console(operation(node), "done") as watched:
        with pytest.raises(NotStartedError, match=r"^lobby has not shown “done” in its console$"):
            await watched.must_have_shown()
        assert await watched.last_lines() == "its console ended with: Loading | Done (1.2s)! | GET /x?token=«redacted»"
