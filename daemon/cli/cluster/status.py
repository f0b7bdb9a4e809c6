"""`cluster status`: the members of the cluster, and which nodes each of them acts for."""

import asyncio
from zoneinfo import ZoneInfo

from daemon.cli.cluster.place import membership_of
from daemon.cli.context import begin
from daemon.cli.settings import Settings
from daemon.cli.ui.moments import to_the_minute
from daemon.cli.ui.output import write_json
from daemon.cli.ui.tables import cell, show, table
from daemon.config.opinion import key_of
from daemon.config.values import Config
from daemon.core.agreement import in_words
from daemon.core.cut_off import in_words as cut_off_in_words
from daemon.core.shares import NODE
from daemon.documents.cluster import cluster_document
from daemon.errors import Exit
from daemon.operations.agreement import disagreement_of
from daemon.state import ClusterSeen, Member, SentOut

COLUMNS = ("member", "process", "role", "since (UTC)", "lease", "nodes", "held")

UTC = ZoneInfo("UTC")

NAMED = 5
"""How many nodes of a member are named; all are in the JSON."""


def show_cluster(settings: Settings, *, as_json: bool) -> int:
    """Show who is a member."""
    config = begin(settings, need_servers=False)
    seen = asyncio.run(_looked(config))
    where, names = disagreement_of(seen), {key_of(one): one.name for one in config.servers.values()}
    if as_json:
        write_json(cluster_document(seen, where, names))
        return Exit.DONE
    notes = [] if seen.acting else ["no member acts"]
    notes += map(_sent_out, seen.out)
    notes += [f"{in_words(where, names)}: nothing is deleted there"] if where else []
    notes += _cut_off(seen)
    notes += _promoted(seen)
    show(
        table(COLUMNS, map(_row, seen.members), right=("process", "nodes")),
        *(cell(note, "yellow") for note in notes),
    )
    return Exit.DONE


async def _looked(config: Config) -> ClusterSeen:
    return await membership_of(config).seen()


def _cut_off(seen: ClusterSeen) -> list[str]:
    acting = [(one.name, one.epoch) for one in seen.acting]
    return cut_off_in_words({one: seen.cut_off.get(one[1], ()) for one in acting}, acting)


def _promoted(seen: ClusterSeen) -> list[str]:
    at = seen.promoted_at
    return [f"the database was promoted or restored last at {to_the_minute(at, UTC)} UTC"] if at else []


def _sent_out(one: SentOut) -> str:
    what, at = "evicted" if one.evicted else "sent out", to_the_minute(one.since, UTC)
    return f"{one.name} was {what} at {at} UTC from {one.by}, until `ptero-backupd cluster join {one.name}`"


def _row(one: Member) -> tuple[object, ...]:
    left = f"{one.left:.0f} s left" if one.left > 0 else "over"
    nodes = [part.removeprefix(NODE) for part in one.holds if part.startswith(NODE)]
    named = ", ".join(nodes[:NAMED]) + (" …" if len(nodes) > NAMED else "")
    return one.name, one.process, one.role, to_the_minute(one.since, UTC), left, len(nodes), named
