"""The locks of a server's copies in a store, kept long enough while the store's rules keep the copies.

What must hold: a lock is never made shorter (the engine sees to it), and one store's refusal of one lock leaves no
other copy without. What was seen of locks is remembered, so that a lock is looked at only when half of it is over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core.copies_lock import lock_until, renewals
from daemon.core.copies_prune import CopyVerdict
from daemon.core.copy import Copy
from daemon.stores.base import Store
from daemon.stores.errors import ObjectMissingError, StoreError


@dataclass(slots=True)
class Renewed:
    """What came of it: the copies whose locks are longer now, when the locks of each end, and the first failure."""

    copies: list[Copy] = field(default_factory=list)
    ends: dict[str, datetime] = field(default_factory=dict)
    error: StoreError | None = None


async def renew(
    store: Store, verdicts: Sequence[CopyVerdict], known: Mapping[str, datetime], span: timedelta, now: datetime
) -> Renewed:
    """Lock anew, for so long, what the rules keep and what is due; `known` are the ends by the key of the data."""
    done, until = Renewed(), lock_until(span, now)
    for copy in renewals(verdicts, known, span, now):
        try:
            await store.lock(copy.name.data, until)
            await store.lock(copy.name.manifest, until)
        except ObjectMissingError:  # it went since the listing
            continue
        except StoreError as error:
            done.error = done.error or error
            continue
        done.copies.append(copy)
        done.ends[copy.name.data] = until
    return done
