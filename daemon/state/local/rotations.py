"""The rotations and their steps, as they are written while one runs and read by the next."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, get_args

from daemon.errors import StateError
from daemon.state.local.schema import OF_ROOM, ROOM_STEPS
from daemon.state.local.store import Store
from daemon.state.rotations import MOST_UNSEEN
from daemon.state.rows import read_rotations, read_step, written
from daemon.state.values import Rotation, Step, Trigger


class Rotations(Store):
    """What each rotation did."""

    def begin(
        self,
        *,
        server_uuid: str,
        server: str,
        panel: str,
        policy: str,
        trigger: Trigger,
        start_at: datetime | None,
        at: datetime,
    ) -> int:
        """Journal that a rotation begins, and return its number. `start_at` is the scheduled start that it serves."""
        if trigger not in get_args(Trigger):
            raise ValueError(f"no such trigger: {trigger!r}")
        row = (server_uuid, server, panel, policy, trigger, written(start_at), written(at))
        with self._writing("rotation's begin") as connection:
            cursor = connection.execute(
                "INSERT INTO rotation (server_uuid, server, panel, policy, trigger, start_at, began_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            return int(cursor.lastrowid or 0)

    def step(self, rotation: int, name: str, at: datetime, /, **detail: Any) -> None:  # noqa: ANN401 — any JSON
        """Journal one step. `detail` is anything that JSON can hold, and nothing secret."""
        row = (rotation, written(at), name, json.dumps(detail))
        with self._writing(f"step {name!r}") as connection:
            connection.execute("INSERT INTO step (rotation, at, name, detail) VALUES (?, ?, ?, ?)", row)

    def announce(self, rotation: int, name: str, at: datetime, /, **detail: Any) -> None:  # noqa: ANN401 — any JSON
        """Journal a step that is about to be taken: on the disk when this returns, whatever then becomes of us."""
        with self._synced():
            self.step(rotation, name, at, **detail)

    def end(
        self,
        rotation: int,
        *,
        at: datetime,
        result: str,
        retry_at: datetime | None = None,
        backup_uuid: str | None = None,
        summary: Mapping[str, Any],
    ) -> None:
        """Journal that a rotation ended, with what result, and when the daemon means to try again."""
        row = (written(at), result, written(retry_at), backup_uuid, json.dumps(dict(summary)), rotation)
        with self._writing("rotation's end") as connection:
            cursor = connection.execute(
                "UPDATE rotation SET ended_at = ?, result = ?, retry_at = ?, backup_uuid = ?, summary = ? WHERE id = ?",
                row,
            )
            if not cursor.rowcount:
                raise StateError(f"the journal has no rotation {rotation}")

    def attempts(self, server: str, limit: int) -> list[Rotation]:
        """Return the newest rotations of that configured name, newest first, without their steps: what came of each."""
        return self.attempts_of((server,), limit)[server]

    def attempts_of(self, servers: Collection[str], limit: int) -> dict[str, list[Rotation]]:
        """Return up to `limit` of the newest rotations of each of these names, newest first, without their steps."""
        query = "SELECT * FROM rotation WHERE server = ? ORDER BY id DESC LIMIT ?"
        with self._reading() as connection:
            return {name: read_rotations(connection.execute(query, (name, limit)), ()) for name in servers}

    def of_start(self, server_uuid: str, start_at: datetime | None) -> list[Rotation]:
        """Return, newest first, the server's rotations for that start, and those that never ended."""
        return self._rotations(
            "server_uuid = ? AND (ended_at IS NULL OR start_at = ?)", server_uuid, written(start_at), limit=-1
        )

    def recent(self, server: str | None = None, limit: int = 50) -> list[Rotation]:
        """Return the newest rotations, newest first: of that configured name, or of all."""
        if server is not None:
            return self._rotations("server = ?", server, limit=limit)
        return self._rotations("TRUE", limit=limit)

    def running(self) -> list[Rotation]:
        """Return every rotation that has not ended, newest first: under way in some process, or killed."""
        return self._rotations("ended_at IS NULL", limit=-1)

    def last_step(self, server_uuid: str, names: Collection[str]) -> Step | None:
        """Return the newest step of one of these names in any rotation of the server."""
        with self._reading() as connection:
            row = connection.execute(
                f"SELECT step.* {_steps_of(names)} ORDER BY step.id DESC LIMIT 1",
                (server_uuid, *names),
            ).fetchone()
            return None if row is None else read_step(row)

    def steps_since(self, server_uuid: str, last: str, names: Collection[str]) -> list[Step]:
        """Return the steps of these names since the `last` one of that name, newest first."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT step.* {_steps_of(names)} AND step.id >"
                f" (SELECT coalesce(max(step.id), 0) {_steps_of([last])}) ORDER BY step.id DESC",
                (server_uuid, *names, server_uuid, last),
            )
            return [read_step(row) for row in rows]

    def unseen(self, server_uuid: str) -> list[str]:
        """Return the newest names that were asked for by rotations which saw no good backup come of it."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT json_extract(asked.detail, '$.backup') FROM step AS asked"
                " JOIN rotation ON rotation.id = asked.rotation"
                " WHERE server_uuid = ? AND asked.name = 'create' AND NOT EXISTS"
                " (SELECT 1 FROM step WHERE step.rotation = asked.rotation AND step.name = 'turned_good')"
                " ORDER BY asked.id DESC LIMIT ?",
                (server_uuid, MOST_UNSEEN),
            )
            return [str(row[0]) for row in rows]

    def _rotations(self, where: str, *values: str | None, limit: int) -> list[Rotation]:
        """Read rotations with their steps, newest first; `where` is one of our own constants."""
        chosen = f"SELECT * FROM rotation WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 — constants alone
        of_chosen = f"SELECT * FROM step WHERE rotation IN (SELECT id FROM ({chosen})) ORDER BY id"  # noqa: S608
        with self._reading() as connection:
            connection.execute("BEGIN")  # one view of both tables, though another process writes meanwhile
            try:
                rotations = connection.execute(chosen, (*values, limit)).fetchall()
                steps = connection.execute(of_chosen, (*values, limit)).fetchall()
            finally:
                connection.execute("ROLLBACK")
            return read_rotations(rotations, steps)


def _steps_of(names: Collection[str]) -> str:
    """Return where a query finds the steps of so many names of a server: by its rotations first, for it has hundreds,
    and all servers together have many thousands.
    """
    indexed = f" AND {OF_ROOM}" if ROOM_STEPS.issuperset(names) else ""
    marks = ", ".join("?" * len(names))
    return (
        "FROM rotation CROSS JOIN step ON step.rotation = rotation.id"
        f" WHERE server_uuid = ? AND name IN ({marks}){indexed}"
    )
