"""How values are written in the rows of a database, and read from them; the same for every engine that has one.

Moments are stored as RFC 3339 text in UTC, all of one width, so that a person can read them and SQL can compare them.
Nothing here knows of files or transactions.
"""

import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Protocol, cast

from daemon.core.applied import AppliedRetention
from daemon.core.copies_queue import StoreTrouble, Waiting
from daemon.core.drills import DrillRecord, DrillResult
from daemon.core.model import Backup
from daemon.core.proof import Level, Proof
from daemon.core.units import read_rfc3339, rfc3339
from daemon.state.values import (
    CopyEvent,
    CopyRecord,
    Holding,
    ProofAsked,
    ProofRecord,
    Rotation,
    Sample,
    ShelfRecord,
    Snapshot,
    Step,
    Trigger,
)


class Row(Protocol):
    """A row as every driver gives it."""

    def __getitem__(self, column: str, /) -> Any:  # noqa: ANN401 — whatever the database holds
        """Return the value of that column."""
        ...


def read_snapshot(row: Row) -> Snapshot:
    return Snapshot(row["server_uuid"], row["panel"], read_rfc3339(row["at"]), row["detail"])


def read_applied(row: Row) -> AppliedRetention:
    passed = json.loads(row["passed"])
    if not isinstance(passed, list):
        raise ValueError("no list of backups where one belongs")  # noqa: TRY004 — see below
    return AppliedRetention(row["retention"], tuple(map(_text, passed)), row["coming"], _moment_or_none(row["told_at"]))


def read_trend(rows: Iterable[Row]) -> list[Sample]:
    return [Sample(date.fromisoformat(row["day"]), row["bytes"]) for row in rows]


def read_waiting(row: Row) -> Waiting:
    since, next_at = read_rfc3339(row["since"]), _moment_or_none(row["next_at"])
    return Waiting(row["server"], row["store"], since, bool(row["fresh"]), int(row["tries"]), next_at, row["text"])


def read_store_trouble(row: Row) -> StoreTrouble:
    since, next_at = read_rfc3339(row["since"]), read_rfc3339(row["next_at"])
    return StoreTrouble(row["store"], since, int(row["tries"]), next_at, row["text"])


def read_holding(row: Row) -> Holding:
    return Holding(
        store=_text(row["store"]),
        panel=_text(row["panel"]),
        server_uuid=_text(row["server_uuid"]),
        seen_at=read_rfc3339(row["seen_at"]),
        copies=int(row["copies"]),
        bytes=int(row["bytes"]),
        newest=_moment_or_none(row["newest"]),
    )


def read_shelf(row: Row) -> ShelfRecord:
    return ShelfRecord(read_holding(row), _text(row["detail"]))


def written_shelf(record: ShelfRecord) -> tuple[object, ...]:
    """Return the row, in the order of its columns."""
    one = record.holding
    moments = written(one.seen_at), written(one.newest)
    return one.store, one.panel, one.server_uuid, moments[0], one.copies, one.bytes, moments[1], record.detail


def written_copy_record(one: CopyRecord) -> tuple[object, ...]:
    """Return the row, in the order of its columns, without the number that it gets."""
    about = one.server, one.server_uuid, one.store, one.backup_uuid, one.backup
    return one.event.value, written(one.at), *about, one.bytes, one.text


def read_copy_record(row: Row) -> CopyRecord:
    return CopyRecord(
        event=CopyEvent(row["event"]),
        at=read_rfc3339(row["at"]),
        server=_text(row["server"]),
        server_uuid=_text(row["server_uuid"]),
        store=_text(row["store"]),
        backup_uuid=row["backup_uuid"],
        backup=_text(row["backup"]),
        bytes=row["bytes"],
        text=_text(row["text"]),
    )


def read_proof(row: Row) -> ProofRecord:
    return ProofRecord(
        server=_text(row["server"]),
        server_uuid=_text(row["server_uuid"]),
        proof=Proof(
            backup=_text(row["backup_uuid"]),
            name=_text(row["name"]),
            made_at=read_rfc3339(row["made_at"]),
            at=read_rfc3339(row["at"]),
            asked=Level(row["asked"]),
            reached=None if row["reached"] is None else Level(row["reached"]),
            store=_text(row["store"]),
            problems=_texts(row["problems"]),
            files=row["files"],
            bytes=row["bytes"],
            worlds=_texts(row["worlds"]),
            accepted=row["accepted_at"] is not None,
            archive=_text(row["archive"]),
        ),
    )


