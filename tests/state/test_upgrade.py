"""A cluster is upgraded one member after the other: those that still run go on beside one that has migrated the tables.

The older version is this one, made to know as many migrations less, and to write what that version wrote.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from daemon.config.values import ClusterConfig
from daemon.errors import StateError
from daemon.service.standby import may_act
from daemon.state import ShelfRecord
from daemon.state.postgres import fence, schema
from daemon.state.postgres.engine import PostgresEngine
from tests.postgres import Postgres
from tests.state.test_postgres import AT, HOLDING, SERVER, begin, member, until

pytestmark = pytest.mark.anyio

PART = "node main/first"
JOIN = (
    "INSERT INTO member (name, process, until, role)"
    " SELECT $1, $2::bigint, clock_timestamp() + $3::interval, $4 WHERE $5::text IS NOT NULL RETURNING epoch,"
    " (SELECT extract(epoch FROM clock_timestamp() - promoted_at)::float8 FROM home) AS promoted"
)
"""What members joined by before the last two migrations: without their lease, and without what marks a life ($5)."""

CUT = "SELECT $1::bigint"
"""They cut no leases."""

UNTIL = "SELECT extract(epoch FROM until) FROM member WHERE name = 'older'"
NEWER = "made by a newer ptero-backupd"

Older = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def cluster(postgres_server: Postgres) -> ClusterConfig:
    """Tables of their own."""
    return postgres_server.new()


@pytest.fixture(params=[1, 2, 3])
def older(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Older:
    """Within it, this process is of the version so many migrations ago."""

    @contextmanager
    def older() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[: -request.param])
            patch.setattr(fence, "JOIN", JOIN)
            patch.setattr(fence, "CUT", CUT)
            yield

    return older


async def test_a_member_goes_on_though_a_newer_one_has_migrated_the_tables(
    cluster: ClusterConfig, postgres_server: Postgres, older: Older
) -> None:
    """It renews, announces and records as before, on a new connection too; and the newer one sees it."""
    async with member(cluster, "older") as one, member(cluster, "newer") as two:
        with older():
            await one.leadership.join()
            journal = await one.open()
            assert one.leadership.shares is not None
            assert await one.leadership.shares.take(PART)
        await two.leadership.join()
        assert two.leadership.shares is not None
        assert postgres_server.sql(cluster, "SELECT version FROM schema_version") == str(len(schema.MIGRATIONS))
        with older():
            before = float(postgres_server.sql(cluster, UNTIL))
            assert isinstance(one, PostgresEngine)
            one._members.renew_now()
            await until(lambda: float(postgres_server.sql(cluster, UNTIL)) > before)
            for _ in "first", "lost":
                async with one.locks.held(SERVER, PART):
                    number = await begin(journal)
                    await journal.announce(number, "delete", AT)
                    await journal.end(number, at=AT, result="done", summary={})
                await one.catalogue.remember(ShelfRecord(HOLDING, "seen"))
                one._database._forget_a_lost_one()
            assert (one.leadership.hindrance(creates=False), journal.trouble) == ("", None)
        assert not await two.leadership.shares.take(PART)
        there = await two.open()
        assert [[step.name for step in row.steps] for row in await there.recent()] == [["delete"], ["delete"]]
        await there.close()
        await journal.close()


async def test_a_member_that_loses_its_lease_meanwhile_joins_and_opens_its_journal_again(
    cluster: ClusterConfig, postgres_server: Postgres, older: Older
) -> None:
    """Otherwise it would hold nodes, and delete nothing there."""
    async with member(cluster, "older") as one, member(cluster, "newer") as two:
        with older():
            await one.leadership.join()
            journal = await one.open()
        await two.leadership.join()
        with older():
            postgres_server.sql(cluster, "DELETE FROM member WHERE name = 'older'")
            with pytest.raises(StateError, match="has taken over"):
                await journal.announce(await begin(journal), "delete", AT)
            await journal.close()
            await one.leadership.join()
            journal = await one.open()
            async with one.locks.held(SERVER):
                await journal.announce(await begin(journal), "delete", AT)
            await journal.close()


async def test_a_member_that_is_started_again_with_the_older_version_is_refused(
    cluster: ClusterConfig, older: Older
) -> None:
    """With what to do, which its log says as well."""
    async with member(cluster, "newer") as two:
        await two.leadership.join()
        with older():
            async with member(cluster, "older") as one:
                for call in (one.leadership.join, one.open, one.look, one.check):
                    with pytest.raises(StateError, match=NEWER) as caught:
                        await call()
                    assert caught.value.hint == "install that version again"
                why = await may_act(one.leadership)
                assert NEWER in why
                assert why.endswith("install that version again")
