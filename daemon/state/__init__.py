"""The journal: what each rotation did, step by step, so that a kill at any point is picked up.

`values` holds what is read from it. Of the local engine, `local/file` opens, migrates and sets aside the SQLite file,
and `local/journal` writes and reads.
Nothing secret may be put in: no key, no signed URL.
"""

from daemon.state.local.file import lacks_room
from daemon.state.local.journal import MOST_ROTATIONS, Journal
from daemon.state.values import Alert, AppliedRetention, Rotation, Sample, Snapshot, Step, StepName, Trigger

__all__ = [
    "MOST_ROTATIONS",
    "Alert",
    "AppliedRetention",
    "Journal",
    "Rotation",
    "Sample",
    "Snapshot",
    "Step",
    "StepName",
    "Trigger",
    "lacks_room",
    "local",
]
