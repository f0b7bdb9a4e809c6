"""What asyncssh raises, as our errors: the one boundary of this engine."""

from contextlib import AbstractContextManager
from functools import partial

import asyncssh

from daemon.stores.boundary import Kinds, errors_of, kind_of, translating
from daemon.stores.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreCredentialsError,
    StoreError,
    StoreFullError,
    StoreIdentityError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
)

_KINDS: Kinds = (
    ((TimeoutError,), StoreUnreachableError),
    ((asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath), ObjectMissingError),
    ((asyncssh.SFTPFileAlreadyExists,), ObjectExistsError),
    ((asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded), StoreFullError),
    ((asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect, asyncssh.SFTPCannotDelete), StorePermissionError),
    ((asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost), StoreUnreachableError),
    ((asyncssh.SFTPError,), StoreTroubleError),
    ((asyncssh.HostKeyNotVerifiable,), StoreIdentityError),
    ((asyncssh.PermissionDenied, asyncssh.PasswordChangeRequired), StoreCredentialsError),
    ((asyncssh.ConnectionLost, OSError), StoreUnreachableError),
    ((asyncssh.Error,), StoreRefusedError),
)
_ERRORS = errors_of(_KINDS)
_NO_ANSWER = "no answer in time"
_PERMISSION_HINT = "look at the owner and the mode of the folder on the store's host"


def translated(what: str) -> AbstractContextManager[None]:
    """Raise a StoreError for whatever asyncssh raises; `what` says what could not be done."""
    return translating(_ERRORS, partial(_failure, what))


def _failure(what: str, error: Exception) -> StoreError:
    kind = kind_of(error, _KINDS)
    said = getattr(error, "reason", "") or getattr(error, "strerror", "") or type(error).__name__
    if isinstance(error, TimeoutError):
        said = _NO_ANSWER
    return kind(f"{what}: {said}", hint=_PERMISSION_HINT if kind is StorePermissionError else None)
