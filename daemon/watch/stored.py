"""Snapshots as JSON and back: what the journal keeps, so that a restarted daemon can show what it knew.

What cannot be read is passed over, since the next rotation brings it anew.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from daemon import history
from daemon.core.model import Action, Backup, Reason, State, Verdict
from daemon.watch.values import Snapshot

Json = dict[str, Any]


def to_stored(snapshot: Snapshot, panel: str) -> history.Snapshot:
    """The snapshot as the journal takes it."""
    verdicts = [_verdict_to_json(verdict) for verdict in snapshot.verdicts]
    detail = {"node": snapshot.node, "limit": snapshot.limit, "verdicts": verdicts}
    return history.Snapshot(snapshot.uuid, panel, snapshot.at, detail)


def from_stored(stored: history.Snapshot) -> Snapshot | None:
    """The snapshot that the journal holds; None where it was written in another way."""
    try:
        verdicts = tuple(_verdict_from_json(one) for one in stored.detail["verdicts"])
        return Snapshot(
            stored.at, stored.server_uuid, str(stored.detail["node"]), int(stored.detail["limit"]), verdicts
        )
    except (KeyError, TypeError, ValueError):
        return None


def _verdict_to_json(verdict: Verdict) -> Json:
    backup = verdict.backup
    return {
        "uuid": backup.uuid,
        "name": backup.name,
        "successful": backup.successful,
        "locked": backup.locked,
        "bytes": backup.bytes,
        "created_at": _text(backup.created_at),
        "completed_at": _text(backup.completed_at),
        "state": verdict.state.value,
        "own": verdict.own,
        "verdict": verdict.action.value,
        "reasons": [[reason.rule, reason.slot, reason.text] for reason in verdict.reasons],
    }


def _verdict_from_json(one: Mapping[str, Any]) -> Verdict:
    backup = Backup(
        uuid=one["uuid"],
        name=one["name"],
        successful=one["successful"],
        locked=one["locked"],
        bytes=one["bytes"],
        created_at=_moment(one["created_at"]),
        completed_at=_moment(one["completed_at"]),
    )
    reasons = tuple(Reason(rule, slot, text) for rule, slot, text in one["reasons"])
    return Verdict(backup, State(one["state"]), one["own"], Action(one["verdict"]), reasons)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
