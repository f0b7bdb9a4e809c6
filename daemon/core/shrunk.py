"""What stays because the usual size of the backups fell, and was taken for the new normal.

The newest whole backup stays for a month, since nobody may have looked yet. The first of the new size stays, and the
two newest: by these the next judgement finds the same row. Without them, what is left would be too small again as long
as larger ones from before are there.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from daemon.core.model import Backup, Reason, Verdict
from daemon.core.states import age
from daemon.core.suspicion import AGREEING, Shrink
from daemon.core.units import format_moment

RULE = "shrunk"
LAST, FIRST, NEWEST, ACCEPTED = "last", "first", "newest", "accepted"
"""The rule of what stays so, and the slots that say for what."""

_FIRST = Reason(RULE, FIRST, "the first since it shrank")
_NEWEST = Reason(RULE, NEWEST, f"among the {AGREEING - 1} newest since it shrank")
_ACCEPTED = Reason(RULE, ACCEPTED, "accepted, so that what came after is measured by it")


def stays_since_it_shrank(
    candidates: Sequence[Backup], own: Sequence[bool], shrinks: Sequence[Shrink], zone: ZoneInfo, now: datetime
) -> dict[int, Reason]:
    """Given the candidates, newest first, and what they shrank by, return by place which stay for it, and why."""
    stays: dict[int, Reason] = {}
    places = {backup.uuid: place for place, backup in enumerate(candidates)}
    for shrink in shrinks:
        if shrink.until is not None and now < shrink.until and shrink.last in places:
            text = (
                f"the last before it shrank; kept until {format_moment(shrink.until, zone)}, or one since is accepted"
            )
            stays.setdefault(places[shrink.last], Reason(RULE, LAST, text))
        if shrink.first in places:
            stays.setdefault(places[shrink.first], _ACCEPTED if shrink.accepted else _FIRST)
        since = (place for place, mine in enumerate(own) if mine is shrink.own)
        for place in islice(since, 0 if shrink.accepted else AGREEING - 1):
            stays.setdefault(place, _NEWEST)
    return stays


def has_shrunk(verdicts: Iterable[Verdict]) -> bool:
    """Return whether the policy's own backups have shrunk and are believed, though no operator said so."""
    return any(verdict.own and _slot(verdict, FIRST) for verdict in verdicts)


def awaits_a_word(verdicts: Iterable[Verdict], backup: Backup) -> bool:
    """Return whether something stays until an operator accepts this good backup, or another one of its size."""
    return any(
        (_slot(one, LAST) and age(one.backup) < age(backup)) or (_slot(one, FIRST) and age(one.backup) <= age(backup))
        for one in verdicts
    )


def last_before_it_shrank(verdicts: Iterable[Verdict]) -> tuple[Backup, str] | None:
    """Return the newest backup that stays since it is the last from before a shrink, with the words that say so."""
    found = ((verdict.backup, _slot(verdict, LAST)) for verdict in verdicts)
    return next(((backup, reason.text) for backup, reason in found if reason), None)


def _slot(verdict: Verdict, slot: str) -> Reason | None:
    return next((one for one in verdict.reasons if (one.rule, one.slot) == (RULE, slot)), None)
