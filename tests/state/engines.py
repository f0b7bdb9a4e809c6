"""The engines that keep the contract, each with where it keeps its state."""

import asyncio
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from textwrap import indent

from pydantic import SecretStr

from daemon.clock import since_boot
from daemon.config.values import ClusterConfig
from daemon.state import Engine, Journal, Membership, Rotation, Runner, Worker, engine_for
from daemon.state.local.store import FILE_NAME
from daemon.state.runner import Inline
from tests.closed import closed_in_the_end
from tests.postgres import Postgres
from tests.simulation.cluster.engine import Link, ModelEngine
from tests.simulation.cluster.tables import Tables

Opened = tuple[Engine, Journal]


class Place(ABC):
    """Where an engine keeps its state."""

    lasts = True

    @abstractmethod
    def make(self) -> Engine:
        """Another engine on the same state, as another process would have it."""

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """An engine, closed at the end."""
        engine = self.make()
        try:
            yield engine
        finally:
            engine.close()

    @asynccontextmanager
    async def beside_engine(self, engine: Engine) -> AsyncIterator[Engine]:
        """An engine beside that one; itself, if nothing is shared with others."""
        if not self.lasts:
            yield engine
            return
        async with self.engine() as other:
            yield other

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Opened]:
        """An engine with its journal, closed at the end."""
        async with self.engine() as engine:
            journal = await engine.open()
            try:
                yield engine, journal
            finally:
                await journal.close()

    beside = opened
    """A second one, while the first is open."""

    def killed(self, code: str) -> Sequence[Rotation] | None:
        """Run the code in a process that is killed after it; return what it left. None if nothing lasts."""
        return None

    def damage(self) -> bool:
        """Damage what it holds; False where nobody can."""
        return False


class Memory(Place):
    """In this process."""

    lasts = False

    def __init__(self, _: Path) -> None:
        pass

    def make(self) -> Engine:
        """An engine of its own."""
        return engine_for(None)


class Local(Place):
    """In a folder, with SQLite done at once or by a thread."""

    def __init__(self, folder: Path, runner: Callable[[], Runner]) -> None:
        self._folder = folder / "state"
        self._runner = runner

    def make(self) -> Engine:
        """An engine on the folder."""
        return engine_for(self._folder, self._runner())

    def killed(self, code: str) -> Sequence[Rotation]:
        """Run the code in a process of its own."""
        return killed(self, f"engine_for(Path({str(self._folder)!r}), {type(self._runner()).__name__}())", code)

    def damage(self) -> bool:
        """Write over the file."""
        (self._folder / FILE_NAME).write_bytes(b"this is no database at all " * 100)
        return True


def membership(engine: Engine) -> Membership:
    """The cluster of that engine, as an operator sees it."""
    assert engine.leadership.membership is not None
    return engine.leadership.membership


class Clustered(Place):
    """In a database that the members of a cluster share."""

    @abstractmethod
    def member(self, name: str) -> Engine:
        """The engine of the member of that name."""

    @abstractmethod
    def expire(self, name: str) -> None:
        """Let that member's time be over."""

    @abstractmethod
    def set_back(self, seconds: float) -> None:
        """Set the database's clock back; to all members that is as if their time were over that much later."""

    def make(self) -> Engine:
        """An engine on the database."""
        return self.member("backup-1")


class Modelled(Clustered):
    """In the model of a database that the simulation has."""

    def __init__(self, _: Path) -> None:
        self._tables = closed_in_the_end(Tables(since_boot))

    def member(self, name: str) -> Engine:
        """An engine over the model."""
        cluster = ClusterConfig(SecretStr("postgresql://localhost/model"), name, timedelta(seconds=30))
        return ModelEngine(Link(self._tables), cluster, since_boot)

    def expire(self, name: str) -> None:
        """Let it have lived until a second ago."""
        for row in self._tables.members.values():
            if row.name == name:
                row.until = since_boot() - 1

    def set_back(self, seconds: float) -> None:
        """Let all live for longer."""
        for row in self._tables.members.values():
            row.until += seconds


class Shared(Clustered):
    """In a database of a real PostgreSQL."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self.cluster = server.new()

    def member(self, name: str) -> Engine:
        """An engine on the database."""
        return engine_for(replace(self.cluster, member=name))

    def expire(self, name: str) -> None:
        """Let it have lived until a second ago."""
        over = f"SET until = clock_timestamp() - interval '1 second' WHERE name = '{name}'"
        self._server.sql(self.cluster, f"UPDATE member {over}")

    def set_back(self, seconds: float) -> None:
        """Let all live for longer."""
        self._server.sql(self.cluster, f"UPDATE member SET until = until + {seconds} * interval '1 second'")  # noqa: S608

    def killed(self, code: str) -> Sequence[Rotation]:
        """Run the code in a process of its own."""
        url = self.cluster.url.get_secret_value()
        return killed(self, f"engine_for(ClusterConfig(SecretStr({url!r}), 'killed', timedelta(seconds=30)))", code)


def killed(place: Place, engine: str, code: str) -> Sequence[Rotation]:
    """Run the code in a process that kills itself, and return what it left."""
    script = f"""
import asyncio, os, signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from pydantic import SecretStr
from daemon.state import Worker, engine_for
from daemon.config.values import ClusterConfig
from daemon.state.runner import Inline
at = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
async def begin(journal):
    return await journal.begin(server_uuid="u", server="survival", panel="main", policy="standard", trigger="manual",
                               start_at=None, at=at)
async def main():
    journal = await {engine}.open()
{indent(code, "    ")}
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    ended = subprocess.run(  # noqa: S603 — our own interpreter
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=False, capture_output=True
    )
    assert ended.returncode == -9, ended.stderr.decode()

    async def left() -> Sequence[Rotation]:
        async with place.opened() as (_, journal):
            return await journal.recent()

    return asyncio.run(left())


ENGINES: dict[str, Callable[[Path], Place]] = {
    "memory": Memory,
    "local, at once": lambda folder: Local(folder, Inline),
    "local, in a thread": lambda folder: Local(folder, Worker),
    "the model of a cluster's": Modelled,
}

SERVERS = {"postgres": "postgres_server", "the newest postgres": "newest_postgres"}
"""Real databases, and the fixtures that start them."""

KINDS = (*ENGINES, *SERVERS)
