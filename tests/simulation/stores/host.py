"""The nodes' end of a download, in the process itself, and what stands in place of threads while copies are made."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from unittest import mock
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

import daemon.copies.one_pass
import daemon.copies.prove
import daemon.copies.source
import daemon.copying.copying
import daemon.copying.process
import daemon.proving.proving
import daemon.transfer.receive
from daemon.panel.download import HostError, LinkRefusedError, Stream
from daemon.sandbox.links import read_token
from daemon.sandbox.records import NodeState
from tests.simulation.process import PROCESS
from tests.simulation.stores.lockstep import Asked, SameThread, at_once, in_thread
from tests.simulation.stores.worker import Worker

if TYPE_CHECKING:
    from tests.simulation.run import Simulation


WAY = 0.2
"""Seconds that a request takes to a node."""


class Host:
    """The host of a link: sends the whole file, whatever part of it is asked for."""

    def __init__(self, simulation: "Simulation", process: str) -> None:
        self._simulation = simulation
        self._process = process

    @contextmanager
    def open(self, link: SecretStr, *, start: int = 0, etag: str | None = None) -> Iterator[Stream]:
        """Redeem the link; called in a thread."""
        backup, data = Asked(self._redeemed(link), None).result()
        yield Stream(0, None, None, False, True, self._pieces(backup, data))

    async def _redeemed(self, link: SecretStr) -> tuple[str, bytes]:
        """The backup and its file, after its way."""
        world = self._simulation.world
        await self._simulation.clock.sleep(WAY)
        world.settle()
        token = parse_qs(urlsplit(link.get_secret_value()).query)["token"][0]
        claims = read_token(token, world.now())
        server = world.servers.get(claims["server_uuid"]) if claims else None
        if claims is None or server is None or claims["unique_id"] in world.used_tokens:
            raise LinkRefusedError("the node refuses the link")
        if server.node.state is not NodeState.UP or server.node.error is not None:
            raise HostError("the node is down")
        backup = server.backups.get(claims["backup_uuid"])
        world.used_tokens.add(claims["unique_id"])
        if backup is None or not backup.successful or backup.file_gone:
            raise HostError("the node has no such file")
        return backup.uuid, b"".join(backup.archive.pieces())

    def _pieces(self, backup: str, data: bytes) -> Iterator[bytes]:
        stores, half = self._simulation.stores, len(data) // 2
        yield data[:half]
        if stores.breaking:
            raise HostError("the connection broke")
        rest = bytes([data[half] ^ 1]) + data[half + 1 :] if stores.other_file else data[half:]
        self._simulation.proofs.served[self._process, backup] = data[:half] + rest
        yield rest


@contextmanager
def downloads_in_place(simulation: "Simulation") -> Iterator[None]:
    """Downloads from this world, and threads that take turns with its loop."""
    with ExitStack() as placed:
        for module, name, instead in (
            (daemon.copies.source, "FileHost", lambda **_: Host(simulation, PROCESS.get().name)),
            (daemon.copies.one_pass, "in_thread", in_thread),
            (daemon.copies.prove, "in_thread", in_thread),
            (daemon.proving.proving, "GLANCE_SECONDS", simulation.scenario.tick),
            (daemon.transfer.receive, "WriterThread", SameThread),
            (daemon.copying.process, "ChildProcess", lambda **given: Worker(PROCESS.get(), **given)),
            (daemon.copying.copying, "GLANCE_SECONDS", simulation.scenario.tick),
            (asyncio, "to_thread", at_once),
            (asyncio, "run_coroutine_threadsafe", Asked),
        ):
            placed.enter_context(mock.patch.object(module, name, instead))
        yield
