"""An archive that a worker reads while somebody waits, with everything that it found.

What must hold: an archive that ends its reader is a bad one, whoever asked. What keeps a backup from being read is
raised, since it says nothing of the backup. A refusal of the panel is raised as this process met it, not as a worker
reported it.
"""

from dataclasses import replace
from datetime import datetime

from pydantic import SecretStr

from daemon.config.values import ServerConfig, StoreConfig
from daemon.copies.errors import ReadError, WorkerDiedError, WorkerError
from daemon.copies.jobs import Job, ToProve
from daemon.copies.manifest import Manifest
from daemon.copies.results import Details, ProofFound
from daemon.copies.verify import Verified
from daemon.copies.workers import GiveLink, ProofWorker
from daemon.core.model import Completeness, Listing, Server
from daemon.errors import ProblemCode
from daemon.panel.errors import PanelError
from daemon.transfer.progress import ProgressListener
from daemon.transfer.verify import Complaint, Contents, VerifyResult


async def no_link() -> SecretStr:
    """Give none: what is read lies in a store."""
    raise AssertionError("a copy is read from its store")


def job_of_copy(server: ServerConfig, store: StoreConfig, manifest: Manifest, now: datetime) -> Job:
    """Return the job of reading a copy, which takes nothing of what the panel shows of the server now."""
    told = manifest.server
    seen = Server(told.uuid, server.id, told.title, node="", backup_limit=0)
    nothing = Listing((), 0, now, Completeness.PARTIAL)
    return Job(server, seen, nothing, (), {store.name: store}, (), "")


async def read(
    worker: ProofWorker, job: Job, asked: ToProve, listener: ProgressListener, link: GiveLink = no_link
) -> ProofFound:
    """Have a backup or a copy read to its end; raises PanelError, ReadError and WorkerError where it cannot be."""
    refused: list[PanelError] = []

    async def give() -> SecretStr:
        try:
            return await link()
        except PanelError as error:
            refused.append(error)
            raise

    try:
        found = await worker.prove(job, replace(asked, detailed=True), give, listener)
    except WorkerDiedError as error:
        text = died(error)
        return ProofFound(None, (text,), details=Details(problems=((ProblemCode.ARCHIVE, text),), died=True))
    if (failure := found.failure) is None:
        if found.details is None or (asked.indexed and found.index is None and not found.problems):
            raise WorkerError("the process that copies left out part of what it was asked for")
        return found
    if refused and refused[-1].code is failure.code:
        raise refused[-1]
    raise failure.as_error(ReadError)


def died(error: WorkerDiedError) -> str:
    """Return in words that an archive ended its reader."""
    return f"its archive cannot be read: {error.text}"


def as_result(found: ProofFound) -> VerifyResult:
    """Return what a reading of a backup found, as a check in this process would."""
    told = _details(found)
    problems, warnings = _complaints(told.problems), _complaints(told.warnings)
    return VerifyResult(told.size, told.checksum, _contents(found), problems, warnings, told.games, found.worlds)


def as_verified(found: ProofFound) -> Verified:
    """Return the same of a copy."""
    told = _details(found)
    return Verified(_contents(found), _complaints(told.problems), _complaints(told.warnings), told.games, found.worlds)


def problems_of(found: ProofFound) -> tuple[Complaint, ...]:
    """Return what is wrong."""
    return _complaints(_details(found).problems)


def _details(found: ProofFound) -> Details:
    return found.details or Details()


def _contents(found: ProofFound) -> Contents | None:
    if found.files is None or found.bytes is None:
        return None
    return Contents(found.files, found.bytes, _details(found).entries)


def _complaints(told: tuple[tuple[ProblemCode, str], ...]) -> tuple[Complaint, ...]:
    return tuple(Complaint(code, text) for code, text in told)
