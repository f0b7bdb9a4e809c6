"""The locks of copies in a store that has Object Lock: until when, and which are renewed.

What must hold: a lock is never made shorter, and only a copy that the store's rules keep gets a longer one. What stays
merely because it is locked, or for the brake's sake, would otherwise stay for ever.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from daemon.core.copies_prune import NOT_BY_RULES, CopyVerdict
from daemon.core.copy import Copy
from daemon.core.model import Action

RENEWED_BEFORE = timedelta(days=2)
"""A store is pruned once a day, at one of the looks, which are twelve hours apart: a lock has to outlast that."""


def lock_until(span: timedelta, now: datetime) -> datetime:
    """Return until when a copy is locked that is made or renewed now."""
    return now + span


def is_due(until: datetime | None, span: timedelta, now: datetime) -> bool:
    """Whether a lock is to be renewed: half of its span is over, it may end before the next prune, or there is none.

    So a store that is looked after daily asks for little, and one that was away for days misses none.
    """
    return until is None or until - now < max(span / 2, RENEWED_BEFORE)


def renewals(
    verdicts: Iterable[CopyVerdict], locks: Mapping[str, datetime], span: timedelta, now: datetime
) -> tuple[Copy, ...]:
    """Return the copies whose locks are to be renewed: the rules keep them, and they are due.

    `locks` say, by the key of the data, when the earlier of the locks of data and manifest ends, where that is known.
    """
    return tuple(
        one.copy for one in verdicts if _is_kept_by_rules(one) and is_due(locks.get(one.copy.name.data), span, now)
    )


def _is_kept_by_rules(verdict: CopyVerdict) -> bool:
    return verdict.action is Action.KEEP and not any(reason.rule in NOT_BY_RULES for reason in verdict.reasons)
