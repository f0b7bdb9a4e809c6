"""Journal records of copies: those made or pruned by hand are kept in the same form as the daemon's own."""

from datetime import datetime

from daemon.copies.outcome import CopyOutcome, ServerResult
from daemon.copies.prune import PruneResult
from daemon.copies.results import came_from
from daemon.state import CopyEvent, CopyRecord


def records_of(result: ServerResult, server_uuid: str, now: datetime) -> list[CopyRecord]:
    """Return the journal records for the results of a server's copies."""
    server = result.config.name
    mended = (one.record(server, server_uuid, store, now) for store, one in result.mended)
    cleared = (one.record(server, server_uuid, store, now) for store, one in result.cleared)
    return [*mended, *cleared, *(_record(one, server, server_uuid, now) for one in result.copies)]


def records_of_pruning(result: PruneResult, server_uuid: str, now: datetime) -> list[CopyRecord]:
    """Return the records of what went of a server in one store, the oldest copy first."""
    server, store, reasons = result.server.name, result.store, result.reasons
    pruned = [
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
    return [*pruned, *(one.record(server, server_uuid, store, now) for one in result.cleared)]


def _record(one: CopyOutcome, server: str, server_uuid: str, now: datetime) -> CopyRecord:
    event, stored, text = CopyEvent.FAILED, None, one.error.text if one.error else ""
    if one.manifest is not None:
        event, stored, text = CopyEvent.MADE, one.manifest.stored.bytes, came_from(one.source)
    return CopyRecord(event, now, server, server_uuid, one.store, one.backup.uuid, one.backup.name, stored, text)
