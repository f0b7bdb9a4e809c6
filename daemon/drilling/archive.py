"""A backup that another process reads to its end, and that comes to its new place by a link (invariant 18)."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from daemon.copies.errors import WorkerError
from daemon.copies.jobs import Job, ProofWorker, ToProve
from daemon.core.files import ArchiveIndex
from daemon.core.model import Backup
from daemon.core.proof import Level
from daemon.errors import ProblemCode
from daemon.operations.archive import ReadResult
from daemon.operations.ways import WayClosedError
from daemon.panel.client import PanelClient
from daemon.rotation.run import RotationContext
from daemon.transfer.receive import ProgressListener
from daemon.transfer.verify import Complaint


@dataclass(frozen=True, slots=True)
class BackupElsewhere:
    """A backup of the job's server. `worker` reads it, and `listener` hears how far it is."""

    context: RotationContext
    client: PanelClient
    worker: ProofWorker
    job: Job
    backup: Backup
    listener: ProgressListener

    async def read(self) -> ReadResult:
        """Have it read to its end."""
        day = self.context.clock.now().toordinal()
        asked = ToProve(self.backup.uuid, Level.SANE, day, indexed=True, bytes=self.backup.bytes)
        async with self.context.downloads:
            found = await self.worker.prove(self.job, asked, self.link, self.listener)
        if found.failure is not None:
            error = WorkerError(found.failure.text, hint=found.failure.hint or None)
            error.code = found.failure.code
            raise error
        problems = tuple(Complaint(ProblemCode.NOT_SANE, text) for text in found.problems)
        if found.index is None:
            if not problems:
                raise WorkerError("the process that copies told no file of it")
            return ReadResult(problems, ArchiveIndex())
        return ReadResult(problems, found.index, found.reached)

    async def link(self) -> SecretStr:
        """Ask the panel for a link."""
        return await self.client.download_link(self.job.config.id, self.backup.uuid)

    async def fetch(self, _path: Path, /) -> None:
        """Refuse it: archives do not come onto the daemon's machine."""
        raise WayClosedError("the daemon fetches no archive", hint="`ptero-backupd drill` uploads it, if need be")
