"""`state copy`: from a folder to the cluster's database, or back.

The database is the configured one: its address holds a password, which a list of processes would show.
"""

import asyncio
from pathlib import Path

from daemon.cli.cluster.place import cluster_of
from daemon.cli.context import begin
from daemon.cli.settings import Settings
from daemon.cli.ui.output import write_json
from daemon.cli.ui.tables import cell, show, table
from daemon.config.values import ClusterConfig, Config
from daemon.documents.cluster import copied_document
from daemon.errors import Exit, UsageError
from daemon.state.move import move_state

CLUSTER = "cluster"


def copy_state(settings: Settings, source: str, target: str, *, as_json: bool) -> int:
    """Copy the whole state; raises UsageError unless one of the two places is the cluster."""
    if (source == CLUSTER) == (target == CLUSTER):
        raise UsageError("one of --from and --to is a folder, the other one is `cluster`")
    config = begin(settings, need_servers=False)
    copied = asyncio.run(move_state(_place(source, config), _place(target, config)))
    if as_json:
        write_json(copied_document(copied))
    else:
        rows = [(name, number) for name, number in copied.items()]
        show(table(("table", "rows"), rows, right=("rows",)), cell(f"all is in {target}, as it was in {source}"))
    return Exit.DONE


def _place(text: str, config: Config) -> Path | ClusterConfig:
    return cluster_of(config) if text == CLUSTER else Path(text)
