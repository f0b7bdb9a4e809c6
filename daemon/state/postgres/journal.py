"""The journal in PostgreSQL: everything that is written and read.

Each module beside this one holds the statements of one idea, as in the local engine; `store` says how they are run.
"""

from daemon.state.postgres.alerts import Alerts
from daemon.state.postgres.backups import Backups
from daemon.state.postgres.copies import Copies
from daemon.state.postgres.drills import Drills
from daemon.state.postgres.proofs import ProofRecords
from daemon.state.postgres.pruning import Pruning
from daemon.state.postgres.rotations import Rotations
from daemon.state.postgres.servers import Servers


class PostgresJournal(Rotations, Backups, Servers, Alerts, Copies, ProofRecords, Drills, Pruning):
    """The history of one cluster."""
