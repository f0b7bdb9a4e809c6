"""Alerts about proofs: which are worth one, and in which words."""

from datetime import datetime

from daemon.alerts.message import Message
from daemon.config.values import ServerConfig
from daemon.core.alerting import Alert, AlertState, Event, proof_lateness_looked, proofs_looked
from daemon.core.units import format_moment
from daemon.log import harmless
from daemon.rotation.outcome import thawing
from daemon.status.proofs import ProofStatus
from daemon.status.troubles import late_text

Words = tuple[str, str]
"""A text, and a hint."""


def about_proofs(
    state: AlertState, server: ServerConfig, proof: ProofStatus, good_at: datetime | None, now: datetime
) -> tuple[AlertState, list[Message]]:
    """Return what is to be remembered of a server, and the messages about its proofs."""
    names = (server.name, server.panel.name, server.policy.name)
    state, news = proofs_looked(state, frozen=proof.frozen is not None)
    state, more = proof_lateness_looked(
        state,
        late=proof.late(now),
        waits=proof.late_at is not None,
        read=proof.read.backup if proof.read else "",
    )
    said = [(piece, _of_freeze(piece, server, proof)) for piece in news]
    said += [(piece, _of_lateness(piece, server, proof)) for piece in more]
    return state, [Message(piece, *names, now, *words, good_at) for piece, words in said]


def _of_freeze(news: Alert, server: ServerConfig, proof: ProofStatus) -> Words:
    if news.event is not Event.UNPROVEN or proof.frozen is None:
        return "no failed proof holds up deletion any more", ""
    last = proof.proven
    made = f"the newest proven one was made at {format_moment(last.made_at, server.policy.zone)}" if last else ""
    hint = f"look at the server's files; {thawing(server.name, proof.frozen)}"
    return f"{harmless(proof.frozen.wrong)}; nothing is deleted; {made or 'no backup is proven'}", hint


def _of_lateness(news: Alert, server: ServerConfig, proof: ProofStatus) -> Words:
    zone = server.policy.zone
    if news.event is Event.PROOF_LATE and proof.late_at is not None:
        hint = f"`ptero-backupd prove --plan {server.name}` shows what waits; the daemon's log says why"
        return harmless(late_text(proof, proof.late_at, zone)), hint
    if proof.read is None:
        return "no backup waits for a proof", ""
    return f"{harmless(proof.read.name)} was read; it was made at {format_moment(proof.read.made_at, zone)}", ""
