"""The drills: which spare server takes the backups of which servers."""

from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec

from daemon.config.models import DrillBase
from daemon.config.tree import KeyPath, Tree
from daemon.config.values import DrillConfig
from daemon.core.console import looks
from daemon.core.units import parse_duration
from daemon.core.words import that_installs

SHORTEST = timedelta(hours=1)


def drill_configs(tables: Mapping[str, DrillBase], tree: Tree) -> dict[str, DrillConfig]:
    """Return the drills; a server that is not configured, or is its own spare one, is refused."""
    if any(table.every != "never" for table in tables.values()) and tree.values["state_dir"] == "none":
        reason = 'with "none" nothing is remembered of drills, so that none can be scheduled'
        tree.refuse(("state_dir",), reason, 'name a folder, or drill by hand alone: every = "never"')
    return {name: _drill(name, table, tree) for name, table in tables.items()}


def _drill(name: str, table: DrillBase, tree: Tree) -> DrillConfig:
    path, known = ("drills", name), tree.values["servers"]
    for key, servers in (("server", [table.server]), ("from", table.sources)):
        for server in servers:
            if server not in known:
                tree.refuse((*path, key), "there is no such server", "name servers of [servers]", value=server)
    if not table.sources:
        tree.refuse((*path, "from"), "no server is named", "name those whose backups are to be tried")
    if table.server in table.sources:
        reason = "everything on the spare server is deleted, so its own backups cannot be tried"
        tree.refuse((*path, "from"), reason, f"leave {table.server} out", value=table.server)
    every = None if table.every == "never" else parse_duration(table.every)
    if every is not None and every < SHORTEST:
        reason = "must be at least 1h, since everything is read and unpacked each time"
        tree.refuse((*path, "every"), reason, 'such as "7d", or "never"', value=table.every)
    if table.console is not None:
        _check_console((*path, "console"), table, tree)
    watch = parse_duration(table.watch)
    return DrillConfig(name, table.server, table.sources, table.start, watch, every, table.console)


def _check_console(path: KeyPath, table: DrillBase, tree: Tree) -> None:
    """Refuse a text of the console that can never be seen."""
    if not table.start:
        tree.refuse(path, "the server is not started, so its console shows nothing", "start = true, or leave it out")
    if table.console != looks(table.console or "").strip():
        reason = "must be one line, without control characters, and without spaces around it"
        tree.refuse(path, reason, 'such as "Done ("', value=table.console)
    if find_spec("websockets") is None:
        tree.refuse(path, "websockets is not installed", that_installs("console"))
