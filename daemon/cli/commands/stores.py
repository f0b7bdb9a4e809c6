"""`stores`: the stores of the configuration, and what was last seen in them."""

from daemon.cli.context import begin
from daemon.cli.copies.places import shelves_of, stores_meant
from daemon.cli.copies.rescan import show_stores
from daemon.cli.options import Settings
from daemon.documents.copies import StoreSeen


def list_stores(settings: Settings, *, as_json: bool) -> int:
    """List the stores, without asking them."""
    config = begin(settings, need_servers=False)
    shelves = shelves_of(config)
    seen = [StoreSeen(store, shelves.in_store(store.name)) for store in stores_meant(config, None)]
    return show_stores(seen, as_json=as_json)
