"""`schedule`: the next starts of each server."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice

from daemon.cli.arguments import read_moment
from daemon.cli.context import begin, servers_named
from daemon.cli.discovered import covered_now
from daemon.cli.settings import Settings
from daemon.cli.ui.output import write_json
from daemon.cli.ui.tables import show, table
from daemon.clock import SystemClock
from daemon.config.values import ServerConfig
from daemon.core.calendar import Starts
from daemon.core.units import format_duration, to_zone
from daemon.documents.commands import scheduled
from daemon.errors import Exit


def show_schedule(settings: Settings, names: Sequence[str], *, count: int, now: str | None, as_json: bool) -> int:
    """Show that many starts of the named servers, or of all, after now."""
    moment = read_moment("--now", now) if now else SystemClock().now()
    covering = covered_now(begin(settings), names)
    servers = servers_named(covering.config, names)
    starts = {server.name: list(islice(_starts(server.starts, moment), count)) for server in servers}
    if as_json:
        write_json(scheduled(starts))
        return covering.exit_code(Exit.DONE)
    rows = ((server.name, *_shown(start, server, moment)) for server in servers for start in starts[server.name])
    show(table(("server", "start", "zone", "in"), rows))
    return covering.exit_code(Exit.DONE)


def _starts(starts: Starts, moment: datetime) -> Iterator[datetime]:
    """Yield one start after the other, as far as the calendar reaches."""
    with suppress(OverflowError):
        while True:
            moment = starts.after(moment)
            yield moment


def _shown(start: datetime, server: ServerConfig, now: datetime) -> tuple[str, str, str]:
    local = to_zone(start, server.policy.zone)
    return f"{local.date()} {local:%a %H:%M:%S}", server.policy.zone.key, format_duration(start - now)
