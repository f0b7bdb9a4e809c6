"""`history`: past rotations, as they were journalled."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from daemon.cli.arguments import unknown
from daemon.cli.commands.record import how_far, opened_journal, what_came
from daemon.cli.context import begin
from daemon.cli.options import Settings
from daemon.cli.ui.moments import to_the_second
from daemon.cli.ui.output import write_json
from daemon.cli.ui.tables import show, table
from daemon.config.values import Config
from daemon.core.units import format_duration
from daemon.documents.commands import recorded_whole
from daemon.errors import Exit
from daemon.state import Locks, Rotation, engine_for


def show_history(settings: Settings, server: str | None, *, limit: int, as_json: bool) -> int:
    """Show the newest rotations of all servers, or of one, even if it is no longer configured."""
    config = begin(settings)
    rotations, alive = asyncio.run(_remembered(config.state_dir, server, limit))
    if server is not None and not rotations and server not in config.servers:
        raise unknown("server", server, tuple(config.servers))
    if as_json:
        write_json({"rotations": [recorded_whole(rotation) for rotation in rotations]})
    else:
        rows = (_row(rotation, config, alive=rotation.id in alive) for rotation in rotations)
        show(table(("began", "zone", "server", "for", "took", "result", "what"), rows))
    return Exit.DONE


async def _remembered(state_dir: Path | None, server: str | None, limit: int) -> tuple[list[Rotation], set[int]]:
    """Return the newest rotations, and which of them a process still runs."""
    engine = engine_for(state_dir)
    async with opened_journal(engine, state_dir) as journal:
        return await journal.recent(server, limit), await _alive(await journal.running(), engine.locks)


async def _alive(unfinished: Sequence[Rotation], locks: Locks) -> set[int]:
    """Return which of these rotations, newest first, a process still runs: of one server only the newest can be."""
    newest = {rotation.server_uuid: rotation.id for rotation in reversed(unfinished)}
    return {number for server_uuid, number in newest.items() if await locks.is_held(server_uuid)}


def _row(rotation: Rotation, config: Config, *, alive: bool) -> tuple[str, ...]:
    server = config.servers.get(rotation.server)
    zone = server.policy.zone if server else ZoneInfo("UTC")
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
