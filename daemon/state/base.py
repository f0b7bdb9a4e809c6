"""What an engine of state gives the rest of the daemon: a journal, locks, and which daemon runs.

A call that decides something, or that a database over a network would be waited for, is awaited. What must hold:
- What was announced survives a power cut as soon as the call returns; the request that it announces leaves only then.
- What was written before it survives with it. What is written is in the order in which it was asked for.
- A write is whole or not there at all, and survives a kill of the process once its call has returned.
- A call that cannot be done raises StateError, JournalBusyError where that passes by itself; the next call tries again.
- A call that is cancelled may be done all the same.

Nothing secret may be put in: no key, no signed URL.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from daemon.core.model import Backup
from daemon.core.names import Altered
from daemon.errors import StateError
from daemon.state.values import Alert, AppliedRetention, Rotation, Sample, Snapshot, Step, Trigger

KEPT_FOR = timedelta(days=400)
MOST_ROTATIONS = 100_000


class Journal(Protocol):
    """What each rotation did, step by step, and what is remembered beside it. Every call may raise StateError."""

    @property
    def persistent(self) -> bool:
        """Whether what is written outlives the process."""
        ...

    @property
    def trouble(self) -> StateError | None:
        """Why the last call failed, until something could be written again; known without asking anybody."""
        ...

    @property
    def set_aside(self) -> Path | None:
        """Where a damaged journal lies, in whose place this one was begun."""
        ...

    async def look_after(self) -> None:
        """Find out whether what is written still goes where the next daemon looks for it."""
        ...

    async def probe(self) -> None:
        """Write something that changes nothing."""
        ...

    async def close(self) -> None:
        """Close it, after what was asked for before; a second time does nothing, and it raises nothing."""
        ...

    # Rotations -------------------------------------------------------------------------------------------------------

    async def begin(
        self,
        *,
        server_uuid: str,
        server: str,
        panel: str,
        policy: str,
        trigger: Trigger,
        start_at: datetime | None,
        at: datetime,
    ) -> int:
        """Journal that a rotation begins, and return its number. `start_at` is the scheduled start that it serves."""
        ...

    async def step(self, rotation: int, name: str, at: datetime, /, **detail: Any) -> None:  # noqa: ANN401 — any JSON
        """Journal one step. `detail` is anything that JSON can hold, and nothing secret."""
        ...

    async def announce(
        self,
        rotation: int,
        name: str,
        at: datetime,
        /,
        **detail: Any,  # noqa: ANN401 — any JSON
    ) -> None:
        """Journal a step that is about to be taken: on the disk when this returns, whatever then becomes of us."""
        ...

    async def end(
        self,
        rotation: int,
        *,
        at: datetime,
        result: str,
        retry_at: datetime | None = None,
        backup_uuid: str | None = None,
        summary: Mapping[str, Any],
    ) -> None:
        """Journal that a rotation ended, with what result, and when the daemon means to try again."""
        ...

    async def attempts(self, server: str, limit: int) -> list[Rotation]:
        """Return the newest rotations of that configured name, newest first, without their steps."""
        ...

    async def of_start(self, server_uuid: str, start_at: datetime | None) -> list[Rotation]:
        """Return, newest first, the server's rotations for that start, and those that never ended."""
        ...

    async def recent(self, server: str | None = None, limit: int = 50) -> list[Rotation]:
        """Return the newest rotations, newest first: of that configured name, or of all."""
        ...

    async def running(self) -> list[Rotation]:
        """Return every rotation that has not ended, newest first: under way in some process, or killed."""
        ...

    async def last_step(self, server_uuid: str, names: Collection[str]) -> Step | None:
        """Return the newest step of one of these names in any rotation of the server."""
        ...

    async def unseen(self, server_uuid: str) -> list[str]:
        """Return the newest names that were asked for by rotations which saw no good backup come of it."""
        ...

    # Backups ---------------------------------------------------------------------------------------------------------

    async def accepted(self, server_uuid: str) -> frozenset[str]:
        """Return the backups of the server that an operator said are no longer suspicious."""
        ...

    async def accept(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Remember that an operator accepted the backup, durably; a second time changes nothing."""
        ...

    async def altered(self, server_uuid: str) -> dict[str, Altered]:
        """Return the backups of ours, by uuid, that the panel keeps under another name than was asked for."""
        ...

    async def was_altered(self, server_uuid: str, backup_uuid: str, altered: Altered, at: datetime) -> None:
        """Remember durably that the panel keeps a backup of ours under another name."""
        ...

    async def asked(self, server_uuid: str) -> frozenset[str]:
        """Return the backups of the server whose deletion was asked for and is not known to be completed."""
        ...

    async def ask(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Remember that the backup's deletion is about to be asked for: durable with what is announced next."""
        ...

    async def asked_no_more(self, server_uuid: str, backup_uuid: str) -> bool:
        """Forget it, since the backup is gone or was seen to be whole; return whether it was remembered."""
        ...

    async def deleted_by_hand(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Remember that an operator deleted the backup, so that it is known to have been there."""
        ...

    async def knows(self, server_uuid: str, backup_uuid: str) -> bool:
        """Return whether anything is remembered of a backup of that server: that it was made, seen or deleted."""
        ...

    async def listed(self, server_uuid: str, backups: Iterable[Backup], at: datetime) -> None:
        """Remember the successful ones of a complete listing, instead of those before."""
        ...

    async def last_listing(self, server_uuid: str) -> tuple[Backup, ...]:
        """Return the successful backups of the server's last complete listing, unlocked; none where none is known."""
        ...

    # Servers ---------------------------------------------------------------------------------------------------------

    async def applied(self, server_uuid: str) -> AppliedRetention | None:
        """Return the retention that was last applied to the server; None where none was."""
        ...

    async def apply(self, server_uuid: str, applied: AppliedRetention) -> None:
        """Remember the retention that is applied to the server, and which is told to come, instead of those before."""
        ...

    async def snapshot(self, taken: Snapshot, size: int) -> None:
        """Remember a server's backups instead of those before, and as the day's end so far that they hold `size`."""
        ...

    async def last_snapshot(self, panel: str, server_id: str) -> Snapshot | None:
        """Return the newest snapshot of the panel's server whose uuid is `server_id`, or begins so."""
        ...

    async def trend(self, server_uuid: str) -> list[Sample]:
        """Return how many bytes the server's backups held, day by day, oldest first; some days may be missing."""
        ...

    # Alerts ----------------------------------------------------------------------------------------------------------

    async def watches(self) -> dict[str, Mapping[str, Any]]:
        """Return what alerts remember of each server, by its name."""
        ...

    async def watch(
        self,
        changes: Mapping[str, Mapping[str, Any] | None],
        at: datetime,
        alerts: Iterable[Alert] = (),
        *,
        whole: bool = False,
    ) -> None:
        """Remember for alerts what is known of these servers, and forget those where it is None; and, in one with it,
        what waits to be told. A newer alert of the same event of a server takes the place of the one before; the
        `whole` of what waits, that of all before.
        """
        ...

    async def alerts(self) -> list[Alert]:
        """Return what waits to be told, oldest first."""
        ...

    async def alerts_sent(self, sent: Iterable[tuple[str, str, str]]) -> None:
        """Forget what was told, or is not to be told any more: by receiver, server and event."""
        ...

    async def prune(self, now: datetime, keep: timedelta = KEPT_FOR, most: int = MOST_ROTATIONS) -> int:
        """Forget rotations older than `keep`, and all but the newest `most`; return how many.

        Age spares each server's newest attempt: when it was decides whether a start was missed. Both spare those that
        made room last, and saw a backup turn good. What is remembered of a backup is forgotten only once a list lacks
        it, or its server is long gone.
        """
        ...


class Locks(Protocol):
    """One rotation at a time per server, across the tasks and processes that share the state."""

    def held(self, server_uuid: str) -> AbstractAsyncContextManager[None]:
        """Hold the server's lock, which ends with the block, or with the process, however that ends.

        ServerBusyError at once where another holds it; StateError where it cannot be had.
        """
        ...

    async def is_held(self, server_uuid: str) -> bool:
        """Whether somebody is known to rotate the server now; never takes the lock, and raises nothing."""
        ...

    async def check(self) -> None:
        """Find out whether locks can be had, and make none; StateError where they cannot."""
        ...


class Presence(Protocol):
    """Which daemons run on the state. Whatever stands in the way hinders no daemon; it just is not known."""

    def known(self) -> AbstractAsyncContextManager[int | None]:
        """Be known as a daemon; gives the process of another one that is known, or None."""
        ...

    async def daemon(self) -> int | None:
        """Return the process of a daemon that is known to run; None where none is."""
        ...


class Engine(Protocol):
    """Where state is kept. It opens nothing until it is asked."""

    @property
    def locks(self) -> Locks:
        """Its locks."""
        ...

    @property
    def presence(self) -> Presence:
        """Its daemons."""
        ...

    async def open(self) -> Journal:
        """Open the journal, making it where it is missing; StateError where that cannot be done."""
        ...

    async def look(self) -> Journal | None:
        """Open the journal for a moment; None where there is none, since looking makes none; raises StateError."""
        ...

    async def check(self) -> None:
        """Find out whether journal and locks can be kept, and make nothing; StateError says why not."""
        ...

    def close(self) -> None:
        """Let go of what the engine itself needs, after what was asked for before; its journals are closed first."""
        ...
