"""The folder of this machine in which an archive lies while a drill sends it to a node.

What must hold: nothing stays there once a drill has ended, and nothing of one that was killed once that is cleared up,
or a daemon has begun (`left`).
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from daemon.drilling.left import NAME
from daemon.files import make_folder
from daemon.transfer.errors import disk_error
from daemon.transfer.threads import in_thread


@asynccontextmanager
async def drill_folder(state_dir: Path | None) -> AsyncIterator[Path]:
    """Return an empty folder for the length of a block: in the state folder, if there is one. Raises DiskError."""
    if state_dir is None:
        with TemporaryDirectory(prefix="drill-") as elsewhere:
            yield Path(elsewhere)
        return
    folder = state_dir / NAME
    await _removed(folder)
    _made(folder)
    try:
        yield folder
    finally:
        await _removed(folder)


async def _removed(folder: Path) -> None:
    """Remove the folder. One that holds a world is not removed at once, and the daemon has more to do."""
    try:
        folder.rmdir()  # noqa: ASYNC240 — as a rule it is empty, since the node fetches the archive itself
    except FileNotFoundError:
        return
    except OSError:
        await in_thread(lambda: shutil.rmtree(folder, ignore_errors=True))


def _made(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        failure = disk_error(error, f"{folder} cannot be made")
    else:
        return
    raise failure
