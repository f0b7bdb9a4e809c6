"""A drill: a backup brought onto a spare server, started there if that was asked for, watched, and deleted again.

What must hold: only a server whose description carries the mark is touched, and it is looked at again before each
deletion (invariant 19); nothing is started unless that was asked for; what a drill showed is recorded of the very
backup that it was of, and one that failed freezes nothing, since the spare server may be to blame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.model import Backup, Verdict
from daemon.core.proof import Level, Proof, Proofs
from daemon.operations.archives import Archive
from daemon.operations.onto import DRILL_MARK, Brought, OntoOptions, bring_onto
from daemon.operations.operation import Operation
from daemon.operations.target import NotEmptiedError, TargetFiles
from daemon.operations.ways import Way
from daemon.rotation.outcome import Result
from daemon.state import ProofRecord


@dataclass(frozen=True, slots=True)
class DrillOptions:
    """Whether the spare server is started, and for how long it must run then."""

    ways: Sequence[Way]
    start: bool = False
    watch: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Drilled:
    """How it ended. `seconds` is from the first byte read until the files were there, or the server ran; None where
    it did not come so far.
    """

    brought: Brought
    seconds: float | None


async def drill(spare: Operation, archive: Archive, options: DrillOptions) -> Drilled:
    """Bring an archive onto the spare server, try it, and delete it there."""
    began = spare.clock.monotonic()
    took: list[float] = []

    async def try_it(target: TargetFiles) -> None:
        spare.going_on = f"{spare.config.name} has the files of the drill; the next drill deletes them"
        if options.start:
            await target.start()
        took.append(spare.clock.monotonic() - began)
        if options.start:
            await target.runs_for(options.watch)
            await target.stop()
        await _clear(spare, target)

    brought = await bring_onto(
        spare,
        archive,
        OntoOptions(ways=options.ways, truncate=True, stop=True, safety=False, spare_only=True, afterwards=try_it),
    )
    return Drilled(brought, took[0] if took else None)


async def _clear(spare: Operation, target: TargetFiles) -> None:
    """Delete everything, if the server still carries the mark."""
    if DRILL_MARK not in (await spare.client.server(spare.config.id)).description:
        raise NotEmptiedError(f"{spare.config.name} does not carry {DRILL_MARK} any more, so its files stay")
    spare.tell(f"deleting all files of {spare.config.name}")
    await target.empty()


def choose_backup(verdicts: Sequence[Verdict], proofs: Proofs) -> Backup | None:
    """Return the newest whole backup that was proven, else the newest whole one; None where there is none.

    One that a proof showed to be damaged is never tried: that it fails is known.
    """
    whole = [one.backup for one in verdicts if one.whole and proofs.failed(one.backup.uuid) is None]
    return next((one for one in whole if proofs.proven(one.uuid, Level.WALKED)), next(iter(whole), None))


def last_drilled(proofs: Sequence[ProofRecord], level: Level) -> datetime | None:
    """Return when a backup of that server was last shown to be so far restorable; None if none ever was."""
    return max((one.proof.at for one in proofs if one.proof.asked.depth >= level.depth), default=None)


def proof_of_drill(server: str, server_uuid: str, done: Drilled, now: datetime, *, started: bool) -> ProofRecord | None:
    """Return what a drill that went well shows of its backup; None for one that failed."""
    backup, level = done.brought.outcome.backup, done.brought.level
    if done.brought.outcome.result is not Result.DONE or backup is None or level is None or backup.created_at is None:
        return None
    asked, reached = (Level.RESTORED, Level.RESTORED) if started else (Level.SANE, level)
    return ProofRecord(server, server_uuid, Proof(backup.uuid, backup.name, backup.created_at, now, asked, reached))
