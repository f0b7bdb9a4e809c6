"""The rotations and their steps, as they are written while one runs and read by the next."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, get_args

from daemon.errors import StateError, TakenOverError
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.members import TAKEN_OVER, TOO_LATE
from daemon.state.postgres.store import Store
from daemon.state.rotations import MOST_UNSEEN
from daemon.state.rows import read_rotations, read_step, written
from daemon.state.values import Rotation, Step, Trigger

_STEPS = "(SELECT coalesce(json_agg(step ORDER BY id), '[]') FROM step WHERE rotation = rotation.id)"
"""Those of a rotation, read at the same moment as that."""

_STEPS_OF = "FROM step JOIN rotation ON step.rotation = rotation.id WHERE server_uuid = $1 AND name"
"""Where the steps of a server are; what follows says of which names."""


class Rotations(Store):
    """What each rotation did."""

    async def begin(
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
        """Journal that a rotation begins, and return its number."""
        if trigger not in get_args(Trigger):
            raise ValueError(f"no such trigger: {trigger!r}")
        row = (server_uuid, server, panel, policy, trigger, written(start_at), written(at))

        async def write(connection: Connection) -> int:
            return int(
                await connection.fetchval(
                    "INSERT INTO rotation (server_uuid, server, panel, policy, trigger, start_at, began_at)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
                    *row,
                )
            )

        return await self._writing("rotation's begin", write)

    async def step(self, rotation: int, name: str, at: datetime, /, **detail: Any) -> None:  # noqa: ANN401 — any JSON
        """Journal one step."""
        statement = "INSERT INTO step (rotation, at, name, detail) VALUES ($1, $2, $3, $4)"
        await self._write(f"step {name!r}", statement, rotation, written(at), name, json.dumps(detail))

    async def announce(
        self,
        rotation: int,
        name: str,
        at: datetime,
        /,
        **detail: Any,  # noqa: ANN401 — any JSON
    ) -> None:
        """Journal a step that is about to be taken, under this member's epoch; TakenOverError if that is over."""
        row = (rotation, written(at), name, json.dumps(detail))

        async def write(connection: Connection) -> None:
            if not await self._members.announced(connection, row):
                raise TakenOverError(TAKEN_OVER, hint=TOO_LATE)

        await self._writing(f"step {name!r}", write)

    async def end(
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

        async def write(connection: Connection) -> None:
            found = await connection.fetchval(
                "UPDATE rotation SET ended_at = $1, result = $2, retry_at = $3, backup_uuid = $4, summary = $5"
                " WHERE id = $6 RETURNING id",
                *row,
            )
            if found is None:
                raise StateError(f"there is no rotation {rotation}", hint="")

        await self._writing("rotation's end", write)

    async def attempts(self, server: str, limit: int) -> list[Rotation]:
        """Return the newest rotations of that configured name, newest first, without their steps."""
        return (await self.attempts_of((server,), limit))[server]

    async def attempts_of(self, servers: Collection[str], limit: int) -> dict[str, list[Rotation]]:
        """Return up to `limit` of the newest rotations of each of these names, newest first, without their steps."""
        query = (
            "SELECT newest.* FROM unnest($1::text[]) AS asked(name) CROSS JOIN LATERAL"
            " (SELECT * FROM rotation WHERE server = asked.name ORDER BY id DESC LIMIT $2) AS newest ORDER BY id DESC"
        )
        rows = await self._rows(query, list(servers), limit)
        found: dict[str, list[Rotation]] = {name: [] for name in servers}
        with self._readable():
            for rotation in read_rotations(rows, ()):
                found[rotation.server].append(rotation)
        return found

    async def of_start(self, server_uuid: str, start_at: datetime | None) -> list[Rotation]:
        """Return, newest first, the server's rotations for that start, and those that never ended."""
        where = "server_uuid = $2 AND (ended_at IS NULL OR start_at = $3)"
        return await self._rotations(where, server_uuid, written(start_at))

    async def recent(self, server: str | None = None, limit: int = 50) -> list[Rotation]:
        """Return the newest rotations, newest first: of that configured name, or of all."""
        if server is not None:
            return await self._rotations("server = $2", server, limit=limit)
        return await self._rotations("TRUE", limit=limit)

    async def running(self) -> list[Rotation]:
        """Return every rotation that has not ended, newest first."""
        return await self._rotations("ended_at IS NULL")

    async def last_step(self, server_uuid: str, names: Collection[str]) -> Step | None:
        """Return the newest step of one of these names in any rotation of the server."""
        row = await self._row(
            f"SELECT step.* {_STEPS_OF} = ANY($2) ORDER BY step.id DESC LIMIT 1",
            server_uuid,
            list(names),
        )
        with self._readable():
            return None if row is None else read_step(row)

    async def steps_since(self, server_uuid: str, last: str, names: Collection[str]) -> list[Step]:
        """Return the steps of these names since the `last` one of that name, newest first."""
        rows = await self._rows(
            f"SELECT step.* {_STEPS_OF} = ANY($2) AND step.id >"
            f" (SELECT coalesce(max(step.id), 0) {_STEPS_OF} = $3) ORDER BY step.id DESC",
            server_uuid,
            list(names),
            last,
        )
        with self._readable():
            return [read_step(row) for row in rows]

    async def unseen(self, server_uuid: str) -> list[str]:
        """Return the newest names that were asked for by rotations which saw no good backup come of it."""
        rows = await self._rows(
            "SELECT asked.detail::json ->> 'backup' AS name FROM step AS asked"
            " JOIN rotation ON rotation.id = asked.rotation"
            " WHERE server_uuid = $1 AND asked.name = 'create' AND NOT EXISTS"
            " (SELECT FROM step WHERE step.rotation = asked.rotation AND step.name = 'turned_good')"
            " GROUP BY 1 ORDER BY max(asked.id) DESC LIMIT $2",
            server_uuid,
            MOST_UNSEEN,
        )
        return [str(row["name"]) for row in rows]

    async def _rotations(self, where: str, *values: str | None, limit: int | None = None) -> list[Rotation]:
        """Read rotations with their steps, newest first; `where` is one of our own constants. No limit is all."""
        chosen = f"SELECT *, {_STEPS} AS steps FROM rotation WHERE {where} ORDER BY id DESC LIMIT $1"  # noqa: S608 — constants alone
        rotations = await self._rows(chosen, limit, *values)
        with self._readable():
            return read_rotations(rotations, (step for row in rotations for step in json.loads(row["steps"])))
