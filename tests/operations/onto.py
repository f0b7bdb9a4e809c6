"""What tests of restores onto another server share: a world made of real files, a backup of it, and another server."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr

from daemon.config.values import ServerConfig
from daemon.core.model import Backup
from daemon.errors import BackupdError, StateError
from daemon.operations.archive import ReadResult, fetched_parts
from daemon.operations.onto import Brought, bring_onto
from daemon.operations.onto_options import OntoOptions
from daemon.operations.operation import Operation
from daemon.operations.result import exit_of
from daemon.operations.ways import PullWay, Way
from daemon.proof.indexing import IndexingCheck
from daemon.proof.sane import SanityCheck
from daemon.rotation.order import Order
from daemon.rotation.run import Run
from daemon.sandbox.records import Backup as Row
from daemon.sandbox.records import Power, Server
from daemon.transfer.gzip import Unpacker
from daemon.transfer.progress import ProgressListener, Unheard
from daemon.transfer.tar import Walker
from daemon.transfer.verify import Complaint
from tests.operations.conftest import Hand

FILES = {
    "server.properties": b"motd=here\n",
    "world/data/raids.dat": b"raids",
    "world/datapacks/empty": b"",
    "plugins/é ü/config.yml": b"a: 1\n",
}


@contextmanager
def unwatched(_name: str, _size: int) -> Iterator[ProgressListener]:
    """Show nothing."""
    yield Unheard()


@dataclass
class FakeArchive:
    """A backup whose bytes are read from the world, not by HTTP; everything else is the panel's."""

    hand: Hand
    row: Row
    backup: Backup
    problems: tuple[Complaint, ...] = ()
    lacks: tuple[str, ...] = ()
    unrecorded: StateError | None = None
    failure: BackupdError | None = None
    reads: int = 0

    async def read(self) -> ReadResult:
        """Read it, as the real one does."""
        self.reads += 1
        if self.failure is not None:
            raise self.failure
        check = IndexingCheck(SanityCheck())
        walker = Walker(check.open)
        unpacker = Unpacker(walker.add)
        for piece in self.row.archive.pieces():
            unpacker.add(piece)
        unpacker.end()
        return ReadResult(self.problems, check.index, self.lacks, self.unrecorded)

    async def link(self) -> SecretStr | None:
        """Ask the panel."""
        return await self.hand.rig.client.download_link(self.hand.rig.config.id, self.row.uuid)

    async def fetch(self, path: Path) -> None:
        """Write it there."""
        self._write(path)

    def parts(self, folder: Path, most: int) -> AsyncGenerator[Path, None]:
        """As the real one does."""
        return fetched_parts(self, folder, most)

    def _write(self, path: Path) -> None:
        path.write_bytes(b"".join(self.row.archive.pieces()))


@dataclass
class Onto:
    """Server A, which has a backup of its files, and B, which is stopped and empty."""

    hand: Hand
    a: Server
    b: Server
    config: ServerConfig
    archive: FakeArchive
    ways: Sequence[Way] = ()
    operations: list[Operation] = field(default_factory=list)

    @classmethod
    async def made(cls, hand: Hand, folder: Path) -> "Onto":
        """Make both."""
        a = hand.rig.server
        a.folder = folder / "a"
        a.folder.mkdir()
        for path, data in FILES.items():
            a.files.write(path, data)
        row = hand.add("of a")
        config = hand.rig.neighbour("b")
        b = hand.rig.world.servers[next(uuid for uuid in hand.rig.world.servers if uuid.startswith(config.id))]
        b.folder = folder / "b"
        b.folder.mkdir()
        b.power = Power.OFFLINE
        return cls(hand, a, b, config, FakeArchive(hand, row, await hand.backup(row)))

    def operation(self) -> Operation:
        """A new operation on B."""

        run = Run(
            Order(self.config, "manual"),
            self.hand.client or self.hand.rig.client,
            self.hand.rig.context,
            structlog.get_logger(),
        )
        self.operations.append(Operation(run, self.hand.steps.append))
        return self.operations[-1]

    async def bring(self, **options: Any) -> Brought:
        """Bring A's backup onto B."""
        operation = self.operation()
        ways = self.ways or (PullWay(operation, unwatched),)
        return await bring_onto(operation, self.archive, OntoOptions(ways=ways, **options))

    def code(self, what: Brought) -> int:
        """The exit code of a command that did this."""
        return exit_of(self.config, [what.outcome])

    def changes(self) -> list[str]:
        """What happened on B, in order."""
        return [entry.change for entry in self.hand.rig.world.ledger if entry.server == self.b.uuid]


def tree(server: Server, below: str = "") -> dict[str, bytes]:
    """Every file of a server."""
    root = server.folder
    assert root is not None
    found = sorted(path for path in (root / below).rglob("*") if path.is_file())
    return {path.relative_to(root / below).as_posix(): path.read_bytes() for path in found}


def said(what: Brought) -> list[str]:
    """The codes of what was said."""
    return [problem.code for problem in what.outcome.problems]
