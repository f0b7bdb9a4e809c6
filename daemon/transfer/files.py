"""A file that is written as NAME.part and gets its name only when it is complete.

What must hold: it is private (0600) from its first byte. NAME never holds half a file, and never replaces another one
without being asked to. The file and its folder are synced before anybody hears that it is done. An existing part is the
beginning of the same transfer: it is continued if the host can, and checked as a whole at the end.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from daemon.core.units import format_size
from daemon.files import is_plain, open_in, opened_folder
from daemon.transfer.errors import NoSpaceError, TargetError, disk_error
from daemon.transfer.expected import USUAL, Expected, Tally

PART = ".part"
MARGIN = 256 * 2**20  # stays free on a large disk,
MARGIN_SHARE = 20  # and the 20th part of a small one
LET_GO_EVERY = 16 * 2**20
READ_SIZE = 2**20


def room(folder: Path) -> tuple[int, int]:
    """Return the bytes that this user may still write to the folder's disk, and its whole size."""
    known = os.statvfs(folder)
    return known.f_bavail * known.f_frsize, known.f_blocks * known.f_frsize


def spare(folder: Path) -> int:
    """Return how many bytes may be written to a folder, so that its disk keeps some room; OSError passes."""
    free, whole = room(folder)
    return free - min(MARGIN, whole // MARGIN_SHARE)


def require_room(folder: Path, size: int) -> None:
    """Raise NoSpaceError if so many bytes have no room in a folder, and OSError where that cannot be told."""
    if size > spare(folder):
        free, _ = room(folder)
        raise NoSpaceError(f"{format_size(size)} do not fit into {folder}, where {format_size(free)} are free")


class PartFile:
    """A sink that writes NAME.part; leaving its context without `publish` removes it, unless `keep` is set."""

    rewinds = True

    def __init__(self, path: Path, algorithm: str = USUAL) -> None:
        self.path = path
        self.part = path.with_name(path.name + PART)
        self.tally = Tally(algorithm)
        self.keep = False
        self._descriptor = -1
        self._let_go_at = 0

    def __enter__(self) -> Self:
        """Open the part for this transfer alone, and read what is in it; raises TargetError, DiskError."""
        with self._trouble("opened"):
            self._descriptor = self._opened()
            try:
                for piece in _pieces(self._descriptor):
                    self.tally.add(piece)
            except BaseException:
                os.close(self._descriptor)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.keep:
            with suppress(OSError):
                self.part.unlink()
        os.close(self._descriptor)

    def foresee(self, size: int) -> None:
        """Raise NoSpaceError if a file of that size has no room, counting what is in the part already."""
        with self._trouble("measured"):
            require_room(self.path.parent, size - self.tally.size)

    def add(self, piece: bytes) -> None:
        """Append the bytes."""
        with self._trouble("written"):
            view = memoryview(piece)
            while view:
                view = view[os.write(self._descriptor, view) :]
            self.tally.add(piece)
            self._let_go()

    def _let_go(self) -> None:
        """From time to time, have the system write its cache to disk and drop the pages.

        A game server on the same machine needs the memory for its own files, and the final sync then has nothing left
        to wait for.
        """
        if self.tally.size - self._let_go_at >= LET_GO_EVERY:
            self._let_go_at = self.tally.size
            with suppress(OSError):  # it is only advice
                os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def restart(self) -> None:
        """Empty the part."""
        with self._trouble("emptied"):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.tally, self._let_go_at = Tally(self.tally.algorithm), 0

    def publish(self, *, replace: bool) -> None:
        """Sync the file and give it its name; raises TargetError if that is taken and must not be replaced."""
        with self._trouble("written to the disk"):
            os.fsync(self._descriptor)
            self.keep = True  # it is whole: neither trouble with the name nor the name itself is a reason to remove it
            if replace:
                self.part.replace(self.path)
            else:
                _rename_to_free_name(self.part, self.path)
            sync_folder(self.path.parent)

    def _opened(self) -> int:
        """Return a descriptor of the part, locked against a second transfer of the same name."""
        with opened_folder(self.part.parent) as folder:
            descriptor = open_in(folder, self.part.name)
        try:
            _lock(descriptor)
            self._look(os.fstat(descriptor))
            os.fchmod(descriptor, stat.S_IRUSR | stat.S_IWUSR)
        except (BlockingIOError, FileNotFoundError):
            failure = TargetError(f"{self.part} is being written by another download", hint="wait until it has ended")
        except BaseException:
            os.close(descriptor)
            raise
        else:
            return descriptor
        os.close(descriptor)
        raise failure

    def _look(self, found: os.stat_result) -> None:
        """Raise TargetError if what was opened cannot be written to."""
        if not stat.S_ISREG(found.st_mode):
            raise TargetError(f"{self.part} is no file", hint="choose another name with --output")
        if found.st_uid not in {os.geteuid(), self.path.parent.stat().st_uid}:
            raise TargetError(f"{self.part} belongs to somebody else", hint="choose another folder with --output")
        if not os.path.samestat(found, self.part.lstat()):  # the other transfer has just given it its name
            raise BlockingIOError
        if not is_plain(found):
            raise TargetError(f"{self.part} has a second name", hint="remove it, or choose another name with --output")

    @contextmanager
    def _trouble(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            failure = disk_error(error, f"{self.part} cannot be {done}")
            raise failure from None


def _lock(descriptor: int) -> None:
    """Raise BlockingIOError if another process holds the lock; on a file system without locks, do nothing."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return


def _rename_to_free_name(part: Path, path: Path) -> None:
    """Rename, but never onto a file that has appeared meanwhile."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise TargetError(f"{path} has come to be there meanwhile", hint="choose another name with --output") from None
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}:
            raise
        part.rename(path)  # a file system without links
        return
    part.unlink()


def sync_folder(folder: Path) -> None:
    """Sync the folder, so that its names are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_there(path: Path, expected: Expected, *, replace: bool) -> bool:
    """Return whether the path already holds the file, its checksum included if there is one.

    Raises TargetError if it holds something else that must not be replaced, or is no file.
    """
    try:
        found = path.lstat()
        tally = _tally(path, found.st_size if stat.S_ISREG(found.st_mode) else 0, expected)
    except FileNotFoundError:
        return False
    except OSError as error:
        failure = disk_error(error, f"{path} cannot be read")
        raise failure from None
    if not stat.S_ISREG(found.st_mode):
        raise TargetError(f"{path} is there and is no file", hint="choose another name with --output")
    difference = expected.difference(tally)
    if difference is None:
        return True
    if replace:
        return False
    hint = "choose another name with --output, or --force to replace it"
    raise TargetError(f"{path} is there and is another file: {difference}", hint=hint)


def _tally(path: Path, size: int, expected: Expected) -> Tally:
    """Return the tally of the file; only its size if that alone shows that it is another file."""
    tally = Tally(expected.algorithm)
    if size != expected.size or expected.checksum is None:
        tally.size = size
        return tally
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for piece in _pieces(descriptor):
            tally.add(piece)
    finally:
        os.close(descriptor)
    return tally


def _pieces(descriptor: int) -> Iterator[bytes]:
    """Yield the bytes of an open file, from its position to its end."""
    while piece := os.read(descriptor, READ_SIZE):
        yield piece
