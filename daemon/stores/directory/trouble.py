"""What the system says of a file, as our errors: the one boundary of this engine."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.stores.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
)

_KINDS: dict[int, type[StoreError]] = {
    errno.ENOENT: ObjectMissingError,
    errno.EEXIST: ObjectExistsError,
    errno.ENOSPC: StoreFullError,
    errno.EDQUOT: StoreFullError,
    errno.EACCES: StorePermissionError,
    errno.EPERM: StorePermissionError,
    errno.EROFS: StorePermissionError,
    errno.EFBIG: StoreRefusedError,
    errno.ENAMETOOLONG: StoreRefusedError,
    errno.EISDIR: StoreRefusedError,
    errno.ENOTDIR: StoreRefusedError,
    errno.ELOOP: StoreRefusedError,
    errno.EINVAL: StoreRefusedError,
    errno.ESTALE: StoreUnreachableError,
    errno.ETIMEDOUT: StoreUnreachableError,
    errno.EHOSTDOWN: StoreUnreachableError,
    errno.EHOSTUNREACH: StoreUnreachableError,
    errno.ENETUNREACH: StoreUnreachableError,
    errno.ECONNREFUSED: StoreUnreachableError,
    errno.ENOTCONN: StoreUnreachableError,
    errno.ENODEV: StoreUnreachableError,
}
_PERMISSION_HINT = "look at the owner and the mode of the store's folder, and whether it is mounted read-only"


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise a StoreError for each OSError; `what` says what could not be done."""
    try:
        yield
    except OSError as error:
        kind = _KINDS.get(error.errno or 0, StoreTroubleError)
        hint = _PERMISSION_HINT if kind is StorePermissionError else None
        failure = kind(f"{what}: {error.strerror or type(error).__name__}", hint=hint)
        raise failure from None
