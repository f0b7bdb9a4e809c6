"""Who does a job in the stores, as protocols: what may be asked of a worker, and what it asks meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from pydantic import SecretStr

from daemon.copies.jobs import Job, PruneInputs, ToFetch, ToProve
from daemon.copies.results import CopyDone, CopyResult, Fetched, LookResult, ProofFound, PruneResult
from daemon.state import ShelfRecord
from daemon.transfer.progress import ProgressListener

AskLeave = Callable[[], Awaitable[str]]
"""Ask, right before a deletion, why it must not be done now; empty if it may be done (invariants 17 and 20)."""


async def always() -> str:
    """Return that nothing hinders."""
    return ""


async def unheard(*_what: object) -> None:
    """Hear of it, and do nothing."""


OnGoing = Callable[[ShelfRecord], Awaitable[None]]
"""Hear, before the first copy is deleted, which ones will be: after a kill, whoever finds data without its manifest is
to know who took that away.
"""

GiveLink = Callable[[], Awaitable[SecretStr]]
"""Ask the panel for a new link to the file that is being copied; raises PanelError."""


class CopyListener(ProgressListener, Protocol):
    """Hears how far a backup is, and of each copy as soon as it stands."""

    async def copied(self, done: CopyDone, seen: ShelfRecord) -> None:
        """A store has its whole copy, while others may still take theirs; `seen` is what it holds of the server."""
        ...


class CopyWorker(Protocol):
    """Touches the stores, one job at a time. What a store does wrong is told in the result.

    A worker that meets a bug raises WorkerError, one that dies or hangs WorkerDiedError; the next job gets a new one.
    """

    async def look(self, job: Job, leave: AskLeave = always) -> LookResult:
        """Look into the job's stores: what do they want of the verdicts' backups?

        What is in the way there is cleared away; `leave` is asked right before each deletion.
        """
        ...

    async def copy(self, job: Job, backup: str, link: GiveLink, listener: CopyListener) -> CopyResult:
        """Copy one backup, by its uuid, to the job's stores."""
        ...

    async def prune(
        self, job: Job, store: str, inputs: PruneInputs, leave: AskLeave = always, going: OnGoing = unheard
    ) -> PruneResult:
        """Delete from a store what its rules let go; `leave` is asked right before each deletion, and before the first
        one it is told what is `going`.
        """
        ...

    async def close(self) -> None:
        """End the worker; the next job starts another one."""
        ...


class ProofWorker(Protocol):
    """Reads archives to their end, one at a time; it raises as a CopyWorker does."""

    async def prove(self, job: Job, what: ToProve, link: GiveLink, listener: ProgressListener) -> ProofFound:
        """Read one backup of the job's listing, or its copy in one of the job's stores, to the end."""
        ...

    async def close(self) -> None:
        """End the worker; the next job starts another one."""
        ...


class FetchWorker(ProofWorker, Protocol):
    """A ProofWorker that fetches archives, too."""

    async def fetch(self, job: Job, what: ToFetch, link: GiveLink, listener: ProgressListener) -> Fetched:
        """Fetch one backup of the job's listing, checked, and split it where it is too large."""
        ...
