"""Settling what a lost answer left open: the deed is looked for again and again, and never asked for a second time.

The looks come at growing distances, until a time that holds. Each is made once, since the next one is its repetition,
and is given up when the time is over: whoever settles may hold a node's place, or a person's attention. Only the last
look, made when the time is over, has that of one answer.
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
class Look:
    """One look: the pause before it, how long it may take, and whether it is the last one."""

    pause: float
    seconds: float
    last: bool


def looks(clock: Clock, seconds: float) -> Iterator[Look]:
    """Yield the looks of that time: the first one at once, the last one when the time is over."""
    deadline, pause, number = clock.monotonic() + seconds, 0.0, 0
    while (left := deadline - clock.monotonic()) > pause:
        yield Look(pause, left - pause, last=False)
        number += 1
        pause = PAUSES.pause(number)
    yield Look(max(left, 0.0), READ_SECONDS, last=True)


async def within(seconds: float, action: str, seen: Awaitable[Seen]) -> Seen:
    """Return what is seen; PanelUnreachableError where that takes longer."""
    try:
        async with asyncio.timeout(seconds):
            return await seen
    except TimeoutError:
        pass
    raise PanelUnreachableError(f"{action}: no answer within {seconds:.0f} s")


async def settle_create(clock: Clock, action: str, fetch: Fetch[Backup], name: str, *, until: float) -> Backup | None:
    """List until a backup of that name appears, for `until` seconds; None where it surely did not.

    Where a panel alters names, what it could have made of this one is taken for it. One pass is enough to find it, so
    only the last look, which says that it is not there, takes as many as needed.
    OutcomeUnknownError where the last list could not be read, or not as a whole.
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
    """The error of a lost create that could not be looked for; trouble that does not pass by itself says what to do."""
    hint = None if trouble.transient and not isinstance(trouble, StrangeAnswerError) else trouble.hint
    return OutcomeUnknownError(
        f"{text} ({trouble.text})", status=trouble.status, retry_after=trouble.retry_after, hint=hint
    )


async def settle_toggle(
    clock: Clock, action: str, view: Callable[[], Awaitable[Backup]], locked: bool, lost: OutcomeUnknownError
) -> Backup:
    """View a backup until its lock is as the toggle makes it; a second one is never made: both might be done, late.

    NotFoundError where the backup is gone; OutcomeUnknownError where it was not seen to be so within half a minute.
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
    """View a backup until the panel knows it no more, for `until` seconds.

    True: it is gone; False: it still stands; None: the last look could not tell.
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
    """Given what a DELETE met, and whether its backup was seen to stand since, return the error that says both.

    What the panel itself called failed is not done any more once the backup is seen after it.
    """
    if not stands or isinstance(trouble, ForeignPanelError):
        return trouble
    kind, said = (PanelTroubleError, trouble.__cause__) if trouble.spoken else (type(trouble), trouble)
    return kind(f"{said}; it is still there", status=trouble.status, retry_after=trouble.retry_after)
