"""`copies prune`: what the stores' own rules let go is deleted from them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from daemon.cli.context import begin, servers_named
from daemon.cli.copies.frozen import frozen
from daemon.cli.copies.places import ADOPT, shelves_of, stores_meant
from daemon.cli.discovered import cover
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, say_error, write_json
from daemon.cli.ui.progress import counting
from daemon.cli.ui.tables import cell, show
from daemon.clock import SystemClock
from daemon.config.opinion import opinion_of
from daemon.config.values import Config, ServerConfig, StoreConfig
from daemon.copies.errors import CopiesBusyError, CopiesFrozenError, CopyError
from daemon.copies.jobs import PruneInputs
from daemon.copies.prune import Pruner, PruneResult
from daemon.copies.records import records_of_pruning
from daemon.core.applied import NOTHING
from daemon.core.copies_prune import FOREIGN
from daemon.core.model import Action
from daemon.documents.copies import pruned
from daemon.errors import BackupdError, Exit, StateError, UsageError
from daemon.operations.agreement import SAME_EVERYWHERE, disputed_by_hand
from daemon.rotation.run import Disputed, undisputed
from daemon.state import Journal, engine_for, looked_into
from daemon.stores.base import Store
from daemon.stores.open import open_store


@dataclass(frozen=True)
class PruneOptions:
    """What was asked for on the command line."""

    store: str | None = None
    dry_run: bool = False
    max_deletions: int | None = None
    as_json: bool = False


def prune_copies(settings: Settings, names: Sequence[str], options: PruneOptions) -> int:
    """Prune the copies of these servers, or of all, in one store or in each that their policies name.

    Raises UsageError if the brake is to be lifted for servers that are not named.
    """
    if options.max_deletions is not None and not names:
        raise UsageError(
            f"--max-deletions {options.max_deletions} would lift the brake on every server",
            hint="name the servers whose `copies prune --dry-run` you have looked at",
        )
    return asyncio.run(_prune(settings, names, options))


async def _prune(settings: Settings, names: Sequence[str], options: PruneOptions) -> int:
    config = begin(settings)
    stores = stores_meant(config, options.store)
    covering = await cover(config, names)
    servers = servers_named(covering.config, names)
    shelves, engine = shelves_of(config), engine_for(config.state)
    dry_run, once = options.dry_run, options.max_deletions

    installation = await shelves.installation()
    pruner = partial(Pruner, shelves, installation, SystemClock(), locks=engine.locks, dry_run=dry_run, once=once)
    disputed = undisputed if dry_run else await disputed_by_hand(engine.leadership, opinion_of(covering.config))
    hindrance = partial(engine.leadership.hindrance, creates=False)
    pruning = _Pruning(config, pruner, hindrance, disputed, dry_run=dry_run)
    results = [result for one in stores for result in await pruning.in_store(one, servers)]
    if options.as_json:
        write_json(pruned(results, dry_run=dry_run))
    else:
        for result in results:
            _show(result, dry_run=dry_run)
        if any(map(_foreign, results)):
            say(ADOPT)
    return covering.exit_code(_exit_code(results))


@dataclass(frozen=True)
class _Pruning:
    """What all stores have in common. `pruner` makes who prunes one server, and asks for `leave`; `hindrance` is why
    this machine may delete nothing now. `disputed` says where a daemon of the cluster would decide differently.
    """

    config: Config
    pruner: Callable[..., Pruner]
    hindrance: Callable[[], str]
    disputed: Disputed
    dry_run: bool

    async def in_store(self, store: StoreConfig, servers: Sequence[ServerConfig]) -> list[PruneResult]:
        """Prune one store; each server's uuid is told by the copies that are there."""
        meant = [server for server in servers if store.name in server.policy.copies]
        results = []
        try:
            async with open_store(store.settings) as opened, _journal(self.config, dry_run=self.dry_run) as journal:
                with counting(f"looking into {store.name}, servers") as counted:
                    holdings = await shelves_of(self.config).rescan(store.name, opened, counted)
                seen = [one for one in holdings if one.copies]
                for server in meant:
                    if why := self.disputed(server, store.name):
                        results.append(PruneResult(server, store.name, error=CopyError(why, hint=SAME_EVERYWHERE)))
                        continue
                    panel, uuid = server.panel.name, server.id
                    of_it = [one for one in seen if one.panel == panel and one.server_uuid.startswith(uuid)]
                    for one in of_it:  # one by one: what was done is told though the next one fails
                        result = await self._of_server(server, one.server_uuid, store, opened, journal)
                        results.append(result)
        except BackupdError as error:
            results += [PruneResult(server, store.name, error=error) for server in meant]
        for result in results:
            for wrong in result.errors:
                say_error(wrong, about=f"{result.server.name}, {result.store}")
        return results

    async def _of_server(
        self, server: ServerConfig, uuid: str, store: StoreConfig, opened: Store, journal: Journal
    ) -> PruneResult:
        """Prune what the store has of one server, and record it; only renew locks if a failed proof freezes it."""

        async def leave() -> str:
            if (held := await frozen(server, uuid, journal)) is not None:
                raise held
            return self.hindrance()

        accepted, pruner = await journal.accepted(uuid), self.pruner(leave=leave)
        if (held := await frozen(server, uuid, journal)) is not None:
            if self.dry_run or store.object_lock is None:
                return PruneResult(server, store.name, error=held)
            result = await pruner.prune(server, uuid, store, opened, PruneInputs(accepted, frozen=True))
            result.error = result.error or held
            return result
        known = await journal.applied(uuid, store.name) or NOTHING
        inputs = PruneInputs(accepted, known)
        result = await pruner.prune(server, uuid, store, opened, inputs)
        await _record(journal, result, uuid)
        if result.applied is not None:
            await journal.apply(uuid, result.applied, store.name)
        return result


