"""What a reading found, as it is kept: in the journal and the log, whoever had the archive read.

What must hold: what the process that reads archives says is bounded here again, since it reads what others wrote.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from daemon.clock import Clock
from daemon.config.values import PolicyConfig
from daemon.copies.jobs import Job, ToProve
from daemon.copies.results import ProofFound
from daemon.core.model import Backup
from daemon.core.proof import MOST_WORLDS, PANEL, Level, Proof, Proofs, Subject, archive_of
from daemon.core.proof_due import ProofRules
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.rotation.preview import Preview
from daemon.rotation.proven import proven_of
from daemon.rotation.run import RotationContext
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


@dataclass(frozen=True, slots=True)
class _Whose:
    """Whose backup or copy was read, what is known of its proofs, and which file that was, if that is known."""

    server: str
    server_uuid: str
    known: Proofs
    archive: str = ""


async def record(
    what: Subject,
    found: ProofFound,
    seen: Preview,
    clock: Clock,
    journal: Journal,
    *,
    began: float,
    told: bool = False,
) -> ProofDone:
    """Record what was found by a reading that `began` then, by the monotonic clock; raises StateError.

    What is wrong is `told` otherwise as well: then the log does not need to say it aloud.
    """
    return await _record(what, found, _as_seen(what, seen), clock, journal, began=began, told=told)


def is_proof(policy: PolicyConfig, found: ProofFound, looked_for: Collection[str] = ()) -> bool:
    """Return whether what was read by hand says something of the backup: not if its reader died, which may be this
    machine's fault. If nobody looked for the files that the policy expects, what is right proves nothing.
    """
    expected = policy.prove.expect if policy.prove else ()
    return not found.died and (bool(found.problems) or set(expected) <= set(looked_for))


async def record_copy(
    job: Job, backup: Backup, asked: ToProve, found: ProofFound, *, clock: Clock, journal: Journal, began: float
) -> None:
    """Record what a reading of a copy by hand found, compared as the scheduled ones are; raises StateError."""
    if (what := _subject(backup, asked)) is not None and is_proof(job.config.policy, found, asked.expect):
        await _record(what, found, await _of_copy(job, journal), clock, journal, began=began, told=True)


async def _record(
    what: Subject, found: ProofFound, whose: _Whose, clock: Clock, journal: Journal, *, began: float, told: bool
) -> ProofDone:
    proof = replace(proof_of(what, found, clock.now(), whose.known), archive=whose.archive)
    done = ProofDone(ProofRecord(whose.server, whose.server_uuid, proof), what.bytes, clock.monotonic() - began)
    await _keep(done, journal, told=told)
    return done


def _as_seen(what: Subject, seen: Preview) -> _Whose:
    return _Whose(seen.config.name, seen.server.uuid, seen.proven.proofs, _archive(what, seen))


async def _of_copy(job: Job, journal: Journal) -> _Whose:
    """Return whose copies a job reads; raises StateError. Their panel is not asked, since it may be gone."""
    known = (await proven_of(job.config.policy, job.server.uuid, journal)).proofs
    return _Whose(job.config.name, job.server.uuid, known)


def _archive(what: Subject, seen: Preview) -> str:
    """Return which file was read: the node's, by the listing that it was held against, and what it looked for."""
    _, expect = depth_to_bring(seen.config.policy)
    listed = (one for one in seen.listing.backups if what.store == PANEL and one.uuid == what.backup)
    return next((archive_of(one, expect) for one in listed), "")


def proof_of(what: Subject, found: ProofFound, now: datetime, known: Proofs) -> Proof:
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
    judged = known.judged(read)
    return replace(judged, problems=judged.problems[:MOST_PROBLEMS])


def _bounded(text: str) -> str:
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:LONGEST])


def described(server: str, backup: str, store: str) -> dict[str, str]:
    """Return whose backup it is, by its name, and in which store, as the log tells it."""
    return {"server": server, "backup": backup} | ({"store": store} if store else {})


