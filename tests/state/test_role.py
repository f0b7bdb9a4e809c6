"""The role that docs/cluster.md has an operator make has all the rights that a member needs, and no others."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from daemon.config.values import ClusterConfig
from daemon.errors import StateError
from daemon.state import ShelfRecord, engine_for
from daemon.state.postgres import schema
from daemon.state.postgres.engine import PostgresEngine
from daemon.state.postgres.notes import ALONE
from tests.postgres import Postgres
from tests.state.engines import SERVERS, membership
from tests.state.role import NAME, documented
from tests.state.test_postgres import AT, HOLDING, SERVER, begin, member, until
from tests.state.test_promotion import BEFORE, looked

pytestmark = pytest.mark.anyio

RIGHTS = "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = '{}'"
ROLES = "SELECT count(*) FROM pg_auth_members WHERE member = '{}'::regrole"
DATABASES = "SELECT datname FROM pg_database WHERE datdba = '{}'::regrole"
OWNED = "SELECT count(*) FILTER (WHERE tableowner = '{}'), count(*) FROM pg_tables WHERE schemaname = 'public'"
UNTIL = "SELECT extract(epoch FROM until) FROM member WHERE name = 'one'"


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Postgres:
    """A real server, of each version that there is."""
    found: Postgres = request.getfixturevalue(SERVERS[request.param])
    return found


@pytest.fixture
def cluster(server: Postgres) -> Iterator[ClusterConfig]:
    """What the page has made there."""
    with documented(server) as cluster:
        yield cluster


async def test_it_may_do_nothing_but_connect_to_a_database_that_is_its_own(
    cluster: ClusterConfig, server: Postgres
) -> None:
    """So what follows is not due to a right that the page does not tell of."""
    assert server.psql(RIGHTS.format(NAME)) == "f|f|f|f|f"
    assert server.psql(ROLES.format(NAME)) == "0"
    assert server.psql(DATABASES.format(NAME)) == NAME


async def test_it_makes_the_tables_and_migrates_them(
    cluster: ClusterConfig, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are its own, so that each later version can change them; a check makes none."""
    async with member(cluster) as one:
        assert await one.check() == (ALONE,)
        assert await one.look() is None
        with monkeypatch.context() as patch:
            patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
            await (await one.open()).close()
    async with member(cluster) as one:
        await (await one.open()).close()
        assert await one.check() == (ALONE,)
    assert server.psql("SELECT version FROM schema_version", NAME) == str(len(schema.MIGRATIONS))
    own, made = server.psql(OWNED.format(NAME), NAME).split("|")
    assert (own, int(made) > len(schema.COPIED)) == (made, True)


async def test_it_joins_holds_announces_and_renews(cluster: ClusterConfig, server: Postgres) -> None:
    """Beside another member, which is refused what it holds."""
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        for each in (one, two):
            await each.leadership.join()
        assert one.leadership.shares is not None
        assert two.leadership.shares is not None
        assert await one.leadership.shares.take("node main/first")
        assert not await two.leadership.shares.take("node main/first")
        journal = await one.open()
        async with one.locks.held(SERVER, "node main/first"):
            number = await begin(journal)
            await journal.announce(number, "delete", AT)
            await journal.end(number, at=AT, result="done", summary={})
        await one.catalogue.remember(ShelfRecord(HOLDING, "seen"))
        assert {seen.name for seen in (await membership(two).seen()).members} == {"one", "two"}
        before = float(server.psql(UNTIL, NAME))
        assert isinstance(one, PostgresEngine)
        one._members.renew_now()
        await until(lambda: float(server.psql(UNTIL, NAME)) > before)
        await journal.probe()
        await journal.close()


async def test_it_may_ask_where_it_is_so_that_a_promotion_is_noticed(cluster: ClusterConfig, server: Postgres) -> None:
    """By itself it does what follows: all leases end, and numbers rise."""
    async with member(cluster) as one:
        await looked(cluster)
        await looked(cluster)
        await one.leadership.join()
        journal = await one.open()
        number = await begin(journal)
        server.psql(BEFORE, NAME)
        noticing = engine_for(replace(cluster, member="two"))
        _, note = await noticing.check()
        assert "was promoted or restored" in note.text
        noticing.close()
        with pytest.raises(StateError, match="has taken over"):
            await journal.announce(number, "delete", AT)
        await journal.close()
