"""The journal as every engine keeps it: what each rotation did (`rotations`), and what is remembered beside that.

What must hold beside what `base` says of every call:

Writes happen in the order of the calls. A write is done completely or not at all, and survives a kill of the process
once its call has returned.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from daemon.core.applied import AppliedRetention
from daemon.core.copies_queue import CopyQueue
from daemon.core.drills import DrillRecord, DrillResult
from daemon.core.model import Backup
from daemon.core.names import Altered
from daemon.core.proof import Proof
from daemon.errors import StateError
from daemon.state.rotations import Rotations
from daemon.state.values import (
    Alert,
    CopyRecord,
    Marks,
    ProofAsked,
    ProofRecord,
    Sample,
    Snapshot,
)

KEPT_FOR = timedelta(days=400)
TREND_KEPT_FOR = timedelta(days=90)
PROVEN_KEPT_FOR = timedelta(days=7)
"""A day is over for one member of a cluster before it is for another whose clock is behind."""

MOST_ROTATIONS = 100_000
MOST_DRILLS = 1000

OF_BACKUPS = ("accepted", "altered", "asked")
"""The tables of what is remembered of single backups."""


class Journal(Rotations, Protocol):
    """What each rotation did, step by step, and other records beside it. Every call may raise StateError."""

    @property
    def persistent(self) -> bool:
        """Whether what is written outlives the process."""
        ...

    @property
    def trouble(self) -> StateError | None:
        """Why the last call failed, until something could be written again; it reads no storage."""
        ...

    @property
    def set_aside(self) -> Path | None:
        """The path of a damaged journal that this one replaces; None if there was none."""
        ...

    async def look_after(self) -> None:
        """Find out whether what is written still goes where the next daemon looks for it."""
        ...

    async def probe(self) -> None:
        """Write something that changes nothing."""
        ...

    async def close(self) -> None:
        """Close it, after all earlier calls; a second time does nothing, and it raises nothing."""
        ...

    # Backups ---------------------------------------------------------------------------------------------------------

    async def marks(self, server_uuid: str) -> Marks:
        """Return all that is remembered of single backups of the server."""
        ...

    async def accepted(self, server_uuid: str) -> frozenset[str]:
        """Return the backups of the server that an operator accepted as not suspicious."""
        ...

    async def accept(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Record, durably, that an operator accepted the backup; a second time changes nothing."""
        ...

    async def altered(self, server_uuid: str) -> Mapping[str, Altered]:
        """Return the backups of ours, by uuid, that the panel keeps under another name than was asked for."""
        ...

    async def was_altered(self, server_uuid: str, backup_uuid: str, altered: Altered, at: datetime) -> None:
        """Record, durably, that the panel keeps a backup of ours under another name."""
        ...

    async def asked(self, server_uuid: str) -> frozenset[str]:
        """Return the backups of the server whose deletion was asked for and is not known to be completed."""
        ...

    async def ask(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Record that the backup's deletion is about to be asked for: it is durable with the next announcement."""
        ...

    async def asked_no_more(self, server_uuid: str, backup_uuid: str) -> bool:
        """Forget it, since the backup is gone or whole, or nothing was begun; return whether it was recorded."""
        ...

    async def deleted_by_hand(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Record that an operator deleted the backup, so that it is known to have existed."""
        ...

    async def knows(self, server_uuid: str, backup_uuid: str) -> bool:
        """Return whether anything is recorded of a backup of that server: that it was made, seen or deleted."""
        ...

    async def listed(self, server_uuid: str, backups: Iterable[Backup], at: datetime) -> None:
        """Record the successful backups of a complete listing, in place of the earlier ones."""
        ...

    async def last_listing(self, server_uuid: str) -> tuple[Backup, ...]:
        """Return the successful backups of the server's last complete listing, unlocked; none if none is known."""
        ...

    # Servers ---------------------------------------------------------------------------------------------------------

    async def applied(self, server_uuid: str, store: str = "") -> AppliedRetention | None:
        """Return the retention that was last applied to the server on its panel, or in a store; None if none was."""
        ...

    async def apply(self, server_uuid: str, applied: AppliedRetention, store: str = "") -> None:
        """Record the retention that is applied to the server there, and the one that was announced, in place of the
        earlier ones.
        """
        ...

    async def snapshot(self, taken: Snapshot, size: int) -> None:
        """Record a server's backups in place of the earlier ones, and that they hold `size` at the end of the day so
        far.
        """
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
        """Record for alerts what is known of these servers, None to forget one, and in the same transaction which
        messages wait. A newer alert of the same event of a server replaces the earlier one; with `whole`, the messages
        replace all that wait.
        """
        ...

    async def alerts(self) -> list[Alert]:
        """Return the messages that wait, oldest first."""
        ...

    async def claim_alerts(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Take these messages in hand, so as to send them at once; return those that this daemon may send now.

        A daemon that is alone may send them all. In a cluster it may send those that still wait, as they wait by now,
        unless another member has them in hand. A claim ends by the database's clock, long after a message was sent.
        """
        ...

    async def alerts_sent(self, sent: Iterable[tuple[str, str, str]], *, claimed: bool = False) -> None:
        """Forget messages that were sent, or will not be sent any more: by receiver, server and event. With `claimed`
        only those that this daemon has in hand still, without it none that another member has.
        """
        ...

    # Copies ----------------------------------------------------------------------------------------------------------

    async def copy_queue(self) -> CopyQueue:
        """Return all that waits to be copied to stores, and the stores that are in trouble."""
        ...

    async def requeue_copies(self, before: CopyQueue, after: CopyQueue) -> None:
        """Record what changed between the two: all of it or nothing."""
        ...

    async def record_copies(self, records: Iterable[CopyRecord]) -> None:
        """Record what became of copies: made, failed or pruned."""
        ...

    async def copy_records(
        self, server: str | None = None, store: str | None = None, limit: int = 50
    ) -> list[CopyRecord]:
        """Return what became of the last copies, newest first: of that configured server, that store, both, or all."""
        ...

    # Proofs ----------------------------------------------------------------------------------------------------------

    async def proofs(self, server_uuid: str | None = None) -> list[ProofRecord]:
        """Return the last reading of each backup and copy for each level, of a server or all, oldest backup first."""
        ...

    async def record_proof(self, record: ProofRecord) -> bool:
        """Record, durably, what a reading found, in place of the earlier one of the same backup, place and level.

        What an operator accepted of that one stays accepted if the same is wrong still. Something wrong that was found
        later stays; return whether the reading is what stands now. One that found something wrong ends all of that
        backup and place that are dated later and right, however deep they looked: a clock was ahead (invariant 17).
        """
        ...

    async def accept_proof(self, server_uuid: str, backup_uuid: str, at: datetime) -> bool:
        """Record, durably, that an operator accepts what proofs found wrong with a backup, wherever it was read.

        Return whether anything was wrong that was not accepted before.
        """
        ...

    async def forget_proofs(self, server_uuid: str, proofs: Iterable[Proof]) -> None:
        """Forget these readings."""
        ...

    async def bytes_proven(self, day: date) -> int:
        """Return how many bytes were read for proofs on that day (UTC)."""
        ...

    async def prove_bytes(self, day: date, size: int, *, after: int | None = None) -> bool:
        """Record that so many more bytes are about to be read on that day, and forget those that are long over.

        If more than `after` bytes are recorded for that day already, record nothing: another member of the cluster has
        taken what was left. If `after` is None, record it in any case. Return whether it was recorded.
        """
        ...

    async def proofs_asked(self) -> list[ProofAsked]:
        """Return since when proofs are asked for of each server of which they are, by panel and identifier."""
        ...

    async def ask_proofs(self, asked: Collection[ProofAsked], no_more: Collection[tuple[str, str]] = ()) -> None:
        """Record since when proofs are asked for of these servers, in place of what was recorded of them, and forget it
        of those, by panel and identifier, of which they are asked for `no_more`: all of it or nothing.
        """
        ...

    # Drills ----------------------------------------------------------------------------------------------------------

    async def drills(self, server: str | None = None, limit: int = MOST_DRILLS) -> list[DrillRecord]:
        """Return the last drills, newest first: of backups of that configured server, or of all."""
        ...

    async def begin_drill(self, record: DrillRecord) -> int:
        """Record, durably, that a drill begins, and return its number."""
        ...

    async def drill_puts(self, number: int, names: Collection[str]) -> None:
        """Record, durably, what the drill is about to put onto its spare server, which is empty now."""
        ...

    async def end_drill(
        self, number: int, *, at: datetime, result: DrillResult, seconds: float | None = None, text: str = ""
    ) -> None:
        """Record, durably, how a drill ended; it has no effect on one that has ended already."""
        ...

    async def prune(self, now: datetime, keep: timedelta = KEPT_FOR, most: int = MOST_ROTATIONS) -> int:
        """Forget rotations and records of copies older than `keep`, and all but the newest `most` of each; return how
        many rotations. Of drills that have ended, forget those older than `keep`, and all but the newest MOST_DRILLS.

        Age spares each server's newest attempt, since its time decides whether a start was missed. Both spare the
        rotations that last made room and last saw a backup turn good. Records of a backup are forgotten only once a
        listing lacks it, or its server is long gone; so is since when proofs of a server are asked for.
        """
        ...
