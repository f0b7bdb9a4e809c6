"""A store pruned by its own rules, from its own listing; and what a crash left in it, cleared away.

What must hold (invariant 15): the listing is whole and of this moment; of each copy the manifest goes first; the locks
of data and manifest are read before either goes; nothing is touched that another installation wrote. Where the store
locks copies, the locks of what its rules keep are renewed, whatever the brake says. While this machine's clock is in
doubt nothing is deleted, cleared away or locked.
"""

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from daemon.clock import Clock
from daemon.config.values import ServerConfig, StoreConfig
from daemon.copies.alone import alone
from daemon.copies.clear import MOST_CLEARED, Clearing, clear_leftovers
from daemon.copies.errors import CopyError
from daemon.copies.jobs import PruneInputs
from daemon.copies.judged import applied_in, judge_copies
from daemon.copies.renew import renew
from daemon.copies.results import Cleared
from daemon.copies.shelf import Shelf
from daemon.copies.shelves import Shelves
from daemon.copies.undeleted import Undeleted
from daemon.copies.workers import AskLeave, always, unheard
from daemon.core.applied import AppliedRetention, let_through, taken_back, told
from daemon.core.brake import Applied
from daemon.core.clocks import jumped
from daemon.core.copies_prune import Pruning
from daemon.core.copy import Copy
from daemon.core.model import Action
from daemon.errors import BackupdError
from daemon.state import Locks
from daemon.stores.base import Capability, Store
from daemon.stores.errors import ObjectMissingError, StoreError

