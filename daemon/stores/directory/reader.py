"""A file that is read: opened through no link, and read at an offset. Every method blocks, and raises OSError."""

import errno
import os
import stat
from pathlib import Path
from threading import Lock

from daemon.stores.directory.tree import opened


class Reader:
    """One file. `open`, `read`, and always `close`; each waits for the one before it, as in `part`."""

    def __init__(self, root: Path, key: str) -> None:
        self._root = root
        *self._folders, self._name = key.split("/")
        self._lock = Lock()
        self._file = -1
        self._closed = False

    def open(self) -> int:
        """Open the file, and return its size in bytes; raises OSError for a link, and for what is no file."""
        with self._lock, opened(self._root, self._folders) as folder:
            if self._closed:  # the call was given up before it began
                return 0
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._file = os.open(self._name, flags, dir_fd=folder)
            return refuse_no_file(os.fstat(self._file)).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Return at most `size` bytes from the offset on; none at the end of the file."""
        with self._lock:
            return os.pread(self._file, size, offset)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._closed = True
            if self._file >= 0:
                os.close(self._file)
                self._file = -1


def refuse_no_file(status: os.stat_result) -> os.stat_result:
    """Return the same; raises OSError if it is a link or a device, FileNotFoundError if it is a folder, as no key has
    one.
    """
    if stat.S_ISDIR(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    return status
