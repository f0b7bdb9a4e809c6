"""Moving the whole state between a folder and a cluster's database, while nobody uses either."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from daemon.config.values import ClusterConfig, StatePlace
from daemon.errors import StateError
from daemon.state.base import Catalogue, Engine
from daemon.state.engines import engine_for
from daemon.state.local.moving import FolderSide
from daemon.state.moving import Side, move, must_be_ready, not_empty, not_the_same
from daemon.state.values import ClusterSeen, Holding, ShelfRecord

SHELF = "shelf"
"""The table of what was seen in stores, which the local engine keeps beside its journal."""


async def move_state(source: Path | ClusterConfig, target: Path | ClusterConfig) -> dict[str, int]:
    """Copy everything from one place to another, which must be empty; return how many rows each table has.

    What was seen in stores goes first, and is taken back if the rest fails: where there is a journal, all is there.
    Raises StateError, also if a daemon uses one of the two.
    """
    ours, theirs = engine_for(source), engine_for(target)
    try:
        for engine in (ours, theirs):
            await _must_be_unused(engine)
        here, there = _side(source, made=False), _side(target, made=True)
        await must_be_ready(here, there)
        if await theirs.catalogue.holdings():
            raise not_empty(there.title, SHELF)
        try:
            async with _kept_open(ours), _kept_open(theirs):
                number = await _move_catalogue(ours.catalogue, theirs.catalogue, there.title)
            return {**await move(here, there, await ours.catalogue.installation()), SHELF: number}
        except BaseException:
            await _take_back(theirs.catalogue)
            raise
    finally:
        ours.close()
        theirs.close()


async def _must_be_unused(engine: Engine) -> None:
    if (process := await engine.presence.daemon()) is not None:
        raise StateError(f"a daemon runs on it: process {process}", hint="stop it first")
    membership = engine.leadership.membership
    seen = await membership.seen() if membership is not None else ClusterSeen()
    if alive := {one.name for one in seen.members if one.left > 0}:
        names = ", ".join(sorted(alive))
        raise StateError(f"the cluster has members: {names}", hint="stop them first; a dead one ends with its lease")


def _side(place: StatePlace, *, made: bool) -> Side:
    if isinstance(place, ClusterConfig):
        from daemon.state.postgres.moving import ClusterSide  # noqa: PLC0415 — as the engine itself

        return ClusterSide(place)
    assert place is not None  # noqa: S101 — nobody asks for it
    return FolderSide(place, made=made)


@asynccontextmanager
async def _kept_open(engine: Engine) -> AsyncIterator[None]:
    """While its journal is open, an engine on a database need not connect for each record."""
    journal = await engine.open()
    try:
        yield
    finally:
        await journal.close()


async def _move_catalogue(ours: Catalogue, theirs: Catalogue, title: str) -> int:
    """Copy what was seen in stores, and read it again there; return how many records that were."""
    held = await ours.holdings()
    for store in sorted({one.store for one in held}):
        records = [record async for record in _records(ours, held, store)]
        await theirs.replace(store, records)
        if [record async for record in _records(theirs, held, store)] != records:
            raise not_the_same(title, SHELF)
    if await theirs.holdings() != held:
        raise not_the_same(title, SHELF)
    return len(held)


async def _records(catalogue: Catalogue, held: Iterable[Holding], store: str) -> AsyncIterator[ShelfRecord]:
    """Yield what is recorded of a store, with its details, in the order in which its holdings were listed."""
    for one in held:
        if one.store == store and (record := await catalogue.shelf(store, one.panel, one.server_uuid)) is not None:
            yield record


async def _take_back(theirs: Catalogue) -> None:
    """Remove what was copied of stores; what cannot be removed lets the next move be refused."""
    with suppress(StateError):
        for store in {one.store for one in await theirs.holdings()}:
            await theirs.replace(store, [])
