"""A store pruned by its own rules, from its own listing; and what a crash left in it, cleared away.

What must hold (invariant 15): the listing is whole and of this moment; of each copy the manifest goes first; the locks
of data and manifest are read before either goes; nothing is touched that another installation wrote. Where the store
locks copies, the locks of what its rules keep are renewed, whatever the brake says.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from daemon.clock import Clock
from daemon.config.values import ServerConfig, StoreConfig
from daemon.copies.alone import alone
from daemon.copies.renew import renew
from daemon.copies.shelf import Shelf
from daemon.copies.shelves import Shelves
from daemon.core.brake import Brake
from daemon.core.copies_found import leftovers
from daemon.core.copies_prune import Pruning, prune
from daemon.core.copy import Copy
from daemon.core.model import Action
from daemon.errors import BackupdError
from daemon.state import Locks
from daemon.stores.base import Capability, Store
from daemon.stores.errors import ObjectMissingError, StoreError

SHARE = 0.5
"""As a policy's own `max_share` is by default."""

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""When a legal hold ends, which has no end."""


@dataclass(slots=True)
class PruneResult:
    """What came of one server in one store: the decision, and what was deleted of it, the oldest first.

    `cleared` are the keys of what a crash had left, `renewed` the copies that are locked for longer now. `error` is
    what ended it early, or why nothing was decided.
    """

    server: ServerConfig
    store: str
    decided: Pruning | None = None
    deleted: list[Copy] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    renewed: list[Copy] = field(default_factory=list)
    error: BackupdError | None = None


class Pruner:
    """Prunes stores, one server after the other; with `dry_run` it only decides."""

    def __init__(self, shelves: Shelves, installation: str, clock: Clock, *, locks: Locks, dry_run: bool) -> None:
        self._shelves = shelves
        self._locks = locks
        self._installation = installation
        self._clock = clock
        self._dry_run = dry_run

    async def prune(
        self, server: ServerConfig, uuid: str, config: StoreConfig, store: Store, accepted: frozenset[str]
    ) -> PruneResult:
        """Prune what a store holds of the server with that uuid; errors of the store are told in the result."""
        result = PruneResult(server, config.name)
        try:
            async with nullcontext() if self._dry_run else alone(self._locks, uuid):
                await self._prune(result, uuid, config, store, accepted)
        except BackupdError as error:
            result.error = error
        return result

    async def _prune(
        self, result: PruneResult, uuid: str, config: StoreConfig, store: Store, accepted: frozenset[str]
    ) -> None:
        server = result.server
        shelf = await self._shelves.look(config.name, store, server.panel.name, uuid)
        copies = list(shelf.copies())
        first = self._decide(copies, server, config, accepted)
        going = [one.copy for one in first.verdicts if one.action is Action.DELETE]  # the brake does not count locked
        looked = {copy.name.data: await _with_lock(store, copy) for copy in going}
        copies = [looked.get(copy.name.data, copy) for copy in copies]
        result.decided = self._decide(copies, server, config, accepted)
        if not self._dry_run:
            refused = await self._renew(store, result, uuid, config, shelf)
            await self._delete(store, result, leftovers(shelf.loose, self._clock.now()))
            await self._shelves.look(config.name, store, server.panel.name, uuid)
            if refused is not None:
                raise refused

    async def _renew(
        self, store: Store, result: PruneResult, uuid: str, config: StoreConfig, shelf: Shelf
    ) -> StoreError | None:
        """Renew locks, and remember them; return why one could not be renewed, which holds up no deletion."""
        if config.object_lock is None or result.decided is None:
            return None
        done = await renew(store, result.decided.verdicts, shelf.locks, config.object_lock, self._clock.now())
        result.renewed = done.copies
        if done.ends:
            locked = replace(shelf, locks={**shelf.locks, **done.ends})
            await self._shelves.remember(config.name, result.server.panel.name, uuid, locked)
        return done.error

    def _decide(
        self, copies: list[Copy], server: ServerConfig, config: StoreConfig, accepted: frozenset[str]
    ) -> Pruning:
        return prune(
            copies,
            config.rules.retention(server.policy.retention),
            installation=self._installation,
            ownership=server.ownership,
            brake=Brake(config.max_deletions, SHARE),
            now=self._clock.now(),
            accepted=accepted,
        )

    async def _delete(self, store: Store, result: PruneResult, loose: tuple[str, ...]) -> None:
        for copy in result.decided.deletions if result.decided else ():
            await store.delete(copy.name.manifest)  # first: without it the rest is no copy, and is cleared away
            await store.delete(copy.name.data)
            result.deleted.append(copy)
        for key in loose:
            await store.delete(key)
            result.cleared.append(key)


async def _with_lock(store: Store, copy: Copy) -> Copy:
    """The copy, with what the store says of the locks of its data and its manifest."""
    if Capability.LOCK in store.lacks:
        return copy
    ends, known = [], True
    for key in (copy.name.data, copy.name.manifest):
        try:
            details = await store.head(key)
        except ObjectMissingError:
            continue
        ends += [NEVER] if details.held else [details.locked_until] if details.locked_until else []
        known &= details.lock_known
    return replace(copy, locked_until=max(ends, default=None), lock_known=known)
