"""When to alert an operator: once as a trouble begins and once as it ends, but of every suspicious backup.

An `AlertState` is what one server's alerts said so far. Each function returns the next state and the alerts to send.
Nothing here knows what a rotation is made of, who receives an alert, or by what means.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from daemon.core.calendar import Starts
from daemon.core.units import rfc3339

GRACE = timedelta(minutes=30)

STORE_PATIENCE = timedelta(minutes=15)
"""A store that is in trouble for less needs no alert: a few tries of a service that restarts."""


DIFFER_PATIENCE = timedelta(minutes=15)
"""Members of a cluster that differ for less need no alert: a configuration reaches one after the other."""

NOBODY_PATIENCE = timedelta(minutes=5)
"""A cluster in which nobody acts for less needs no alert: a member that is restarted is back by then."""

PROMOTION_NEWS = timedelta(days=1)
"""How long a promotion is shown. One that is older when it is first seen needs no alert: nobody could be told then."""


class Event(StrEnum):
    """What an alert can say of a server, a store or the cluster."""

    FAILED = "failed"
    LIMIT = "limit"
    SUSPICIOUS = "suspicious"
    OVERDUE = "overdue"
    UNCOPIED = "uncopied"
    STORE = "store"
    UNPRUNED = "unpruned"
    UNPROVEN = "unproven"
    PROOF_LATE = "proof_late"
    DRILL_FAILED = "drill_failed"
    PROMOTED = "promoted"
    MEMBERS_DIFFER = "members_differ"
    NOBODY_ACTS = "nobody_acts"
    NEW_NORMAL = "new_normal"
    COPIED = "copied"
    PRUNED = "pruned"
    PROVEN = "proven"
    DRILLED = "drilled"
    RECOVERED = "recovered"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class AlertState:
    """The troubles of one server that an alert was sent for, and that have not ended.

    `alerted` began since the last good backup, and the next one ends them. `beside` began although there was a good
    backup, and go on; if backups then fail to come, that is a trouble of its own. `backup` is the uuid of the last
    backup that a DONE was sent for. `uncopied` are the stores that an UNCOPIED was sent for, `unpruned` those of an
    UNPRUNED, `unproven` says that an UNPROVEN was sent, and `drill_failed` that a DRILL_FAILED was. `proof_late` is the
    backup that had been read last when a PROOF_LATE was sent, "" if none had been. `promoted` is the last promotion of
    a cluster's database that was seen, in the cluster's own state.
    """

    alerted: frozenset[Event] = frozenset()
    beside: frozenset[Event] = frozenset()
    backup: str | None = None
    uncopied: frozenset[str] = frozenset()
    unpruned: frozenset[str] = frozenset()
    unproven: bool = False
    proof_late: str | None = None
    drill_failed: bool = False
    promoted: str | None = None


@dataclass(frozen=True, slots=True)
class RotationReport:
    """How a rotation ended: whether there is a new good backup, and what is wrong.

    `shrunk`: the backup is good only because several before it were as small. `trouble` needs an alert; `lasting` needs
    none yet, but an alert for it that was sent before still holds. `excused`: there was nothing to do. `backup` is the
    uuid of the good backup, if known; a retry may report the one that an earlier attempt made.
    """

    good: bool = False
    shrunk: bool = False
    trouble: Event | None = None
    lasting: Event | None = None
    excused: bool = False
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert to send. `after` are the troubles alerted before: with RECOVERED and NEW_NORMAL those that have ended,
    with OVERDUE those that explain why no backup came. `stores` are those that it is about.
    """

    event: Event
    after: tuple[Event, ...] = ()
    stores: tuple[str, ...] = ()