def written_proof(record: ProofRecord) -> dict[str, object]:
    """Return the row, by its columns, without what an operator accepted."""
    one = record.proof
    return {
        "server_uuid": record.server_uuid,
        "store": one.store,
        "backup_uuid": one.backup,
        "asked": one.asked.value,
        "server": record.server,
        "name": one.name,
        "made_at": written(one.made_at),
        "at": written(one.at),
        "reached": one.reached.value if one.reached else None,
        "problems": json.dumps(one.problems),
        "files": one.files,
        "bytes": one.bytes,
        "worlds": json.dumps(one.worlds),
        "archive": one.archive,
    }


def read_asked(row: Row) -> ProofAsked:
    return ProofAsked(
        panel=_text(row["panel"]),
        identifier=_text(row["identifier"]),
        level=Level(row["level"]),
        since=read_rfc3339(row["since"]),
    )


def written_asked(asked: Iterable[ProofAsked]) -> list[tuple[object, ...]]:
    """Return the rows, each in the order of the table's columns."""
    return [(one.panel, one.identifier, one.level.value, written(one.since)) for one in asked]


def read_drill(row: Row) -> DrillRecord:
    return DrillRecord(
        drill=_text(row["drill"]),
        spare=_text(row["spare"]),
        spare_uuid=_text(row["spare_uuid"]),
        server=_text(row["server"]),
        server_uuid=_text(row["server_uuid"]),
        backup=_text(row["backup_uuid"]),
        name=_text(row["name"]),
        began_at=read_rfc3339(row["began_at"]),
        starts=bool(row["starts"]),
        put=None if row["put"] is None else _texts(row["put"]),
        ended_at=_moment_or_none(row["ended_at"]),
        result=None if row["result"] is None else DrillResult(row["result"]),
        seconds=None if row["seconds"] is None else float(row["seconds"]),
        text=_text(row["text"]),
        number=int(row["id"]),
    )


def written_drill(one: DrillRecord) -> dict[str, object]:
    """Return the row of a drill that begins, by its columns, without the number that it gets."""
    return {
        "drill": one.drill,
        "spare": one.spare,
        "spare_uuid": one.spare_uuid,
        "server": one.server,
        "server_uuid": one.server_uuid,
        "backup_uuid": one.backup,
        "name": one.name,
        "began_at": written(one.began_at),
        "starts": int(one.starts),
    }


def _texts(text: str) -> tuple[str, ...]:
    told = json.loads(text)
    if not isinstance(told, list):
        raise ValueError("no list of texts where one belongs")  # noqa: TRY004 — see below
    return tuple(map(_text, told))


def read_rotations(rotations: Iterable[Row], steps: Iterable[Row]) -> list[Rotation]:
    of_rotation: dict[int, list[Step]] = {}
    for row in steps:
        of_rotation.setdefault(row["rotation"], []).append(read_step(row))
    return [_read_rotation(row, tuple(of_rotation.get(row["id"], ()))) for row in rotations]


def read_step(row: Row) -> Step:
    return Step(_text(row["name"]), read_rfc3339(row["at"]), _table(row["detail"]))


def _read_rotation(row: Row, steps: tuple[Step, ...]) -> Rotation:
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
    """Return a JSON object; ValueError for any other JSON, and for what is none."""
    value = _DECODER.decode(text)
    if not isinstance(value, dict):
        raise ValueError("no JSON object where one belongs")  # noqa: TRY004 — see above
    return value


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


_DECODER = json.JSONDecoder(parse_constant=_no_number)  # json.loads would make one for each step of a history


def _summary(text: str) -> dict[str, Any]:
    """Return a rotation's summary; raises ValueError if its parts do not have the shape in which they were written."""
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
    """Return the successful ones of these, each with no more than what a size is compared by."""
    kept = (one for one in backups if one.successful and one.completed_at and one.created_at)
    return json.dumps([[one.uuid, one.name, written(one.created_at), one.bytes] for one in kept])


def read_backups(text: str) -> tuple[Backup, ...]:
    """Return what `written_backups` wrote; ValueError or TypeError for anything else."""
    return tuple(
        Backup(_text(uuid), _text(name), True, False, int(size), read_rfc3339(created), read_rfc3339(created))
        for uuid, name, created, size in json.loads(text)
    )


def written(moment: datetime | None) -> str | None:
    """Return the moment as it is stored; ValueError for one without a zone."""
    return None if moment is None else rfc3339(moment, "microseconds")


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else read_rfc3339(text)
