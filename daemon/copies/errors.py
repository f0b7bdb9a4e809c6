"""Define what can go wrong between a backup and its copies; a store's own errors are `daemon/stores/errors`.

CopyError             exit 4
├── ManifestError     what stands beside a copy's data is no manifest of it
├── EncryptionError   it cannot be encrypted or decrypted: no extra, no such recipient, not this identity
├── WorkerError       the process that copies met a bug, or cannot be started
│   └── WorkerDiedError   it ended or hung amid a job
├── CopiesFrozenError 5   a proof of the server's has failed, so that nothing of it is deleted
└── CopiesBusyError   3   another run makes or prunes this server's copies
"""

from daemon.errors import BackupdError, Exit, ProblemCode


class CopyError(BackupdError):
    """A copy could not be made, or cannot be used."""

    exit_code = Exit.FAILED
    code = ProblemCode.COPY


class ManifestError(CopyError):
    """A manifest cannot be read, or tells of another copy."""

    code = ProblemCode.MANIFEST
    default_hint = "the object was damaged or changed by somebody; `copies list` shows what else there is"


class EncryptionError(CopyError):
    """A copy cannot be encrypted or decrypted."""

    code = ProblemCode.ENCRYPTION


class WorkerError(CopyError):
    """The process that copies met a bug or cannot be started; what it was doing counts as a failed try."""

    code = ProblemCode.COPY_PROCESS
    default_hint = "the daemon tries again by itself; if it comes again, look whether the machine has enough memory"


class WorkerDiedError(WorkerError):
    """The process that copies ended or hung amid a job: the archive that it read may be the reason."""


class ReadError(CopyError):
    """A backup or a copy cannot be read by the process that was asked to; code and hint are those that it told."""

    default_hint = ""


class CopiesFrozenError(CopyError):
    """A proof of the server's has failed, so that nothing of it is deleted anywhere (invariant 17)."""

    exit_code = Exit.REFUSED
    code = ProblemCode.UNPROVEN


class CopiesBusyError(CopyError):
    """Another run makes or prunes the copies of this server."""

    exit_code = Exit.SOME_FAILED  # by the contract: skipped for a passing state
    code = ProblemCode.BUSY
    default_hint = "wait until the other `copies run` or `copies prune` has ended"
