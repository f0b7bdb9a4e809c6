"""Reading a backup whole from its node, before all files of a server are deleted for it."""

from daemon.cli.lacking import LackingAsked
from daemon.cli.reader import opened_reader
from daemon.cli.ui.progress import watching
from daemon.copies.reading import as_result
from daemon.core.model import Backup
from daemon.operations.archives import read_to_bring
from daemon.operations.operation import Operation
from daemon.operations.read_first import ReadWhole
from daemon.rotation.preview import Preview
from daemon.transfer.verify import VerifyResult


def reading(operation: Operation, seen: Preview, asked: LackingAsked) -> ReadWhole:
    """Return a function that has a backup of the operation's server read to its end, with its files, showing progress.

    What the backup lacks is `asked` about, and what that raises passes through.
    """

    async def read_whole(backup: Backup) -> VerifyResult:
        async with opened_reader() as worker:
            with watching(backup.name, backup.bytes) as listener:
                found, recorded = await read_to_bring(operation, seen, backup, worker, listener)
        if recorded.trouble is not None:
            operation.tell(f"what was read is not recorded: {recorded.trouble.text}")
        await asked.ask(recorded.lacks)
        return as_result(found)

    return read_whole
