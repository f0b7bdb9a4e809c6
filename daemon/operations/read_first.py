"""Whether a backup is whole, before a node empties a server for it: read to its end within the last hour.

A node may empty the server before it even looks for the backup's file, so by then it must be known to be whole.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from daemon.core.model import Backup, State
from daemon.core.proof import LATELY
from daemon.core.units import format_duration
from daemon.errors import BackupdError
from daemon.operations.operation import Operation
from daemon.operations.proofs import depth_to_bring
from daemon.operations.result import OperationResult, refused
from daemon.rotation.preview import Preview
from daemon.transfer.verify import VerifyResult

ReadWhole = Callable[[Backup], Awaitable[VerifyResult]]
"""Read a backup's file to its end; raises HostError, PanelError or TransferError if it cannot be had, and Halt."""

_UNPROVEN = "with --unproven it is not read first"


class ReadFirst:
    """One backup that a server is to be emptied for; `read` reads it."""

    def __init__(self, operation: Operation, backup: Backup, read: ReadWhole) -> None:
        self._operation = operation
        self._backup = backup
        self._read = read
        self._until: float | None = None

    @property
    def is_old(self) -> bool:
        """Whether what is known of the file is older than an hour, or nothing is."""
        return self._until is None or self._operation.clock.monotonic() > self._until

    async def not_whole(self, seen: Preview) -> OperationResult | None:
        """Return why the server's files must not be deleted for the backup; None if all of it was read and is right.

        A proof of the last hour says so as well.
        """
        operation, backup = self._operation, self._backup
        now, (level, expect) = operation.clock.now(), depth_to_bring(seen.config.policy)
        listed = next(one for one in seen.listing.backups if one.uuid == backup.uuid)
        if (proof := seen.proven.proofs.proven_lately(listed, level, now, expect)) is not None:
            operation.tell(f"{backup.name} was read to its end {format_duration(now - proof.at)} ago, and is right")
            self._stands(now - proof.at)
            return None
        operation.tell(f"reading {backup.name} to its end, before any file is deleted")
        try:
            found = await self._read(backup)
        except BackupdError as error:
            text = f"nothing was restored, since {backup.name} could not be read to its end: {error.text}"
            return refused(backup, error.code, text, f"{error.hint}; {_UNPROVEN}".lstrip("; "), State.GOOD)
        if not found.problems:
            self._stands(timedelta(0))
            return None
        problem = found.problems[0]
        text = f"nothing was restored, since {backup.name} is damaged: {problem.text}"
        return refused(backup, problem.code, text, f"restore another backup, or {_UNPROVEN}", State.GOOD)

    def _stands(self, age: timedelta) -> None:
        self._until = self._operation.clock.monotonic() + (LATELY - age).total_seconds()
