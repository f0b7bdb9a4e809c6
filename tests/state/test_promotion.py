"""A database that was promoted or restored may lack what was committed last: what its members make of that."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from daemon.clock import since_boot
from daemon.config.values import ClusterConfig
from daemon.errors import JournalBusyError, StateError
from daemon.state.postgres.database import Database
from daemon.state.postgres.engine import PostgresEngine
from daemon.state.postgres.members import Members
from daemon.state.postgres.promotion import EPOCHS, WRITE_SECONDS
from tests.postgres import NOBODY, PASSWORD, Postgres
from tests.state.engines import membership
from tests.state.test_postgres import AT, SERVER, begin, member, until

pytestmark = pytest.mark.anyio

BEFORE = "UPDATE home SET timeline = '000000FF'"


@pytest.fixture
def cluster(postgres_server: Postgres) -> ClusterConfig:
    """Tables of their own."""
    return postgres_server.new(member="one")


async def looked(cluster: ClusterConfig) -> None:
    """Somebody connects to the database, and so sees where it is."""
    database = Database(cluster.url)
    await database.run(lambda connection: connection.fetchval("SELECT 1"))


async def test_all_leases_end_and_epochs_rise_beyond_what_may_be_lost(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """By whoever connects first, and once: the next connection finds what it knows."""
    async with member(cluster, "one") as one:
        await one.leadership.join()
        journal = await one.open()
        number = await begin(journal)
        await looked(cluster)
        before = int(postgres_server.sql(cluster, "SELECT max(epoch) FROM member"))
        postgres_server.sql(cluster, BEFORE)
        await looked(cluster)
        await looked(cluster)
        with pytest.raises(StateError, match="has taken over"):
            await journal.announce(number, "delete", AT)
        await one.leadership.join()
        after = int(postgres_server.sql(cluster, "SELECT max(epoch) FROM member"))
        assert after - before > EPOCHS
        await journal.close()


async def test_epochs_of_a_backup_that_is_restored_twice_are_others_each_time(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """A member from between may stand still, and must not act under the epoch of a later one."""
    await looked(cluster)
    await looked(cluster)
    given = set()
    for _ in range(3):
        postgres_server.sql(cluster, f"{BEFORE}; ALTER SEQUENCE member_epoch_seq RESTART")
        async with member(cluster, "one") as one:
            await one.leadership.join()
            given.add(postgres_server.sql(cluster, "SELECT max(epoch) FROM member"))
    assert len(given) == 3


async def test_a_rotation_from_before_is_not_taken_for_one_that_began_since(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """What its member still writes down is lost, and changes nothing of another's."""
    await looked(cluster)
    await looked(cluster)
    async with member(cluster, "one") as one:
        journal = await one.open()
        lost = await begin(journal)
        postgres_server.sql(cluster, BEFORE)
        postgres_server.sql(cluster, "DELETE FROM rotation; ALTER SEQUENCE rotation_id_seq RESTART")
        await looked(cluster)
        assert await begin(journal) != lost
        for write in (journal.step(lost, "created", AT), journal.end(lost, at=AT, result="done", summary={})):
            with pytest.raises(StateError):
                await write
        assert [rotation.ended_at for rotation in await journal.recent()] == [None]
        await journal.close()


