"""The documents about drills."""

from typing import TYPE_CHECKING

from daemon.documents.commands import Document, moment

if TYPE_CHECKING:
    from daemon.core.drills import DrillRecord


def drill_recorded(record: "DrillRecord") -> Document:
    """Return one drill as it was recorded; `result` is null while it runs, or was killed."""
    return {
        "drill": record.drill,
        "server": record.server,
        "onto": record.spare,
        "backup": {"uuid": record.backup, "name": record.name},
        "began_at": moment(record.began_at),
        "ended_at": moment(record.ended_at),
        "result": record.result.value if record.result else None,
        "started": record.starts,
        "seconds": record.seconds,
        "text": record.text,
    }
