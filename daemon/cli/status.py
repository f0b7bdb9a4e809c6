"""`status`: what was last, what is under way and what comes next, from the journal, the locks and the schedule.

No panel is asked, so it answers at once and as well while a panel is down.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.text import Text

from daemon.cli.context import begin
from daemon.cli.documents import Document, moment, recorded
from daemon.cli.moments import to_the_minute
from daemon.cli.options import Settings
from daemon.cli.output import write_json
from daemon.cli.record import how_far, opened_journal, step_of
from daemon.cli.tables import cell, show, table
from daemon.clock import SystemClock
from daemon.config.values import ServerConfig
from daemon.core.units import format_duration
from daemon.discovery import remembered
from daemon.errors import Exit
from daemon.history import Journal, Rotation
from daemon.locks import is_locked
from daemon.presence import daemon_of

LOOKED_AT = 500
"""How many rotations back the newest good backup is looked for."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one server stands. `last` is its newest rotation that ended, `good` the newest with a good backup, `open`
    one that has not ended; `alive` says whether some process is at it, or will pick it up.
    """

    server: ServerConfig
    last: Rotation | None
    good: Rotation | None
    open: Rotation | None
    alive: bool
    next_start: datetime


def show_status(settings: Settings, *, as_json: bool) -> int:
    """Show how every server stands: those that are configured, and those discovered that were rotated before."""
    config, now = begin(settings), SystemClock().now()
    with opened_journal(config.state_dir) as journal:
        servers = remembered(config, journal.recent(limit=LOOKED_AT)).servers if config.discover else config.servers
        standings = [_standing(server, journal, config.state_dir, now) for server in servers.values()]
    process = daemon_of(config.state_dir)
    if as_json:
        running = None if process is None else {"process": process}
        write_json({"now": moment(now), "daemon": running, "servers": [_document(standing) for standing in standings]})
    else:
        rows = (_row(standing, now) for standing in standings)
        lines = [_daemon(config.state_dir, process)] if config.state_dir else []
        lines += [line for standing in standings for line in _complaints(standing)]
        show(table(("server", "last", "result", "newest good", "under way", "next start"), rows), *lines)
    return Exit.DONE


def _standing(server: ServerConfig, journal: Journal, state_dir: Path | None, now: datetime) -> Standing:
    rotations = journal.recent(server.name, LOOKED_AT)
    unfinished = next((row for row in rotations if row.ended_at is None), None)
    return Standing(
        server=server,
        last=next((row for row in rotations if row.ended_at is not None), None),
        good=next((row for row in rotations if row.summary.get("good")), None),
        open=unfinished,
        alive=unfinished is not None and is_locked(state_dir, unfinished.server_uuid),
        next_start=server.starts.after(now),
    )


def _document(standing: Standing) -> Document:
    server = standing.server
    return {
        "server": server.name,
        "panel": server.panel.name,
        "policy": server.policy.name,
        "last": None if standing.last is None else recorded(standing.last),
        "newest_good": _newest_good(standing.good),
        "under_way": _under_way(standing),
        "next_start": moment(standing.next_start),
    }


def _newest_good(rotation: Rotation | None) -> Document | None:
    if rotation is None:
        return None
    return {"at": moment(rotation.ended_at), "backup": rotation.summary.get("created")}


def _under_way(standing: Standing) -> Document | None:
    rotation = standing.open
    if rotation is None:
        return None
    return {
        "rotation": rotation.id,
        "trigger": rotation.trigger,
        "began_at": moment(rotation.began_at),
        "step": step_of(rotation),
        "alive": standing.alive,
    }


def _row(standing: Standing, now: datetime) -> tuple[str, ...]:
    zone, last = standing.server.policy.zone, standing.last
    return (
        standing.server.name,
        to_the_minute(last.began_at if last else None, zone),
        (last.result or "-") if last else "never",
        f"{format_duration(now - standing.good.ended_at)} ago" if standing.good and standing.good.ended_at else "-",
        _work(standing),
        to_the_minute(standing.next_start, zone),
    )


def _daemon(state_dir: Path, process: int | None) -> Text:
    if process is None:
        return cell(f"no daemon is known to run on {state_dir}", "yellow")
    return cell(f"daemon: running, process {process}")


def _complaints(standing: Standing) -> Iterator[Text]:
    """What was wrong with the last rotation, if anything was, and what can be done."""
    for problem in standing.last.summary.get("problems", ()) if standing.last else ():
        yield cell(f"{standing.server.name}: {problem['text']}")
        if hint := problem.get("hint"):
            yield cell(f"  hint: {hint}", "dim")


def _work(standing: Standing) -> str:
    if standing.open is None:
        return "-"
    since = f"since {to_the_minute(standing.open.began_at, standing.server.policy.zone)}"
    return f"{how_far(standing.open, alive=standing.alive)}, {since}"
