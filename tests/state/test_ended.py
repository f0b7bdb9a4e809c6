"""Rotations that ended are told to every member, in whatever order they were committed."""

from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.state import Engine
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.database import Database
from daemon.state.postgres.ended import BEHIND, KNOWN, LOOKS, Ended
from tests.postgres import Postgres
from tests.state.engines import Shared
from tests.state.test_shares import daemon, shares

pytestmark = pytest.mark.anyio

AT = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
ROTATION = (
    "INSERT INTO rotation (server_uuid, server, panel, policy, trigger, began_at, ended_at)"
    " VALUES ('u', 'late', 'main', 'p', 'schedule', '2026-04-01T04:00:00Z', '2026-04-01T04:03:00Z')"
)


async def prompt(engine: Engine) -> None:
    """A rotation that begins and ends, each committed at once."""
    journal = await engine.open()
    number = await journal.begin(
        server_uuid="v", server="prompt", panel="main", policy="p", trigger="schedule", start_at=AT, at=AT
    )
    await journal.end(number, at=AT, result="done", summary={})
    await journal.close()


@pytest.mark.parametrize("known", [True, False], ids=["between two looks", "before the first look"])
async def test_a_rotation_that_is_committed_after_a_later_one_is_told_all_the_same(
    postgres_server: Postgres, *, known: bool
) -> None:
    """Its commit waited for the disk, or for a standby."""
    cluster = Shared(postgres_server)
    async with daemon(cluster, "one") as one, daemon(cluster, "two") as two:

        async def ended() -> frozenset[str]:
            return (await shares(two).look()).ended

        async def late(connection: Connection) -> frozenset[str]:
            async with connection.transaction():
                await connection.execute(ROTATION)
                await prompt(one)
                return await ended()

        await prompt(one)
        if known:
            assert await ended() == frozenset()
        database = Database(cluster.cluster.url)
        assert await database.run(late) == (frozenset({"prompt"}) if known else frozenset())
        assert [await ended() for _ in range(2)] == [{"late"}, frozenset()]


class Rows:
    """A database that has these rotations, and notes which numbers it is asked for again."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.asked: list[int] = []

    async def fetch(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """The rows."""
        if statement == KNOWN:
            return [{"id": one, "open": False} for one in self.numbers]
        newest, self.asked, _ = values
        there = [one for one in self.numbers if one > newest or one in self.asked]
        return [{"id": one, "server": str(one), "ended": True} for one in there]


async def test_a_number_that_stays_unused_is_not_asked_for_for_ever() -> None:
    """What was begun with it was rolled back."""
    rows, ended = Rows(), Ended()
    assert await ended.since(rows) == set()
    rows.numbers = [3]
    assert await ended.since(rows) == {"3"}
    for _ in range(LOOKS):
        assert await ended.since(rows) == set()
        assert rows.asked == [1, 2]
    await ended.since(rows)
    assert rows.asked == []


async def test_only_so_many_numbers_are_asked_for_again() -> None:
    """A standby that is promoted may go on far beyond the newest."""
    rows, ended = Rows(), Ended()
    await ended.since(rows)
    rows.numbers = [10**9]
    for _ in range(2):
        await ended.since(rows)
    assert len(rows.asked) == BEHIND - 1
    ended.begin_anew()
    await ended.since(rows)
    assert len(rows.asked) == BEHIND - 1
