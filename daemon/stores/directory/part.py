"""A file until it has its name: written beside it, brought to the disk, then named without replacing anything.

Every method blocks, and waits for the one before it: a call whose deadline has passed may still be running in its
thread.
"""

import ctypes
import errno
import fcntl
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Lock

from daemon.files import FILE_MODE, as_owner
from daemon.stores.directory.tree import opened
from daemon.stores.parts import new_id, part_name
from daemon.stores.streams import Block

LET_GO_EVERY = 16 * 2**20
_NO_REPLACE = 1  # RENAME_NOREPLACE of renameat2(2)
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}


class Part:
    """What is written for one key. It is used once: `open`, `write`, and `publish` or `discard`. Raises OSError."""

    def __init__(self, root: Path, key: str) -> None:
        self._root = root
        *self._folders, self._name = key.split("/")
        self._part = part_name(self._name, new_id())
        self._stack = ExitStack()
        self._lock = Lock()
        self._folder = self._file = -1
        self._discarded = False
        self._named: os.stat_result | None = None
        self._size = self._let_go_at = 0

    def open(self) -> None:
        """Make the file (0600); raises FileExistsError if something has the name already."""
        with self._lock:
            if self._discarded:  # the call was given up before it began
                return
            self._folder = self._stack.enter_context(opened(self._root, self._folders, make=True))
            self._refuse_taken()
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with as_owner(self._folder):
                self._file = os.open(self._part, flags, FILE_MODE, dir_fd=self._folder)
            self._stack.callback(os.close, self._file)
            with suppress(OSError):  # a file system without locks has no say
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, piece: Block) -> None:
        """Append the bytes; now and then, let the system write them and forget them, for the sake of its neighbours."""
        with self._lock:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            self._size += len(piece)
            if self._size - self._let_go_at >= LET_GO_EVERY:
                self._let_go_at = self._size
                with suppress(OSError):  # it is only advice
                    os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)

    def publish(self) -> os.stat_result:
        """Bring the file to the disk and give it its name; raises FileExistsError if something has come to have it."""
        with self._lock:
            os.fsync(self._file)
            name_without_replacing(self._folder, self._part, self._name)
            self._named = os.fstat(self._file)
            os.fsync(self._folder)
            self._stack.close()
            return self._named

    def discard(self) -> None:
        """Close everything and remove the file, even if it has got its name meanwhile: that was reported to nobody."""
        with self._lock, self._stack:
            self._discarded = True
            if self._named is not None:
                self._remove_named(self._named)
            elif self._file >= 0:
                with suppress(FileNotFoundError):
                    os.unlink(self._part, dir_fd=self._folder)

    def _remove_named(self, ours: os.stat_result) -> None:
        """Remove the file under its name, unless that is another's by now."""
        with suppress(FileNotFoundError), opened(self._root, self._folders) as folder:
            if os.path.samestat(os.stat(self._name, dir_fd=folder, follow_symlinks=False), ours):
                os.unlink(self._name, dir_fd=folder)
                os.fsync(folder)

    def _refuse_taken(self) -> None:
        with suppress(FileNotFoundError):
            os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def name_without_replacing(folder: int, part: str, name: str) -> None:
    """Give the file its name. By a link where the file system has links (NFS too), else by a rename that replaces
    nothing (SMB, FAT). Raises FileExistsError if the name is taken.
    """
    try:
        os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        os.unlink(part, dir_fd=folder)
        return
    failed = _rename(folder, part, name)
    if failed:
        raise OSError(failed, os.strerror(failed))


def _rename(folder: int, part: str, name: str) -> int:
    """Rename without replacing; the error's number, 0 for none."""
    system = ctypes.CDLL(None, use_errno=True)
    if system.renameat2(folder, os.fsencode(part), folder, os.fsencode(name), _NO_REPLACE) == 0:
        return 0
    return ctypes.get_errno()
