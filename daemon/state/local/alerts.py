"""What alerts remember of each server, and which messages wait for which receiver."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from daemon.state.local.store import Store
from daemon.state.rows import written
from daemon.state.values import Alert


class Alerts(Store):
    """The memory of alerts."""

    def watches(self) -> dict[str, Mapping[str, Any]]:
        """Return what alerts remember of each server, by its name."""
        with self._reading() as connection:
            rows = connection.execute("SELECT server, watch FROM watch")
            return {row["server"]: json.loads(row["watch"]) for row in rows}

    def watch(
        self,
        changes: Mapping[str, Mapping[str, Any] | None],
        at: datetime,
        alerts: Iterable[Alert] = (),
        *,
        whole: bool = False,
    ) -> None:
        """Record for alerts what is known of these servers, None to forget one, and in the same transaction which
        messages wait. A newer alert of the same event of a server replaces the earlier one; with `whole`, the messages
        replace all that wait.
        """
        kept = [(server, json.dumps(dict(watch)), written(at)) for server, watch in changes.items() if watch]
        gone = [(server,) for server, watch in changes.items() if not watch]
        told = [(one.receiver, one.server, one.event, json.dumps(dict(one.message)), written(at)) for one in alerts]
        with self._writing("memory of alerts") as connection:
            connection.executemany("INSERT OR REPLACE INTO watch (server, watch, at) VALUES (?, ?, ?)", kept)
            connection.executemany("DELETE FROM watch WHERE server = ?", gone)
            if whole:
                connection.execute("DELETE FROM alert")
            connection.executemany(
                "INSERT OR REPLACE INTO alert (receiver, server, event, message, at) VALUES (?, ?, ?, ?, ?)", told
            )

    def alerts(self) -> list[Alert]:
        """Return the messages that wait, oldest first."""
        with self._reading() as connection:
            rows = connection.execute("SELECT * FROM alert ORDER BY id")
            return [Alert(row["receiver"], row["server"], row["event"], json.loads(row["message"])) for row in rows]

    def alerts_sent(self, sent: Iterable[tuple[str, str, str]], *, claimed: bool = False) -> None:  # noqa: ARG002 — no others
        """Forget messages that were sent, or will not be sent any more: by receiver, server and event."""
        with self._writing("memory of alerts") as connection:
            connection.executemany("DELETE FROM alert WHERE receiver = ? AND server = ? AND event = ?", list(sent))
