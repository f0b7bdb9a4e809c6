"""What `check` says of a real standby: whether it is there, and whether commits wait for it.

It says so at once, though a commit would wait for ever where the standby that commits wait for is gone.
"""

import asyncio
from collections.abc import Iterator

import pytest

from daemon.config.values import ClusterConfig
from daemon.operations.check import check_state
from daemon.operations.findings import Severity
from daemon.state import StateNote, engine_for
from daemon.state.postgres.notes import ALONE, ASYNCHRONOUS, MISSING, SYNCHRONOUS
from tests.postgres import Postgres
from tests.state.role import NAME, documented
from tests.state.test_postgres import until
from tests.state.test_promotion import BEFORE, looked

pytestmark = pytest.mark.anyio

AT_ONCE = 4.0
"""Less than any bound of a statement, in seconds."""


@pytest.fixture
def cluster(postgres_server: Postgres) -> Iterator[ClusterConfig]:
    """The database of the role that the docs have made, which is no superuser: it sees less of a standby."""
    with documented(postgres_server) as cluster:
        yield cluster


async def said(cluster: ClusterConfig) -> list[StateNote]:
    """What `check` says beside that the database can be used; it warns of what it has a hint for."""
    async with asyncio.timeout(AT_ONCE):
        usable, *findings = await check_state(cluster)
    assert usable.level is Severity.OK
    for finding in findings:
        assert finding.level is (Severity.WARNING if finding.hint else Severity.OK)
    return [StateNote(finding.text, finding.hint) for finding in findings]


async def make_tables(cluster: ClusterConfig) -> None:
    """Make the tables, and connect no second time."""
    engine = engine_for(cluster)
    await (await engine.open()).close()
    engine.close()


async def stop(standby: Postgres, server: Postgres) -> None:
    """Stop a standby; return when the server has noticed."""
    standby.stop()
    await until(lambda: server.psql("SELECT count(*) FROM pg_stat_replication") == "0")


async def test_each_state_of_a_standby_is_told_for_what_it_is(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """Without one, with one that commits wait for, while that is gone, and once it is back."""
    await make_tables(cluster)
    assert await said(cluster) == [ALONE]
    with postgres_server.standby() as standby:
        assert await said(cluster) == [SYNCHRONOUS]
        await stop(standby, postgres_server)
        assert await said(cluster) == [MISSING]
        standby.start()
        await until(lambda: postgres_server.psql("SELECT sync_state FROM pg_stat_replication") == "sync")
        assert await said(cluster) == [SYNCHRONOUS]
        for setting, noted in ("local", ASYNCHRONOUS), ("on", SYNCHRONOUS):
            postgres_server.psql(f"ALTER ROLE {NAME} SET synchronous_commit = {setting}")
            assert await said(cluster) == [noted]
        postgres_server.psql("ALTER SYSTEM SET synchronous_standby_names = ''")
        postgres_server.psql("SELECT pg_reload_conf()")
        await until(lambda: postgres_server.psql("SHOW synchronous_standby_names") == "")
        assert await said(cluster) == [ASYNCHRONOUS]
    assert await said(cluster) == [ALONE]


async def test_the_first_look_waits_for_no_standby_that_is_gone(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """It writes down where the database is."""
    with postgres_server.standby() as standby:
        await make_tables(cluster)
        await stop(standby, postgres_server)
        assert postgres_server.psql("SELECT count(*) FROM home", NAME) == "0"
        assert await said(cluster) == [MISSING]
        assert postgres_server.psql("SELECT count(*) FROM home", NAME) == "1"


async def test_a_promotion_is_noticed_though_the_promoted_one_waits_for_a_standby_of_its_own(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """It has the settings of the one before."""
    await make_tables(cluster)
    await looked(cluster)
    with postgres_server.standby() as standby:
        postgres_server.psql(BEFORE, NAME)
        await stop(standby, postgres_server)
        missing, promoted = await said(cluster)
        assert missing == MISSING
        assert "was promoted or restored" in promoted.text
