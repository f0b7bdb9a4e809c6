"""Moving the whole state between a folder and a cluster's database, while nobody uses either."""

from pathlib import Path

from daemon.config.values import ClusterConfig, StatePlace
from daemon.errors import StateError
from daemon.state.base import Engine
from daemon.state.engines import engine_for
from daemon.state.local.moving import FolderSide
from daemon.state.moving import Side, move
from daemon.state.values import ClusterSeen


async def move_state(source: Path | ClusterConfig, target: Path | ClusterConfig) -> dict[str, int]:
    """Copy everything from one place to another, which must be empty; return how many rows each table has.

    What was seen in stores goes with it. Raises StateError, also if a daemon uses one of the two.
    """
    ours, theirs = engine_for(source), engine_for(target)
    try:
        for engine in (ours, theirs):
            await _must_be_unused(engine)
        copied = await move(_side(source, made=False), _side(target, made=True), await ours.catalogue.installation())
        copied["shelf"] = await _move_catalogue(ours, theirs)
        return copied
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


async def _move_catalogue(ours: Engine, theirs: Engine) -> int:
    """Copy what was seen in stores; return how many records that were."""
    number = 0
    for store in {one.store for one in await ours.catalogue.holdings()}:
        seen = [
            await ours.catalogue.shelf(one.store, one.panel, one.server_uuid)
            for one in await ours.catalogue.holdings(store)
        ]
        records = [record for record in seen if record is not None]
        await theirs.catalogue.replace(store, records)
        number += len(records)
    return number
