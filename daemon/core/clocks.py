"""Whether the clocks can be trusted with a deletion (invariant 9).

Ages are measured by the panel's clock. If it runs two months ahead, every backup looks old, and one that failed an hour
ago seems to have failed last month. Nothing here reads a clock: the differences are arguments.
"""

from datetime import UTC, datetime, timedelta

from daemon.core.units import format_duration

TRUSTED = timedelta(hours=1)
"""The largest difference between two clocks, or change of one, with which deletions go on."""

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
"""This program is no older, so nothing was done with it before that. The clock of a machine without a battery for it
begins in 1970, or when the system was built, and is set once there is a network.
"""

RECENT = timedelta(hours=1)
"""How long the panel's clock counts as known after an answer with a `Date`."""


def doubt(*, panel_ahead: timedelta | None, panel_set: timedelta, ours_set: timedelta) -> str:
    """Return why nothing may be deleted by these clocks; empty if they can be trusted.

    `panel_ahead` is how far the panel's clock is ahead of ours, None if unknown. `panel_set` and `ours_set` are how far
    each was set since the process began, forward if positive. They matter because a container beside its panel shares
    its clock: if both are set together, they do not differ.
    """
    if panel_ahead is None:
        return "the panel's answers do not tell what its clock shows (no Date)"
    if abs(panel_ahead) > TRUSTED:
        return f"the panel's clock is {_far(panel_ahead, 'ahead of', 'behind')} ours"
    if ours := jumped(ours_set):
        return ours
    if abs(panel_set) > TRUSTED:
        return f"the panel's clock was set {_far(panel_set, 'forward', 'back')} while this ran"
    return ""


def was_set(moment: datetime) -> bool:
    """Return whether a moment was told by a clock that was set; one that was not may be wrong by decades."""
    return moment >= FIRST


def jumped(ours_set: timedelta) -> str:
    """Return why our clock is not to be trusted without another to compare it with: it was set by so much while this
    ran, forward if positive. Empty if it can be trusted.
    """
    if abs(ours_set) <= TRUSTED:
        return ""
    return f"this machine's clock was set {_far(ours_set, 'forward', 'back')} while this ran"


def _far(by: timedelta, forwards: str, backwards: str) -> str:
    """Return the words for that distance, to the minute: nobody can act on seconds."""
    minutes = timedelta(minutes=round(abs(by) / timedelta(minutes=1)))
    return f"{format_duration(minutes)} {forwards if by > timedelta(0) else backwards}"
