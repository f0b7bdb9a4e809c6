"""The standard streams, as a crontab, a supervisor or a full disk leaves them.

A closed stream becomes /dev/null: otherwise the next file that is opened would take its number, and be written to as if
it were the terminal. A stream that cannot be written to is an error of its own, reported where that is still possible.
"""

import errno
import os
import sys

from daemon.errors import BackupdError, Exit, ProblemCode

STREAMS = (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_WRONLY, "w"), ("stderr", os.O_WRONLY, "w"))
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


class OutputError(BackupdError):
    """The data could not be written to stdout."""

    exit_code = Exit.FAILED
    code = ProblemCode.OUTPUT

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the output cannot be written: {error.strerror or error}")


def open_missing() -> None:
    """Open /dev/null for each closed standard stream; call it before any file is opened."""
    for number, (name, flags, mode) in enumerate(STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the lowest number that is free, which is this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))


def write(text: str) -> None:
    """Write data to stdout; a reader that went away (`… | head`) is no error. Raises OutputError."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _discard()
        if not isinstance(error, BrokenPipeError):
            raise OutputError(error) from error


def output_error(error: Exception) -> OutputError | None:
    """Given the error of a library that prints by itself, return ours if a stream could not be written to."""
    if isinstance(error, OSError) and error.filename is None and error.errno in _UNWRITABLE:
        _discard()
        return OutputError(error)
    return None


def _discard() -> None:
    """Point stdout at /dev/null: what is left in its buffer would fail again at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