async def _record(journal: Journal, result: PruneResult, server_uuid: str) -> None:
    """Keep in the journal what went; that is history, and holds nothing up."""
    records = records_of_pruning(result, server_uuid, SystemClock().now())
    try:
        if records:
            await journal.record_copies(records)
    except StateError as error:
        say_error(error, about=result.server.name)


@asynccontextmanager
async def _journal(config: Config, *, dry_run: bool) -> AsyncIterator[Journal]:
    """Open the journal, to be read alone in a dry run, which begins no day (invariant 7)."""
    engine = engine_for(config.state)
    if dry_run:
        async with looked_into(engine) as journal:
            yield journal
        return
    journal = await engine.open()
    try:
        yield journal
    finally:
        await journal.close()


def _show(result: PruneResult, *, dry_run: bool) -> None:
    name = f"{result.server.name} in {result.store}"
    if result.decided is None:
        show(cell(f"{name}: failed", "bold red"))
        return
    decided = result.decided
    going = decided.deletions if dry_run else result.deleted
    kept = sum(one.action is Action.KEEP for one in decided.verdicts)
    left = f", leaves {foreign} of another installation alone" if (foreign := _foreign(result)) else ""
    show(cell(f"{name}: {'would delete' if dry_run else 'deleted'} {len(going)}, keeps {kept}{left}", "bold"))
    show(*(cell(f"  {copy.backup.name}: {result.reasons[copy.name.data]}") for copy in going))
    stays = [one.copy for one in decided.verdicts if any(reason.rule == "locked" for reason in one.reasons)]
    show(*(cell(f"  keeps {copy.backup.name}: {result.reasons[copy.name.data]}") for copy in stays))
    show(*(cell(f"  cleared {one.key}: {one.text}") for one in result.cleared))
    if result.renewed:
        show(cell(f"  {len(result.renewed)} locked for longer"))
    show(*(cell(f"  {text}") for text in (decided.refused, decided.waits) if text))


def _foreign(result: PruneResult) -> int:
    """Count the copies that another installation wrote."""
    return sum(FOREIGN in one.reasons for one in result.decided.verdicts) if result.decided else 0


def _exit_code(results: Sequence[PruneResult]) -> Exit:
    """The contract's: 5 where the brake or a failed proof held, or holds some, else 4 if all failed, 3 if any."""
    failed = [result for result in results if result.errors]
    held = any(result.decided and (result.decided.refused or result.decided.waits) for result in results)
    if held or any(isinstance(result.error, CopiesFrozenError) for result in failed):
        return Exit.REFUSED
    if not failed:
        return Exit.DONE
    busy = any(isinstance(result.error, CopiesBusyError) for result in failed)
    return Exit.FAILED if len(failed) == len(results) and not busy else Exit.SOME_FAILED
