"""Journal records of copies: those made or pruned by hand are kept in the same form as the daemon's own."""

from collections.abc import Iterable
from datetime import datetime

from daemon.copies.outcome import CopyResult
from daemon.copies.prune import PruneResult
from daemon.copies.results import came_from
from daemon.state import CopyEvent, CopyRecord


def records_of(results: Iterable[CopyResult], server: str, server_uuid: str, now: datetime) -> list[CopyRecord]:
    """Return the journal records for the results of a server's copies."""
    return [_record(one, server, server_uuid, now) for one in results]


def records_of_pruning(result: PruneResult, server_uuid: str, now: datetime) -> list[CopyRecord]:
    """Return the records of what was pruned of a server in one store, the oldest copy first."""
    server, store, reasons = result.server.name, result.store, result.reasons
    return [
        CopyRecord(
            CopyEvent.PRUNED,
            now,
            server,
            server_uuid,
            store,
            copy.backup.uuid,
            copy.backup.name,
            copy.bytes,
            reasons[copy.name.data],
        )
        for copy in result.deleted
    ]


def _record(one: CopyResult, server: str, server_uuid: str, now: datetime) -> CopyRecord:
    event, stored, text = CopyEvent.FAILED, None, one.error.text if one.error else ""
    if one.manifest is not None:
        event, stored, text = CopyEvent.MADE, one.manifest.stored.bytes, came_from(one.source)
    return CopyRecord(event, now, server, server_uuid, one.store, one.backup.uuid, one.backup.name, stored, text)