def reported(state: AlertState, report: RotationReport) -> tuple[AlertState, tuple[Alert, ...]]:
    """Given how a rotation ended, return the next state and the alerts. One trouble is not alerted twice before a good
    backup has ended it.

    Each suspicious backup is alerted: a third in a row is news. If a row of them is believed in the end, that is no
    RECOVERED but a NEW_NORMAL, since nobody has seen a whole backup again.
    """
    news = []
    if report.good:
        going_on = state.beside & {report.trouble, report.lasting}
        over = state.alerted | (state.beside - going_on)
        if over:
            believed = report.shrunk and Event.SUSPICIOUS in over
            news.append(Alert(Event.NEW_NORMAL if believed else Event.RECOVERED, tuple(sorted(over))))
        state = replace(state, alerted=frozenset(), beside=going_on)
    known = state.beside if report.good else state.alerted
    if report.trouble is not None and (report.trouble not in known or report.trouble is Event.SUSPICIOUS):
        known |= {report.trouble}
        state = replace(state, beside=known) if report.good else replace(state, alerted=known)
        news.append(Alert(report.trouble))
    if report.good and report.trouble is None and (report.backup is None or report.backup != state.backup):
        state = replace(state, backup=report.backup or state.backup)
        news.append(Alert(Event.DONE))
    return state, tuple(news)


def due_by(fine_at: datetime, starts: Starts, timeout: timedelta) -> datetime:
    """Return when the next good backup is overdue. `fine_at` is when all was last well.

    That is one interval after `fine_at`, or the first start since if that is later; plus `timeout`, plus `GRACE`.
    """
    first = starts.after(fine_at)
    interval = starts.after(first) - first
    return max(first, fine_at + interval) + timeout + GRACE


def looked(state: AlertState, due: datetime, now: datetime) -> tuple[AlertState, tuple[Alert, ...]]:
    """Return the next state, and OVERDUE if the moment has passed; a machine that slept through it alerts on waking."""
    if now < due or Event.OVERDUE in state.alerted:
        return state, ()
    alert = Alert(Event.OVERDUE, tuple(sorted(state.alerted)))
    return replace(state, alerted=state.alerted | {Event.OVERDUE}), (alert,)


def copies_looked(
    state: AlertState, *, stores: Collection[str], late: Collection[str], copied: Collection[str]
) -> tuple[AlertState, tuple[Alert, ...]]:
    """Look at the copies of a server: which of its `stores` have lacked one for too long, and which have the newest.

    A store is alerted once, until it has the newest good backup again; as long as that is not known, nothing has ended.
    """
    known, news = _stores_looked(state.uncopied.intersection(stores), late, copied, Event.UNCOPIED, Event.COPIED)
    return replace(state, uncopied=known), news


def pruning_looked(
    state: AlertState, *, stores: Collection[str], held: Collection[str], pruned: Collection[str]
) -> tuple[AlertState, tuple[Alert, ...]]:
    """Look at the pruning of a server's `stores`: in which the brake holds all or some of it, and which are pruned.

    A store is alerted once, until it is known to be pruned as its rules say.
    """
    known, news = _stores_looked(state.unpruned.intersection(stores), held, pruned, Event.UNPRUNED, Event.PRUNED)
    return replace(state, unpruned=known), news


def _stores_looked(
    known: frozenset[str], troubled: Collection[str], fine: Collection[str], event: Event, end: Event
) -> tuple[frozenset[str], tuple[Alert, ...]]:
    """Given the stores that `event` was sent for, return those it holds for now, and the alerts."""
    new, over = frozenset(troubled) - known, known.intersection(fine)
    news = []
    if over:
        news.append(Alert(end, (event,), tuple(sorted(over))))
    if new:
        news.append(Alert(event, stores=tuple(sorted(new))))
    return (known - over) | new, tuple(news)


def proofs_looked(state: AlertState, *, frozen: bool) -> tuple[AlertState, tuple[Alert, ...]]:
    """Look at the proofs of a server: a failed one freezes it or not. However many fail, it is alerted once."""
    if frozen == state.unproven:
        return state, ()
    news = Alert(Event.UNPROVEN) if frozen else Alert(Event.PROVEN, (Event.UNPROVEN,))
    return replace(state, unproven=frozen), (news,)


