"""What obstore raises, as our errors: the one boundary of this engine."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions

from daemon.stores.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreCredentialsError,
    StoreError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
)

_KINDS: tuple[tuple[tuple[type[Exception], ...], type[StoreError]], ...] = (
    ((FileNotFoundError,), ObjectMissingError),
    ((exceptions.AlreadyExistsError, exceptions.PreconditionError), ObjectExistsError),
    ((exceptions.PermissionDeniedError,), StorePermissionError),
    ((exceptions.UnauthenticatedError,), StoreCredentialsError),
    ((exceptions.NotSupportedError, exceptions.InvalidPathError), StoreRefusedError),
    ((exceptions.BaseError, OSError), StoreTroubleError),
)
_FAILURES = tuple(error for errors, _ in _KINDS for error in errors)
_NOT_REACHED = re.compile(r"error sending request|dns error|timed out|connection (?:refused|reset)", re.IGNORECASE)
_LONGEST = 200


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise a StoreError for whatever obstore raises; `what` says what could not be done."""
    try:
        yield
    except TimeoutError:
        failure: StoreError = StoreUnreachableError(f"{what}: no answer in time")
    except _FAILURES as error:
        failure = _failure(error, what)
    else:
        return
    raise failure from None


def _failure(error: Exception, what: str) -> StoreError:
    """Return our error, with the first line of obstore's words, and no address in it: one may be signed."""
    words = str(error).partition("\n")[0]
    said = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", re.sub(r"\w+://\S+", "…", words))[:_LONGEST]
    kind = next(kind for errors, kind in _KINDS if isinstance(error, errors))
    if kind is StoreTroubleError and _NOT_REACHED.search(words):
        kind = StoreUnreachableError
    return kind(f"{what}: {said}")
