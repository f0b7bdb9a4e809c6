"""The drill at the end: the newest good backup of one server, restored onto a spare one, which is started.

It is what `ptero-backupd drill` does; the spare server's files are real ones, in a folder.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.clock import Clock
from daemon.config.values import Config
from daemon.copying.process import ChildProcess
from daemon.core.drills import choose_backup
from daemon.operations.archives import BackupArchive
from daemon.operations.drill import Drilled, DrillOptions, drill
from daemon.operations.operation import open_operation
from daemon.operations.sent import usual_ways
from daemon.rotation.setup import Tell
from daemon.sandbox.scenes import SPARE
from daemon.transfer.progress import ProgressListener, Unheard


async def run_drill(config: Config, clock: Clock, folder: Path, tell: Tell) -> Drilled | None:
    """Run the configured drill, and tell its steps; None where there is no good backup."""
    chosen = config.drills[SPARE]
    source, onto = config.servers[chosen.sources[0]], config.servers[chosen.server]
    async with (
        open_operation(source, state=config.state, clock=clock, tell=tell) as origin,
        open_operation(onto, state=config.state, clock=clock, tell=tell) as spare,
    ):
        seen = await origin.look()
        backup = choose_backup(seen.plan.verdicts, seen.proven.proofs)
        if backup is None:
            return None
        ways = usual_ways(spare, _unheard, folder)
        options = DrillOptions(SPARE, source.name, seen.server.uuid, ways, chosen.start, chosen.watch)
        reader = ChildProcess()
        try:
            return await drill(spare, BackupArchive(origin, seen, backup, _unheard, reader), options)
        finally:
            await reader.close()


@contextmanager
def _unheard(_name: str, _size: int) -> Iterator[ProgressListener]:
    yield Unheard()
