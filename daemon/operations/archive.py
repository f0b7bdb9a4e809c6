"""An archive that can be brought onto a server, whoever reads it and wherever it lies."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from daemon.core.files import ArchiveIndex
from daemon.core.model import Backup
from daemon.errors import StateError
from daemon.transfer.progress import ProgressListener
from daemon.transfer.split import check_split, split
from daemon.transfer.threads import in_thread
from daemon.transfer.verify import Complaint

Watching = Callable[[str, int], AbstractContextManager[ProgressListener]]
"""Given a name and a size in bytes, return a listener for the progress of a transfer, for the length of a block."""


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What an archive was found to be: what is wrong with it, and the files that it holds.

    It `lacks` what the backup before it has. `unrecorded` is why the state does not know of this.
    """

    problems: tuple[Complaint, ...]
    index: ArchiveIndex
    lacks: tuple[str, ...] = ()
    unrecorded: StateError | None = None


class Archive(Protocol):
    """An archive that can be brought onto a server."""

    @property
    def backup(self) -> Backup:
        """The backup that it is of; its size is the archive's."""
        ...

    async def read(self) -> ReadResult:
        """Read it to its end; raises BackupdError where it cannot be had."""
        ...

    async def link(self) -> SecretStr | None:
        """Return a signed link by which a node can fetch it; None where there is none. Raises BackupdError."""
        ...

    async def fetch(self, path: Path, /) -> None:
        """Fetch it into a new file, checked; raises BackupdError."""
        ...

    def parts(self, folder: Path, most: int, /) -> AsyncGenerator[Path, None]:
        """Yield archives of at most `most` bytes that hold its files together, made in a folder of ours.

        Each may be gone once the next one is asked for. Raises SplitError where it cannot be split so, BackupdError.
        """
        ...


async def fetched(archive: Archive, folder: Path) -> Path:
    """Return the archive as a file in a folder of ours, which it is fetched into once; raises BackupdError."""
    path = folder / "archive.tar.gz"
    if not path.exists():
        await archive.fetch(path)
    return path


async def fetched_parts(archive: Archive, folder: Path, most: int) -> AsyncGenerator[Path, None]:
    """Yield the parts of an archive that this process fetches and splits itself; raises as `Archive.parts` does."""
    path = await fetched(archive, folder)
    if path.stat().st_size <= most:
        yield path
        return
    await in_thread(lambda: check_split(path, most))
    parts = split(path, folder, most)
    while (part := await in_thread(lambda: next(parts, None))) is not None:
        yield part
