"""`history`: past rotations, copies and drills, as they were journalled."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from daemon.cli.arguments import unknown
from daemon.cli.commands.record import how_far, opened_journal, what_came
from daemon.cli.context import begin
from daemon.cli.settings import Settings
from daemon.cli.ui.moments import to_the_second
from daemon.cli.ui.output import write_json
from daemon.cli.ui.tables import cell, show, table
from daemon.config.values import Config, StatePlace
from daemon.core.drills import DrillRecord
from daemon.core.units import format_duration, format_size
from daemon.documents.commands import copy_recorded, recorded_whole
from daemon.documents.drills import drill_recorded
from daemon.errors import Exit
from daemon.state import CopyRecord, Locks, Rotation, engine_for


def show_history(settings: Settings, server: str | None, *, limit: int, as_json: bool) -> int:
    """Show the newest rotations, copies and drills of all servers, or of one, even if it is no longer configured."""
    config = begin(settings)
    rotations, alive, copies, drills = asyncio.run(_remembered(config.state, server, limit))
    if server is not None and not (rotations or copies or drills) and server not in config.servers:
        raise unknown("server", server, tuple(config.servers))
    if as_json:
        write_json(
            {
                "rotations": [recorded_whole(rotation) for rotation in rotations],
                "copies": [copy_recorded(record) for record in copies],
                "drills": [drill_recorded(record) for record in drills],
            }
        )
    else:
        rows = [_row(rotation, config, alive=rotation.id in alive) for rotation in rotations]
        columns = ("began", "zone", "server", "for", "took", "result", "what")
        show(table(columns, rows) if rows else cell("no rotations yet"))
        if copies:
            columns = ("when", "zone", "server", "store", "copy", "size", "what")
            show(cell(""), table(columns, (_copy_row(one, config) for one in copies), right=("size",)))
        if drills:
            columns = ("began", "zone", "server", "drill", "onto", "result", "what")
            show(cell(""), table(columns, (_drill_row(one, config) for one in drills)))
    return Exit.DONE


async def _remembered(
    state: StatePlace, server: str | None, limit: int
) -> tuple[list[Rotation], set[int], list[CopyRecord], list[DrillRecord]]:
    """Return the newest rotations, which of them a process still runs, and the newest copies and drills."""
    engine = engine_for(state)
    async with opened_journal(engine, state) as journal:
        alive = await _alive(await journal.running(), engine.locks)
        copies = await journal.copy_records(server, limit=limit)
        return await journal.recent(server, limit), alive, copies, await journal.drills(server, limit)


async def _alive(unfinished: Sequence[Rotation], locks: Locks) -> set[int]:
    """Return which of these rotations, newest first, a process still runs: of one server only the newest can be."""
    newest = {rotation.server_uuid: rotation.id for rotation in reversed(unfinished)}
    return {number for server_uuid, number in newest.items() if await locks.is_held(server_uuid)}


def _copy_row(record: CopyRecord, config: Config) -> tuple[str, ...]:
    zone = _zone(record.server, config)
    return (
        to_the_second(record.at, zone),
        zone.key,
        record.server,
        record.store,
        record.event.value,
        "-" if record.bytes is None else format_size(record.bytes),
        "; ".join(filter(None, (record.backup, record.text))),
    )


def _drill_row(record: DrillRecord, config: Config) -> tuple[str, ...]:
    zone = _zone(record.server, config)
    took = "" if record.seconds is None else f"{'ran' if record.starts else 'restored'} after {record.seconds:.0f} s"
    return (
        to_the_second(record.began_at, zone),
        zone.key,
        record.server,
        record.drill,
        record.spare,
        record.result.value if record.result else "not ended",
        "; ".join(filter(None, (record.name, took, record.text))),
    )


def _zone(name: str, config: Config) -> ZoneInfo:
    server = config.servers.get(name)
    return server.policy.zone if server else ZoneInfo("UTC")


def _row(rotation: Rotation, config: Config, *, alive: bool) -> tuple[str, ...]:
    zone = _zone(rotation.server, config)
    return (
        to_the_second(rotation.began_at, zone),
        zone.key,
        rotation.server,
        rotation.trigger,
        _took(rotation.began_at, rotation.ended_at),
        rotation.result or "not ended",
        _what(rotation, alive=alive),
    )


def _what(rotation: Rotation, *, alive: bool) -> str:
    """Return how it ended, or how far it came."""
    if rotation.ended_at is None:
        return how_far(rotation, alive=alive)
    if rotation.result != "interrupted":
        return what_came(rotation)
    heir = rotation.summary.get("taken_over_by")
    return how_far(rotation, alive=False) + (f"; rotation {heir} took over" if heir else "")


def _took(began_at: datetime, ended_at: datetime | None) -> str:
    return "-" if ended_at is None else format_duration(ended_at.astimezone(UTC) - began_at)
