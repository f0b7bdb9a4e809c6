"""Which engine keeps the state."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemon.config.values import ClusterConfig, StatePlace
from daemon.errors import StateError
from daemon.state.base import Engine
from daemon.state.journal import Journal
from daemon.state.local.engine import LocalEngine
from daemon.state.memory import MemoryEngine
from daemon.state.runner import Inline, Runner


@asynccontextmanager
async def looked_into(engine: Engine, *, despite_trouble: bool = False) -> AsyncIterator[Journal]:
    """Give the engine's journal for reading, or an empty one if there is none; raises StateError.

    With `despite_trouble`, give an empty one also if it cannot be read.
    """
    try:
        found = await engine.look()
    except StateError:
        if not despite_trouble:
            raise
        found = None
    journal = found or await MemoryEngine().open()
    try:
        yield journal
    finally:
        await journal.close()


def engine_for(place: StatePlace, runner: Runner | None = None) -> Engine:
    """Return the engine for a state folder, a cluster's database, or for none; without a `runner` it works inline."""
    if isinstance(place, ClusterConfig):
        from daemon.state.postgres.engine import PostgresEngine  # noqa: PLC0415 — 3 MiB that only a cluster needs

        return PostgresEngine(place)
    return MemoryEngine() if place is None else LocalEngine(place, runner or Inline())
