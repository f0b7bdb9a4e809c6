"""From a refusing answer to the one exception for it: the table of the panel's facts, row by row.

The panel's own code decides before the status does: a node's trouble arrives under 403, 404 and 429 as well. An answer
without such a code does not come from the panel itself: a page's 404 never means that a backup is gone.
"""

import re
from collections.abc import Callable

from daemon.panel.answers import Answer, ApiCall, Words
from daemon.panel.errors import (
    ApiLimitError,
    BackupLimitError,
    BackupLockedError,
    CreationThrottledError,
    InvalidRequestError,
    KeyRefusedError,
    Lacking,
    NodeCallError,
    NodeError,
    NotFoundError,
    PanelError,
    PanelTroubleError,
    PermissionLackingError,
    RefusedRequestError,
    ServerStateError,
    StrangeAnswerError,
)

CREATION_MARGIN = 2.0  # the creation throttle's Retry-After is short by up to a second at its boundary
PELICANS_NODE = 500  # whatever the node answered, if it did; a cache out of reach has the same class name (Predis)
_ADDRESS = re.compile(r"\d+(?:\.\d+){3}|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*")  # which it is bound away from
_LIMIT = re.compile(r"limit of (\d{1,9}) backup")


def refusal(answer: Answer, call: ApiCall, *, application: bool = False) -> PanelError:
    """Given an answer that is not 2xx, return the exception for it. `application` says that the key is an
    application's.
    """
    if answer.words is None:
        return _wordless(answer, call)
    said = answer.words.detail.rstrip(".") or answer.words.code or "no reason"  # more is often added to it
    text = f"{call.action}: the panel answers {answer.status}: {said}"
    return _by_code(answer, answer.words, text, call) or _by_status(
        answer, answer.words, text, call, application=application
    )


def _by_code(answer: Answer, words: Words, text: str, call: ApiCall) -> PanelError | None:
    """Given the panel's words, return the exception where the code alone decides."""
    status = answer.status
    match words.code:
        case "DaemonConnectionException":
            return NodeError(text, status=status, retry_after=answer.retry_after)
        case "RequestException" | "ConnectionException" if status == PELICANS_NODE and call.asks_the_node:
            because = f"{text} ({words.code}: its call to the server's node failed)"
            return NodeCallError(because, status=status, retry_after=answer.retry_after)
        case "TooManyBackupsException":
            found = _LIMIT.search(words.detail)
            return BackupLimitError(text, status=status, limit=int(found[1]) if found else None)
        case "BackupLockedException":
            return BackupLockedError(text, status=status)
        case "TooManyRequestsHttpException":
            wait = answer.retry_after
            return CreationThrottledError(
                text, status=status, retry_after=None if wait is None else wait + CREATION_MARGIN
            )
        case _:
            return None


def _by_status(answer: Answer, words: Words, text: str, call: ApiCall, *, application: bool) -> PanelError:
    """Given the panel's words, return the exception if the status decides. For a call without a path, a 404 can only
    mean the address.
    """
    status = answer.status
    if status >= 500:  # noqa: PLR2004 — HTTP's own
        return PanelTroubleError(text, status=status, retry_after=answer.retry_after, spoken=True)
    if status < 400:  # noqa: PLR2004
        return StrangeAnswerError(text, status=status)
    errors: dict[int, Callable[[], PanelError]] = {
        401: lambda: KeyRefusedError(text, status=status),
        403: lambda: PermissionLackingError(text, status=status, kind=_lacking(words.detail, application=application)),
        404: lambda: NotFoundError(text, status=status, hint=None if call.path else NotFoundError.address_hint),
        409: lambda: ServerStateError(text, status=status),  # its words may be in any language
        422: lambda: InvalidRequestError(text, status=status, field=words.field),
        429: lambda: ApiLimitError(text, status=status, retry_after=answer.retry_after),
    }
    return errors.get(status, lambda: RefusedRequestError(text, status=status))()


def _lacking(detail: str, *, application: bool) -> Lacking:
    """Given the words of a 403, in any language, and whether the key is an application's, return what is lacking."""
    if application or "application API key" in detail:
        return Lacking.CLIENT_KEY
    return Lacking.ADDRESS if _ADDRESS.search(detail) else Lacking.PERMISSION


def _wordless(answer: Answer, call: ApiCall) -> PanelError:
    """Given an answer without the panel's words (a proxy's, or no panel's at all), return the exception for it."""
    status = answer.status
    what = f"an HTML page{f' “{answer.title}”' if answer.title else ''}" if answer.is_html else "no error of a panel"
    text = f"{call.action}: answered {status} with {what}"
    match status:
        case _ if 300 <= status < 400:  # noqa: PLR2004
            return StrangeAnswerError(
                f"{call.action}: answered {status}, a redirect, which is never followed", status=status
            )
        case 401:
            return KeyRefusedError(text, status=status, hint=KeyRefusedError.foreign_hint)
        case 429:
            return ApiLimitError(text, status=status, retry_after=answer.retry_after)
        case _ if status >= 500:  # noqa: PLR2004
            return PanelTroubleError(text, status=status, retry_after=answer.retry_after)
        case _:
            return StrangeAnswerError(text, status=status)
