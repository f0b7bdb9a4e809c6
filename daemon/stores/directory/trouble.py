"""What the system says of a file, as our errors: the one boundary of this engine."""

import errno
from contextlib import AbstractContextManager
from functools import partial

from daemon.stores.boundary import translating
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


def translated(what: str) -> AbstractContextManager[None]:
    """Raise a StoreError for each OSError; `what` says what could not be done."""
    return translating((OSError,), partial(_failure, what))


def _failure(what: str, error: Exception) -> StoreError:
    kind = _KINDS.get(getattr(error, "errno", None) or 0, StoreTroubleError)
    hint = _PERMISSION_HINT if kind is StorePermissionError else None
    return kind(f"{what}: {getattr(error, 'strerror', None) or type(error).__name__}", hint=hint)