async def _keep(done: ProofDone, journal: Journal, *, told: bool) -> None:
    """Record a proof in the journal and the log; raises StateError."""
    proof, server = done.record.proof, done.record.server
    stands = await journal.record_proof(done.record)
    about = described(server, proof.name, proof.store)
    if proof.problems:
        say = log.warning if told else log.error
        say("proof_failed", **about, level=proof.asked.value, problems=list(proof.problems))
        return
    if not proof.store:  # it has its file, so no deletion of it was done
        await journal.asked_no_more(done.record.server_uuid, proof.backup)
    if not stands:  # a clock was ahead when something wrong was found
        log.warning("proof_not_counted", **about, text="a reading that is dated later found something wrong")
        return
    log.info("proven", **about, level=(proof.reached or proof.asked).value, seconds=round(done.seconds, 3))


# Before a backup is brought onto a server ----------------------------------------------------------------------------


def to_bring(seen: Preview, backup: Backup, now: datetime, *, indexed: int = 0) -> tuple[Job, ToProve]:
    """Return how a backup is read before it is brought onto a server: as its proofs are by the server's policy.

    At most `indexed` of its files are told.
    """
    job = Job(seen.config, seen.server, seen.listing, seen.plan.verdicts, {}, (), "")
    level, expect = depth_to_bring(seen.config.policy)
    return job, ToProve(backup.uuid, level, now.toordinal(), expect=expect, indexed=indexed, bytes=backup.bytes)


def depth_to_bring(policy: PolicyConfig) -> tuple[Level, tuple[str, ...]]:
    """Return how deep an archive is read before it is unpacked, and what must be in it: as its policy's proofs ask.

    It is at least walked. A policy without rules has the default ones.
    """
    rules = policy.prove or ProofRules()
    return max(rules.level, Level.WALKED, key=lambda one: one.depth), rules.expect


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of such a reading as a proof: the backup `lacks` what the one before it has, though it is right in
    itself; `trouble` is why the state does not know of it.
    """

    lacks: tuple[str, ...] = ()
    trouble: StateError | None = None


async def record_brought(
    context: RotationContext, seen: Preview, backup: Backup, asked: ToProve, found: ProofFound, *, began: float
) -> Recorded:
    """Record a reading that `began` then, before the backup is brought onto a server.

    It is a proof as the scheduled ones are. A backup whose date is not known has none.
    """
    what = _subject(backup, asked)
    if what is None:
        return Recorded()
    return await _recorded(context, what, found, _as_seen(what, seen), began=began)


async def record_copy_brought(
    context: RotationContext, job: Job, backup: Backup, asked: ToProve, found: ProofFound, *, began: float
) -> Recorded:
    """Record a reading of a backup's copy that `began` then, before that is brought onto a server.

    It is a proof of that copy, as the scheduled ones of copies are, and compared as they are.
    """
    what = _subject(backup, asked)
    if what is None:
        return Recorded()
    try:
        whose = await _of_copy(job, context.journal)
    except StateError as error:
        return Recorded(trouble=error)
    return await _recorded(context, what, found, whose, began=began)


def _subject(backup: Backup, asked: ToProve) -> Subject | None:
    if backup.created_at is None:
        return None
    return Subject(backup.uuid, backup.name, backup.created_at, asked.level, asked.store, asked.bytes)


async def _recorded(
    context: RotationContext, what: Subject, found: ProofFound, whose: _Whose, *, began: float
) -> Recorded:
    try:
        done = await _record(what, found, whose, context.clock, context.journal, began=began, told=True)
    except StateError as error:
        about = described(whose.server, what.name, what.store)
        log.warning("proof_not_journalled", **about, text=error.text)
        proof = proof_of(what, found, context.clock.now(), whose.known)
        return Recorded(_lacks(proof, found, whose.known), error)
    context.on_proof(done.record, done.bytes, done.seconds)
    return Recorded(_lacks(done.record.proof, found, whose.known))


def _lacks(proof: Proof, found: ProofFound, known: Proofs) -> tuple[str, ...]:
    """Return what the backup lacks, unless an operator accepted just that."""
    of_it = (one for one in known if (one.backup, one.store) == (proof.backup, proof.store))
    accepted = any(one.accepted and one.problems == proof.problems for one in of_it)
    return () if found.problems or accepted else proof.problems
