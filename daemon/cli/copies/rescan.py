"""`copies rescan`: look at all that the stores hold and remember it: on a new machine, or after a loss of state."""

import asyncio
from collections.abc import Sequence

from daemon.cli.context import begin
from daemon.cli.copies.places import shelves_of, stores_meant
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say_error, write_json
from daemon.cli.ui.tables import show, table
from daemon.config.values import Config, StoreConfig
from daemon.core.units import format_size
from daemon.documents.copies import StoreSeen, scanned
from daemon.errors import BackupdError, Exit
from daemon.state import Holding
from daemon.stores.open import open_store


def rescan_stores(settings: Settings, *, store: str | None, as_json: bool) -> int:
    """Look at all of a store, or of every one."""
    config = begin(settings, need_servers=False)
    seen = asyncio.run(_scan(config, stores_meant(config, store)))
    return _show(seen, as_json=as_json)


async def _scan(config: Config, stores: list[StoreConfig]) -> list[StoreSeen]:
    return [await _scanned(config, one) for one in stores]


async def _scanned(config: Config, store: StoreConfig) -> StoreSeen:
    try:
        async with open_store(store.settings) as opened:
            return StoreSeen(store, await shelves_of(config).rescan(store.name, opened))
    except BackupdError as error:
        say_error(error, about=store.name)
        return StoreSeen(store, [], error)


def _show(seen: list[StoreSeen], *, as_json: bool) -> int:
    """Show what the stores hold; return the exit code."""
    if as_json:
        write_json(scanned(seen))
    else:
        rows = [(one.config.name, str(one.config.settings.location), *_counts(one.seen, one.error)) for one in seen]
        show(table(("store", "where", "servers", "copies", "size"), rows, right=("servers", "copies", "size")))
    failed = [one for one in seen if one.error]
    return (Exit.FAILED if len(failed) == len(seen) else Exit.SOME_FAILED) if failed else Exit.DONE


def _counts(seen: Sequence[Holding], error: BackupdError | None) -> tuple[str, ...]:
    if error is not None:
        return "-", "-", "-"
    size = format_size(sum(one.bytes for one in seen))
    return str(sum(bool(one.copies) for one in seen)), str(sum(one.copies for one in seen)), size