async def test_nothing_is_deleted_until_the_writes_from_before_are_over(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """Backups are made meanwhile."""
    await looked(cluster)
    await looked(cluster)
    postgres_server.sql(cluster, BEFORE)
    now = 1000.0
    members = Members(Database(cluster.url), cluster, now=lambda: now)
    async with members.held("something"):
        assert members.hindrance(creates=True) == ""
        assert "was promoted or restored" in members.hindrance(creates=False)
        now += cluster.lease.total_seconds() + WRITE_SECONDS - 1
        assert "was promoted or restored" in members.hindrance(creates=False)
        now += 1
        assert "was promoted or restored" not in members.hindrance(creates=False)
    members.terminate()


async def test_it_is_shown_and_told_by_check_for_a_day(cluster: ClusterConfig, postgres_server: Postgres) -> None:
    """The first server that the tables are in is no promotion."""
    async with member(cluster) as one:
        assert one.leadership.shares is not None
        assert (await membership(one).seen()).promoted_at is None
        await looked(cluster)
        assert (await membership(one).seen()).promoted_at is None
        await one.leadership.join()
        assert (await one.leadership.shares.look()).promoted_at is None
        postgres_server.sql(cluster, BEFORE)
        await looked(cluster)
        await one.leadership.give_up()
        await one.leadership.join()
        promoted_at = (await membership(one).seen()).promoted_at
        assert promoted_at is not None
        assert (await one.leadership.shares.look()).promoted_at == promoted_at
        assert ["promoted or restored" in note.text and note.hint != "" for note in await one.check()] == [False, True]
        postgres_server.sql(cluster, "UPDATE home SET promoted_at = clock_timestamp() - interval '25 hours'")
        assert len(await one.check()) == 1


async def test_a_member_that_comes_long_after_waits_no_more(cluster: ClusterConfig, postgres_server: Postgres) -> None:
    """What matters is when it was noticed."""
    await looked(cluster)
    await looked(cluster)
    postgres_server.sql(cluster, "UPDATE home SET promoted_at = clock_timestamp() - interval '1 hour'")
    async with member(cluster) as one:
        await one.leadership.join()
        assert one.leadership.hindrance(creates=False) == ""


async def test_a_clock_that_is_set_back_after_it_makes_nobody_wait_for_longer(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """Whoever comes then waits like one who came at once."""
    await looked(cluster)
    await looked(cluster)
    postgres_server.sql(cluster, "UPDATE home SET promoted_at = clock_timestamp() + interval '1 hour'")
    async with member(cluster) as one:
        await one.leadership.join()
        assert one.leadership.hindrance(creates=False) != ""
        assert isinstance(one, PostgresEngine)
        assert one._members._quiet_until <= since_boot() + cluster.lease.total_seconds() + WRITE_SECONDS


async def test_a_real_change_of_the_timeline_is_seen(cluster: ClusterConfig, postgres_server: Postgres) -> None:
    """As a standby does at its promotion, the server ends a recovery with a timeline of its own."""
    await looked(cluster)
    await looked(cluster)
    assert postgres_server.sql(cluster, "SELECT promoted_at IS NULL FROM home") == "t"
    postgres_server.stop()
    _recover(postgres_server.folder / "data")
    postgres_server.start()
    await until(lambda: postgres_server.psql("SELECT pg_is_in_recovery()") == "f")
    await looked(cluster)
    assert postgres_server.sql(cluster, "SELECT promoted_at IS NOT NULL FROM home") == "t"


def _recover(data: Path) -> None:
    """Let the next start be a recovery, from an archive that has nothing."""
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write("restore_command = 'false'\n")
    signal = data / "recovery.signal"
    signal.touch()
    if signal.stat().st_uid != data.stat().st_uid:
        os.chown(signal, NOBODY, NOBODY)


async def test_a_promoted_standby_has_what_was_announced_and_nothing_more_is_at_the_old_primary(
    cluster: ClusterConfig, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits there wait for the standby, which follows no more, so that each call ends without an answer."""
    async with member(cluster, "one") as one, one.locks.held(SERVER):
        journal = await one.open()
        number = await begin(journal)
        await looked(cluster)
        with postgres_server.standby() as standby:
            await journal.announce(number, "delete", AT)
            standby.promote()
            monkeypatch.setattr("daemon.state.postgres.database.ANSWER_SECONDS", 0.5)
            with pytest.raises(JournalBusyError, match="no answer in time"):
                await journal.announce(number, "delete", AT)
            monkeypatch.undo()
            elsewhere = cluster.url.get_secret_value().replace(f":{postgres_server.port}/", f":{standby.port}/")
            async with member(replace(cluster, url=SecretStr(elsewhere)), "two") as two:
                await two.leadership.join()
                assert "was promoted or restored" in two.leadership.hindrance(creates=False)
                there = await two.open()
                assert [step.name for step in (await there.running())[0].steps] == ["delete"]
                assert standby.sql(cluster, "SELECT name FROM member") == "two"
                await there.close()
        await journal.close()


async def test_a_role_that_may_not_ask_where_it_is_is_a_member_all_the_same(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """Then no promotion is noticed."""
    await looked(cluster)
    postgres_server.psql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    try:
        name = postgres_server.sql(cluster, "SELECT current_schema()")
        postgres_server.psql(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'plain') THEN"
            f" CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'; END IF; END $$;"
            f" GRANT ALL ON SCHEMA {name} TO plain; GRANT ALL ON ALL TABLES IN SCHEMA {name} TO plain;"
            f" GRANT ALL ON ALL SEQUENCES IN SCHEMA {name} TO plain"
        )
        plain = cluster.url.get_secret_value().replace("//postgres:", "//plain:")
        async with member(replace(cluster, url=SecretStr(plain))) as one:
            await one.leadership.join()
    finally:
        postgres_server.psql("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
