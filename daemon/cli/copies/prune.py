"""`copies prune`: what the stores' own rules let go is deleted from them."""

import asyncio
from collections.abc import Sequence

from daemon.cli.context import begin, servers_named
from daemon.cli.copies.places import shelves_of, stores_meant
from daemon.cli.discovered import cover
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say_error, write_json
from daemon.cli.ui.tables import cell, show
from daemon.clock import SystemClock
from daemon.config.values import Config, ServerConfig, StoreConfig
from daemon.copies.errors import CopiesBusyError
from daemon.copies.prune import Pruner, PruneResult
from daemon.core.model import Action
from daemon.documents.copies import pruned
from daemon.errors import BackupdError, Exit
from daemon.state import engine_for, looked_into
from daemon.stores.open import open_store


def prune_copies(settings: Settings, names: Sequence[str], *, store: str | None, dry_run: bool, as_json: bool) -> int:
    """Prune the copies of these servers, or of all, in one store or in each that their policies name."""
    return asyncio.run(_prune(settings, names, store=store, dry_run=dry_run, as_json=as_json))


async def _prune(settings: Settings, names: Sequence[str], *, store: str | None, dry_run: bool, as_json: bool) -> int:
    config = begin(settings)
    stores = stores_meant(config, store)
    covering = await cover(config, names)
    servers = servers_named(covering.config, names)
    locks = engine_for(config.state_dir).locks
    shelves = shelves_of(config)
    pruner = Pruner(shelves, await shelves.installation(), SystemClock(), locks=locks, dry_run=dry_run)
    results = [result for one in stores for result in await _in_store(config, one, servers, pruner)]
    if as_json:
        write_json(pruned(results, dry_run=dry_run))
    else:
        for result in results:
            _show(result, dry_run=dry_run)
    return covering.exit_code(_exit_code(results))


async def _in_store(
    config: Config, store: StoreConfig, servers: Sequence[ServerConfig], pruner: Pruner
) -> list[PruneResult]:
    """Prune one store; each server's uuid is told by the copies that are there."""
    meant = [server for server in servers if store.name in server.policy.copies]
    results = []
    try:
        async with open_store(store.settings) as opened, looked_into(engine_for(config.state_dir)) as journal:
            seen = [one for one in await shelves_of(config).rescan(store.name, opened) if one.copies]
            for server in meant:
                for one in seen:
                    if one.panel == server.panel.name and one.server_uuid.startswith(server.id):
                        accepted = frozenset(await journal.accepted(one.server_uuid))
                        results.append(await pruner.prune(server, one.server_uuid, store, opened, accepted))
    except BackupdError as error:
        results += [PruneResult(server, store.name, error=error) for server in meant]
    for result in results:
        if result.error is not None:
            say_error(result.error, about=f"{result.server.name}, {result.store}")
    return results


def _show(result: PruneResult, *, dry_run: bool) -> None:
    name = f"{result.server.name} in {result.store}"
    if result.decided is None:
        show(cell(f"{name}: failed", "bold red"))
        return
    decided = result.decided
    going = decided.deletions if dry_run else result.deleted
    kept = sum(one.action is Action.KEEP for one in decided.verdicts)
    show(cell(f"{name}: {'would delete' if dry_run else 'deleted'} {len(going)}, keeps {kept}", "bold"))
    reasons = {one.copy.name.data: "; ".join(reason.text for reason in one.reasons) for one in decided.verdicts}
    show(*(cell(f"  {copy.backup.name}: {reasons[copy.name.data]}") for copy in going))
    show(*(cell(f"  cleared {key}, which was never finished") for key in result.cleared))
    if result.renewed:
        show(cell(f"  {len(result.renewed)} locked for longer"))
    show(*(cell(f"  {text}") for text in (decided.refused, decided.waits) if text))


def _exit_code(results: Sequence[PruneResult]) -> Exit:
    """The contract's: 5 where the brake held, else 4 if all failed, 3 if any."""
    if any(result.decided and result.decided.refused for result in results):
        return Exit.REFUSED
    failed = [result for result in results if result.error]
    if not failed:
        return Exit.DONE
    busy = any(isinstance(result.error, CopiesBusyError) for result in failed)
    return Exit.FAILED if len(failed) == len(results) and not busy else Exit.SOME_FAILED
