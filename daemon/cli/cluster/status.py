"""`cluster status`: the members of the cluster, and which nodes each of them acts for."""

import asyncio
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from daemon.cli.cluster.place import cluster_of
from daemon.cli.context import begin
from daemon.cli.settings import Settings
from daemon.cli.ui.moments import to_the_minute
from daemon.cli.ui.output import write_json
from daemon.cli.ui.tables import cell, show, table
from daemon.config.values import ClusterConfig
from daemon.core.shares import NODE
from daemon.documents.cluster import cluster_document
from daemon.errors import Exit
from daemon.state import Member, SentOut, engine_for

COLUMNS = ("member", "process", "role", "since (UTC)", "lease", "nodes", "held")

UTC = ZoneInfo("UTC")

NAMED = 5
"""So many nodes of a member are named; all are in the JSON."""


def show_cluster(settings: Settings, *, as_json: bool) -> int:
    """Show who is a member."""
    members, out = asyncio.run(_looked(cluster_of(begin(settings, need_servers=False))))
    if as_json:
        write_json(cluster_document(members, out))
        return Exit.DONE
    sent = {one.name for one in out}
    acts = any(one.role == "acts" and one.name not in sent for one in members)
    notes = [] if acts else [cell("no member acts", "yellow")]
    notes += [cell(_sent_out(one), "yellow") for one in out]
    show(table(COLUMNS, map(_row, members), right=("process", "nodes")), *notes)
    return Exit.DONE


async def _looked(cluster: ClusterConfig) -> tuple[Sequence[Member], Sequence[SentOut]]:
    leadership = engine_for(cluster).leadership
    return await leadership.members(), await leadership.membership.out() if leadership.membership else ()


def _sent_out(one: SentOut) -> str:
    what, at = "evicted" if one.evicted else "sent out", to_the_minute(one.since, UTC)
    return f"{one.name} was {what} at {at} UTC from {one.by}, until `ptero-backupd cluster join {one.name}`"


def _row(one: Member) -> tuple[object, ...]:
    left = f"{one.left:.0f} s left" if one.left > 0 else "over"
    nodes = [part.removeprefix(NODE) for part in one.holds if part.startswith(NODE)]
    named = ", ".join(nodes[:NAMED]) + (" …" if len(nodes) > NAMED else "")
    return one.name, one.process, one.role, to_the_minute(one.since, UTC), left, len(nodes), named
