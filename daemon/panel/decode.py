"""From a 2xx answer to the value that the call promised, or to the error that says why it holds none.

Some forks of the panel answer writes with other objects; that is refused with a clear message. A 2xx without JSON does
not come from a panel at all; after a write, it leaves open whether the write was done.
"""

from collections.abc import Callable
from typing import TypeVar

from daemon.core.model import Backup
from daemon.panel.answers import Answer, ApiCall, clean
from daemon.panel.errors import ForeignPanelError, OutcomeUnknownError, PanelError, StrangeAnswerError
from daemon.panel.wire import UnreadableError, is_made_up, read_backup

Value = TypeVar("Value")

ACCEPTED = 202  # "accepted for later": a job, whatever the body says


def understood(call: ApiCall, answer: Answer, read: Callable[[object], Value]) -> Value:
    """Return the answer's document as a value; raises StrangeAnswerError if it cannot be read."""
    try:
        return read(answer.document)
    except UnreadableError as error:
        reason = f"a page “{answer.title}”" if answer.is_html and answer.title else str(error)
    raise StrangeAnswerError(f"{call.action}: the answer cannot be understood: {reason}", status=answer.status)


def this_backup(call: ApiCall, answer: Answer, uuid: str) -> Backup:
    """Given an answer that must hold this very backup, return it; it may be strange."""
    backup = read_backup(answer.document)
    if backup.uuid.lower() == uuid.lower():
        return backup
    raise _other(call, answer, "this backup")


def new_backup(call: ApiCall, answer: Answer) -> Backup:
    """Given the answer to a creation, return the backup that was made."""
    backup = read_backup(answer.document)
    if is_made_up(backup.uuid) or answer.status == ACCEPTED:
        raise _other(call, answer, "the new backup")
    return backup


def said_locked(action: str, backup: Backup) -> bool:
    """Return the backup's lock; raises StrangeAnswerError if the panel did not give it: then it is assumed."""
    if "is_locked" in (backup.unreadable or ""):
        raise StrangeAnswerError(f"{action}: the panel does not say whether it is locked: {backup.unreadable}")
    return backup.locked


def nothing(call: ApiCall, answer: Answer) -> None:
    """Check that an answer is empty, as the panel's is when it has nothing to say."""
    if answer.status == ACCEPTED or answer.body.strip():
        raise _other(call, answer, "nothing")


def _other(call: ApiCall, answer: Answer, expected: str) -> PanelError:
    """Given an answer that holds something else, return the error for it."""
    text = f"{call.action}: answered {answer.status} with "
    if not isinstance(answer.document, dict):
        text += f"no JSON object instead of {expected}"
        if call.reads:
            return StrangeAnswerError(text, status=answer.status)
        return OutcomeUnknownError(f"{text}, and nothing says whether it was done", status=answer.status)
    kind = answer.document.get("object")
    text += f"an object of kind {clean(kind)!r}" if isinstance(kind, str) else "an object of unknown kind"
    text += f" instead of {expected}"
    return (StrangeAnswerError if call.reads else ForeignPanelError)(text, status=answer.status)
