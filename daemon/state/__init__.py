"""The state: what each rotation did, step by step, so that a kill at any point is picked up; locks; which daemon runs;
what was last seen in the stores of copies.

base     what an engine gives, as protocols; journal: the largest of these; rotations: its first part
values   what is read from a journal
engines  which engine keeps the state
runner   where what may block is done: at once, or in a thread
local/   the engine on one folder: SQLite, locks of the operating system
move     the whole state, from one place to another
memory   the engine that ends with the process
postgres/  the engine on a database that the members of a cluster share
"""

from daemon.state.base import Catalogue, Engine, Leadership, Locks, Membership, Shares
from daemon.state.engines import engine_for, looked_into
from daemon.state.journal import MOST_ROTATIONS, Journal
from daemon.state.memory import MemoryEngine, MemoryLocks
from daemon.state.runner import Runner, Worker
from daemon.state.values import (
    Alert,
    ClusterSeen,
    CopyEvent,
    CopyRecord,
    Holding,
    Marks,
    Member,
    ProofAsked,
    ProofRecord,
    Rotation,
    Sample,
    SentOut,
    SharesSeen,
    ShelfRecord,
    Snapshot,
    StateNote,
    Step,
    StepName,
    Trigger,
    UnderWay,
)

__all__ = [
    "MOST_ROTATIONS",
    "Alert",
    "Catalogue",
    "ClusterSeen",
    "CopyEvent",
    "CopyRecord",
    "Engine",
    "Holding",
    "Journal",
    "Leadership",
    "Locks",
    "Marks",
    "Member",
    "Membership",
    "MemoryEngine",
    "MemoryLocks",
    "ProofAsked",
    "ProofRecord",
    "Rotation",
    "Runner",
    "Sample",
    "SentOut",
    "Shares",
    "SharesSeen",
    "ShelfRecord",
    "Snapshot",
    "StateNote",
    "Step",
    "StepName",
    "Trigger",
    "UnderWay",
    "Worker",
    "engine_for",
    "looked_into",
    "move",
]
