"""What alerts remember of each server, and which messages wait for which receiver."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from daemon.state.postgres.store import Store, Values
from daemon.state.rows import written
from daemon.state.values import Alert

_WATCH = (
    "INSERT INTO watch (server, watch, at) VALUES ($1, $2, $3)"
    " ON CONFLICT (server) DO UPDATE SET watch = excluded.watch, at = excluded.at"
)
_FORGET = "DELETE FROM alert WHERE receiver = $1 AND server = $2 AND event = $3"
_TELL = "INSERT INTO alert (receiver, server, event, message, at) VALUES ($1, $2, $3, $4, $5)"


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
            return [Alert(row["receiver"], row["server"], row["event"], json.loads(row["message"])) for row in rows]

    async def alerts_sent(self, sent: Iterable[tuple[str, str, str]]) -> None:
        """Forget messages that were sent, or will not be sent any more: by receiver, server and event."""
        await self._write_all("memory of alerts", [(_FORGET, list(sent))])
