"""`stores`: the stores of the configuration, what was last seen in them, and what waits for them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from daemon.cli.context import begin
from daemon.cli.copies.places import stores_meant
from daemon.cli.settings import Settings
from daemon.cli.ui.moments import to_the_minute
from daemon.cli.ui.output import write_json
from daemon.cli.ui.tables import cell, show, table
from daemon.config.values import Config
from daemon.core.units import format_size
from daemon.documents.stores import stores_document
from daemon.errors import Exit
from daemon.state import engine_for, looked_into
from daemon.status.copies import StoreStatus, look, stores_of, trouble_text

COLUMNS = ("store", "where", "servers", "copies", "size", "newest (UTC)", "waiting")


def list_stores(settings: Settings, *, as_json: bool) -> int:
    """List the stores, without asking them."""
    config = begin(settings, need_panels=False)
    stores = asyncio.run(_seen(config))
    if as_json:
        write_json(stores_document(stores))
    else:
        _show(stores)
    return Exit.DONE


async def _seen(config: Config) -> Sequence[StoreStatus]:
    stores, engine = stores_meant(config, None), engine_for(config.state)
    async with looked_into(engine, despite_trouble=True) as journal:
        return stores_of(stores, await look(journal, engine.catalogue))


def _show(stores: Sequence[StoreStatus]) -> None:
    rows = [
        (
            one.name,
            str(one.config.settings.location),
            one.servers,
            one.copies,
            format_size(one.bytes),
            _moment(one.newest),
            _waiting(one),
        )
        for one in stores
    ]
    troubles = [cell(f"{one.name}: {trouble_text(one.trouble)}", "yellow") for one in stores if one.trouble]
    show(table(COLUMNS, rows, right=("servers", "copies", "size")), *troubles)


def _waiting(one: StoreStatus) -> str:
    if not one.waiting:
        return "-"
    servers = f"{one.waiting} server{'' if one.waiting == 1 else 's'}"
    return f"{servers}, {one.failing} after a failure" if one.failing else servers


def _moment(moment: datetime | None) -> str:
    return to_the_minute(moment, ZoneInfo("UTC"))
