"""One more backup of a server whose newest one is not sound: perhaps only that one is bad, and the world is not.

What must hold: a start gets one such backup at most, over restarts as well, however often and by whomever the newest
one was found bad: a proof, a drill, the stream to a store, or a command in another process. So what is recorded
decides, each time that the server is looked at.
"""

from collections.abc import Callable
from datetime import datetime

from daemon.config.values import ServerConfig
from daemon.core.clocks import TRUSTED
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.proving.look import ServerSeen
from daemon.rotation.run import RotationContext

log = get_logger()


class FurtherBackups:
    """These backups, of all servers. `once_more` makes one, and returns whether it does."""

    def __init__(self, context: RotationContext, once_more: Callable[[ServerConfig], bool]) -> None:
        self._context = context
        self._once_more = once_more
        self._begun: dict[str, datetime] = {}
        """The start of each server, by uuid, for which one was begun: dates tell of it only until a clock is set."""

    async def look(self, server: ServerConfig, seen: ServerSeen) -> None:
        """Make one, if the newest good backup was found bad since the last start, which has had none."""
        start = server.starts.latest(self._context.clock.now())
        bad = _bad_newest(seen, start)
        if bad is None or await self._had_one(server, seen, start):
            return
        if self._once_more(server):
            log.warning("another_backup_begun", server=server.name, reason=f"{bad}, the newest, is not sound")
            self._begun[seen.preview.server.uuid] = start

    async def _had_one(self, server: ServerConfig, seen: ServerSeen, start: datetime) -> bool:
        """Return whether a start has had its further backup.

        The journal, if it can be read, knows of one that was begun before the daemon was started, though one of the two
        is gone.
        """
        begins = seen.preview.by_panel(start)
        mine = (one.backup.created_at for one in seen.preview.plan.verdicts if one.own)
        since = [made_at for made_at in mine if made_at is not None and made_at >= begins]
        if self._begun.get(seen.preview.server.uuid) == start or len(since) > 1:
            return True
        try:
            earlier = await self._context.journal.recent(server.name)
        except StateError:
            return False
        latest = self._context.clock.now() + TRUSTED  # another member's clock may be so far ahead
        return any(
            one.start_at is not None and start < one.start_at <= latest
            for one in earlier
            if server.stands_for(one.panel, one.server_uuid)
        )


def _bad_newest(seen: ServerSeen, start: datetime) -> str | None:
    """Return the newest good backup, by its name, if it was found bad since that start.

    A backup that was found bad before that start is older than the one that the start made or is to make.
    """
    newest = next((one.backup for one in seen.preview.plan.verdicts if one.own and one.whole), None)
    bad = seen.preview.proven.proofs.failed(newest.uuid) if newest is not None else None
    return bad.name if bad is not None and bad.at >= start else None
