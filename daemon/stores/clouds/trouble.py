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
_STATUS = re.compile(r"status code: (\d{3}[\w ]*)|\(code: (\d{3})\)")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_BY_STATUS: dict[str, type[StoreError]] = {"401": StoreCredentialsError, "403": StorePermissionError}
"""What obstore calls an error like any other where a listing, or one of several deletions, is refused."""

_WRONG_KEY = ("AuthenticationFailed", "InvalidAuthenticationInfo")
"""What Azure says of a key that it does not know, with 403 or 401:
https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
"""

_ANY_REASON = "check the store's key, and whether it has the right to do this: the service does not say which it is"
_LONGEST = 200


def translated(what: str) -> AbstractContextManager[None]:
    """Raise a StoreError for whatever obstore raises; `what` says what could not be done."""
    return translating(_ERRORS, partial(_failure, what))


def _failure(what: str, error: Exception) -> StoreError:
    """Return our error, with the service's status and code, or else the first line of obstore's words, and no address
    in it: one may be signed.
    """
    words = _NO_ANSWER if isinstance(error, TimeoutError) else str(error)
    first, status, code = words.partition("\n")[0], _STATUS.search(words), _CODE.search(words)
    number = (status[1] or status[2]).strip() if status else ""
    kind = kind_of(error, _KINDS)
    if kind is StoreTroubleError:
        kind = StoreUnreachableError if _NOT_REACHED.search(first) else _BY_STATUS.get(number[:3], kind)
    if code and code[1] in _WRONG_KEY:
        kind = StoreCredentialsError
    said = f"the service answers {number}{f' ({code[1]})' if code else ''}" if number else _harmless(first)
    return kind(f"{what}: {said}", hint=_ANY_REASON if kind is StorePermissionError and not code else None)


def _harmless(words: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", re.sub(r"\w+://\S+", "…", words))[:_LONGEST]
