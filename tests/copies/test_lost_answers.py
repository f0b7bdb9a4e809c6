"""Answers of a real service that are lost on their way: behind a relay that breaks the connection instead."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from daemon.copies.branch import Target
from daemon.stores.open import open_store
from tests.copies.conftest import Rig
from tests.fakes import FakeClock
from tests.stores.places import keys, now
from tests.stores.services import S3Service

pytestmark = pytest.mark.anyio

REQUEST = re.compile(rb"^([A-Z]+) (\S+) HTTP/1\.1\r\n")


@dataclass
class Relay:
    """Passes on what comes, but for the answers to some requests for keys that end so, from the first PUT on."""

    upstream: str
    suffix: bytes = b""
    drops: int = 0
    dropped: list[bytes] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        place = urlsplit(self.upstream)
        there, back = await asyncio.open_connection(place.hostname, place.port)
        doomed = asyncio.Event()

        async def up() -> None:
            while piece := await reader.read(2**16):
                if (found := REQUEST.match(piece)) and self._is_meant(found[1], found[2]):
                    self.dropped.append(found[1])
                    doomed.set()
                back.write(piece)
                await back.drain()

        async def down() -> None:
            while piece := await there.read(2**16):
                if doomed.is_set():
                    return
                writer.write(piece)
                await writer.drain()

        tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for one in (writer, back):
                one.close()
                with suppress(OSError):
                    await one.wait_closed()

    def _is_meant(self, method: bytes, target: bytes) -> bool:
        meant = target.partition(b"?")[0].endswith(self.suffix) and (bool(self.dropped) or method == b"PUT")
        return meant and len(self.dropped) < self.drops


@pytest.fixture
def clock() -> FakeClock:
    """The service's own time: it refuses one that is far off."""
    return FakeClock(now())


@pytest.fixture
async def relay(s3_service: S3Service) -> AsyncIterator[Relay]:
    """Before the service."""
    one = Relay(s3_service.endpoint)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    async with server:
        yield one


@pytest.mark.parametrize("suffix", [b".tar.gz", b".json"], ids=["data", "manifest"])
@pytest.mark.parametrize("drops", [1, 8], ids=["one", "all that the engine tries"])
async def test_a_copy_is_made_though_the_answer_to_its_put_is_lost(
    rig: Rig, relay: Relay, s3_service: S3Service, suffix: bytes, drops: int
) -> None:
    """The engine tries four times, is refused since the first try was done, and looks four times; then it is up to us.

    The answers to these looks are lost too.
    """
    settings = s3_service.settings("plain", f"lost/{uuid4().hex}")
    relay.suffix, relay.drops = suffix, drops
    through = replace(settings, endpoint=f"http://127.0.0.1:{relay.port}")
    async with open_store(through, clock=rig.clock) as store:
        made = await rig.copy(Target("offsite", store))
    assert made.errors == {}
    assert relay.dropped == ([b"PUT"] if drops == 1 else [b"PUT"] * 4 + [b"HEAD"] * 4)
    key = made.manifests["offsite"].stored.key
    async with open_store(settings, clock=rig.clock) as store:
        assert await keys(store) == [key, f"{key}.json"]
