"""One deletion: its DELETE leaves while what it was decided on is known to be true, or not at all.

Before a DELETE, every failed backup, and any backup that was seen more than a minute ago, is read again. If its lock,
state or presence differs, or the clock that it was judged by was set, it is not deleted (invariants 4 and 9).
"""

from collections.abc import Callable

from daemon.clock import Clock
from daemon.core.model import Backup
from daemon.panel.client import PanelClient
from daemon.panel.errors import (
    BackupLockedError,
    HeldBackError,
    NotFoundError,
    OutcomeUnknownError,
    PanelError,
    PanelTroubleError,
)

FRESH_SECONDS = 60.0
MOMENT_SECONDS = 5.0  # between a look at one backup and its DELETE
LOOKS = 5
PAUSES = (2.0, 8.0)  # seconds before a DELETE that failed is asked for again
REPEAT_SECONDS = 60.0  # since the first, after which it is left to the next rotation
REPEATED = (PanelTroubleError, OutcomeUnknownError)
"""Errors after which a DELETE is sent again while its backup is still there: it may be half deleted."""


class ChangedError(Exception):
    """A backup, the configuration or a clock is no longer what the decision rested on; the text says how.

    `begun` is True if a DELETE had been sent by then that the panel may have half done.
    """

    begun = False


class GoneError(ChangedError):
    """The backup is gone."""


def expect(holds: bool, otherwise: str) -> None:
    """Raise ChangedError with the text `otherwise` unless the condition still holds."""
    if not holds:
        raise ChangedError(otherwise)


async def delete_seen(
    client: PanelClient,
    clock: Clock,
    server_id: str,
    listed: Backup,
    *,
    seen_at: float | None,
    by_the_clock: bool = False,
    still: Callable[[], None] = lambda: None,
) -> bool:
    """Delete one backup if it is still what was seen of it; return whether it was there.

    `seen_at` is when it was seen, by the monotonic clock; None reads it again in any case. The DELETE leaves within a
    minute of the listing, or within seconds of a look, or not at all, however long the API limit holds requests back.
    One that was decided on `by_the_clock` of the panel leaves only while nothing casts doubt on that clock. `still` is
    called right before it leaves, and raises ChangedError if what it was decided by holds no more. After a 5xx or a
    lost answer it is sent again, a few times, as long as the backup is seen unchanged. Raises ChangedError, and
    PanelError if the panel refuses.
    """
    until, repeated = clock.monotonic() + REPEAT_SECONDS, False
    unknown: OutcomeUnknownError | None = None
    for pause in (*PAUSES, REPEAT_SECONDS):
        try:
            return await _delete_fresh(
                client, clock, server_id, listed, seen_at=seen_at, by_the_clock=by_the_clock, still=still
            )
        except GoneError as gone:
            if not repeated:
                raise
            if await _surely_gone(client, server_id, listed):
                return True
            text = f"{gone} or seems to be, and nothing says whether its deletion did that"
            raise unknown or OutcomeUnknownError(text) from None
        except (ChangedError, PanelError) as error:
            if isinstance(error, OutcomeUnknownError):
                unknown = error  # and stays so, whatever comes of a later one: the first may still be done
            if isinstance(error, ChangedError):
                error.begun = repeated
            if not isinstance(error, REPEATED) or clock.monotonic() + pause >= until:
                raise unknown or error from None
        await clock.sleep(pause)
        seen_at, repeated = None, True
    raise AssertionError("the last pause is longer than the time there is")


async def _surely_gone(client: PanelClient, server_id: str, listed: Backup) -> bool:
    """Return whether the panel says again that a backup is gone; False if it does not answer."""
    try:
        return await client.is_gone(server_id, listed.uuid)
    except PanelError:
        return False


async def _delete_fresh(
    client: PanelClient,
    clock: Clock,
    server_id: str,
    listed: Backup,
    *,
    seen_at: float | None,
    by_the_clock: bool,
    still: Callable[[], None],
) -> bool:
    """Delete one backup as soon as the API limit allows it, looking again whenever it was seen too long ago."""
    fresh_until = float("-inf") if seen_at is None else seen_at + FRESH_SECONDS
    held_back: HeldBackError | None = None
    for _ in range(LOOKS):
        if clock.monotonic() >= fresh_until:
            fresh_until = await _look_again(client, clock, server_id, listed) + MOMENT_SECONDS
        doubt = client.clock_doubt() if by_the_clock else ""
        expect(not doubt, doubt)
        try:
            return await client.delete(server_id, listed.uuid, not_after=fresh_until, still=still)
        except HeldBackError as error:
            held_back, fresh_until = error, float("-inf")
        except BackupLockedError as error:
            raise ChangedError(f"{listed.name} was locked meanwhile") from error
    raise held_back or AssertionError("at least one look was taken")


async def _look_again(client: PanelClient, clock: Clock, server_id: str, listed: Backup) -> float:
    """Return when the backup was last seen unchanged; raises ChangedError if it has changed."""
    try:
        now = await client.backup(server_id, listed.uuid, urgent=True)
    except NotFoundError as error:
        raise GoneError(f"{listed.name} is gone") from error
    seen = (now.locked, now.successful, now.completed_at is None, now.unreadable)
    was = (listed.locked, listed.successful, listed.completed_at is None, listed.unreadable)
    expect(seen == was, f"{listed.name} changed its lock or state")
    return clock.monotonic()
