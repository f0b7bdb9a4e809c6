"""Reading a backup whole from its node, before all files of a server are deleted for it."""

from functools import partial

from daemon.cli.reader import opened_reader
from daemon.cli.ui.progress import watching
from daemon.copies.jobs import Job, ToProve
from daemon.copies.reading import as_result, read
from daemon.core.model import Backup
from daemon.core.proof import Level
from daemon.core.units import format_size
from daemon.operations.operation import Operation
from daemon.operations.restore import ReadWhole
from daemon.rotation.preview import Preview
from daemon.transfer.expected import Expected
from daemon.transfer.verify import VerifyResult


def reading(operation: Operation, seen: Preview) -> ReadWhole:
    """Return what has a backup of the operation's server read to its end, and its files, and shows the progress."""
    job = Job(seen.config, seen.server, seen.listing, seen.plan.verdicts, {}, (), "")

    async def read_whole(backup: Backup) -> VerifyResult:
        expected = Expected.of(backup)
        asked = ToProve(backup.uuid, Level.SANE, operation.clock.now().toordinal(), bytes=expected.size)
        link = partial(operation.client.download_link, operation.config.id, backup.uuid)
        async with opened_reader() as worker:
            with watching(backup.name, expected.size) as listener:
                listener.said(f"reading {format_size(expected.size)}")
                return as_result(await read(worker, job, asked, listener, link))

    return read_whole
