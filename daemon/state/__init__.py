"""The state: what each rotation did, step by step, so that a kill at any point is picked up; locks; which daemon runs.

base     what an engine gives, as protocols
values   what is read from a journal
engines  which engine keeps the state
runner   where what may block is done: at once, or in a thread
local/   the engine on one folder: SQLite, locks of the operating system; the catalogue of copies, a cache
memory   the engine that ends with the process
"""

from daemon.state.base import MOST_ROTATIONS, Engine, Journal, Locks
from daemon.state.engines import engine_for, looked_into
from daemon.state.memory import MemoryEngine, MemoryLocks
from daemon.state.runner import Runner, Worker
from daemon.state.values import Alert, AppliedRetention, Rotation, Sample, Snapshot, Step, StepName, Trigger

__all__ = [
    "MOST_ROTATIONS",
    "Alert",
    "AppliedRetention",
    "Engine",
    "Journal",
    "Locks",
    "MemoryEngine",
    "MemoryLocks",
    "Rotation",
    "Runner",
    "Sample",
    "Snapshot",
    "Step",
    "StepName",
    "Trigger",
    "Worker",
    "engine_for",
    "local",
    "looked_into",
]
