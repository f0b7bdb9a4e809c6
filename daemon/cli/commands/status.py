"""`status`: how every server stands, what was last, what is under way and what comes next.

It shows what the daemon's page shows, from the journal, the locks and the schedule. No panel is asked, so it answers at
once and as well while a panel is down.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from daemon.cli.commands.members import Members, look_at_members
from daemon.cli.commands.record import how_far, opened_journal, step_of
from daemon.cli.commands.standing import LOOKED_AT, CopiesKnown, Shown, configured, journalled
from daemon.cli.context import begin
from daemon.cli.settings import Settings
from daemon.cli.ui.moments import to_the_minute
from daemon.cli.ui.output import say, say_trouble, write_json
from daemon.cli.ui.tables import cell, led, show, table
from daemon.clock import SystemClock
from daemon.config.errors import ConfigError
from daemon.config.load import remembered_state
from daemon.config.values import StatePlace, place_name
from daemon.core.copies_state import CopyState
from daemon.core.units import format_duration
from daemon.documents.commands import Document, moment, recorded
from daemon.documents.status import copies as copies_document
from daemon.documents.status import drill as drill_document
from daemon.documents.status import held, troubles
from daemon.documents.status import proof as proof_document
from daemon.errors import Exit
from daemon.fleet.discovery import remembered
from daemon.state import Rotation, engine_for
from daemon.status.copies import CopiesSeen, look, stores_of, trouble_text
from daemon.status.drills import drill_statuses
from daemon.status.history import Good, age_of, ended_of
from daemon.status.proofs import by_key, by_server
from daemon.status.troubles import Kind, uncopied_text

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def show_status(settings: Settings, *, as_json: bool) -> int:
    """Show how every server stands: those that are configured, and those discovered that were rotated before.

    Where the configuration on disk is refused and a daemon goes on with the one before, its journal tells the servers.
    """
    return asyncio.run(_status(settings, as_json=as_json))


async def _status(settings: Settings, *, as_json: bool) -> int:
    now, lines = SystemClock().now(), list[str]()
    try:
        config = begin(settings)
    except ConfigError as error:
        place = remembered_state(settings.config, os.environ)
        engine = engine_for(place)
        if await engine.presence.daemon() is None:
            raise
        say_trouble(error.text)
        say("note: the daemon goes on with the configuration before; its journal tells of the servers")
        async with opened_journal(engine, place) as journal:
            shown = await journalled(journal, engine.locks, now)
    else:
        place = config.state
        engine = engine_for(place)
        async with opened_journal(engine, place) as journal:
            servers = remembered(config, await journal.recent(limit=LOOKED_AT) if config.discover else ()).servers
            seen = await look(journal, engine.catalogue) if config.stores else CopiesSeen()
            proofs, drills = by_server(await journal.proofs()), drill_statuses(await journal.drills(), now)
            asked = by_key(await journal.proofs_asked())
            copies = CopiesKnown(engine.catalogue, config.stores, seen, proofs, asked, config.drilled, drills)
            shown = await configured(servers.values(), journal, engine.locks, now, copies)
            lines = [
                f"{one.name}: {trouble_text(one.trouble)}"
                for one in stores_of(config.stores.values(), seen)
                if one.trouble
            ]
    _show(
        shown, place, await engine.presence.daemon(), now, lines, members=await look_at_members(engine), as_json=as_json
    )
    return Exit.DONE


def _show(
    servers: Sequence[Shown],
    place: StatePlace,
    process: int | None,
    now: datetime,
    stores: Sequence[str],
    *,
    members: Members | None,
    as_json: bool,
) -> None:
    if as_json:
        running, members = None if process is None else {"process": process}, members or Members()
        told = [{**_document(one), "member": members.member_of(one)} for one in servers]
        write_json({"now": moment(now), "daemon": running, "servers": told, "members": members.documents()})
    else:
        columns = ["server", "last", "result", "newest good", "under way", "next start"]
        proven = any(one.status and one.status.proof for one in servers)
        if proven:
            columns.insert(4, "proven")
        rows = [_row(one, now, proven=proven) for one in servers]
        if members is not None:
            columns.append("member")
            rows = [(*row, members.in_words(one)) for row, one in zip(rows, servers, strict=True)]
        lines: list[Text | Table] = list(_zones(servers))
        lines += [_daemon(place, process)] if place else []
        lines += [cell(text, "yellow") for text in stores]
        lines += [line for one in servers for line in _complaints(one)]
        show(table(columns, rows), *lines)


def _document(shown: Shown) -> Document:
    good, status = shown.history.good, shown.status
    return {
        "server": shown.server,
        "panel": shown.panel,
        "policy": shown.policy,
        "last": None if shown.last is None else recorded(shown.last),
        "newest_good": None if good is None else {"at": moment(good.at), "backup": _backup(good)},
        "under_way": _under_way(shown),
        "next_start": moment(shown.next_start),
        "overdue": None if status is None else status.overdue,
        "overdue_at": None if status is None else moment(status.times.overdue_at),
        "held": held(shown.history),
        "troubles": None if status is None else troubles(status),
        "copies": [] if status is None else copies_document(status),
        "proof": None if status is None else proof_document(status),
        "drill": None if status is None else drill_document(status),
    }


def _backup(good: Good) -> Document | None:
    return None if good.uuid is None else {"uuid": good.uuid, "name": good.name, "bytes": good.bytes}


def _under_way(shown: Shown) -> Document | None:
    rotation = shown.open
    if rotation is None:
        return None
    return {
        "rotation": rotation.id,
        "trigger": rotation.trigger,
        "began_at": moment(rotation.began_at),
        "step": step_of(rotation),
        "alive": shown.alive,
    }


def _row(shown: Shown, now: datetime, *, proven: bool) -> tuple[str, ...]:
    """Return a row of the table, with a column on proofs if any server is to be `proven`."""
    zone, last = shown.zone, shown.last
    proof = shown.status.proof if shown.status else None
    return (
        shown.server,
        to_the_minute(last.began_at if last else None, zone),
        _result(last) if last else "never",
        _newest_good(shown, now),
        *((proof.words(now) if proof else "-",) if proven else ()),
        _work(shown),
        to_the_minute(shown.next_start, zone),
    )


def _newest_good(shown: Shown, now: datetime) -> str:
    """Return how old it is, and whether the next should have been there by now."""
    age = age_of(shown.history.good_at, now)
    overdue = shown.status is not None and shown.status.overdue
    if age is None:
        return "none, overdue" if overdue else "-"
    return f"{format_duration(age)} ago{', overdue' if overdue else ''}"


def _result(last: Rotation) -> str:
    """Return how it ended, in the page's words if the new backup is good and only deletions are missing."""
    ended = ended_of(last)
    if ended is None:  # it was interrupted, or another version wrote it
        return last.result or "-"
    return "held" if ended.held else "undeletable" if ended.undeletable else ended.result


