"""What an operator should know of the cluster's database: how it is replicated, and whether it was promoted lately."""

from daemon.core.alerting import PROMOTION_NEWS
from daemon.core.units import rfc3339
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.membership import promoted_at
from daemon.state.values import StateNote

ALONE = StateNote(
    "no standby replicates the cluster's database: if its machine is lost, so is all that was recorded since its last"
    " backup, and a backup that was asked for then may be made twice"
)
SYNCHRONOUS = StateNote("the cluster's database replicates synchronously: a standby that is promoted lacks nothing")
ASYNCHRONOUS = StateNote(
    "a standby of the cluster's database may lack what was announced: replicate synchronously",
    "set synchronous_standby_names there: docs/cluster.md",
)
MISSING = StateNote(
    "the cluster's database is to replicate synchronously, and no standby is connected: what is written waits for one",
    "start the standby, or take it out of synchronous_standby_names",
)

_REPLICATED = (
    "SELECT EXISTS (SELECT FROM pg_stat_replication) AS followed, current_setting('synchronous_standby_names') <> ''"
    " AND current_setting('synchronous_commit') <> 'local' AS synchronous, clock_timestamp() AS now"
)
_REPLICATION = {(False, False): ALONE, (True, True): SYNCHRONOUS, (True, False): ASYNCHRONOUS, (False, True): MISSING}


async def notes_of(connection: Connection) -> tuple[StateNote, ...]:
    """Return what there is to know."""
    row = await connection.fetchrow(_REPLICATED)
    notes = [_REPLICATION[row["followed"], row["synchronous"]]]
    at = await promoted_at(connection)
    if at is not None and row["now"] - at < PROMOTION_NEWS:
        text = f"the cluster's database was promoted or restored, which was noticed at {rfc3339(at)}"
        hint = "what was recorded last may be lost; the old primary must be stopped, and take no connections again"
        notes.append(StateNote(text, hint))
    return tuple(notes)
