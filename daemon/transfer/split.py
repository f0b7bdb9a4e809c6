"""One large archive as several small ones, for a node that takes no large file: unpacked one after the other, they give
the same files.

What must hold: no part is larger than asked; what cannot be split so is refused before the first part is made. Only an
archive that was walked to its end comes here.
"""

import gzip
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.errors import ProblemCode
from daemon.transfer.errors import TransferError, disk_error

LEVEL = 3
OVERHEAD = 64 * 1024
"""Bytes that a member's header, its padding and the end of a part take at most, and what gzip holds back."""


class SplitError(TransferError):
    """The archive cannot be split into parts of that size."""

    code = ProblemCode.WAY_CLOSED


def check_split(path: Path, most: int) -> None:
    """Raise SplitError where `split` cannot give parts of that size."""
    with _trouble(path), tarfile.open(path, "r|gz") as archive:
        for member in archive:
            if member.islnk() or member.issparse():
                raise SplitError(f"{member.name} is a hard link or sparse, and cannot be moved to another archive")
            if member.size + OVERHEAD > most:
                raise SplitError(f"{member.name} alone has {member.size} bytes, and a part {most} at most")
            _forget(archive)


def split(path: Path, folder: Path, most: int) -> Iterator[Path]:
    """Yield parts of at most `most` bytes, each a `.tar.gz` of its own in `folder`; the next one replaces the last.

    Raises SplitError, DiskError; call `check_split` before.
    """
    part = folder / "part.tar.gz"
    with _trouble(path), tarfile.open(path, "r|gz") as archive:
        members = iter(archive)
        member = next(members, None)
        while member is not None:
            member = _fill(part, archive, member, members, most)
            yield part


def _fill(
    part: Path, archive: tarfile.TarFile, first: tarfile.TarInfo, members: Iterator[tarfile.TarInfo], most: int
) -> tarfile.TarInfo | None:
    """Write one part, of `first` and what fits beside it; return the first member that does not, None at the end."""
    member: tarfile.TarInfo | None = first
    with (
        part.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=LEVEL, filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|") as written,
    ):
        while member is not None and (member is first or raw.tell() + member.size + OVERHEAD <= most):
            written.addfile(member, archive.extractfile(member) if member.isreg() else None)
            _forget(archive)
            _forget(written)
            member = next(members, None)
    return member


def _forget(archive: tarfile.TarFile) -> None:
    """Keep tarfile from remembering every member."""
    archive.members.clear()  # type: ignore[attr-defined]  # typeshed does not know of it


@contextmanager
def _trouble(path: Path) -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise SplitError(f"it cannot be split ({error})") from error
    except OSError as error:
        failure = disk_error(error, f"{path} cannot be split")
        raise failure from None
