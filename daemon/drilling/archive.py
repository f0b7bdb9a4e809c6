"""A backup that another process reads to its end, and fetches where no link will do (invariant 18)."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from daemon.copies.errors import WorkerError
from daemon.copies.jobs import MOST_INDEXED, ToFetch
from daemon.copies.results import Failure
from daemon.copies.workers import FetchWorker
from daemon.core.files import ArchiveIndex
from daemon.core.model import Backup
from daemon.errors import BackupdError, ProblemCode
from daemon.operations.archive import ReadResult
from daemon.operations.proofs import record_brought, to_bring
from daemon.operations.ways import WayClosedError
from daemon.panel.client import PanelClient
from daemon.rotation.preview import Preview
from daemon.rotation.run import RotationContext
from daemon.transfer.progress import ProgressListener
from daemon.transfer.split import SplitError
from daemon.transfer.verify import Complaint


@dataclass(frozen=True, slots=True)
class BackupElsewhere:
    """A backup of the server that was just `seen`. `worker` reads it, and `listener` hears how far it is."""

    context: RotationContext
    client: PanelClient
    worker: FetchWorker
    seen: Preview
    backup: Backup
    listener: ProgressListener

    async def read(self) -> ReadResult:
        """Have it read to its end."""
        clock = self.context.clock
        job, asked = to_bring(self.seen, self.backup, clock.now(), indexed=MOST_INDEXED)
        began = clock.monotonic()
        async with self.context.downloads:
            found = await self.worker.prove(job, asked, self.link, self.listener)
        if found.failure is not None:
            raise _error(found.failure)
        if found.index is None and not found.problems:
            raise WorkerError("the process that copies reported no files of it")
        recorded = await record_brought(self.context, self.seen, self.backup, asked, found, began=began)
        problems = tuple(Complaint(ProblemCode.NOT_SANE, text) for text in found.problems)
        return ReadResult(problems, found.index or ArchiveIndex(), recorded.lacks, recorded.trouble)

    async def link(self) -> SecretStr:
        """Ask the panel for a link."""
        return await self.client.download_link(self.seen.config.id, self.backup.uuid)

    async def fetch(self, _path: Path, /) -> None:
        """Refuse it: the daemon itself writes no archive."""
        raise WayClosedError("the daemon fetches no archive", hint="`ptero-backupd drill` does")

    async def parts(self, folder: Path, most: int, /) -> AsyncGenerator[Path, None]:
        """Have it fetched into the folder, and split there."""
        job, _ = to_bring(self.seen, self.backup, self.context.clock.now())
        what = ToFetch(self.backup.uuid, folder, most, self.backup.bytes)
        async with self.context.downloads:
            found = await self.worker.fetch(job, what, self.link, self.listener)
        if found.failure is not None:
            raise _error(found.failure)
        for name in found.parts:
            part = folder / Path(name).name
            yield part
            part.unlink(missing_ok=True)  # the disk has it to spare for one drill, not for many


def _error(failure: Failure) -> BackupdError:
    """Return an error that says why the process could not do it."""
    return failure.as_error(SplitError if failure.code is SplitError.code else WorkerError)
