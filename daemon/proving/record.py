"""What a reading found, as it is kept: in the journal, and in the log.

What must hold: what the process that reads archives says is bounded here again, since it reads what others wrote.
"""

from dataclasses import dataclass
from datetime import datetime

from daemon.copies.jobs import ProofFound
from daemon.core.proof import Level, Proof
from daemon.core.proof_due import Due
from daemon.log import get_logger
from daemon.state import Journal, ProofRecord

log = get_logger()

MOST_PROBLEMS = 11
LONGEST = 300


@dataclass(frozen=True, slots=True)
class ProofDone:
    """A proof that was done: of which server's backup or copy, so many bytes in so many seconds."""

    record: ProofRecord
    bytes: int
    seconds: float


def proof_of(what: Due, found: ProofFound, now: datetime) -> Proof:
    """Return what is recorded of a reading that was done now."""
    problems = tuple(_bounded(text) for text in found.problems[:MOST_PROBLEMS])
    reached = None if problems else found.reached or Level.READ
    return Proof(
        what.backup, what.name, what.made_at, now, what.level, reached, what.store, problems, found.files, found.bytes
    )


def _bounded(text: str) -> str:
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:LONGEST])


async def keep(done: ProofDone, journal: Journal) -> None:
    """Record a proof, and say it in the log; raises StateError."""
    proof, server = done.record.proof, done.record.server
    await journal.record_proof(done.record)
    about = {"server": server, "backup": proof.name, **({"store": proof.store} if proof.store else {})}
    if proof.problems:
        log.error("proof_failed", **about, level=proof.asked.value, problems=list(proof.problems))
        return
    if not proof.store:  # it has its file, so no deletion of it was done
        await journal.asked_no_more(done.record.server_uuid, proof.backup)
    log.info("proven", **about, level=(proof.reached or proof.asked).value, seconds=round(done.seconds, 3))
