"""`status`: what was last, what is under way and what comes next, from the journal, the locks and the schedule.

No panel is asked, so it answers at once and as well while a panel is down.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.text import Text

from daemon.cli.commands.record import how_far, opened_journal, step_of
from daemon.cli.context import begin
from daemon.cli.options import Settings
from daemon.cli.ui.moments import to_the_minute
from daemon.cli.ui.output import say, say_trouble, write_json
from daemon.cli.ui.tables import cell, show, table
from daemon.clock import SystemClock
from daemon.config.errors import ConfigError
from daemon.config.load import remembered_state_folder
from daemon.config.values import ServerConfig
from daemon.core.units import format_duration
from daemon.documents.commands import Document, moment, recorded
from daemon.errors import Exit
from daemon.fleet.discovery import remembered
from daemon.state import Journal, Rotation, Snapshot
from daemon.state.local.locks import is_locked
from daemon.state.local.presence import daemon_of
from daemon.status.stored import ended_of, from_stored

LOOKED_AT = 500
"""How many rotations back the newest good backup is looked for, and servers that no configuration names."""


@dataclass(frozen=True, slots=True)
class Good:
    """A good backup: when it was there, and its uuid, name and bytes."""

    at: datetime
    backup: Document


@dataclass(frozen=True, slots=True)
class Standing:
    """How one server stands. `last` is its newest rotation that ended, `good` the newest good backup, `open` a rotation
    that has not ended; `alive` says whether some process is at it, or will pick it up. `next_start` is None where no
    configuration tells it.
    """

    server: str
    panel: str
    policy: str
    zone: ZoneInfo
    last: Rotation | None
    good: Good | None
    open: Rotation | None
    alive: bool
    next_start: datetime | None


def show_status(settings: Settings, *, as_json: bool) -> int:
    """Show how every server stands: those that are configured, and those discovered that were rotated before.

    Where the configuration on disk is refused and a daemon goes on with the one before, its journal tells the servers.
    """
    now = SystemClock().now()
    try:
        config = begin(settings)
    except ConfigError as error:
        state_dir = remembered_state_folder(settings.config, os.environ)
        if daemon_of(state_dir) is None:
            raise
        say_trouble(error.text)
        say("note: the daemon goes on with the configuration before; its journal tells of the servers")
        with opened_journal(state_dir) as journal:
            standings = _journalled(journal, state_dir)
    else:
        state_dir = config.state_dir
        with opened_journal(state_dir) as journal:
            servers = remembered(config, journal.recent(limit=LOOKED_AT)).servers if config.discover else config.servers
            standings = [_configured(server, journal, state_dir, now) for server in servers.values()]
    _show(standings, state_dir, now, as_json=as_json)
    return Exit.DONE


def _show(standings: Sequence[Standing], state_dir: Path | None, now: datetime, *, as_json: bool) -> None:
    process = daemon_of(state_dir)
    if as_json:
        running = None if process is None else {"process": process}
        write_json({"now": moment(now), "daemon": running, "servers": [_document(standing) for standing in standings]})
    else:
        rows = (_row(standing, now) for standing in standings)
        lines = [_daemon(state_dir, process)] if state_dir else []
        lines += [line for standing in standings for line in _complaints(standing)]
        show(table(("server", "last", "result", "newest good", "under way", "next start"), rows), *lines)


def _configured(server: ServerConfig, journal: Journal, state_dir: Path | None, now: datetime) -> Standing:
    found = journal.recent(server.name, LOOKED_AT)
    standing = _standing(server.name, found, journal.last_snapshot(server.panel.name, server.id), state_dir)
    policy = server.policy
    return replace(
        standing, panel=server.panel.name, policy=policy.name, zone=policy.zone, next_start=server.starts.after(now)
    )


def _journalled(journal: Journal, state_dir: Path | None) -> list[Standing]:
    """Every server that was rotated lately, by its name."""
    by_name: dict[str, list[Rotation]] = {}
    for row in journal.recent(limit=LOOKED_AT):
        by_name.setdefault(row.server, []).append(row)
    return [
        _standing(name, rows, journal.last_snapshot(rows[0].panel, rows[0].server_uuid), state_dir)
        for name, rows in sorted(by_name.items())
    ]


def _standing(name: str, rotations: Sequence[Rotation], seen: Snapshot | None, state_dir: Path | None) -> Standing:
    """What the journal tells of a server: its rotations, newest first, and its backups as they were last judged."""
    unfinished = next((row for row in rotations if row.ended_at is None), None)
    return Standing(
        server=name,
        panel=rotations[0].panel if rotations else "",
        policy=rotations[0].policy if rotations else "",
        zone=ZoneInfo("UTC"),
        last=next((row for row in rotations if row.ended_at is not None), None),
        good=_newest_good(rotations, seen),
        open=unfinished,
        alive=unfinished is not None and is_locked(state_dir, unfinished.server_uuid),
        next_start=None,
    )


def _newest_good(rotations: Sequence[Rotation], seen: Snapshot | None) -> Good | None:
    """The newest that a rotation here made, or that one saw, whoever made it; a rotation's is there at its end."""
    row = next((row for row in rotations if row.summary.get("good") and row.ended_at), None)
    made = Good(row.ended_at, row.summary.get("created") or {}) if row and row.ended_at else None
    snapshot = from_stored(seen) if seen else None
    backup = snapshot.newest_good.backup if snapshot and snapshot.newest_good else None
    if backup is None or backup.created_at is None or (made is not None and made.at >= backup.created_at):
        return made
    return Good(backup.created_at, {"uuid": backup.uuid, "name": backup.name, "bytes": backup.bytes})


def _document(standing: Standing) -> Document:
    good = standing.good
    return {
        "server": standing.server,
        "panel": standing.panel,
        "policy": standing.policy,
        "last": None if standing.last is None else recorded(standing.last),
        "newest_good": None if good is None else {"at": moment(good.at), "backup": good.backup or None},
        "under_way": _under_way(standing),
        "next_start": moment(standing.next_start),
    }


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
    zone, last, good = standing.zone, standing.last, standing.good
    return (
        standing.server,
        to_the_minute(last.began_at if last else None, zone),
        _result(last) if last else "never",
        f"{format_duration(now - good.at)} ago" if good else "-",
        _work(standing),
        to_the_minute(standing.next_start, zone),
    )


def _result(last: Rotation) -> str:
    """How it ended, in the page's words where the new backup is good and only deletions are wanting."""
    try:
        ended = ended_of(last)
    except (TypeError, ValueError):  # it was interrupted, or another version wrote it
        return last.result or "-"
    return "held" if ended.held else "undeletable" if ended.undeletable else ended.result


def _daemon(state_dir: Path, process: int | None) -> Text:
    if process is None:
        return cell(f"no daemon is known to run on {state_dir}", "yellow")
    return cell(f"daemon: running, process {process}")


def _complaints(standing: Standing) -> Iterator[Text]:
    """What was wrong with the last rotation, if anything was, and what can be done."""
    for problem in standing.last.summary.get("problems", ()) if standing.last else ():
        yield cell(f"{standing.server}: {problem['text']}")
        if hint := problem.get("hint"):
            yield cell(f"  hint: {hint}", "dim")


def _work(standing: Standing) -> str:
    if standing.open is None:
        return "-"
    since = f"since {to_the_minute(standing.open.began_at, standing.zone)}"
    return f"{how_far(standing.open, alive=standing.alive)}, {since}"
