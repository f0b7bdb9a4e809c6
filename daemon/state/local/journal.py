"""The journal in SQLite: everything that is written and read, over one open file.

Each module beside this one holds the statements of one idea; `store` has the file, its transactions and its trouble.
It is used by one thread at a time. `engine` makes of it what the rest of the daemon awaits.
"""

from daemon.state.local.alerts import Alerts
from daemon.state.local.backups import Backups
from daemon.state.local.copies import Copies
from daemon.state.local.drills import Drills
from daemon.state.local.proofs import ProofRecords
from daemon.state.local.pruning import Pruning
from daemon.state.local.rotations import Rotations
from daemon.state.local.servers import Servers


class SqliteJournal(Rotations, Backups, Servers, Alerts, Copies, ProofRecords, Drills, Pruning):
    """The history of one state folder."""
