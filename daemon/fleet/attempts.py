"""What the journal says of the attempts at a server's starts.

A configured name may have stood for another server before, or for one on another panel: those rows say nothing of this
one. If the journal cannot be read, it says nothing.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from daemon.config.values import ServerConfig
from daemon.errors import StateError
from daemon.fleet.recovery import Recovery, recover
from daemon.log import get_logger
from daemon.rotation.outcome import Result
from daemon.rotation.run import RotationContext
from daemon.state import Rotation

log = get_logger()

RECENT = 20
WHOLE = frozenset({Result.DONE, Result.REFUSED})  # after a good backup: nothing is left that passing trouble hindered


class Attempts:
    """The attempts at each server's starts, by the journal of that context."""

    def __init__(self, context: RotationContext) -> None:
        self._tools = context

    async def served(self, server: ServerConfig, start: datetime | None, now: datetime) -> bool:
        """Return whether a rotation since that start did all of it: by hand, or under another schedule.

        One that got its good backup and could not delete what is beyond retention did not.
        """
        return start is not None and any(
            row.summary.get("good") and row.result in WHOLE and server.starts.is_since(start, row.began_at, now=now)
            for row in _of(server, (await self.known((server.name,)))[server.name])
        )

    async def recovery(self, server: ServerConfig, known: Sequence[Rotation]) -> Recovery | None:
        """Given the `known` rotations of its name, return what a killed daemon left, a planned retry, or a missed
        start; None if there is nothing to do.
        """
        rows, now = _of(server, known), self._tools.clock.now()
        left_open = {row.server_uuid for row in rows if row.ended_at is None}
        locked = {uuid for uuid in left_open if await self._tools.engine.locks.is_held(uuid)}
        return recover(rows, server.starts, now, left_alone=lambda row: row.server_uuid not in locked)

    async def known(self, names: Collection[str]) -> dict[str, list[Rotation]]:
        """Return the journal's newest rotations of each of these names, newest first; none where it cannot be read."""
        try:
            return await self._tools.journal.attempts_of(names, limit=RECENT)
        except StateError as error:
            if len(names) > 1:  # a row that makes no sense must not hide those of another server
                return {name: (await self.known((name,)))[name] for name in names}
            for name in names:
                log.warning("journal_unreadable", server=name, text=error.text)
            return {name: [] for name in names}


def _of(server: ServerConfig, rows: Sequence[Rotation]) -> list[Rotation]:
    """Return those of the rotations that were this server's."""
    return [row for row in rows if server.stands_for(row.panel, row.server_uuid)]
