"""The catalogue of copies in the model: what was last seen of each server in each store, and the installation's id."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from daemon.state.postgres import catalogue
from tests.simulation.cluster.outbox import Rows

Shelf = tuple[str, str, str]
"""A store, a panel, and a server by its uuid."""

COLUMNS = ("store", "panel", "server_uuid", "seen_at", "copies", "bytes", "newest", "detail")
HOLDINGS = "SELECT store, panel, server_uuid, seen_at, copies, bytes, newest FROM shelf"
ORDER = " ORDER BY store, panel, server_uuid"


class Catalogue(Protocol):
    """The tables, as far as the catalogue uses them. `on_seen` is told who records what of which store and server."""

    installation: str | None
    shelves: dict[Shelf, dict[str, Any]]
    on_seen: Callable[[str, str, str], None]
    asked_by: str


def _be(tables: Catalogue, installation: str) -> Rows:
    tables.installation = tables.installation or installation
    return []


def _see(tables: Catalogue, *columns: Any) -> Rows:
    row = dict(zip(COLUMNS, columns, strict=True))
    tables.shelves[row["store"], row["panel"], row["server_uuid"]] = row
    tables.on_seen(tables.asked_by, row["store"], row["server_uuid"])
    return []


def _empty(tables: Catalogue, store: str) -> Rows:
    tables.shelves = {key: row for key, row in tables.shelves.items() if key[0] != store}
    return []


def _shelves(tables: Catalogue, panel: str, first: str, beyond: str) -> Rows:
    return [row for key, row in sorted(tables.shelves.items()) if key[1] == panel and first <= key[2] < beyond]


STATEMENTS: Mapping[str, Callable[..., Rows]] = {
    "INSERT INTO installation (id) VALUES ($1) ON CONFLICT DO NOTHING": _be,
    "SELECT id FROM installation": lambda tables: [{"id": tables.installation}],
    "SELECT * FROM shelf WHERE store = $1 AND panel = $2 AND server_uuid = $3": lambda tables, *key: [
        row for known, row in tables.shelves.items() if known == key
    ],
    "SELECT * FROM shelf WHERE panel = $1 AND server_uuid >= $2 AND server_uuid < $3"
    " ORDER BY store, server_uuid": _shelves,
    f"{HOLDINGS}{ORDER}": lambda tables: [row for _, row in sorted(tables.shelves.items())],
    f"{HOLDINGS} WHERE store = $1{ORDER}": lambda tables, store: [
        row for key, row in sorted(tables.shelves.items()) if key[0] == store
    ],
    catalogue._SEEN: _see,
    "DELETE FROM shelf WHERE store = $1": _empty,
}
