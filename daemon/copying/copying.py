"""When the daemon copies: after a rotation made a good backup, at its start, after a reload, twice a day, and when a
store's trouble has passed. One server at a time, in the order of the queue, which the journal keeps.

What must hold: copies hold up no rotation (invariants 12 and 16); a kill loses nothing of the queue; the process that
copies runs only while there is work.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from daemon.config.values import Config, ServerConfig, StoreConfig
from daemon.copies.results import Failure
from daemon.copies.spool_room import spool_room
from daemon.copies.workers import CopyWorker
from daemon.copying.kept import KeptQueue
from daemon.copying.steps import GLANCE_SECONDS, Steps
from daemon.copying.turn import Ended
from daemon.copying.visit import Visits
from daemon.core.copies_queue import CopyQueue, Visit
from daemon.errors import BackupdError, ElsewhereError
from daemon.fleet.clients import Clients
from daemon.log import get_logger
from daemon.panel.errors import ServerStateError
from daemon.rotation.outcome import Outcome
from daemon.rotation.run import RotationContext

log = get_logger()

LOOK_SECONDS = 43_200.0
"""How often each server is looked at, whatever is known of it: `copy_before_delete` counts only what was seen in a
store within the last day, at the very moment of a rotation.
"""

NODE_PAUSE = timedelta(minutes=1)
"""Before a node that makes backups is looked at again."""

STATE_PAUSE = timedelta(minutes=10)
"""Before a server is looked at again whose state forbids it: it may be suspended for months, and one request tells."""

NODE_PATIENCE = timedelta(hours=6)
"""After how long a node that is never idle is downloaded from all the same."""


class Copying:
    """The copies of all configured servers.

    `clients` are the fleet's, so that both share the API limit. `worker` touches the stores. `elsewhere` returns the
    servers that other members of a cluster copy.
    """

    def __init__(
        self,
        context: RotationContext,
        clients: Clients,
        worker: CopyWorker,
        elsewhere: Callable[[], AbstractSet[str]] = frozenset,
    ) -> None:
        self._context = context
        self._clock = context.clock
        self._clients = clients
        self._worker = worker
        self._elsewhere = elsewhere
        self._visits = Visits(context, worker, self._fresh_waits, self._current_store)
        self._config: Config | None = None
        self._queue = CopyQueue()
        self._kept = KeptQueue(context)
        self._looked_at = float("-inf")
        self._again: set[str] = set()
        self._forbidden: dict[str, str] = {}
        """The servers whose state forbids to copy them, and what was said of that."""

        self.at_work: str | None = None
        """The server whose turn it is."""

        self._steps = Steps(self._step, context.clock, "copying")

    def rotated(self, name: str, outcome: Outcome) -> None:
        """A server's rotation ended: what it made is copied next, if it is good."""
        server = self._config.servers.get(name) if self._config else None
        if server is not None and outcome.created is not None and outcome.created.successful:
            self._ask(server, fresh=True)

    def follow(self, config: Config) -> None:
        """Obey a configuration; what is new in it is looked at."""
        before, self._config = self._config, config
        wanted = {server.name: server.policy.copies for server in config.servers.values() if server.policy.copies}
        self._queue = self._queue.following(wanted)
        self._kept.leave(self._elsewhere(), config.stores.keys(), self._queue)
        for name in wanted:
            old = before.servers.get(name) if before else None
            new = config.servers[name]
            stores = [
                one for one in new.policy.copies if before is None or before.stores.get(one) != config.stores[one]
            ]
            if old != new or stores:
                self._ask(new, fresh=False)
        self._steps.wake()
        if wanted:
            self._steps.begin()

    async def stop(self) -> None:
        """Leave what is being copied: the process clears up what it began, and the queue has the rest."""
        await self._steps.stop()
        await self._worker.close()

    @property
    def queue(self) -> CopyQueue:
        """What waits now."""
        return self._queue

    def _ask(self, server: ServerConfig, *, fresh: bool) -> None:
        self._queue = self._queue.asked(server.name, server.policy.copies, self._clock.now(), fresh=fresh)
        self._again.add(server.name)
        self._steps.wake()

    def _fresh_waits(self) -> bool:
        """Whether any server has a new backup; the one whose turn it is counts until its turn has ended."""
        visit = self._queue.next_visit(self._clock.now())
        return visit is not None and visit.fresh

    async def _step(self) -> None:
        """Make one visit, or wait for the next."""
        self._queue = await self._kept.recalled(lambda: self._queue)
        self._look_regularly()
        await self._kept.keep(self._queue)
        visit = self._queue.next_visit(self._clock.now())
        if visit is None:
            await self._worker.close()
            await self._rest()
        else:
            await self._make(visit)

    def _current_store(self, name: str) -> StoreConfig | None:
        return self._config.stores.get(name) if self._config is not None else None

    def _look_regularly(self) -> None:
        """Now and then let every server line up."""
        now = self._clock.monotonic()
        if self._config is not None and now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            for server in self._config.servers.values():
                if server.policy.copies:
                    self._ask(server, fresh=False)

    async def _rest(self) -> None:
        """Wait until something is asked for, or may be due."""
        now = self._clock.now()
        due = self._queue.next_at(now)
        seconds = min(GLANCE_SECONDS, max(0.0, (due - now).total_seconds())) if due else GLANCE_SECONDS
        await self._steps.rest(seconds)

    async def _make(self, visit: Visit) -> None:
        """Visit a server, and line up again what is left of it."""
        config = self._config
        server = config.servers.get(visit.server) if config else None
        if config is None or server is None:  # a reload removed it
            self._queue = self._queue.done(visit.server, visit.stores)
            return
        every = dict(config.stores)
        stores = {name: every.pop(name) for name in visit.stores}
        others = {name: store for name, store in every.items() if name not in self._queue.troubles}
        self._again.discard(server.name)
        self.at_work = server.name
        try:
            patient = not self._is_overdue(visit)
            with self._clients.lent(server.panel) as client:
                ended = await self._visits.visit(
                    server, stores, client, others=others, room=spool_room(config), patient=patient
                )
        except ElsewhereError as error:
            log.info("copies_elsewhere", server=server.name, text=error.text)
            ended = Ended(busy=True)
        except ServerStateError as error:
            self._wait_for(server.name, stores, error)
            return
        except BackupdError as error:
            log.warning("copying_failed", server=server.name, code=error.code, text=error.text, hint=error.hint)
            ended = Ended(failed=dict.fromkeys(stores, error.text))
        except Exception:  # invariant 12; the row would otherwise come next again at once
            log.exception("bug", server=server.name)
            ended = Ended(failed=dict.fromkeys(stores, "a bug of ours ended it"))
        finally:
            self.at_work = None
        self._forbidden.pop(server.name, None)
        self._line_up(server.name, stores, ended)

    def _wait_for(self, server: str, stores: Iterable[str], state: ServerStateError) -> None:
        """Wait until the server's state allows its copies again; say so once."""
        if self._forbidden.get(server) != state.text:
            log.info("copies_wait", server=server, text=state.text, hint=state.hint)
        self._forbidden[server] = state.text
        self._queue = self._queue.postponed(server, stores, self._clock.now() + STATE_PAUSE, state.text)

    def _is_overdue(self, visit: Visit) -> bool:
        """Whether the server has waited so long that its node's rotations are not waited for any more."""
        since = min(self._queue.waiting[visit.server, store].since for store in visit.stores)
        return self._clock.now() - since > NODE_PATIENCE

    def _line_up(self, server: str, stores: Mapping[str, object], ended: Ended) -> None:
        """Note in the queue how a visit ended."""
        now, queue = self._clock.now(), self._queue
        if ended.busy:
            self._queue = queue.postponed(server, stores, now + NODE_PAUSE)
            return
        for store in stores:
            trouble = ended.troubles.get(store)
            if trouble is not None:
                queue = self._in_trouble(queue, server, store, trouble, now)
                continue
            if store in queue.troubles:
                log.info("store_recovered", store=store)
            queue = queue.store_worked(store)
            if server in self._again:  # there is a newer backup than the visit saw
                continue
            if store in ended.failed:
                queue = queue.failed(server, [store], now, ended.failed[store])
            elif store in ended.left:
                queue = queue.left(server, [store], now)
            else:
                queue = queue.done(server, [store])
        self._queue = queue

    def _in_trouble(self, queue: CopyQueue, server: str, store: str, trouble: Failure, now: datetime) -> CopyQueue:
        if store not in queue.troubles:
            log.warning("store_trouble", store=store, server=server, text=trouble.text, hint=trouble.hint)
        return queue.store_failed(store, now, trouble.text, server=server)
