"""Which worlds have stores, and what is configured of them; by a random stream of its own, so that no other changes."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SHARE = 0.2
FIRST_SHARE = 0.6
LOCK_SHARE = 0.35
HOUR = 3600.0
STORE_KEEPS: tuple[Any, ...] = (
    "all",
    {"last": 2},
    {"last": 3, "daily": 2},
    {"daily": 4},
    {"within": "36h", "weekly": 2},
    {"last": 1, "hourly": 5},
)
LOCKS = {"2d": 48 * HOUR, "3d": 72 * HOUR, "5d": 120 * HOUR}
EVERY = {"6h": 6 * HOUR, "1d": 24 * HOUR}

StoreTable = Mapping[str, Any]


@dataclass(slots=True)
class Stores:
    """The stores of a world by name, the names that each server's policy has, and which of these must have a backup
    `first`, before it is deleted. None where there are no stores.
    """

    tables: dict[str, StoreTable] = field(default_factory=dict)
    copies: dict[str, list[str]] = field(default_factory=dict)
    first: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.tables)

    def of(self, server: str) -> Mapping[str, Any]:
        """What a server's policy says of the stores."""
        named = self.copies.get(server)
        return {"copies": named, **self.first.get(server, {})} if named else {}


def draw_stores(seed: int, servers: int) -> Stores:
    """The stores of a seed."""
    rng = random.Random(f"{seed}/stores")
    if rng.random() >= SHARE:
        return Stores()
    names = ["nas", "offsite"][: rng.choice((1, 2, 2))]
    copies = {f"s{number}": rng.choice((names, names, names[:1], names[-1:])) for number in range(servers)}
    copies["s0"] = names
    stores = Stores({name: draw_table(name, rng) for name in names}, copies)
    let_copies_come_first(stores, random.Random(f"{seed}/copies first"))
    lock_copies(stores, random.Random(f"{seed}/object lock"))
    return stores


def let_copies_come_first(stores: Stores, rng: random.Random) -> None:
    """In some worlds the stores, or one of them, must have a backup before it is deleted; those take what there is."""
    if rng.random() >= FIRST_SHARE:
        return
    for server, names in stores.copies.items():
        first = rng.choice((names, names, names[:1], names[-1:]))
        full = rng.choice(("refuse", "refuse", "make-room"))
        stores.first[server] = {"copy_before_delete": first, "copy_before_delete_when_full": full}
        for name in first:
            stores.tables[name] = {**stores.tables[name], "backfill": "all"}


def lock_copies(stores: Stores, rng: random.Random) -> None:
    """In some worlds one of the stores, or each of them, locks its copies."""
    if rng.random() >= LOCK_SHARE:
        return
    names = list(stores.tables)
    for name in rng.choice((names, names[:1], names[-1:])):
        bucket = {"url": f"s3://{name}/copies", "endpoint": "https://s3.example.com", "region": "here"}
        stores.tables[name] = {**stores.tables[name], **bucket, "object_lock": rng.choice(list(LOCKS))}


def draw_table(name: str, rng: random.Random) -> StoreTable:
    """What is configured of a store."""
    table: dict[str, Any] = {
        "url": f"file:///stores/{name}",
        "keep": rng.choice(STORE_KEEPS),
        "min_good": rng.choice((1, 1, 2)),
        "max_deletions": rng.choice((-1, 1, 3, 10)),
        "backfill": rng.choice(("all", "all", 2, "none")),
    }
    if rng.random() < 0.3:
        table["every"] = rng.choice(list(EVERY))
    return table
