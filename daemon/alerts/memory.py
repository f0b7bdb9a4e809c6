"""What the journal remembers of each server, and what waits for each receiver: JSON to which later versions can add."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from daemon.alerts.formats import as_json, from_json
from daemon.alerts.message import Message
from daemon.core.alerting import AlertState, Event
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.state import Alert, Journal
from daemon.status.history import ServerHistory
from daemon.status.stored import to_watch

log = get_logger()

Known = tuple[AlertState, ServerHistory]
"""What the alerts of a server said so far, and how it stands."""


async def recalled(journal: Journal) -> dict[str, AlertState]:
    """Return what is remembered, by the server's name, without what makes no sense; raises StateError."""
    found = {}
    for server, watch in (await journal.watches()).items():
        try:
            found[server] = _read(watch)
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # it was not written here
            text = f"what alerts remembered cannot be read: {error!r}"
            log.warning("alerts_not_recalled", server=server, text=text)
    return found


async def remember(
    journal: Journal,
    changes: Mapping[str, Known | None],
    waiting: Iterable[tuple[str, Message]],
    at: datetime,
    *,
    whole: bool = False,
) -> None:
    """Record what is known of each server now, None to forget it, and which message waits for which receiver. Both or
    neither are written, so that nothing counts as sent that will not be sent. `whole` says that nothing else waits.
    Raises StateError.
    """
    alerts = [_row(receiver, message) for receiver, message in waiting]
    watches = {name: None if known is None else _written(known) for name, known in changes.items()}
    if watches or alerts or whole:
        await journal.watch(watches, at, alerts, whole=whole)


async def waiting(journal: Journal, *, alone: bool) -> Mapping[str, Sequence[Message]]:
    """Return the messages that wait for each receiver, oldest first. A daemon that is `alone` drops what cannot be
    read; in a cluster a member of a newer version wrote it, and will send it. Raises StateError.
    """
    found, senseless = defaultdict(list), []
    for alert in await journal.alerts():
        try:
            found[alert.receiver].append(from_json(alert.message))
        except (KeyError, TypeError, ValueError):  # it was not written here
            if not alone:
                continue
            log.warning(
                "alert_lost", receiver=alert.receiver, count=1, reason="what the journal holds of it makes no sense"
            )
            senseless.append((alert.receiver, alert.server, alert.event))
    with suppress(StateError):  # it is said again at the next start
        if senseless:
            await journal.alerts_sent(senseless)
    return found


async def claimed(journal: Journal, receiver: str, messages: Iterable[Message]) -> Sequence[Message]:
    """Return those of the messages that this daemon may send now, as they wait by now; raises StateError."""
    rows = [(_row(receiver, message), message) for message in messages]
    asked = {(row.server, row.event): (row, message) for row, message in rows}
    found = []
    for alert in await journal.claim_alerts([row for row, _ in rows]) if rows else ():
        row, message = asked[alert.server, alert.event]
        found.append(message if alert is row else _message(alert, message))
    return found


async def arrived(journal: Journal, letters: Iterable[tuple[str, Message]], *, claimed: bool) -> None:
    """Record that these messages to receivers no longer wait: with `claimed` those that are in hand here, without it
    those that no other member has in hand. Raises StateError.
    """
    keys = [(receiver, message.server, message.news.event.value) for receiver, message in letters]
    if keys:
        await journal.alerts_sent(keys, claimed=claimed)


def _row(receiver: str, message: Message) -> Alert:
    return Alert(receiver, message.server, message.news.event.value, {**as_json(message), "done": message.done})


def _message(alert: Alert, otherwise: Message) -> Message:
    with suppress(KeyError, TypeError, ValueError):  # it was not written here
        return from_json(alert.message)
    return otherwise


def _written(known: Known) -> Mapping[str, Any]:
    state, history = known
    alerts = {
        "told": sorted(state.alerted),
        "beside": sorted(state.beside),
        "backup": state.backup,
        "uncopied": sorted(state.uncopied),
        "unpruned": sorted(state.unpruned),
        "unproven": state.unproven,
        "proof_late": state.proof_late,
        "drill_failed": state.drill_failed,
        "promoted": state.promoted,
    }
    return {**to_watch(history), **alerts}


def _read(written: Mapping[str, Any]) -> AlertState:
    return AlertState(
        alerted=_events(written["told"]),
        beside=_events(written.get("beside", ())),
        backup=written.get("backup"),
        uncopied=frozenset(map(str, written.get("uncopied", ()))),
        unpruned=frozenset(map(str, written.get("unpruned", ()))),
        unproven=bool(written.get("unproven")),
        proof_late=written.get("proof_late"),
        drill_failed=bool(written.get("drill_failed")),
        promoted=written.get("promoted"),
    )


def _events(written: Iterable[str]) -> frozenset[Event]:
    """Return those of the events that this version knows."""
    return frozenset(Event(event) for event in written if event in set(Event))
