"""Settle what a lost answer left open: look for the result again and again, and never send the write a second time.

The looks come at growing intervals, up to a deadline. No look is retried, since the next one is its retry, and each is
abandoned at the deadline: the caller may hold a node's slot, or keep a person waiting. Only the last look, made at the
deadline, gets the full time of one answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from daemon.clock import Clock
from daemon.core.altered import find_named
from daemon.core.backoff import Backoff
from daemon.core.model import Backup, Completeness
from daemon.panel.answers import READ_SECONDS
from daemon.panel.decode import said_locked
from daemon.panel.errors import (
    ForeignPanelError,
    NotFoundError,
    OutcomeUnknownError,
    PanelError,
    PanelTroubleError,
    PanelUnreachableError,
    StrangeAnswerError,
)
from daemon.panel.listing import MOST_PASSES, Fetch, read_listing
from daemon.panel.wire import is_made_up

PAUSES = Backoff(2.0, 16.0)
"""Seconds between looks: what was lost mostly shows at once, and a proxy's longest wait is over within a few looks."""

SETTLE_SECONDS = 120.0  # of a create
TOGGLE_SECONDS = 30.0  # of a lock
DELETE_SECONDS = 20.0  # of a deletion that a proxy answered: the node may need as long as the panel waits for it
TOGGLE_HINT = "look at the backup in a few minutes (`ptero-backupd backups show`), and only then ask for it once more"

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class TimedLook:
    """One look: the pause before it, how long it may take, and whether it is the last one."""

    pause: float
    seconds: float
    last: bool


def looks(clock: Clock, seconds: float) -> Iterator[TimedLook]:
    """Yield the looks of that many seconds: the first at once, the last when they are over."""
    deadline, pause, number = clock.monotonic() + seconds, 0.0, 0
    while (left := deadline - clock.monotonic()) > pause:
        yield TimedLook(pause, left - pause, last=False)
        number += 1
        pause = PAUSES.pause(number)
    yield TimedLook(max(left, 0.0), READ_SECONDS, last=True)


async def within(seconds: float, action: str, seen: Awaitable[Seen]) -> Seen:
    """Return what is awaited; raises PanelUnreachableError if that takes longer than `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await seen
    except TimeoutError:
        pass
    raise PanelUnreachableError(f"{action}: no answer within {seconds:.0f} s")


async def settle_create(clock: Clock, action: str, fetch: Fetch[Backup], name: str, *, until: float) -> Backup | None:
    """List until a backup of that name appears, for `until` seconds; return None if it surely does not exist.

    If a panel alters names, what it could have made of this one counts as this one. One pass is enough to find it. Only
    the last look, which can say that it is not there, makes as many passes as needed.

    Raises OutcomeUnknownError if the last list could not be read completely.
    """
    trouble: PanelError | None = None
    for look in looks(clock, until):
        await clock.sleep(look.pause)
        passes = MOST_PASSES if look.last else 1
        try:
            listing, _ = await within(look.seconds, action, read_listing(fetch, passes))
        except PanelError as error:
            trouble = error
            continue
        trouble = None
        named = find_named(listing.backups, name)
        for backup in named:
            if not is_made_up(backup.uuid):  # by a name given here nobody could ask for it again
                return backup
        if look.last and listing.completeness is not Completeness.PARTIAL and not named:
            return None
    text = f"{action}: the list could not be read as a whole, so it may exist or not"
    raise OutcomeUnknownError(text) if trouble is None else _still_unknown(text, trouble)


def _still_unknown(text: str, trouble: PanelError) -> OutcomeUnknownError:
    """Return the error for a lost create that could not be looked for; trouble that does not pass gives its hint."""
    hint = None if trouble.transient and not isinstance(trouble, StrangeAnswerError) else trouble.hint
    return OutcomeUnknownError(
        f"{text} ({trouble.text})", status=trouble.status, retry_after=trouble.retry_after, hint=hint
    )


async def settle_toggle(
    clock: Clock, action: str, view: Callable[[], Awaitable[Backup]], locked: bool, lost: OutcomeUnknownError
) -> Backup:
    """View a backup until its lock is as the toggle makes it. Never toggle again: both might be done, late.

    Raises NotFoundError if the backup is gone; OutcomeUnknownError if the lock was not seen to be right within half a
    minute.
    """
    trouble: PanelError | None = None
    for look in looks(clock, TOGGLE_SECONDS):
        await clock.sleep(look.pause)
        try:
            backup = await within(look.seconds, action, view())
            if said_locked(action, backup) is locked:
                return backup
            trouble = None
        except NotFoundError:
            raise
        except PanelError as error:
            trouble = error
    because = f" ({trouble.text})" if trouble else ""
    text = f"{lost.text}; it was not seen to be{because}, and is not asked for again, since it may still come"
    raise OutcomeUnknownError(text, hint=TOGGLE_HINT)


async def settle_delete(
    clock: Clock, action: str, view: Callable[[], Awaitable[Backup]], *, until: float
) -> bool | None:
    """View a backup until the panel no longer knows it, for `until` seconds.

    Return True if it is gone, False if it is still there, None if the last look could not tell.
    """
    stands: bool | None = None
    for look in looks(clock, until):
        await clock.sleep(look.pause)
        try:
            await within(look.seconds, action, view())
            stands = True
        except NotFoundError:
            return True
        except PanelError:
            stands = None
    return None if stands is None else False


def not_deleted(trouble: PanelError, *, stands: bool) -> PanelError:
    """Given the error of a DELETE, and whether its backup was seen to be there since, return the error that says both.

    If the panel itself reported the failure, and the backup is seen after it, the deletion will not happen any more.
    """
    if not stands or isinstance(trouble, ForeignPanelError):
        return trouble
    kind, said = (PanelTroubleError, trouble.__cause__) if trouble.spoken else (type(trouble), trouble)
    return kind(f"{said}; it is still there", status=trouble.status, retry_after=trouble.retry_after)
