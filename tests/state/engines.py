"""The engines that keep the contract, each with where it keeps its state."""

import asyncio
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import indent

from daemon.config.values import ClusterConfig
from daemon.state import Engine, Journal, Rotation, Runner, Worker, engine_for
from daemon.state.local.store import FILE_NAME
from daemon.state.runner import Inline

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


class Shared(Place):
    """In a database of a real PostgreSQL."""

    def __init__(self, cluster: ClusterConfig) -> None:
        self.cluster = cluster

    def make(self) -> Engine:
        """An engine on the database."""
        return engine_for(self.cluster)

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
}

KINDS = (*ENGINES, "postgres")
