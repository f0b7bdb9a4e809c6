"""What the journal holds, as frozen values, and how it is written in rows.

Moments are stored as RFC 3339 text in UTC, all of one width, so that a person can read them and SQL can compare them.
Nothing here knows of files or transactions.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal, cast

from daemon.core.model import Backup
from daemon.core.units import read_rfc3339, rfc3339

Trigger = Literal["schedule", "catch-up", "retry", "resume", "manual"]


class StepName(StrEnum):
    """The steps of a rotation, as the journal spells them; of the later ones most tell how an earlier one ended."""

    GATHERED = "gathered"
    CREATE = "create"
    CREATED = "created"
    CREATE_REFUSED = "create_refused"
    ADOPTED = "adopted"
    TURNED_GOOD = "turned_good"
    ALTERED = "altered"
    PLANNED = "planned"
    ROOM = "room"
    ROOM_DONE = "room_done"
    ROOM_REFUSED = "room_refused"
    DELETE = "delete"
    DELETE_DONE = "delete_done"
    DELETE_REFUSED = "delete_refused"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a rotation, as it was journalled; its name may be one that only another version knows."""

    name: str
    at: datetime
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rotation:
    """One rotation with its steps, oldest first. It is unfinished while `ended_at` is None."""

    id: int
    server_uuid: str
    server: str
    panel: str
    policy: str
    trigger: Trigger
    start_at: datetime | None
    began_at: datetime
    ended_at: datetime | None
    result: str | None
    retry_at: datetime | None
    backup_uuid: str | None
    summary: Mapping[str, Any]
    steps: tuple[Step, ...]

    def step(self, name: str) -> Step | None:
        """Return the newest step of that name."""
        return next((step for step in reversed(self.steps) if step.name == name), None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a server's backups were when they were last judged. `detail` is the writer's own text."""

    server_uuid: str
    panel: str
    at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A message that waits for a receiver: the newest of that event of that server, in the writer's own form."""

    receiver: str
    server: str
    event: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AppliedRetention:
    """What decided of a server's backups when some were last deleted, or could have been; the writer's own text.

    `passed` are the uuids that it named then. `coming` is what is in force since, and was told at `told_at` because it
    deletes more.
    """

    retention: str | None = None
    passed: tuple[str, ...] = ()
    coming: str | None = None
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """How many bytes a server's backups held at the end of a day (UTC)."""

    day: date
    bytes: int


def read_snapshot(row: sqlite3.Row) -> Snapshot:
    return Snapshot(row["server_uuid"], row["panel"], read_rfc3339(row["at"]), row["detail"])


def read_applied(row: sqlite3.Row) -> AppliedRetention:
    passed = json.loads(row["passed"])
    if not isinstance(passed, list):
        raise ValueError("no list of backups where one belongs")  # noqa: TRY004 — see below
    return AppliedRetention(row["retention"], tuple(map(_text, passed)), row["coming"], _moment_or_none(row["told_at"]))


def read_trend(rows: Iterable[sqlite3.Row]) -> list[Sample]:
    return [Sample(date.fromisoformat(row["day"]), row["bytes"]) for row in rows]


def read_rotations(rotations: Iterable[sqlite3.Row], steps: Iterable[sqlite3.Row]) -> list[Rotation]:
    of_rotation: dict[int, list[Step]] = {}
    for row in steps:
        of_rotation.setdefault(row["rotation"], []).append(read_step(row))
    return [_read_rotation(row, tuple(of_rotation.get(row["id"], ()))) for row in rotations]


def read_step(row: sqlite3.Row) -> Step:
    return Step(_text(row["name"]), read_rfc3339(row["at"]), _table(row["detail"]))


def _read_rotation(row: sqlite3.Row, steps: tuple[Step, ...]) -> Rotation:
    return Rotation(
        id=row["id"],
        server_uuid=_text(row["server_uuid"]),
        server=_text(row["server"]),
        panel=_text(row["panel"]),
        policy=_text(row["policy"]),
        trigger=cast("Trigger", _text(row["trigger"])),
        start_at=_moment_or_none(row["start_at"]),
        began_at=read_rfc3339(row["began_at"]),
        ended_at=_moment_or_none(row["ended_at"]),
        result=None if row["result"] is None else _text(row["result"]),
        retry_at=_moment_or_none(row["retry_at"]),
        backup_uuid=row["backup_uuid"],
        summary=_summary(row["summary"]),
        steps=steps,
    )


def _text(value: object) -> str:
    """Text as it was written; ValueError for anything else, which SQLite would hold as well."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} where text belongs")  # noqa: TRY004 — a row that is wrong, not a call
    return value


def _table(text: str) -> dict[str, Any]:
    """A JSON object; ValueError for any other JSON, and for what is none."""
    value = _DECODER.decode(text)
    if not isinstance(value, dict):
        raise ValueError("no JSON object where one belongs")  # noqa: TRY004 — see above
    return value


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


_DECODER = json.JSONDecoder(parse_constant=_no_number)  # json.loads would make one for each step of a history


def _summary(text: str) -> dict[str, Any]:
    """What came of a rotation; ValueError where its parts have not the shape in which they were written."""
    summary = _table(text)
    problems = summary.get("problems", [])
    if not isinstance(problems, list) or not isinstance(summary.get("deleted", []), list):
        raise ValueError("a summary of another shape")  # noqa: TRY004 — see above
    told = [(problem, "text") for problem in problems]
    if summary.get("created") is not None:
        told.append((summary["created"], "name"))
    for part, key in told:
        if not (isinstance(part, dict) and isinstance(part.get(key), str)):
            raise ValueError(f"a summary that tells no {key}")  # noqa: TRY004 — see above
    for problem in problems:
        if isinstance(problem.get("code"), str):
            problem["code"] = problem["code"].replace("_", "-")  # as earlier versions spelled some
    return summary


def written_backups(backups: Iterable[Backup]) -> str:
    """The successful ones of these, each with no more than what a size is compared by."""
    kept = (one for one in backups if one.successful and one.completed_at and one.created_at)
    return json.dumps([[one.uuid, one.name, written(one.created_at), one.bytes] for one in kept])


def read_backups(text: str) -> tuple[Backup, ...]:
    """What `written_backups` wrote; ValueError or TypeError for anything else."""
    return tuple(
        Backup(_text(uuid), _text(name), True, False, int(size), read_rfc3339(created), read_rfc3339(created))
        for uuid, name, created, size in json.loads(text)
    )


def written(moment: datetime | None) -> str | None:
    """The moment as it is stored; ValueError for one without a zone."""
    return None if moment is None else rfc3339(moment, "microseconds")


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else read_rfc3339(text)