def proof_lateness_looked(
    state: AlertState, *, late: bool, waits: bool, read: str
) -> tuple[AlertState, tuple[Alert, ...]]:
    """Look at whether a server lacks a proof for too long; it is alerted once, until a newer backup is read.

    `read` is the newest backup that was read, "" if there is none, and `waits` says that there is a newer one. That it
    is not late any more ends nothing: the backups that waited may have been deleted.
    """
    if late and state.proof_late is None:
        return replace(state, proof_late=read), (Alert(Event.PROOF_LATE),)
    if late or state.proof_late is None or (waits and read == state.proof_late):
        return state, ()
    return replace(state, proof_late=None), (Alert(Event.PROVEN, (Event.PROOF_LATE,)),)


def drills_looked(state: AlertState, *, failed: bool) -> tuple[AlertState, tuple[Alert, ...]]:
    """Look at the drills of a server: the last one failed or not. However many fail in a row, it is alerted once."""
    if failed == state.drill_failed:
        return state, ()
    news = Alert(Event.DRILL_FAILED) if failed else Alert(Event.DRILLED, (Event.DRILL_FAILED,))
    return replace(state, drill_failed=failed), (news,)


def store_looked(
    state: AlertState, store: str, trouble_since: datetime | None, now: datetime
) -> tuple[AlertState, tuple[Alert, ...]]:
    """Look at a store that is in trouble since that moment, or in none; however often it is tried, it is alerted once.

    `state` is the store's own.
    """
    known = Event.STORE in state.alerted
    if trouble_since is None:
        return AlertState(), (Alert(Event.RECOVERED, (Event.STORE,), (store,)),) if known else ()
    if known or now - trouble_since < STORE_PATIENCE:
        return state, ()
    return AlertState(frozenset({Event.STORE})), (Alert(Event.STORE, stores=(store,)),)


def cluster_looked(
    state: AlertState,
    *,
    differ_since: datetime | None,
    nobody_since: datetime | None,
    promoted_at: datetime | None,
    now: datetime,
) -> tuple[AlertState, tuple[Alert, ...]]:
    """Look at a cluster: since when its members differ, since when nobody acts, and when its database was promoted
    last. `state` is its own.

    Each of the two that last is alerted once, and its end; each promotion once, and it has no end.
    """
    news = []
    for event, since, patience in (
        (Event.MEMBERS_DIFFER, differ_since, DIFFER_PATIENCE),
        (Event.NOBODY_ACTS, nobody_since, NOBODY_PATIENCE),
    ):
        if since is None and event in state.alerted:
            state = replace(state, alerted=state.alerted - {event})
            news.append(Alert(Event.RECOVERED, (event,)))
        elif since is not None and event not in state.alerted and now - since >= patience:
            state = replace(state, alerted=state.alerted | {event})
            news.append(Alert(event))
    if promoted_at is not None and (promoted := rfc3339(promoted_at)) != state.promoted:
        state = replace(state, promoted=promoted)
        if now - promoted_at < PROMOTION_NEWS:
            news.append(Alert(Event.PROMOTED))
    return state, tuple(news)


def wanted(news: Alert, events: Collection[Event]) -> bool:
    """Return whether a receiver that asked for these events gets the alert.

    RECOVERED goes only to receivers of what has ended, OVERDUE only to those that have not been sent the reason yet.
    NEW_NORMAL takes the place of RECOVERED, and also goes to receivers of suspicious backups. COPIED is the
    RECOVERED of UNCOPIED, PRUNED that of UNPRUNED, PROVEN that of UNPROVEN and of PROOF_LATE, DRILLED that of
    DRILL_FAILED.
    """
    knows = not set(news.after).isdisjoint(events)
    if news.event is Event.NEW_NORMAL:
        return knows and not {Event.SUSPICIOUS, Event.RECOVERED}.isdisjoint(events)
    if news.event in {Event.COPIED, Event.PRUNED, Event.PROVEN, Event.DRILLED}:
        return knows and Event.RECOVERED in events
    return news.event in events and knows == (news.event is Event.RECOVERED)
