"""Whether the clocks can be trusted with a deletion (invariant 9).

Ages are told by the panel's clock. One that runs two months ahead makes everything old, and a failed backup of an hour
ago one of last month. Nothing here reads a clock: what they show is handed in.
"""

from datetime import timedelta

from daemon.core.units import format_duration

TRUSTED = timedelta(hours=1)
"""How far two clocks may differ, or one may have been set."""

RECENT = timedelta(hours=1)
"""For how long the panel's clock is known after an answer that told it."""


def doubt(*, panel_ahead: timedelta | None, panel_set: timedelta, ours_set: timedelta) -> str:
    """Say why nothing may be deleted by these clocks; nothing where they can be trusted.

    `panel_ahead` is how far the panel's clock is ahead of ours, None where it is not known; `panel_set` and `ours_set`
    how far each was set since the process began. A container beside its panel shares its clock: where both are set
    together, they do not differ.
    """
    if panel_ahead is None:
        return "the panel's answers do not tell what its clock shows (no Date)"
    if abs(panel_ahead) > TRUSTED:
        return f"the panel's clock is {_far(panel_ahead, 'ahead of', 'behind')} ours"
    if abs(ours_set) > TRUSTED:
        return f"this machine's clock was set {_far(ours_set, 'forward', 'back')} while this ran"
    if abs(panel_set) > TRUSTED:
        return f"the panel's clock was set {_far(panel_set, 'forward', 'back')} while this ran"
    return ""


def _far(by: timedelta, forwards: str, backwards: str) -> str:
    """To the minute, which is as much as anybody can act on."""
    minutes = timedelta(minutes=round(abs(by) / timedelta(minutes=1)))
    return f"{format_duration(minutes)} {forwards if by > timedelta(0) else backwards}"
