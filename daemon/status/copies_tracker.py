"""What the daemon knows of the copies: read from the journal and the catalogue when asked, at most every few seconds.

So it also knows what `copies run` in another process did. Where no store is configured it reads and keeps nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from daemon.config.values import Config, ServerConfig, StoreConfig
from daemon.rotation.run import RotationContext
from daemon.state import CopyEvent, CopyRecord
from daemon.status.copies import CopiesSeen, CopyStatus, StoreStatus, copies_of, stores_of
from daemon.status.history import ServerHistory
from daemon.status.lately import Lately


@dataclass(slots=True)
class CopyCounts:
    """What the daemon copied and pruned since it began, by store."""

    made: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    pruned: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)


class CopiesTracker:
    """How all copies stand."""

    def __init__(self, context: RotationContext) -> None:
        self._context = context
        self.stores: Mapping[str, StoreConfig] = {}
        self.counts = CopyCounts()
        self._seen = Lately(context, self._look)
        self._held: dict[tuple[str, str], str] = {}

    def follow(self, config: Config) -> None:
        """Watch the stores of a configuration that was just read."""
        self.stores = config.stores
        self._seen.changed()
        if not config.stores:
            self._seen.forget()
            self._held.clear()

    def copied(self, records: Iterable[CopyRecord], seconds: float = 0.0) -> None:
        """Take in what became of copies of one backup, which was on its way to all its stores for that long."""
        self._seen.changed()
        for one in records:
            if one.event is CopyEvent.MADE:
                self.counts.made[one.store] += 1
                self.counts.bytes[one.store] += one.bytes or 0
                self.counts.seconds[one.store] = self.counts.seconds.get(one.store, 0.0) + seconds
            elif one.event is CopyEvent.FAILED:
                self.counts.failed[one.store] += 1
            elif one.event is CopyEvent.PRUNED:
                self.counts.pruned[one.store] += 1

    def pruned(self, server: str, store: str, held: str) -> None:
        """Take in that a store was pruned of a server's copies, and what the brake held; empty if nothing."""
        self._held[server, store] = held
        self._seen.changed()

    async def of(self, server: ServerConfig, history: ServerHistory, interval: timedelta) -> tuple[CopyStatus, ...]:
        """Return how a server stands in each of its stores; `interval` is between its starts."""
        if not self.stores or not server.policy.copies:
            return ()
        return copies_of(server, self.stores, await self.seen(), history, interval)

    async def stores_now(self) -> tuple[StoreStatus, ...]:
        """Return how each store stands."""
        return stores_of(self.stores.values(), await self.seen()) if self.stores else ()

    async def seen(self) -> CopiesSeen:
        """Return what is known of all copies; nothing while that was never read."""
        return await self._seen.value() or CopiesSeen()

    @property
    def is_known(self) -> bool:
        """Whether anything of the above was ever read."""
        return self._seen.is_known

    async def _look(self) -> CopiesSeen:
        holdings = await self._context.engine.catalogue.holdings()
        return replace(CopiesSeen.of(holdings, await self._context.journal.copy_queue()), held=self._held)
