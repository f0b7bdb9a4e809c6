"""Alerts about drills: which are worth one, and in which words."""

from datetime import datetime

from daemon.alerts.message import Message
from daemon.config.values import ServerConfig
from daemon.core.alerting import Alert, AlertState, drills_looked
from daemon.log import harmless
from daemon.status.drills import DrillStatus

HINT = "look at the spare server's console and files; `ptero-backupd history` shows all drills"


def about_drills(
    state: AlertState, server: ServerConfig, drill: DrillStatus, good_at: datetime | None, now: datetime
) -> tuple[AlertState, list[Message]]:
    """Return what is to be remembered of a server, and the messages about its drills."""
    state, news = drills_looked(state, failed=drill.failed is not None)
    return state, [_message(piece, server, drill, good_at, now) for piece in news]


def _message(news: Alert, server: ServerConfig, drill: DrillStatus, good_at: datetime | None, now: datetime) -> Message:
    text, hint = drill.words(now), ""
    if drill.failed is not None:
        bad = drill.failed
        text, hint = harmless(f"{bad.name} on {bad.spare}: {bad.text or bad.result}"), HINT
    return Message(news, server.name, server.panel.name, server.policy.name, now, text, hint, good_at)
