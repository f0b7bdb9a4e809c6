"""The queue of copies as the journal keeps it, so that a kill loses nothing of it.

The members of a cluster keep one queue. Each reads and writes what waits of the servers that it acts for: what it lets
go stays in the journal, and whoever takes the server goes on with that.
"""

from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet

from daemon.core.copies_queue import CopyQueue
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.rotation.run import RotationContext
from daemon.state import Journal

log = get_logger()


class KeptQueue:
    """What the journal has of the queue, as far as it is ours."""

    def __init__(self, context: RotationContext) -> None:
        self._context = context
        self._journal: Journal | None = None
        self._known = CopyQueue()
        self._read: AbstractSet[str] = frozenset()
        """The servers of which we know what the journal has."""

        self._left: tuple[set[str], set[str]] = set(), set()
        """The servers, and the stores in trouble, that were left to others since the journal was last asked for
        anything: its answer does not know of that.
        """

    def leave(self, servers: AbstractSet[str], stores: Collection[str], queue: CopyQueue) -> None:
        """Leave what waits of these servers to other members, and the troubles of `stores` that are not ours any more
        by the `queue`.
        """
        if servers:
            self._read -= servers
            self._left[0].update(servers)
            self._left[1].update(set(stores) - queue.troubles.keys())
            self._known = self._known.without(*self._left)

    async def recalled(self, current: Callable[[], CopyQueue]) -> CopyQueue:
        """Return the queue with what the journal has of the servers that are new in it; all are new at first.

        It is the `current` one when the journal has answered: rotations, reloads and shares change it meanwhile.
        """
        journal, new = self._context.journal, self._unread(current())
        if journal is self._journal and not new:
            return current()
        self._left = set(), set()
        try:
            known = await journal.copy_queue()
        except StateError as error:
            log.warning("copy_queue_not_read", text=error.text)
            if not self._is_alone:
                return current()
            known = CopyQueue()
        new -= self._left[0]
        queue = current().recalling(known.of(new)) if new else current()
        self._journal, self._read = journal, self._read | new
        if not self._is_alone:
            known = known.of(self._read).without((), known.troubles.keys() - queue.troubles.keys())
        self._known = known
        return queue

    async def keep(self, queue: CopyQueue) -> None:
        """Keep the queue in the journal, as far as it changed."""
        if self._journal is None or self._unread(queue) or self._known == queue:
            return
        self._left = set(), set()
        try:
            await self._journal.requeue_copies(self._known, queue)
        except StateError as error:
            log.warning("copy_queue_not_written", text=error.text)
        else:
            self._known = queue.without(*self._left)

    @property
    def _is_alone(self) -> bool:
        return self._context.engine.leadership.shares is None

    def _unread(self, queue: CopyQueue) -> AbstractSet[str]:
        """Return the servers in the queue of which the journal may know more than we do."""
        if self._is_alone and self._journal is not None:
            return frozenset()
        return {server for server, _ in queue.waiting} - self._read
