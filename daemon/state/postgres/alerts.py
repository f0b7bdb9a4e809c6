"""What alerts remember of each server, which messages wait for which receiver, and which member has them in hand.

A message is sent by the member that claims its row. That claim ends by the database's clock, so that a member that dies
with a message in hand loses none, and it is longer than anything that a live one does with it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from daemon.state.postgres.connect import ANSWER_SECONDS, Connection
from daemon.state.postgres.store import Store, Values
from daemon.state.rows import written
from daemon.state.values import Alert

_WATCH = (
    "INSERT INTO watch (server, watch, at) VALUES ($1, $2, $3)"
    " ON CONFLICT (server) DO UPDATE SET watch = excluded.watch, at = excluded.at"
)
_FORGET = "DELETE FROM alert WHERE receiver = $1 AND server = $2 AND event = $3"
_OURS = "claimed_by = $4"
_NOT_OTHERS = f"({_OURS} OR claimed_until IS NULL OR claimed_until <= clock_timestamp())"
_CLAIM = (  # a row that is locked is being claimed
    "UPDATE alert SET claimed_by = $4, claimed_until = clock_timestamp() + $5 WHERE id IN"  # noqa: S608 — constants
    " (SELECT id FROM alert WHERE"
    " (receiver, server, event) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))"
    f" AND {_NOT_OTHERS} FOR UPDATE SKIP LOCKED) RETURNING receiver, server, event, message"
)
_CUT = (  # the clock was set back since
    "UPDATE alert SET claimed_until = clock_timestamp() + $1 WHERE claimed_until > clock_timestamp() + $1"
)
_TELL = "INSERT INTO alert (receiver, server, event, message, at) VALUES ($1, $2, $3, $4, $5)"

CLAIM = timedelta(minutes=2)
"""Longer than a message is in hand: the database may take 20 s to answer, and a receiver 60 s."""


class Alerts(Store):
    """The memory of alerts."""

    async def watches(self) -> dict[str, Mapping[str, Any]]:
        """Return what alerts remember of each server, by its name."""
        rows = await self._rows("SELECT server, watch FROM watch")
        with self._readable():
            return {row["server"]: json.loads(row["watch"]) for row in rows}

    async def watch(
        self,
        changes: Mapping[str, Mapping[str, Any] | None],
        at: datetime,
        alerts: Iterable[Alert] = (),
        *,
        whole: bool = False,
    ) -> None:
        """Record for alerts what is known of these servers, and in the same transaction which messages wait."""
        kept = [(server, json.dumps(dict(watch)), written(at)) for server, watch in changes.items() if watch]
        gone = [(server,) for server, watch in changes.items() if not watch]
        told = {(one.receiver, one.server, one.event): json.dumps(dict(one.message)) for one in alerts}
        everything: list[Values] = [()] if whole else []
        await self._write_all(
            "memory of alerts",
            [
                (_WATCH, kept),
                ("DELETE FROM watch WHERE server = $1", gone),
                ("DELETE FROM alert", everything),
                (_FORGET, list(told)),  # so that a newer one comes after all that wait
                (_TELL, [(*key, message, written(at)) for key, message in told.items()]),
            ],
        )

    async def alerts(self) -> list[Alert]:
        """Return the messages that wait, oldest first."""
        rows = await self._rows("SELECT * FROM alert ORDER BY id")
        with self._readable():
            return [_read(row) for row in rows]

    async def claim_alerts(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Take these messages in hand; return those that nobody else has, as they wait by now.

        If this process stood still before the answer was there, nobody knows what of the claim is left.
        """
        keys = [(one.receiver, one.server, one.event) for one in alerts]
        columns = [[key[place] for key in keys] for place in range(3)]
        sent_at = self._members.now()

        async def claim(connection: Connection) -> list[Any]:
            await connection.execute(_CUT, CLAIM)
            rows: list[Any] = await connection.fetch(_CLAIM, *columns, self._members.token, CLAIM)
            return rows

        rows = await self._writing("claim of alerts", claim)
        if self._members.now() - sent_at > 2 * ANSWER_SECONDS:
            return []
        with self._readable():
            return sorted(map(_read, rows), key=lambda one: keys.index((one.receiver, one.server, one.event)))

    async def alerts_sent(self, sent: Iterable[tuple[str, str, str]], *, claimed: bool = False) -> None:
        """Forget messages that were sent, or will not be sent any more: by receiver, server and event."""
        rows = [(*key, self._members.token) for key in sent]
        await self._write_all("memory of alerts", [(f"{_FORGET} AND {_OURS if claimed else _NOT_OTHERS}", rows)])


def _read(row: Any) -> Alert:  # noqa: ANN401 — a row of asyncpg's
    return Alert(row["receiver"], row["server"], row["event"], json.loads(row["message"]))
