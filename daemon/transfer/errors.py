"""What can go wrong between a stream of bytes and a file.

TransferError               exit 4
├── NotGoodError            the backup is pending or failed: there is nothing to fetch, whatever the panel hands out
├── WrongFileError          it came to its end, and is not what the panel says
├── TargetError             the file that is to be written is in the way of somebody
└── DiskError               the system refuses to write
    └── NoSpaceError        there is no room, or would be none
"""

import errno

from daemon.errors import BackupdError, Exit, ProblemCode


class TransferError(BackupdError):
    """A backup could not be fetched."""

    exit_code = Exit.FAILED
    code = ProblemCode.TRANSFER


class NotGoodError(TransferError):
    """The backup is pending or failed."""

    code = ProblemCode.NOT_GOOD


class WrongFileError(TransferError):
    """The file that came is not what the panel says."""

    code = ProblemCode.WRONG_FILE
    default_hint = "the file on the node or in the store is damaged, or is still written to; make a new backup"


class TargetError(TransferError):
    """The target is in use, is no file, or holds something else."""

    code = ProblemCode.TARGET


class DiskError(TransferError):
    """The system does not let us write."""

    code = ProblemCode.DISK
    default_hint = "look at the folder's permissions and at its disk"


class NoSpaceError(DiskError):
    """There is too little room."""

    code = ProblemCode.DISK_FULL
    default_hint = "free some space, or choose another folder with --output"


def disk_error(error: OSError, doing: str) -> DiskError:
    """Given the system's error, return ours for it."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return (NoSpaceError if full else DiskError)(f"{doing}: {error.strerror or type(error).__name__}")
