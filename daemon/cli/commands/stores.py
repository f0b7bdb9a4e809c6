"""`stores`: the stores of the configuration, and what was last seen in them."""

import asyncio

from daemon.cli.context import begin
from daemon.cli.copies.places import shelves_of, stores_meant
from daemon.cli.copies.rescan import show_stores
from daemon.cli.options import Settings
from daemon.config.values import Config
from daemon.documents.copies import StoreSeen


def list_stores(settings: Settings, *, as_json: bool) -> int:
    """List the stores, without asking them."""
    config = begin(settings, need_servers=False)
    return show_stores(asyncio.run(_seen(config)), as_json=as_json)


async def _seen(config: Config) -> list[StoreSeen]:
    shelves = shelves_of(config)
    return [StoreSeen(store, await shelves.holdings(store.name)) for store in stores_meant(config, None)]
