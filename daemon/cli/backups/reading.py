"""Reading a backup whole from its node, before all files of a server are deleted for it."""

from daemon.cli.ui.progress import watching
from daemon.copies.source import node_source
from daemon.core.model import Backup
from daemon.core.units import format_size
from daemon.operations.operation import Operation
from daemon.operations.restore import ReadWhole
from daemon.proof.sane import SanityCheck
from daemon.transfer.expected import Expected
from daemon.transfer.threads import in_thread
from daemon.transfer.verify import VerifyResult, verify


def reading(operation: Operation) -> ReadWhole:
    """Return what reads a backup of the operation's server to its end, looks into its files, and shows the progress."""

    async def read(backup: Backup) -> VerifyResult:
        expected = Expected.of(backup)
        config = operation.config
        with watching(backup.name, expected.size) as listener:
            listener.said(f"reading {format_size(expected.size)}")
            source = node_source(
                operation.client,
                config.id,
                backup,
                clock=operation.clock,
                listener=listener,
                clear=config.panel.clear_links,
            )
            return await in_thread(lambda: verify(source, expected, SanityCheck))

    return read
