"""Alerts about proofs: which are worth one, and in which words."""

from datetime import datetime

from daemon.alerts.message import Message
from daemon.config.values import ServerConfig
from daemon.core.alerting import Alert, AlertState, Event, proofs_looked
from daemon.core.units import format_moment
from daemon.log import redact
from daemon.status.proofs import ProofStatus


def about_proofs(
    state: AlertState, server: ServerConfig, proof: ProofStatus, good_at: datetime | None, now: datetime
) -> tuple[AlertState, list[Message]]:
    """Return what is to be remembered of a server, and the messages about its proofs."""
    state, news = proofs_looked(state, frozen=proof.frozen is not None)
    return state, [_message(piece, server, proof, good_at, now) for piece in news]


def _message(news: Alert, server: ServerConfig, proof: ProofStatus, good_at: datetime | None, now: datetime) -> Message:
    text, hint = "no proof that failed matters any more, so deletion goes on", ""
    if news.event is Event.UNPROVEN and proof.frozen is not None:
        last = proof.proven
        made = f"the newest proven one was made at {format_moment(last.made_at, server.policy.zone)}" if last else ""
        text = f"{redact(proof.frozen.wrong)}; nothing is deleted; {made or 'no backup is proven'}"
        hint = (
            f"look at the server's files; `ptero-backupd prove {server.name}` proves the newest backup now,"
            f" `ptero-backupd prove accept {server.name} BACKUP` ends this"
        )
    return Message(news, server.name, server.panel.name, server.policy.name, now, text, hint, good_at)
