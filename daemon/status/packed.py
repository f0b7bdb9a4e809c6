"""Judged backups as text and back, and that text in little room.

The text is also what the journal holds: JSON that a person can read, and that a later version can add to.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from daemon.core.model import Action, Backup, Reason, State, Verdict
from daemon.core.units import read_rfc3339, rfc3339

Json = dict[str, Any]

QUICK = 1
"""zlib's level: others take three times as long, and uuids do not get smaller by it."""


def pack(text: str) -> bytes:
    """Given a text, return it in little room."""
    return zlib.compress(text.encode(), QUICK)


def unpack(packed: bytes) -> str:
    """Given what `pack` returned, return the text again."""
    return zlib.decompress(packed).decode()


def write_detail(node: str, limit: int, verdicts: Iterable[Verdict]) -> str:
    """Given what a rotation saw of a server, and how it judged, return it as text."""
    detail = {"node": node, "limit": limit, "verdicts": [_verdict_to_json(verdict) for verdict in verdicts]}
    return json.dumps(detail, ensure_ascii=False)


def read_detail(text: str) -> tuple[str, int, tuple[Verdict, ...]]:
    """Given what `write_detail` returned, return node, limit and verdicts; KeyError, TypeError or ValueError for
    anything else.
    """
    detail = json.loads(text)
    return str(detail["node"]), int(detail["limit"]), tuple(_verdict_from_json(one) for one in detail["verdicts"])


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
        **({"because": verdict.because} if verdict.because else {}),
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
    return Verdict(backup, State(one["state"]), one["own"], Action(one["verdict"]), reasons, one.get("because", ""))


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment, "auto")


def _moment(text: str | None) -> datetime | None:
    return None if text is None else read_rfc3339(text)
