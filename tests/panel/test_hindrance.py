"""A write for which there is a hindrance does not leave; a read does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from pydantic import SecretStr

from daemon.clock import SystemClock
from daemon.panel.answers import ApiCall
from daemon.panel.client import PanelClient
from daemon.panel.errors import HeldBackError, OutcomeUnknownError
from daemon.panel.hindrance import Hindrance, unhindered
from daemon.panel.http import CONNECT_SECONDS
from daemon.state.postgres.promotion import WRITE_SECONDS
from tests.panel.stand_in import SERVER, UUID, Script, backup, client

pytestmark = pytest.mark.anyio

WRITES: list[tuple[Callable[[PanelClient], Awaitable[object]], bool]] = [
    (lambda panel: panel.create(SERVER, name="n"), True),
    (lambda panel: panel.delete(SERVER, UUID), False),
    (lambda panel: panel.restore(SERVER, UUID, truncate=True), False),
]


@pytest.mark.parametrize(("write", "creates"), WRITES)
async def test_a_write_that_is_hindered_is_not_sent(
    write: Callable[[PanelClient], Awaitable[object]], creates: bool
) -> None:
    """It says what hinders it, and that a backup would be made, or something taken away."""
    asked: list[bool] = []

    def hindrance(*, creates: bool) -> str:
        asked.append(creates)
        return "another member has taken over"

    script = Script()
    async with client(script, hindrance=hindrance) as panel:
        with pytest.raises(HeldBackError, match="another member has taken over; nothing was sent"):
            await write(panel)
    assert asked == [creates]


async def test_it_is_asked_after_the_announcement_right_before_the_write_leaves() -> None:
    """What the announcement found out counts."""
    lost: list[str] = []

    async def announce() -> None:
        lost.append("another member has taken over")

    def hindrance(*, creates: bool) -> str:
        return "".join(lost)

    async with client(Script(), hindrance=hindrance) as panel:
        with pytest.raises(HeldBackError, match="taken over"):
            await panel.create(SERVER, name="n", on_send=announce)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(serve: Serve, hindrance: Hindrance) -> AsyncIterator[PanelClient]:
    """A client of a panel that is served so, over a real connection."""
    clock = SystemClock()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with PanelClient("main", url, SecretStr("ptlc_EXAMPLE"), clock=clock, hindrance=hindrance) as panel:
            yield panel


async def test_it_is_asked_again_once_the_connection_stands() -> None:
    """A process that stood still while it connected has lost its lease since the first time."""
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    answers = iter(["", "another member has taken over"])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.read(1000))
        writer.close()

    async with served(serve, lambda *, creates: next(answers)) as panel:
        with pytest.raises(HeldBackError, match="another member has taken over; nothing was sent"):
            await panel.restore(SERVER, UUID, truncate=True)
        assert await received == b""


async def test_a_write_has_one_deadline_however_often_something_of_the_answer_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lease can be over by then; what others may take for granted after a promotion goes by that deadline."""
    assert CONNECT_SECONDS + ApiCall("DELETE", "", "").seconds == WRITE_SECONDS
    monkeypatch.setattr("daemon.panel.answers.WRITE_SECONDS", 0.2)
    monkeypatch.setattr("daemon.panel.http.CONNECT_SECONDS", 0.1)
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"H")
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(100), 0.05)
        writer.close()
        ended.set()

    async with asyncio.timeout(10), served(serve, unhindered) as panel:
        with pytest.raises(OutcomeUnknownError, match="the answer was lost"):
            await panel.restore(SERVER, UUID, truncate=True)
        await ended.wait()


async def test_a_read_is_never_hindered() -> None:
    """It changes nothing."""
    async with client(backup(), hindrance=lambda *, creates: "no") as panel:
        await panel.backup(SERVER, UUID)
