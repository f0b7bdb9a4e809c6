"""One server's copies in one store are pruned, as the store's own rules say.

What must hold: nothing is deleted by a configuration that was replaced meanwhile, nor on which members of a cluster
differ, nor once a proof has failed (invariant 17). Then locks are renewed all the same: it may be the last good copy.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from daemon.config.values import StoreConfig
from daemon.copies.jobs import PruneInputs
from daemon.copies.results import Failure, Pruned
from daemon.copies.workers import CopyWorker
from daemon.copying.turn import Turn
from daemon.core.applied import NOTHING, AppliedRetention
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.rotation.run import RotationContext
from daemon.state import CopyEvent, CopyRecord

log = get_logger()

PRUNED_SECONDS = 86_400.0
"""A store is pruned of a server's copies after each new one, and at least so often."""


class Pruning:
    """Prunes in any visit, and remembers between them when it did, and why it did not.

    `current_store` returns a store's configuration at that moment, None if it is gone.
    """

    def __init__(
        self,
        context: RotationContext,
        worker: CopyWorker,
        current_store: Callable[[str], StoreConfig | None],
    ) -> None:
        self._context = context
        self._worker = worker
        self._current_store = current_store
        self._pruned_at: dict[tuple[str, str], float] = {}
        self._refused: dict[tuple[str, str], str] = {}

    def is_pruned(self, server: str, store: str) -> bool:
        """Return whether the store was pruned of the server's copies within the last day."""
        at = self._pruned_at.get((server, store))
        return at is not None and self._context.clock.monotonic() - at < PRUNED_SECONDS

    async def prune(self, turn: Turn, store: str, accepted: frozenset[str]) -> None:
        """Let the store's own rules delete from it, or only renew its locks while nothing of the server is deleted."""
        prune = self._renew if await _is_frozen(turn, store) else self._prune
        await prune(turn, store, accepted)

    async def _prune(self, turn: Turn, store: str, accepted: frozenset[str]) -> None:
        """Let the store's own rules delete from it."""
        try:
            known = await self._context.journal.applied(turn.job.server.uuid, store) or NOTHING
        except StateError as error:  # what is held cannot be told; the next visit prunes
            log.warning("copies_not_pruned", server=turn.server, store=store, text=error.text)
            return
        # Asked last, since a reload may come while the journal answers.
        if obstacle := self._obstacle(turn, store):
            log.warning("copies_not_pruned", server=turn.server, store=store, text=obstacle)
            return
        doubt = turn.doubt()
        inputs = PruneInputs(accepted, known, doubt)
        leave = partial(self._leave, turn, store)
        result = await self._worker.prune(turn.job, store, inputs, leave, lambda seen: turn.remember([seen]))
        await turn.remember(result.remembered)
        turn.warn((store, problem) for problem in result.problems)
        await turn.cleared((store, one) for one in result.cleared)
        await turn.journal([_pruned(turn, store, one) for one in result.deleted])
        if result.renewed:
            log.info("copies_locked", server=turn.server, store=store, copies=result.renewed)
        if self._tells_refusal(turn.server, store, result.refused):
            await turn.journal([turn.record(CopyEvent.REFUSED, store, result.refused)])
        if result.refused:
            log.warning("copies_not_pruned", server=turn.server, store=store, text=result.refused)
        await _apply(turn, store, known, result.applied)
        if result.failure is None:
            if not doubt:
                self._context.on_pruned(turn.server, store, result.refused)
            if self._is_in_force(turn, store):
                self._pruned_at[turn.server, store] = self._context.clock.monotonic()
        else:
            _not_pruned(turn, store, result.failure, trouble=result.trouble)

    async def _renew(self, turn: Turn, store: str, accepted: frozenset[str]) -> None:
        """Renew the locks of what a failed proof has frozen, if the store has them: it may be the last good copy."""
        if turn.job.stores[store].object_lock is None or self._obstacle(turn, store):
            return
        if self._context.opening_trouble is not None:  # nor is it known which small backups were accepted
            return
        inputs = PruneInputs(accepted, doubt=turn.doubt(), frozen=True)
        result = await self._worker.prune(turn.job, store, inputs)
        await turn.remember(result.remembered)
        if result.renewed:
            log.info("copies_locked", server=turn.server, store=store, copies=result.renewed)
        if result.failure is not None:
            _not_pruned(turn, store, result.failure, trouble=result.trouble)

    async def _leave(self, turn: Turn, store: str) -> str:
        """Return why the next copy must not go, empty if it may: a prune may take long, and its store be slow."""
        return await turn.hindrance() or self._obstacle(turn, store)

    def _obstacle(self, turn: Turn, store: str) -> str:
        """Return why this visit may delete nothing in the store, empty if it may; whatever was copied, the next visit
        prunes by the configuration that came in between.
        """
        if self._is_in_force(turn, store):
            return self._context.disputed(turn.job.config, store)
        self._pruned_at.pop((turn.server, store), None)
        return "the configuration has changed"

    def _is_in_force(self, turn: Turn, store: str) -> bool:
        """Whether the visit's configuration still holds: members are compared by what they go by now. The server has
        lined up again otherwise.
        """
        config = turn.job.config
        now = self._context.current_config(config.name), self._current_store(store)
        return now == (config, turn.configured[store])

    def _tells_refusal(self, server: str, store: str, text: str) -> bool:
        """Return whether there is a reason why the store is not pruned, and another one than the last time."""
        before, self._refused[server, store] = self._refused.get((server, store), ""), text
        return text not in {"", before}


async def _is_frozen(turn: Turn, store: str) -> bool:
    """Whether nothing is deleted now. It is asked for each store, since the one before may have taken long."""
    if hindrance := await turn.hindrance():
        log.warning("copies_not_pruned", server=turn.server, store=store, text=hindrance)
    return hindrance != ""


def _not_pruned(turn: Turn, store: str, failure: Failure, *, trouble: bool) -> None:
    """Tell what ended a prune early: the store's own trouble, or that of one server's copies."""
    if trouble:
        turn.drop({store: failure})
    else:
        turn.ended.failed[store] = failure.text
        log.warning("copies_not_pruned", server=turn.server, store=store, text=failure.text)


async def _apply(turn: Turn, store: str, known: AppliedRetention, applied: AppliedRetention | None) -> None:
    """Record what was applied, or told. If it is lost, what is held is held for longer."""
    if applied is None or applied == known:
        return
    try:
        await turn.context.journal.apply(turn.job.server.uuid, applied, store)
    except StateError as error:
        log.warning("copies_not_journalled", server=turn.server, text=error.text)


def _pruned(turn: Turn, store: str, one: Pruned) -> CopyRecord:
    log.info("copy_pruned", server=turn.server, store=store, backup=one.name, reason=one.text)
    about = turn.record(CopyEvent.PRUNED, store, one.text)
    return replace(about, backup_uuid=one.backup, backup=one.name, bytes=one.bytes)
