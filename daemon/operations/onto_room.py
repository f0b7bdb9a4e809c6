"""Whether an archive and its files have room on the server that it is brought onto, as far as the panel says it."""

from collections.abc import Sequence

from daemon.core.files import ArchiveIndex, ServerRoom
from daemon.core.units import format_size
from daemon.errors import ProblemCode
from daemon.operations.archive import Archive
from daemon.operations.operation import Operation
from daemon.operations.ways import Way
from daemon.rotation.order import Halt
from daemon.rotation.outcome import Problem, Result
from daemon.rotation.preview import Preview


async def ways_with_room(
    operation: Operation,
    archive: Archive,
    ways: Sequence[Way],
    seen: Preview,
    index: ArchiveIndex | None,
    *,
    holds_files: bool,
    emptied: bool,
) -> Sequence[Way]:
    """Return the ways by which the archive and its files fit on the server that was just `seen`; raises Halt."""
    limit, name = seen.server.disk_limit, operation.config.name
    if limit is None or index is None:
        return ways
    # A node counts now and then only, so an empty server may be said to hold what it held before.
    used = await operation.client.files.disk_used(operation.config.id) if holds_files else 0
    if used is None:
        return ways
    room, size = ServerRoom(limit, used), archive.backup.bytes
    lacking = {way.name: room.lacks(way.largest(size), index.bytes, emptied=emptied) for way in ways}
    if all(lacking.values()):
        held = f", of which {format_size(used)} are taken now" if used else ""
        text = (
            f"{archive.backup.name} does not fit on {name}, which lacks {format_size(min(lacking.values()))}."
            f" Its files are {format_size(index.bytes)}, and {name} may hold {format_size(limit)}{held}"
        )
        hint = f"give {name} more disk in the panel, or delete files there"
        raise Halt(Result.REFUSED, Problem(ProblemCode.DISK_FULL, text, hint))
    for way in (way for way in ways if lacking[way.name]):
        operation.tell(f"not by {way.name}: {name} has no room for the whole archive beside its files")
    return [way for way in ways if not lacking[way.name]]
