"""What a reading found, as it is kept: in the journal, and in the log.

What must hold: what the process that reads archives says is bounded here again, since it reads what others wrote.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from daemon.clock import Clock
from daemon.copies.jobs import ProofFound
from daemon.core.proof import Level, Proof, Proofs, compared
from daemon.core.proof_due import Due
from daemon.log import get_logger
from daemon.proving.look import ServerSeen
from daemon.state import Journal, ProofRecord

log = get_logger()

MOST_PROBLEMS = 11
MOST_WORLDS = 100
LONGEST = 300


@dataclass(frozen=True, slots=True)
class ProofDone:
    """A proof that was done: of which server's backup or copy, so many bytes in so many seconds."""

    record: ProofRecord
    bytes: int
    seconds: float


async def record(
    what: Due, found: ProofFound, seen: ServerSeen, clock: Clock, journal: Journal, *, began: float
) -> ProofDone:
    """Record what was found by a reading that `began` then, by the monotonic clock; raises StateError."""
    proof = proof_of(what, found, clock.now(), seen.preview.proven.proofs)
    kept = ProofRecord(seen.preview.config.name, seen.preview.server.uuid, proof)
    done = ProofDone(kept, what.bytes, clock.monotonic() - began)
    await keep(done, journal)
    return done


def proof_of(what: Due, found: ProofFound, now: datetime, known: Proofs) -> Proof:
    """Return what is recorded of a reading that was done now, compared with what is known of the backup before it."""
    read = Proof(
        what.backup,
        what.name,
        what.made_at,
        now,
        what.level,
        found.reached or Level.READ,
        what.store,
        tuple(_bounded(text) for text in found.problems[:MOST_PROBLEMS]),
        found.files,
        found.bytes,
        tuple(_bounded(text) for text in found.worlds[:MOST_WORLDS]),
    )
    problems = read.problems or compared(read, known.before(read))[:MOST_PROBLEMS]
    return replace(read, problems=problems, reached=None) if problems else read


def _bounded(text: str) -> str:
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:LONGEST])


def described(server: str, backup: str, store: str) -> dict[str, str]:
    """Return whose backup it is, by its name, and in which store, as the log tells it."""
    return {"server": server, "backup": backup} | ({"store": store} if store else {})


async def keep(done: ProofDone, journal: Journal) -> None:
    """Record a proof in the journal and the log; raises StateError."""
    proof, server = done.record.proof, done.record.server
    await journal.record_proof(done.record)
    about = described(server, proof.name, proof.store)
    if proof.problems:
        log.error("proof_failed", **about, level=proof.asked.value, problems=list(proof.problems))
        return
    if not proof.store:  # it has its file, so no deletion of it was done
        await journal.asked_no_more(done.record.server_uuid, proof.backup)
    log.info("proven", **about, level=(proof.reached or proof.asked).value, seconds=round(done.seconds, 3))
