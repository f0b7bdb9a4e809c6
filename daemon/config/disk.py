"""Reading a file that an operator named: whatever it is, reading it never blocks and never fills the memory."""

import errno
import os
import stat
from pathlib import Path


def read_file(file: Path, most: int) -> bytes:
    """Return a file's content; raises OSError if it is no regular file, or larger than `most` bytes.

    A pipe without a writer would make the daemon wait for ever, and a device may never end.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file")
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most >> 10} KiB")
    return content


def read_text(file: Path, most: int) -> str:
    """Return a file's text, without the byte order mark that some editors put first; raises as `read_file` does.

    Raises UnicodeDecodeError if it is not UTF-8.
    """
    return read_file(file, most).decode("utf-8-sig")


Look = tuple[str, int, int]
"""What tells one state of a file or folder from another: where it is, when it was last written, and its size. Not the
number of its inode, which some file systems make up anew each time.
"""


def look(path: Path) -> Look | None:
    """Return what is at a path now, through every link on the way; None if nothing can be seen there."""
    try:
        real = os.path.realpath(path, strict=True)
        seen = os.stat(real)  # noqa: PTH116 — of what the links lead to now
    except (OSError, ValueError):
        return None
    return real, seen.st_mtime_ns, seen.st_size


def is_there(file: Path) -> bool:
    """Return whether there is a file, or anything that prevents us from knowing that there is none."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True  # to read it will say what is wrong
    return True


def is_replaced(file: Path) -> bool:
    """Return whether the file was replaced or removed after it was mounted by itself, so that we read its old content.

    A container's mount of a single file keeps the file that it was; `sed -i` and most editors write a new one.
    """
    try:
        return file.stat().st_nlink == 0
    except OSError:
        return False


REPLACED = "was replaced after it was mounted, and the old one is read; mount its folder instead, and start anew"
