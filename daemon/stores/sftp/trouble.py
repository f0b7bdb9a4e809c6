"""What asyncssh raises, as our errors: the one boundary of this engine."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh

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

_KINDS: tuple[tuple[tuple[type[Exception], ...], type[StoreError]], ...] = (
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
FAILURES = tuple(error for errors, _ in _KINDS for error in errors)
_PERMISSION_HINT = "look at the owner and the mode of the folder on the store's host"


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise a StoreError for whatever asyncssh raises; `what` says what could not be done."""
    try:
        yield
    except TimeoutError:
        failure: StoreError = StoreUnreachableError(f"{what}: no answer in time")
    except FAILURES as error:
        failure = _failure(error, what)
    else:
        return
    raise failure from None


def _failure(error: Exception, what: str) -> StoreError:
    kind = next(kind for errors, kind in _KINDS if isinstance(error, errors))
    said = getattr(error, "reason", "") or getattr(error, "strerror", "") or type(error).__name__
    return kind(f"{what}: {said}", hint=_PERMISSION_HINT if kind is StorePermissionError else None)
