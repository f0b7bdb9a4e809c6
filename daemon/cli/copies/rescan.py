"""`copies rescan`: look at all that the stores hold and remember it: on a new machine, or after a loss of state."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from daemon.cli.context import begin
from daemon.cli.copies.places import ADOPT, shelves_of, stores_meant
from daemon.cli.copies.whose import owners_in
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, say_error, write_json
from daemon.cli.ui.progress import counting
from daemon.cli.ui.tables import cell, show, table
from daemon.config.values import Config, StoreConfig
from daemon.copies.alone import alone
from daemon.core.units import format_size
from daemon.documents.copies import StoreSeen, scanned
from daemon.errors import BackupdError, Exit, StateError
from daemon.state import Holding, engine_for
from daemon.stores.open import open_store


def rescan_stores(settings: Settings, *, store: str | None, adopt: bool, as_json: bool) -> int:
    """Look at all of a store, or of every one."""
    config = begin(settings, need_panels=False)
    seen = asyncio.run(_scan(config, stores_meant(config, store), adopt=adopt))
    return _show(seen, as_json=as_json)


async def _scan(config: Config, stores: list[StoreConfig], *, adopt: bool) -> list[StoreSeen]:
    seen = [await _scanned(config, one, adopt=adopt) for one in stores]
    with suppress(StateError):  # which was said of each store
        await (await owners_in(config, [one.name for one in stores])).say_lacking()
    return seen


async def _scanned(config: Config, store: StoreConfig, *, adopt: bool) -> StoreSeen:
    seen: list[Holding] = []
    adopted = foreign = damaged = 0
    shelves = shelves_of(config)
    try:
        with counting(f"looking into {store.name}, servers") as counted:
            async with open_store(store.settings) as opened:
                seen = await shelves.rescan(store.name, opened, counted)
        ours = await shelves.installation() if seen else ""
        for one in seen:
            shelf = await shelves.of(store.name, one.panel, one.server_uuid)
            if shelf is not None:
                damaged += len(shelf.damaged)
                foreign += 0 if adopt else shelf.foreign(ours)
            if adopt:
                adopted += await _adopt(config, store, one)
    except BackupdError as error:
        say_error(error, about=store.name)
        return StoreSeen(store, seen, error, adopted, foreign, damaged)
    return StoreSeen(store, seen, None, adopted, foreign, damaged)


async def _adopt(config: Config, store: StoreConfig, seen: Holding) -> int:
    async with alone(engine_for(config.state).locks, seen.server_uuid):
        return await shelves_of(config).adopt(store.name, seen.panel, seen.server_uuid)


def _show(seen: list[StoreSeen], *, as_json: bool) -> int:
    """Show what the stores hold; return the exit code."""
    if as_json:
        write_json(scanned(seen))
    else:
        rows = [(one.config.name, str(one.config.settings.location), *_counts(one.seen, one.error)) for one in seen]
        show(table(("store", "where", "servers", "copies", "size"), rows, right=("servers", "copies", "size")))
        show(
            *(
                cell(f"{one.config.name}: {one.damaged} damaged: `copies list` shows which, and why", "red")
                for one in seen
                if one.damaged
            ),
            *(
                cell(f"{one.config.name}: {one.adopted} copies belong to this installation now")
                for one in seen
                if one.adopted
            ),
            *(
                cell(f"{one.config.name}: {one.foreign} copies belong to another installation")
                for one in seen
                if one.foreign
            ),
        )
        if any(one.foreign for one in seen):
            say(ADOPT)
    failed = [one for one in seen if one.error]
    return (Exit.FAILED if len(failed) == len(seen) else Exit.SOME_FAILED) if failed else Exit.DONE


def _counts(seen: Sequence[Holding], error: BackupdError | None) -> tuple[str, ...]:
    if error is not None:
        return "-", "-", "-"
    size = format_size(sum(one.bytes for one in seen))
    return str(sum(bool(one.copies) for one in seen)), str(sum(one.copies for one in seen)), size