def _zones(servers: Sequence[Shown]) -> "Iterator[Text]":
    """Yield by which clock the times are; of which servers, if they differ."""
    names: dict[str, list[str]] = {}
    for one in servers:
        names.setdefault(one.zone.key, []).append(one.server)
    for zone, of_it in names.items():
        yield cell(f"times: {zone}" if len(names) == 1 else f"times of {', '.join(of_it)}: {zone}", "dim")


def _daemon(place: StatePlace, process: int | None) -> "Text":
    if process is None:
        return cell(f"no daemon is known to run on {place_name(place)}", "yellow")
    return cell(f"daemon: running, process {process}")


def _complaints(shown: Shown) -> "Iterator[Table]":
    """Yield what was wrong with the last rotation, if anything was, and what can be done; then what is not copied."""
    for problem in shown.last.summary.get("problems", ()) if shown.last else ():
        yield led(f"{shown.server}: ", problem["text"])
        if hint := problem.get("hint"):
            yield led("  hint: ", hint, "dim")
    for text in shown.damage:
        yield led(f"{shown.server}: ", text)
        yield led("  hint: ", f"`copies list {shown.server}` shows them", "dim")
    status = shown.status
    for one in status.copies if status else ():
        if status and (one.state is CopyState.FAILED or one.late(status.now)):
            yield led(f"{shown.server}: ", uncopied_text(one, shown.zone, status.now))
    for trouble in status.troubles if status else ():
        if trouble.kind in {Kind.UNPROVEN, Kind.DRILL}:
            yield led(f"{shown.server}: ", trouble.text)
    if status and status.drill and (words := status.drill.words(status.now)):
        yield led(f"{shown.server}: ", words)


def _work(shown: Shown) -> str:
    if shown.open is None:
        return "-"
    since = f"since {to_the_minute(shown.open.began_at, shown.zone)}"
    return f"{how_far(shown.open, alive=shown.alive)}, {since}"
