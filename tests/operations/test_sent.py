"""An upload to a node is made by a thread, which a cancelled drill or restore does not wait for."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.operations import sent
from daemon.operations.sent import UploadWay
from tests.operations.conftest import Hand
from tests.operations.onto import Onto, unwatched

pytestmark = pytest.mark.anyio


async def test_nothing_more_of_a_part_is_sent_once_that_was_cancelled(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon may be a member again by then, and drill onto the same server."""
    onto = await Onto.made(hand, tmp_path)
    begun, cancelled, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop, sizes = asyncio.get_running_loop(), list[int]()

    def send(*_: object, moved: Callable[[int], None], **__: Any) -> None:
        try:
            for size in (1, 2):
                moved(size)
                sizes.append(size)
                loop.call_soon_threadsafe(begun.set)
                assert cancelled.wait(10)
        finally:
            ended.set()

    monkeypatch.setattr(sent, "upload", send)
    onto.ways = (UploadWay(onto.operation(), unwatched, tmp_path),)
    bringing = asyncio.create_task(onto.bring())
    await begun.wait()
    bringing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bringing
    cancelled.set()
    assert ended.wait(10)
    assert sizes == [1]
