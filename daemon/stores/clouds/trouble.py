"""What obstore raises, as our errors: the one boundary of this engine."""

import re
from contextlib import AbstractContextManager
from functools import partial

from obstore import exceptions

from daemon.stores.boundary import Kinds, errors_of, kind_of, translating
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

_KINDS: Kinds = (
    ((TimeoutError,), StoreUnreachableError),
    ((FileNotFoundError,), ObjectMissingError),
    ((exceptions.AlreadyExistsError, exceptions.PreconditionError), ObjectExistsError),
    ((exceptions.PermissionDeniedError,), StorePermissionError),
    ((exceptions.UnauthenticatedError,), StoreCredentialsError),
    ((exceptions.NotSupportedError, exceptions.InvalidPathError), StoreRefusedError),
    ((exceptions.BaseError, OSError), StoreTroubleError),
)
_ERRORS = errors_of(_KINDS)
_NO_ANSWER = "no answer in time"
_NOT_REACHED = re.compile(r"error sending request|dns error|timed out|connection (?:refused|reset)", re.IGNORECASE)
_LONGEST = 200


def translated(what: str) -> AbstractContextManager[None]:
    """Raise a StoreError for whatever obstore raises; `what` says what could not be done."""
    return translating(_ERRORS, partial(_failure, what))


def _failure(what: str, error: Exception) -> StoreError:
    """Return our error, with the first line of obstore's words, and no address in it: one may be signed."""
    words = _NO_ANSWER if isinstance(error, TimeoutError) else str(error).partition("\n")[0]
    said = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", re.sub(r"\w+://\S+", "…", words))[:_LONGEST]
    kind = kind_of(error, _KINDS)
    if kind is StoreTroubleError and _NOT_REACHED.search(words):
        kind = StoreUnreachableError
    return kind(f"{what}: {said}")
