"""Reading a file that an operator named: whatever it turns out to be, nobody waits for it and no memory is filled."""

import errno
import os
import stat
from pathlib import Path


def read_file(file: Path, most: int) -> bytes:
    """Return a file's content; OSError for what is no regular file, or larger than `most` bytes.

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
