"""`copies run`: what the stores want and do not have is copied now, each backup downloaded once for all of them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from daemon.cli.context import begin, servers_named
from daemon.cli.copies.frozen import frozen
from daemon.cli.copies.places import shelves_of, stores_meant
from daemon.cli.discovered import cover
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, say_error, write_json
from daemon.cli.ui.progress import watching
from daemon.cli.ui.tables import cell, show
from daemon.cli.unseen import is_suspended, passes, say_unseen
from daemon.clock import Clock, SystemClock
from daemon.config.opinion import opinion_of
from daemon.config.values import Config, ServerConfig
from daemon.copies.errors import CopiesBusyError
from daemon.copies.outcome import Looked, ServerResult
from daemon.copies.records import records_of
from daemon.copies.results import came_from
from daemon.copies.run import Copier
from daemon.copies.spool_room import spool_room
from daemon.core.units import format_size
from daemon.documents.copies import copied
from daemon.errors import Exit, StateError
from daemon.operations.agreement import disputed_by_hand
from daemon.operations.rotations import Failed, preview_servers
from daemon.rotation.run import Disputed
from daemon.rotation.setup import open_client
from daemon.state import Engine, engine_for, looked_into
from daemon.transfer.progress import ProgressListener


def run_copies(settings: Settings, names: Sequence[str], *, as_json: bool) -> int:
    """Copy what is wanted of these servers, or of all that have stores."""
    return asyncio.run(_run(settings, names, as_json=as_json))


async def _run(settings: Settings, names: Sequence[str], *, as_json: bool) -> int:
    config = begin(settings)
    stores_meant(config, None)
    covering = await cover(config, names)
    servers = [server for server in servers_named(covering.config, names) if server.policy.copies or names]
    engine = engine_for(config.state)
    disputed = await disputed_by_hand(engine.leadership, opinion_of(covering.config))
    results = [await _copied(config, server, engine, disputed) for server in servers]
    if as_json:
        write_json(copied(results))
    else:
        for result in results:
            _show(result)
    return covering.exit_code(_exit_code(results))


async def _copied(config: Config, server: ServerConfig, engine: Engine, disputed: Disputed) -> ServerResult:
    """Look at one server and copy what is wanted; one after the other, since a node serves one download at a time."""
    clock = SystemClock()
    (seen,) = await preview_servers([server], state=config.state, clock=clock, tell=say)
    if isinstance(seen, Failed):
        say_unseen(server.name, seen.error)
        return ServerResult(server, error=seen.error)
    looked = Looked(seen.config, seen.server, seen.listing, seen.plan.verdicts)

    async def leave() -> str:
        return await _hindrance(engine, disputed, server, seen.server.uuid)

    shelves, locks, room = shelves_of(config), engine.locks, spool_room(config)
    installation = await shelves.installation()
    copier = Copier(config.stores, shelves, installation, clock, _watched, locks=locks, room=room, leave=leave)
    client = open_client(server.panel, clock, say)
    try:
        result = await copier.copy(looked, client)
    finally:
        await client.aclose()
    await _record(engine, result, seen.server.uuid, clock)
    if result.error is not None:
        say_error(result.error, about=server.name)
    for store, error in (*result.troubles.items(), *result.problems):
        say_error(error, about=f"{server.name}, {store}")
    return result


async def _hindrance(engine: Engine, disputed: Disputed, server: ServerConfig, uuid: str) -> str:
    """Return why nothing of a server may be cleared away in the stores now, empty if it may be."""
    if why := disputed(server, *server.policy.copies):
        return why
    try:
        async with looked_into(engine) as journal:
            held = await frozen(server, uuid, journal)
    except StateError as error:
        return error.text
    if held is not None:
        return held.text
    return engine.leadership.hindrance(creates=False)  # last: a lease may end while the journal is asked


async def _record(engine: Engine, result: ServerResult, server_uuid: str, clock: Clock) -> None:
    """Keep in the journal what came of the copies; that is history, and holds nothing up."""
    records = records_of(result, server_uuid, clock.now())
    if not records:
        return
    try:
        journal = await engine.open()
        try:
            await journal.record_copies(records)
        finally:
            await journal.close()
    except StateError as error:
        say_error(error, about=result.config.name)


@contextmanager
def _watched(name: str, size: int) -> Iterator[ProgressListener]:
    with watching(name, size) as listener:
        listener.said(f"copying {format_size(size)}")
        yield listener


def _show(result: ServerResult) -> None:
    name = result.config.name
    done = [copy for copy in result.copies if copy.manifest]
    show(cell(f"{name}: skipped" if is_suspended(result.error) else f"{name}: {len(done)} copied", "bold"))
    for copy in result.copies:
        if copy.manifest is not None:
            source = f", {came_from(copy.source)}" if copy.source else ""
            size = format_size(copy.manifest.stored.bytes)
            show(cell(f"  {copy.backup.name} to {copy.store}, {size}{source}"))
        elif copy.error is not None:
            show(cell(f"  {copy.backup.name} not to {copy.store}: {copy.error.text}"))
    show(*(cell(f"  cleared {one.key} in {store}: {one.text}") for store, one in result.cleared))
    show(*(cell(f"  {store}: {one.text}") for store, one in result.mended))


def _exit_code(results: Sequence[ServerResult]) -> Exit:
    """The contract's: 4 if all failed, 3 if any, or if another run was at it, or for a state that passes."""
    tried = [result for result in results if not is_suspended(result.error)]
    failed = [result for result in tried if result.failed]
    if not failed:
        return Exit.SOME_FAILED if any(result.problems for result in tried) else Exit.DONE
    nothing = all(not any(copy.manifest for copy in result.copies) for result in tried)
    busy = any(isinstance(result.error, CopiesBusyError) or passes(result.error) for result in failed)
    return Exit.FAILED if len(failed) == len(tried) and nothing and not busy else Exit.SOME_FAILED
