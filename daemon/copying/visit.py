"""One server's turn: look at its panel and its stores, copy what they want, prune them.

What must hold: the server's lock of copies is held throughout; a store in trouble drops out, and the others go on
(invariant 16); nothing is downloaded from a node that makes a backup of ours, or is waited for by one.
"""

from collections.abc import Callable, Mapping

from daemon.config.values import ServerConfig, StoreConfig
from daemon.copies.alone import alone
from daemon.copies.jobs import Job
from daemon.copies.spool_room import SpoolRoom
from daemon.copies.workers import CopyWorker
from daemon.copying.filling import Filling
from daemon.copying.pruning import Pruning
from daemon.copying.turn import Ended, Turn
from daemon.core.shares import node_part
from daemon.errors import StateError
from daemon.fleet.population import slowed
from daemon.panel.client import PanelClient
from daemon.rotation.preview import preview
from daemon.rotation.run import RotationContext
from daemon.state import ShelfRecord

SEEN_SECONDS = 3600.0
"""For how long one listing serves; then the server joins the queue again, and is looked at anew."""


class Visits:
    """Visits servers, one after the other. `yields` says whether new backups wait: then older ones are left for later.

    `current_store` returns a store's configuration at that moment, None if it is gone. With `patient` a visit is put
    off while the server's node makes backups.
    """

    def __init__(
        self,
        context: RotationContext,
        worker: CopyWorker,
        yields: Callable[[], bool],
        current_store: Callable[[str], StoreConfig | None],
    ) -> None:
        self._context = context
        self._worker = worker
        self._yields = yields
        self._pruning = Pruning(context, worker, current_store)
        self._nodes: dict[str, str] = {}

    async def visit(
        self,
        config: ServerConfig,
        stores: Mapping[str, StoreConfig],
        client: PanelClient,
        *,
        others: Mapping[str, StoreConfig],
        room: SpoolRoom,
        patient: bool,
    ) -> Ended:
        """Fill these stores, from the node or from the `others`, and prune them; all are as configured. What slow ones
        have yet to take waits in `room`.

        Raises PanelError, StateError and CopyError where nothing could be done.
        """
        known = self._nodes.get(config.name)
        if patient and known is not None and self._busy(config, known):
            return Ended(busy=True)
        context = self._context
        seen = await preview(config, client, context.journal, context.clock)
        node = self._nodes[config.name] = seen.server.node
        if patient and self._busy(config, node):
            return Ended(busy=True)
        async with alone(context.engine.locks, seen.server.uuid, node_part(config.panel.name, node)):
            records = [
                one
                for one in await self._remembered(config.panel.name, seen.server.uuid)
                if one.holding.store in stores or one.holding.store in others
            ]
            installation, fraction = await context.engine.catalogue.installation(), context.fraction()
            job = Job(
                config,
                seen.server,
                seen.listing,
                seen.plan.verdicts,
                {name: slowed(store, fraction) for name, store in stores.items()},
                tuple(records),
                installation,
                {name: slowed(store, fraction) for name, store in others.items()},
                room,
            )
            turn = Turn(context, job, stores)
            until = context.clock.monotonic() + SEEN_SECONDS
            await self._take(turn, Filling(turn, self._worker, client, self._yields, until, patient), seen.accepted)
        return turn.ended

    async def _take(self, turn: Turn, filling: Filling, accepted: frozenset[str]) -> None:
        """Look, copy, prune."""
        looked = await self._worker.look(turn.job, turn.hindrance_to_clearing)
        await turn.remember(looked.remembered)
        await turn.cleared(looked.cleared)
        await turn.mended(looked.mended)
        turn.drop(looked.troubles)
        turn.warn(looked.problems)
        copied = await filling.fill(looked.wanted)
        for store in turn.job.stores:
            if store not in turn.ended.troubles and (
                store in copied or not self._pruning.is_pruned(turn.server, store)
            ):
                await self._pruning.prune(turn, store, accepted)

    def _busy(self, config: ServerConfig, node: str) -> bool:
        return self._context.slots.busy(config.panel.name, node)

    async def _remembered(self, panel: str, server_uuid: str) -> list[ShelfRecord]:
        """What the catalogue holds of the server; nothing if it cannot be read, since it is a cache."""
        try:
            return await self._context.engine.catalogue.shelves(panel, server_uuid)
        except StateError:
            return []
