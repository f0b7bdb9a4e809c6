"""From an answer that is no success to the error that says it. Pure.

The service's own code decides before the status does. Of an answer, only its code and its message are told: the rest of
a body may repeat what was signed.
"""

import re
from http import HTTPStatus

from daemon.stores.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreCredentialsError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnusableError,
)
from daemon.stores.s3.answers import error_words
from daemon.stores.s3.http import Answer

SKEWED = "RequestTimeTooSkewed"

_LONGEST = 200
_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
_FULL = {"QuotaExceeded", "QuotaExceededException", "StorageQuotaExceeded", "XMinioStorageFull", "InsufficientCapacity"}
_KINDS: dict[str, tuple[type[StoreError], str | None]] = {
    **dict.fromkeys(_CREDENTIALS, (StoreCredentialsError, None)),
    **dict.fromkeys(_FULL, (StoreFullError, None)),
    SKEWED: (StoreRefusedError, "set this machine's clock: it is more than 15 minutes from the service's"),
    "NoSuchBucket": (StoreRefusedError, "create the bucket, or correct its name in url"),
    "ConditionalRequestConflict": (StoreTroubleError, "somebody else is writing the same object"),
}
_OTHER_REGION = {"AuthorizationHeaderMalformed", "PermanentRedirect"}
_MOVED = {HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.TEMPORARY_REDIRECT}
_PASSING = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "Throttling"}
_PASSING_STATUS = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}


class UnsupportedError(StoreRefusedError):
    """The service does not know what was asked for, or a header of it."""


class BeyondError(StoreRefusedError):
    """The object ends before the range that was asked for begins."""


_STATUSES: dict[int, type[StoreError]] = {
    HTTPStatus.NOT_FOUND: ObjectMissingError,
    HTTPStatus.PRECONDITION_FAILED: ObjectExistsError,
    HTTPStatus.UNAUTHORIZED: StoreCredentialsError,
    HTTPStatus.FORBIDDEN: StorePermissionError,
    HTTPStatus.INSUFFICIENT_STORAGE: StoreFullError,
    HTTPStatus.NOT_IMPLEMENTED: UnsupportedError,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: BeyondError,
}


def refusal(answer: Answer, what: str) -> StoreError:
    """Given an answer, and what was to be done, return the error."""
    code, message = error_words(answer.body)
    said = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", f"{code} {message}".strip())[:_LONGEST]
    text = f"{what}: the service answers {answer.status}{f': {said}' if said else ''}"
    return _by_code(code, text, answer) or _by_status(text, answer)


def is_passing(answer: Answer) -> bool:
    """Return whether the same request may succeed in a moment."""
    code, _ = error_words(answer.body)
    if code in _FULL or answer.status in {HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.INSUFFICIENT_STORAGE}:
        return False
    return code in _PASSING or answer.status in _PASSING_STATUS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _by_code(code: str, text: str, answer: Answer) -> StoreError | None:
    if answer.status in _MOVED or code in _OTHER_REGION:
        region = answer.headers.get("x-amz-bucket-region", "")
        is_known = re.fullmatch(r"[a-z0-9-]{1,40}", region)
        return StoreUnusableError(text, hint=f'set region = "{region}"' if is_known else "set the bucket's region")
    kind, hint = _KINDS.get(code, (None, None))
    return kind(text, hint=hint) if kind else None


def _by_status(text: str, answer: Answer) -> StoreError:
    usual = StoreTroubleError if is_passing(answer) else StoreRefusedError
    return _STATUSES.get(answer.status, usual)(text)
