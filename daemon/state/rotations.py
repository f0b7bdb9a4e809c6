"""The part of the journal that says what each rotation did, step by step, so that a kill at any point is picked up.

What must hold beside what `journal` says of every call: what was announced survives a power cut as soon as the call
returns, and so does everything written before it; the request that it announces is sent only then.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Protocol

from daemon.state.values import Rotation, Step, Trigger

MOST_UNSEEN = 100


class Rotations(Protocol):
    """What each rotation did. Every call may raise StateError."""

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
        """Journal that a rotation begins, and return its number. `start_at` is the scheduled start that it serves."""
        ...

    async def step(self, rotation: int, name: str, at: datetime, /, **detail: Any) -> None:  # noqa: ANN401 — any JSON
        """Journal one step. `detail` is anything that JSON can hold, and nothing secret."""
        ...

    async def announce(
        self,
        rotation: int,
        name: str,
        at: datetime,
        /,
        **detail: Any,  # noqa: ANN401 — any JSON
    ) -> None:
        """Journal a step that is about to be taken: it is on the disk when this returns, whatever happens then."""
        ...

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
        """Journal that a rotation ended, with what result, and when the daemon plans to try again."""
        ...

    async def attempts(self, server: str, limit: int) -> list[Rotation]:
        """Return the newest rotations of that configured name, newest first, without their steps."""
        ...

    async def attempts_of(self, servers: Collection[str], limit: int) -> dict[str, list[Rotation]]:
        """Return up to `limit` of the newest rotations of each of these names, newest first, without their steps."""
        ...

    async def of_start(self, server_uuid: str, start_at: datetime | None) -> list[Rotation]:
        """Return, newest first, the server's rotations for that start, and those that never ended."""
        ...

    async def recent(self, server: str | None = None, limit: int = 50) -> list[Rotation]:
        """Return the newest rotations, newest first: of that configured name, or of all."""
        ...

    async def running(self) -> list[Rotation]:
        """Return every rotation that has not ended, newest first: under way in some process, or killed."""
        ...

    async def last_step(self, server_uuid: str, names: Collection[str]) -> Step | None:
        """Return the newest step of one of these names in any rotation of the server."""
        ...

    async def steps_since(self, server_uuid: str, last: str, names: Collection[str]) -> list[Step]:
        """Return the steps of these names since the `last` one of that name in any rotation of the server, newest
        first.
        """
        ...

    async def unseen(self, server_uuid: str) -> list[str]:
        """Return the newest names that rotations asked for without ever seeing a good backup of that name."""
        ...
