"""The tables of alerts in the model: what is remembered of each server, what waits for whom, and who has it in hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

from daemon.state.postgres import alerts

Rows = list[dict[str, Any]]
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class AlertRow:
    """A message that waits since a moment of the database's clock, and for whom it is claimed until another one."""

    message: str
    since: float
    claimed_by: str | None = None
    claimed_until: float = float("-inf")


class Outbox(Protocol):
    """The tables, as far as alerts use them: the messages by receiver, server and event, oldest first."""

    now: Callable[[], float]
    watches: dict[str, str]
    waiting: dict[Key, AlertRow]


def _watch(tables: Outbox, server: str, watch: str, _: str) -> Rows:
    tables.watches[server] = watch
    return []


def _forget_watch(tables: Outbox, server: str) -> Rows:
    tables.watches.pop(server, None)
    return []


def _forget_all(tables: Outbox) -> Rows:
    tables.waiting = {}
    return []


def _forget(tables: Outbox, *key: str) -> Rows:
    tables.waiting.pop((key[0], key[1], key[2]), None)
    return []


def _forget_ours(tables: Outbox, receiver: str, server: str, event: str, token: str) -> Rows:
    row = tables.waiting.get((receiver, server, event))
    return _forget(tables, receiver, server, event) if row is not None and row.claimed_by == token else []


def _forget_not_others(tables: Outbox, receiver: str, server: str, event: str, token: str) -> Rows:
    row = tables.waiting.get((receiver, server, event))
    return _forget(tables, receiver, server, event) if row is not None and _may_claim(tables, row, token) else []


def _may_claim(tables: Outbox, row: AlertRow, token: str) -> bool:
    return row.claimed_by == token or row.claimed_until <= tables.now()


def _tell(tables: Outbox, receiver: str, server: str, event: str, message: str, _: str) -> Rows:
    assert (receiver, server, event) not in tables.waiting
    tables.waiting[receiver, server, event] = AlertRow(message, tables.now())
    return []


def _cut(tables: Outbox, longest: timedelta) -> Rows:
    latest = tables.now() + longest.total_seconds()
    cut = {key: row for key, row in tables.waiting.items() if row.claimed_until > latest}
    tables.waiting |= {key: replace(row, claimed_until=latest) for key, row in cut.items()}
    return []


def _claim(tables: Outbox, *columns: Any) -> Rows:
    receivers, servers, events, token, lasts = columns
    keys: Sequence[Key] = list(zip(receivers, servers, events, strict=True))
    ours = [key for key in keys if key in tables.waiting and _may_claim(tables, tables.waiting[key], token)]
    until = tables.now() + lasts.total_seconds()
    tables.waiting |= {key: replace(tables.waiting[key], claimed_by=token, claimed_until=until) for key in ours}
    return [_as_row(key, tables.waiting[key]) for key in ours]


def _as_row(key: Key, row: AlertRow) -> dict[str, Any]:
    return {"receiver": key[0], "server": key[1], "event": key[2], "message": row.message}


STATEMENTS: Mapping[str, Callable[..., Rows]] = {
    "SELECT server, watch FROM watch": lambda tables: [
        {"server": server, "watch": watch} for server, watch in tables.watches.items()
    ],
    "SELECT * FROM alert ORDER BY id": lambda tables: [_as_row(key, row) for key, row in tables.waiting.items()],
    "DELETE FROM watch WHERE server = $1": _forget_watch,
    "DELETE FROM alert": _forget_all,
    alerts._WATCH: _watch,
    alerts._TELL: _tell,
    alerts._CUT: _cut,
    alerts._CLAIM: _claim,
    alerts._FORGET: _forget,
    f"{alerts._FORGET} AND {alerts._OURS}": _forget_ours,
    f"{alerts._FORGET} AND {alerts._NOT_OTHERS}": _forget_not_others,
}
