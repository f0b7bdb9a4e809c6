"""How the copies stand: of each server in each of its stores, and of each store as a whole.

It is made of what was last seen in the stores (the catalogue), what waits to be copied (the journal's queue) and the
configuration; no store is asked. Where no store is configured there is nothing of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from daemon.config.values import ServerConfig, StoreConfig
from daemon.core.copies_queue import CopyQueue, StoreTrouble
from daemon.core.copies_state import CopyState, copy_state, late_at
from daemon.core.units import format_moment
from daemon.errors import StateError
from daemon.state import Catalogue, CopyEvent, CopyRecord, Holding, Journal, Sample
from daemon.status.copies_listed import backups_listed
from daemon.status.history import ServerHistory

Shelf = tuple[str, str, str]
"""A store, a panel, and the beginning of a server's uuid, by which a configuration may name it."""

IDENTIFIER = 8


@dataclass(frozen=True)
class CopiesSeen:
    """What is known of all copies: what each store was last seen to hold of each server, and what waits.

    `held` says, by server and store, what the brake holds there since this daemon last pruned it; empty if nothing.
    """

    holdings: Mapping[Shelf, Holding] = field(default_factory=dict)
    queue: CopyQueue = field(default_factory=CopyQueue)
    held: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, holdings: Iterable[Holding], queue: CopyQueue) -> "CopiesSeen":
        """Given the catalogue's holdings and the journal's queue, return them as they are looked up."""
        return cls({(one.store, one.panel, one.server_uuid[:IDENTIFIER]): one for one in holdings}, queue)


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """How one server stands in one store at a moment.

    `state` is what became of its newest good backup, None where it has none. `newest` is when the newest backup was
    made of which the store has a copy, and `copies` and `bytes` are what it holds of the server, as last seen. It waits
    `since` that moment, None where nothing waits; after a failure for the reason in `error`, the next try is at
    `next_at` (None: at once). From `late_at` on a copy is missing for too long; None while none is missing.
    `held` is what the brake holds there, empty where nothing; None if this daemon has not pruned it yet.
    """

    store: str
    state: CopyState | None
    newest: datetime | None
    copies: int
    bytes: int
    since: datetime | None
    next_at: datetime | None
    error: str
    late_at: datetime | None
    held: str | None = None

    def late(self, now: datetime) -> bool:
        """Return whether a copy has been missing for too long at that moment."""
        return self.late_at is not None and now >= self.late_at


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How one store stands: what it was last seen to hold, how many servers wait for it, and what is wrong with it."""

    config: StoreConfig
    holdings: tuple[Holding, ...]
    waiting: int
    failing: int
    trouble: StoreTrouble | None

    @property
    def name(self) -> str:
        """The store's configured name."""
        return self.config.name

    @property
    def servers(self) -> int:
        """Of how many servers it has copies."""
        return sum(bool(one.copies) for one in self.holdings)

    @property
    def copies(self) -> int:
        """How many copies it holds."""
        return sum(one.copies for one in self.holdings)

    @property
    def bytes(self) -> int:
        """What they take there."""
        return sum(one.bytes for one in self.holdings)

    @property
    def newest(self) -> datetime | None:
        """When the newest backup was made of which it has a copy; None where it has none."""
        return max((one.newest for one in self.holdings if one.newest), default=None)


def trouble_text(trouble: StoreTrouble) -> str:
    """Return since when a store is in trouble, and what is wrong, in words."""
    return f"in trouble since {format_moment(trouble.since, ZoneInfo('UTC'))}: {trouble.text}"


async def look(journal: Journal, catalogue: Catalogue) -> CopiesSeen:
    """Return what is known of all copies: two queries. What cannot be read is as if it were not known."""
    holdings: Sequence[Holding] = ()
    queue = CopyQueue()
    with suppress(StateError):
        holdings = await catalogue.holdings()
    with suppress(StateError):
        queue = await journal.copy_queue()
    return CopiesSeen.of(holdings, queue)


async def stores_with(catalogue: Catalogue, panel: str, server_id: str) -> dict[str, tuple[str, ...]]:
    """Return for each backup, by uuid, the stores that were last seen to have a copy of it; nothing if unknown."""
    found: dict[str, tuple[str, ...]] = {}
    with suppress(StateError):
        for shelf in await catalogue.shelves(panel, server_id):
            for uuid in backups_listed(shelf.detail):
                found[uuid] = (*found.get(uuid, ()), shelf.holding.store)
    return found


def store_trend(bytes_now: int, records: Iterable[CopyRecord], now: datetime) -> list[Sample]:
    """Given what a store holds now and what became of copies, newest first, return what it held day by day (UTC).

    It goes back as far as the records do.
    """
    changes: dict[date, int] = {}
    for one in records:
        gained = {CopyEvent.MADE: 1, CopyEvent.PRUNED: -1}.get(one.event, 0) * (one.bytes or 0)
        day = one.at.astimezone(UTC).date()
        changes[day] = changes.get(day, 0) + gained
    today = now.astimezone(UTC).date()
    held, samples = bytes_now, [Sample(today, bytes_now)]
    for day in sorted(changes, reverse=True):
        if day < today:
            samples.append(Sample(day, held))
        held -= changes[day]
    return samples[::-1]


def copies_of(
    server: ServerConfig,
    stores: Mapping[str, StoreConfig],
    seen: CopiesSeen,
    history: ServerHistory,
    interval: timedelta,
) -> tuple[CopyStatus, ...]:
    """Return how a server stands in each of its stores, in the order of its policy. `interval` is between its starts.

    Where nothing tells since when a copy is asked for, it counts from when the server is watched.
    """
    return tuple(
        _copy_status(server, stores[name], seen, history, interval) for name in server.policy.copies if name in stores
    )


def _copy_status(
    server: ServerConfig, store: StoreConfig, seen: CopiesSeen, history: ServerHistory, interval: timedelta
) -> CopyStatus:
    every = store.rules.every
    holding = seen.holdings.get((store.name, server.panel.name, server.id[:IDENTIFIER]))
    waiting, trouble = seen.queue.waiting.get((server.name, store.name)), seen.queue.troubles.get(store.name)
    newest = holding.newest if holding else None
    failed = trouble is not None or bool(waiting and waiting.tries)
    state = copy_state(history.good_at, newest, every, waits=waiting is not None, failed=failed)
    missing = state in {CopyState.WAITING, CopyState.FAILED}
    asked_since = waiting.since if waiting else history.since
    return CopyStatus(
        store=store.name,
        state=state,
        newest=newest,
        copies=holding.copies if holding else 0,
        bytes=holding.bytes if holding else 0,
        since=waiting.since if waiting else None,
        next_at=trouble.next_at if trouble else waiting.next_at if waiting else None,
        error=trouble.text if trouble else waiting.text if waiting else "",
        late_at=late_at(newest, asked_since, max(interval, every or interval)) if missing else None,
        held=seen.held.get((server.name, store.name)),
    )


def stores_of(stores: Iterable[StoreConfig], seen: CopiesSeen) -> tuple[StoreStatus, ...]:
    """Return how each of these stores stands."""
    by_store: dict[str, list[Holding]] = {}
    for holding in seen.holdings.values():
        by_store.setdefault(holding.store, []).append(holding)
    queue = seen.queue
    return tuple(
        StoreStatus(
            config=store,
            holdings=tuple(by_store.get(store.name, ())),
            waiting=sum(one.store == store.name for one in queue.waiting.values()),
            failing=sum(one.store == store.name and one.tries > 0 for one in queue.waiting.values()),
            trouble=queue.troubles.get(store.name),
        )
        for store in stores
    )
