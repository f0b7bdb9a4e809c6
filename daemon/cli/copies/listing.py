"""`copies list`: which copies were last seen in which store, without asking panel or stores."""

import asyncio
from collections.abc import Iterable, Sequence

from daemon.cli.context import begin, servers_named
from daemon.cli.copies.places import shelves_of, stores_meant
from daemon.cli.discovered import covered_now
from daemon.cli.settings import Settings
from daemon.cli.ui.output import write_json
from daemon.cli.ui.tables import cell, show, table
from daemon.config.values import Config, ServerConfig
from daemon.copies.manifest import Manifest
from daemon.copies.shelf import Shelf
from daemon.core.units import format_moment, format_size
from daemon.documents.copies import listed
from daemon.errors import Exit

Found = list[tuple[ServerConfig, list[tuple[str, Shelf]]]]


def list_copies(settings: Settings, names: Sequence[str], *, store: str | None, as_json: bool) -> int:
    """List the copies of these servers, or of all."""
    config = begin(settings)
    stores = [one.name for one in stores_meant(config, store)]
    covering = covered_now(config, names)
    found = asyncio.run(_found(config, stores, servers_named(covering.config, names)))
    if as_json:
        write_json(listed(found))
    else:
        _show(found)
    return covering.exit_code(Exit.DONE)


async def _found(config: Config, stores: Sequence[str], servers: Iterable[ServerConfig]) -> Found:
    shelves = shelves_of(config)
    return [(server, await shelves.known(stores, server.panel.name, server.id)) for server in servers]


def _show(found: Found) -> None:
    rows = []
    for server, shelves in found:
        for store, shelf in shelves:
            newest_first = sorted(shelf.manifests.items(), reverse=True)
            rows += [(server.name, store, *_row(manifest, server)) for _, manifest in newest_first]
            rows += [(server.name, store, "", key.rpartition("/")[2], "", text) for key, text in shelf.damaged.items()]
    if rows:
        columns = ("server", "store", "made", "backup", "size", "proof")
        show(table(columns, rows, right=("size",)))
    else:
        show(cell("no copies were seen; `copies rescan` looks into the stores"))


def _row(manifest: Manifest, server: ServerConfig) -> tuple[str, ...]:
    proof = manifest.proof.level + (", unverified" if manifest.proof.unverified else "")
    made = format_moment(manifest.backup.created_at, server.policy.zone)
    return made, manifest.backup.name, format_size(manifest.stored.bytes), proof
