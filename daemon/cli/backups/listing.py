"""`backups list` and `backups show`: one server's backups as the panel and retention see them."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from daemon.cli.backups.choices import Only, Sort
from daemon.cli.context import begin, server_named
from daemon.cli.discovered import cover
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, write_json
from daemon.cli.ui.tables import cell, facts, show
from daemon.cli.ui.verdicts import because, size, summary, verdict_table, whose
from daemon.cli.ui.which import about
from daemon.clock import SystemClock
from daemon.core.choose import choose
from daemon.core.model import Backup, Verdict
from daemon.core.units import format_duration, format_moment
from daemon.documents.commands import listed, seconds_taken, shown
from daemon.errors import Exit
from daemon.operations.rotations import Failed, preview_servers
from daemon.rotation.preview import Preview


async def look(settings: Settings, name: str) -> Preview:
    """Return a preview of one server; raises BackupdError if it cannot be viewed."""
    config = (await cover(begin(settings), [name])).config
    server = server_named(config, name)
    (seen,) = await preview_servers([server], state=config.state, clock=SystemClock(), tell=say)
    if isinstance(seen, Failed):
        raise seen.error
    return seen


def list_backups(settings: Settings, name: str, *, only: Sequence[Only], sort: Sort, as_json: bool) -> int:
    """List a server's backups: those that pass every filter of `only`, in the order of `sort`."""
    return asyncio.run(_list(settings, name, only=only, sort=sort, as_json=as_json))


async def _list(settings: Settings, name: str, *, only: Sequence[Only], sort: Sort, as_json: bool) -> int:
    seen = await look(settings, name)
    verdicts = sorted((one for one in seen.plan.verdicts if set(only) <= _traits(one)), key=_ORDERS[sort])
    if as_json:
        write_json(listed(about(seen.config), seen.listing, verdicts))
        return Exit.DONE
    count = f"{len(verdicts)} of {len(seen.listing.backups)} backups: {summary(verdicts)}"
    zone = seen.config.policy.zone
    show(verdict_table(verdicts, zone), cell(f"{count} (times in {zone.key})", "bold"))
    return Exit.DONE


def _traits(verdict: Verdict) -> set[str]:
    """Return all filters that this backup passes."""
    lock = "locked" if verdict.backup.locked else "unlocked"
    return {verdict.state.value, verdict.action.value, lock, "own" if verdict.own else "foreign"}


_ORDERS: dict[Sort, Callable[[Verdict], tuple[str | int, ...]]] = {
    Sort.CREATED: lambda _: (),  # as they come
    Sort.NAME: lambda verdict: (verdict.backup.name,),
    Sort.SIZE: lambda verdict: (-verdict.backup.bytes,),
    Sort.TOOK: lambda verdict: (-(seconds_taken(verdict.backup) or 0),),
}


def show_backup(settings: Settings, name: str, wanted: str, *, as_json: bool) -> int:
    """Show one backup of a server."""
    return asyncio.run(_show(settings, name, wanted, as_json=as_json))


async def _show(settings: Settings, name: str, wanted: str, *, as_json: bool) -> int:
    seen = await look(settings, name)
    verdicts = {verdict.backup.uuid: verdict for verdict in seen.plan.verdicts}
    whole = {uuid for uuid, verdict in verdicts.items() if verdict.whole}
    verdict = verdicts[choose([verdict.backup for verdict in seen.plan.verdicts], whole, wanted).uuid]
    if as_json:
        write_json(shown(about(seen.config), verdict))
    else:
        show(facts(_facts(seen, verdict)))
    return Exit.DONE


def _facts(seen: Preview, verdict: Verdict) -> list[tuple[str, str]]:
    backup, zone = verdict.backup, seen.config.policy.zone
    known = [
        ("name", backup.name),
        ("uuid", backup.uuid),
        ("server", f"{seen.config.name} ({seen.server.name} on {seen.server.node})"),
        ("state", verdict.state.value),
        ("whose", whose(verdict)),
        ("size", size(backup)),
        ("created", format_moment(backup.created_at, zone) if backup.created_at else "-"),
        ("completed", format_moment(backup.completed_at, zone) if backup.completed_at else "-"),
        ("took", _took(backup)),
        ("checksum", backup.checksum or "-"),
        ("ignored", ", ".join(backup.ignored) or "-"),
        ("verdict", verdict.action.value),
        ("why", because(verdict)),
    ]
    return known if backup.unreadable is None else [*known, ("unreadable", backup.unreadable)]


def _took(backup: Backup) -> str:
    seconds = seconds_taken(backup)
    return "-" if seconds is None else format_duration(timedelta(seconds=seconds))
