"""The end of a restore, read from the server's activity log.

What must hold: only an entry that was not there before the restore was asked for is taken for its end. Trouble with the
log fails no restore: it only stays unknown how that ended.
"""

from dataclasses import dataclass

from daemon.core.backoff import Backoff
from daemon.core.model import Server
from daemon.core.restores import Activity, RestoreEnd, restore_begun, restore_end
from daemon.operations.operation import Operation
from daemon.panel.errors import NotFoundError, PanelError, PermissionLackingError

PERMISSION = "activity.read"
SECONDS = 20.0
"""How long the log is looked at once the server's state says that the restore has ended, since that clears first."""

LOOKS = Backoff(1.0, 8.0, factor=2.0)


@dataclass(slots=True)
class RestoreLog:
    """The log as it was before a restore. `silent` is why it cannot show how the restore ended; `readable` says that it
    could be read, before and when it was looked at last.
    """

    before: frozenset[str] | None
    silent: str
    readable: bool = True

    @classmethod
    async def read(cls, operation: Operation, server: Server) -> "RestoreLog":
        """Read the log before the restore is asked for; nothing is raised."""
        if server.permissions is not None and not server.permissions & {"*", PERMISSION}:
            return cls(None, _MAY_NOT, readable=False)
        try:
            log = await operation.client.restore_log(operation.config.id)
        except PanelError as error:
            return cls(None, _why(error), readable=False)
        return cls(frozenset(entry.id for entry in log), "the server's activity log does not mention it")

    async def end_of(self, operation: Operation, name: str) -> RestoreEnd | None:
        """Return how the restore of the backup of that name ended, as soon as the log says so; None if it does not."""
        began, looks = operation.clock.monotonic(), 0
        while self.before is not None:
            looks += 1
            if (end := restore_end(name, self.before, await self._read(operation))) is not None:
                return end
            if operation.clock.monotonic() - began >= SECONDS:
                break
            await operation.clock.sleep(LOOKS.pause(looks))
        return None

    async def tells_of(self, operation: Operation, name: str) -> bool:
        """Return whether the log shows now that a restore of the backup of that name began since, or ended."""
        return self.before is not None and restore_begun(name, self.before, await self._read(operation))

    async def _read(self, operation: Operation) -> tuple[Activity, ...]:
        """Return the log; nothing is raised, and none is read again once the panel refuses it."""
        try:
            log = await operation.client.restore_log(operation.config.id)
        except PanelError as error:
            self.silent, self.readable = _why(error), False
            if not error.transient:
                self.before = None
            return ()
        self.readable = True
        return log


_MAY_NOT = f"the key's user lacks {PERMISSION}, and only the server's activity log tells"


def _why(error: PanelError) -> str:
    if isinstance(error, PermissionLackingError):
        return _MAY_NOT
    if isinstance(error, NotFoundError):
        return "this panel keeps no activity log"
    return f"the server's activity log cannot be read: {error.text}"