SEE_STATUS = "see `ptero-backupd status`, and in a cluster `ptero-backupd cluster status`"

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Stands for the end of a legal hold, which has none."""


@dataclass(slots=True)
class PruneResult:
    """What came of one server in one store: the decision, and what was deleted of it, the oldest first.

    `cleared` is what a crash had left, `renewed` the copies that are locked for longer now. `applied` is
    what to record as applied, None where that is not to be changed. `problems` are what could not be deleted or cleared
    away, and hindered nothing else. `error` is what ended it early, or why nothing was decided.
    """

    server: ServerConfig
    store: str
    decided: Pruning | None = None
    deleted: list[Copy] = field(default_factory=list)
    cleared: list[Cleared] = field(default_factory=list)
    renewed: list[Copy] = field(default_factory=list)
    applied: AppliedRetention | None = None
    problems: list[CopyError] = field(default_factory=list)
    error: BackupdError | None = None

    @property
    def errors(self) -> list[BackupdError]:
        """All that went wrong, the `error` first."""
        return [*([self.error] if self.error else ()), *self.problems]

    @property
    def reasons(self) -> dict[str, str]:
        """What the decision says of each copy, by the key of its data."""
        verdicts = self.decided.verdicts if self.decided else ()
        return {one.copy.name.data: "; ".join(reason.text for reason in one.reasons) for one in verdicts}


class Pruner:
    """Prunes stores, one server after the other; with `dry_run` it only decides.

    `once` lifts the brake: so many copies of a server may go (-1: any number), and at once; and so much data without a
    manifest may be cleared away. `leave` is asked right before each deletion: nothing more goes once a proof has failed
    (invariant 17), or a member of a cluster has lost its lease (invariant 20). `going` hears when the shelves have it
    which copies will be deleted, before any is.
    """

    def __init__(
        self,
        shelves: Shelves,
        installation: str,
        clock: Clock,
        *,
        locks: Locks,
        dry_run: bool = False,
        once: int | None = None,
        leave: AskLeave = always,
        going: Callable[[], Awaitable[None]] = unheard,
    ) -> None:
        self._leave = leave
        self._going = going
        self._shelves = shelves
        self._locks = locks
        self._installation = installation
        self._clock = clock
        self._dry_run = dry_run
        self._once = once

    async def prune(
        self, server: ServerConfig, uuid: str, config: StoreConfig, store: Store, inputs: PruneInputs
    ) -> PruneResult:
        """Prune what a store holds of the server with that uuid; errors of the store are told in the result."""
        result = PruneResult(server, config.name)
        try:
            async with nullcontext() if self._dry_run else alone(self._locks, uuid):
                await self._prune(result, uuid, config, store, inputs)
        except BackupdError as error:
            result.error = error
        return result

    async def _prune(
        self, result: PruneResult, uuid: str, config: StoreConfig, store: Store, inputs: PruneInputs
    ) -> None:
        panel = result.server.panel.name
        shelf = await self._shelves.look(config.name, store, panel, uuid)
        decided, inputs, now = await self._decided(partial(self._decide, result.server, config), store, inputs, shelf)
        result.decided = decided
        if self._dry_run or inputs.doubt:
            return
        refused = await self._renew(store, result, uuid, config, shelf, now=now)
        if inputs.frozen:
            result.decided = None  # nothing is to come of it
            if refused is not None:
                raise refused
            return
        result.applied = _applied(decided, inputs.applied, applied_in(result.server, config), now)
        undeleted, clearing = Undeleted(), Clearing(self._leave, self._most_cleared)
        if decided.deletions:
            going = frozenset(copy.name.data for copy in decided.deletions)
            await self._shelves.mark_going(config.name, panel, uuid, going)
            await self._going()
        await self._delete(store, result, undeleted)
        await self._must_be_let()
        try:
            await clear_leftovers(store, shelf, now, clearing)
        finally:
            result.cleared += clearing.cleared
        left = undeleted.as_error("a copy")
        result.problems += [*([left] if left else ()), *clearing.problems()]
        if clearing.hindrance:
            result.problems.append(_refusal(clearing.hindrance))
        await self._shelves.look(config.name, store, panel, uuid)
        if refused is not None:
            raise refused

    async def _decided(
        self, decide: Callable[[PruneInputs, Sequence[Copy]], Pruning], store: Store, inputs: PruneInputs, shelf: Shelf
    ) -> tuple[Pruning, PruneInputs, datetime]:
        """Decide by the locks of all that would go; return also the inputs and the moment that this was decided by.

        A lock, or the time that looking for one takes, may let other copies go instead: then their locks are looked at
        too.
        """
        copies, looked = shelf.copies(), dict[str, Copy]()
        while True:
            # The store has been asked much by now, and our clock may have been set: all below is by this one moment.
            inputs = replace(inputs, doubt=inputs.doubt or jumped(self._clock.was_set_by()))
            now = self._clock.now()
            decided = decide(inputs, [looked.get(copy.name.data, copy) for copy in copies])
            going = [one.copy for one in decided.verdicts if one.action is Action.DELETE]
            unseen = [] if inputs.frozen else [copy for copy in going if copy.name.data not in looked]
            if not unseen:
                return decided, inputs, now
            looked |= {copy.name.data: await _with_lock(store, copy) for copy in unseen}

    async def _renew(
        self, store: Store, result: PruneResult, uuid: str, config: StoreConfig, shelf: Shelf, *, now: datetime
    ) -> StoreError | None:
        """Renew locks, and remember them; return why one could not be renewed, which holds up no deletion."""
        if config.object_lock is None or result.decided is None:
            return None
        done = await renew(store, result.decided.verdicts, shelf.locks, config.object_lock, now)
        result.renewed = done.copies
        if done.ends:
            locked = replace(shelf, locks={**shelf.locks, **done.ends})
            await self._shelves.remember(config.name, result.server.panel.name, uuid, locked)
        return done.error

    def _decide(
        self, server: ServerConfig, config: StoreConfig, inputs: PruneInputs, copies: Sequence[Copy]
    ) -> Pruning:
        return judge_copies(
            copies,
            server,
            config,
            installation=self._installation,
            applied=inputs.applied,
            accepted=inputs.accepted,
            now=self._clock.now(),
            doubt=inputs.doubt,
            once=self._once,
        )

    async def _delete(self, store: Store, result: PruneResult, undeleted: Undeleted) -> None:
        """Delete what was decided; one copy that cannot be deleted hinders no other."""
        for copy in result.decided.deletions if result.decided else ():
            await self._must_be_let()
            with undeleted.noted():
                await store.delete(copy.name.manifest)  # first: without it the rest is no copy, and is cleared away
                await store.delete(copy.name.data)
                result.deleted.append(copy)

    @property
    def _most_cleared(self) -> int:
        """How much data without a manifest may be cleared away of one server."""
        if self._once is None:
            return MOST_CLEARED
        return sys.maxsize if self._once < 0 else max(self._once, MOST_CLEARED)

    async def _must_be_let(self) -> None:
        """Raise CopyError if nothing may be deleted at this moment."""
        if hindrance := await self._leave():
            raise _refusal(hindrance)


def _refusal(hindrance: str) -> CopyError:
    """Return the error to tell of what hinders all deletion."""
    return CopyError(f"{hindrance}; nothing more is deleted", hint=SEE_STATUS)


def _applied(decided: Pruning, before: AppliedRetention, present: Applied, now: datetime) -> AppliedRetention:
    """Return what to record of a decision: what is told as held, or what the brake let through."""
    if decided.held:
        return told(before, present, now)
    return taken_back(before, present) if decided.refused else let_through(present, decided.let_through)


async def _with_lock(store: Store, copy: Copy) -> Copy:
    """Return the copy, with what the store says of the locks of its data and its manifest."""
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
