"""What each thing costs the database that a rotation asks of it: hundreds of rotations ask at a time."""

import asyncio

import pytest

from daemon.config.values import ClusterConfig
from daemon.core.applied import AppliedRetention
from daemon.state import Snapshot
from daemon.state.postgres.engine import PostgresEngine
from tests.postgres import Postgres
from tests.state.test_postgres import AT, SERVER, begin, member

pytestmark = pytest.mark.anyio

PART = "node main/node-1"


@pytest.fixture
def cluster(postgres_server: Postgres) -> ClusterConfig:
    """A database of its own."""
    return postgres_server.new()


def statements(engine: PostgresEngine) -> list[str]:
    """Those that its connection sends from now on; asyncpg tells of each once the loop comes to it."""
    told: list[str] = []
    engine._database._connection.add_query_logger(lambda record: told.append(record.query))
    return told


async def test_each_thing_that_a_rotation_asks_for_is_one_statement(cluster: ClusterConfig) -> None:
    """With no transaction around it, though it is written only while this daemon is a member."""
    async with member(cluster) as one:
        assert isinstance(one, PostgresEngine)
        await one.leadership.join()
        journal = await one.open()
        assert one.leadership.shares is not None
        await one.leadership.shares.take(PART)
        told = statements(one)
        async with one.locks.held(SERVER, PART):
            await journal.of_start(SERVER, AT)
            number = await begin(journal)
            await journal.step(number, "gathered", AT)
            await journal.marks(SERVER)
            await journal.announce(number, "create", AT)
            await journal.apply(SERVER, AppliedRetention("last=1"))
            await journal.ask(SERVER, "one", AT)
            await journal.asked_no_more(SERVER, "one")
            await journal.snapshot(Snapshot(SERVER, "main", AT, "{}"), 1)
            await journal.watch({"survival": {"seen": 1}}, AT)
            await journal.end(number, at=AT, result="done", summary={})
        await asyncio.sleep(0)  # noqa: TID251 — for asyncpg
        assert len(told) == 13, told
        await journal.close()


async def test_a_look_at_the_others_is_two_statements_while_no_server_has_moved(cluster: ClusterConfig) -> None:
    """Each member looks every second, whatever there is to do, and says what it cannot reach when that changes."""
    async with member(cluster) as one:
        assert isinstance(one, PostgresEngine)
        await one.leadership.join()
        shares = one.leadership.shares
        assert shares is not None
        await shares.take(PART)
        await shares.place("main", {SERVER: "node-1"})
        await shares.tell_cut_off({"main"})
        await shares.look()
        told = statements(one)
        await shares.tell_cut_off({"main"})
        await shares.look()
        await asyncio.sleep(0)  # noqa: TID251 — for asyncpg
        assert len(told) == 2, told
