"""What only the engine on PostgreSQL can be asked: who acts, what a wrong database says, a connection that is lost."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from daemon.config.values import ClusterConfig
from daemon.core.proof import Level
from daemon.errors import DiskFullError, JournalBusyError, StateError
from daemon.state import Engine, Holding, Journal, ProofAsked, ShelfRecord, engine_for
from daemon.state.postgres import schema
from daemon.state.postgres.connect import _SESSION, Connection, tls
from daemon.state.postgres.database import Database
from daemon.state.postgres.members import Members
from tests.postgres import PASSWORD, Postgres
from tests.state.wire import as_a_pooler_does, wire

AT = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
SERVER = "1a7ce997-259b-452e-8b4e-cecc464142ca"
HOLDING = Holding("nas", "main", SERVER, AT, 1, 10, AT)
ADMIN_SHUTDOWN = b"57P01"
OVER = "UPDATE member SET until = clock_timestamp() - interval '1 second' WHERE name = '{}'"

pytestmark = pytest.mark.anyio


@pytest.fixture
def cluster(postgres_server: Postgres) -> ClusterConfig:
    """Tables of their own."""
    return postgres_server.new(member="one")


def member(cluster: ClusterConfig, name: str = "one") -> AbstractAsyncContextManager[Engine]:
    """A member of the cluster."""
    return leaving(engine_for(replace(cluster, member=name)))


@asynccontextmanager
async def leaving(engine: Engine) -> AsyncIterator[Engine]:
    """A member that leaves at the end, if it has joined."""
    try:
        yield engine
    finally:
        await engine.leadership.give_up()
        engine.close()


async def begin(journal: Journal) -> int:
    """Begin a rotation of which nothing matters."""
    return await journal.begin(
        server_uuid=SERVER, server="survival", panel="main", policy="p", trigger="manual", start_at=None, at=AT
    )


# Who acts ------------------------------------------------------------------------------------------------------------


async def test_a_member_that_was_replaced_sees_no_copies_any_more(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """Another one may have deleted them since."""
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        await one.leadership.join()
        before, after = ShelfRecord(HOLDING, "before"), ShelfRecord(HOLDING, "after")
        await one.catalogue.remember(before)
        postgres_server.sql(cluster, OVER.format("one"))
        async with two.locks.held(SERVER):
            pass
        for seeing in (one.catalogue.remember(after), one.catalogue.replace("nas", [])):
            with pytest.raises(StateError, match="another member of the cluster has taken over"):
                await seeing
        assert await two.catalogue.shelf("nas", "main", SERVER) == before


async def test_no_write_leaves_near_the_end_of_a_lease_but_a_backup_if_the_database_is_out_of_reach(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """Out of reach is known only from a renewal that just failed: a process that stood still knows nothing."""
    now = 1000.0
    async with wire(postgres_server.port) as between:
        members = Members(Database(cluster.url), between.through(cluster), now=lambda: now)
        async with members.held("something") as other:
            assert other is None
            assert members.hindrance(creates=False) == ""
            now += 24.0
            assert members.hindrance(creates=False) == ""
            now += 2.0
            assert "not been renewed" in members.hindrance(creates=False)
            assert "not been renewed" in members.hindrance(creates=True)
            between.cut()
            members.renew_now()
            await until(lambda: members.hindrance(creates=True) == "")
            assert "not been renewed" in members.hindrance(creates=False)
            now += 12.0
            assert "not been renewed" in members.hindrance(creates=True)
            between.open = True
            members.renew_now()
            await until(lambda: members.hindrance(creates=False) == "")
        members.terminate()


async def until(holds: Callable[[], bool]) -> None:
    """Look again and again until it holds, within 10 seconds."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)  # noqa: TID251 — a real server is asked meanwhile
    raise AssertionError("it never holds")


async def test_a_member_that_only_renews_learns_as_well_that_another_took_over(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """It need not announce anything for that."""
    members = Members(Database(cluster.url), cluster)
    async with members.held("something"):
        postgres_server.sql(cluster, "DELETE FROM member")
        members.renew_now()
        await asyncio.wait_for(members.lost(), 5)
        with pytest.raises(StateError, match="has taken over"):
            await members.held("another").__aenter__()
    members.terminate()


# The tables ----------------------------------------------------------------------------------------------------------


async def test_first_members_that_come_at_once_make_the_tables_once(cluster: ClusterConfig) -> None:
    """One waits for the other."""
    engines = [engine_for(cluster) for _ in range(3)]
    for journal in await asyncio.gather(*(engine.open() for engine in engines)):
        await journal.close()


async def test_tables_of_a_newer_version_are_refused(cluster: ClusterConfig, postgres_server: Postgres) -> None:
    """Nobody writes into what it does not know, and reading it would be guessing."""
    async with member(cluster) as engine:
        await (await engine.open()).close()
        postgres_server.sql(cluster, "UPDATE schema_version SET version = version + 1")
    async with member(cluster) as engine:
        for call in (engine.open, engine.look, engine.check):
            with pytest.raises(StateError, match="made by a newer ptero-backupd"):
                await call()


async def test_tables_of_an_earlier_version_get_what_they_lack(
    cluster: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what they hold."""
    earlier = next(n for n, one in enumerate(schema.MIGRATIONS) if "proof_asked" in "".join(one))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:earlier])
        async with member(cluster) as engine:
            await (await engine.open()).close()
    asked = ProofAsked("main", SERVER[:8], Level.SANE, AT)
    async with member(cluster) as engine:
        journal = await engine.open()
        assert await journal.proofs_asked() == []
        await journal.ask_proofs([asked])
        assert await journal.proofs_asked() == [asked]
        await journal.close()


# A database that cannot be used --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "text", "hint"),
    [
        (
            lambda url: url.replace(PASSWORD, "wrong-secret"),
            "password authentication failed",
            "the user and the password",
        ),
        (
            lambda url: url.replace("/postgres?", "/nowhere?"),
            'database "nowhere" does not exist',
            "create the database",
        ),
        (lambda url: url.replace("disable", "verify-full"), "self-signed certificate", "add sslrootcert=FILE"),
        (lambda url: url.replace("127.0.0.1", "[::1]"), "out of reach", "nothing is deleted until"),
        (lambda url: f"{url}&nonsense=1", "unrecognized configuration parameter", ""),
    ],
)
async def test_what_is_wrong_is_said_without_the_secret(
    cluster: ClusterConfig, wrong: Callable[[str], str], text: str, hint: str
) -> None:
    """With what to do about it."""
    url = wrong(cluster.url.get_secret_value())
    async with member(replace(cluster, url=SecretStr(url))) as engine:
        with pytest.raises(StateError, match=text) as caught:
            await engine.check()
    assert hint in caught.value.hint
    for secret in (PASSWORD, "wrong-secret"):
        assert secret not in f"{caught.value.text} {caught.value.hint} {caught.value.__context__!r}"


async def test_the_server_proves_who_it_is(cluster: ClusterConfig, postgres_server: Postgres) -> None:
    """By a certificate that is believed, for the very host that was named."""
    url = cluster.url.get_secret_value()
    verified = url.replace("disable", f"verify-full&sslrootcert={postgres_server.folder / 'data/server.crt'}")
    async with member(replace(cluster, url=SecretStr(verified))) as engine:
        await engine.check()
    elsewhere = verified.replace("127.0.0.1", "localhost")
    async with member(replace(cluster, url=SecretStr(elsewhere))) as engine:
        with pytest.raises(StateError, match="Hostname mismatch") as caught:
            await engine.check()
    assert "the name in its certificate" in caught.value.hint
    async with member(replace(cluster, url=SecretStr(elsewhere.replace("verify-full", "verify-ca")))) as engine:
        await engine.check()


async def test_another_host_is_verified_unless_it_is_said_otherwise(cluster: ClusterConfig) -> None:
    """Nothing in the address asks for it; this machine alone is believed as it is."""
    url = "postgresql://backupd@db.example.com/backupd"
    for address, verified in ((url, True), (url.replace("db.example.com", "127.0.0.1"), False)):
        _, context = tls(address)
        assert (context is not None and context.check_hostname) is verified


async def test_certificates_of_older_private_authorities_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python sets OpenSSL's strict flag from 3.13 on, and would refuse what psql takes."""
    make = ssl.create_default_context

    def strict(*, cafile: str | None) -> ssl.SSLContext:
        context = make(cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    _, context = tls("postgresql://backupd@db.example.com/backupd")
    assert context is not None
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


async def test_a_certificate_that_cannot_be_read_is_no_database_out_of_reach(cluster: ClusterConfig) -> None:
    """To wait for the database would be of no use."""
    url = SecretStr("postgresql://backupd@db.example.com/backupd?sslrootcert=/nowhere.pem")
    async with member(replace(cluster, url=url)) as engine:
        with pytest.raises(StateError, match=r"sslrootcert.* cannot be used: No such file") as caught:
            await engine.check()
    assert not isinstance(caught.value, JournalBusyError)


async def test_a_role_without_rights_is_told_what_it_needs(cluster: ClusterConfig, postgres_server: Postgres) -> None:
    """It may connect, and make no tables."""
    postgres_server.psql(f"CREATE ROLE poor LOGIN PASSWORD '{PASSWORD}'")
    async with member(
        replace(cluster, url=SecretStr(cluster.url.get_secret_value().replace("//postgres:", "//poor:")))
    ) as engine:
        for call in (engine.check, engine.open):
            with pytest.raises(StateError) as caught:
                await call()
            assert "own" in caught.value.hint


async def test_a_standby_that_may_lag_behind_is_told_by_check(
    cluster: ClusterConfig, postgres_server: Postgres, tmp_path: Path
) -> None:
    """Promoted, it would lack what was announced, and a backup be made twice. Without one all ends with its machine."""
    async with member(cluster) as engine:
        (note,) = await engine.check()
        assert (note.text.startswith("no standby replicates the cluster's database"), note.hint) == (True, "")
        words: list[str | Path] = [
            postgres_server.programs / "pg_receivewal",
            "-D",
            tmp_path,
            "--no-sync",
            "-d",
            postgres_server.url(),
        ]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as follower:  # noqa: S603, ASYNC220
            try:
                for _ in range(1000):
                    (note,) = await engine.check()
                    if "replicate synchronously" in note.text and "synchronous_standby_names" in note.hint:
                        return
                    await asyncio.sleep(0.01)  # noqa: TID251 — it connects by itself
            finally:
                follower.kill()
    raise AssertionError("it is never told")


async def test_a_pooler_is_refused(cluster: ClusterConfig, postgres_server: Postgres) -> None:
    """It would mix up the sessions of several daemons."""
    async with wire(postgres_server.port, as_a_pooler_does) as between, member(between.through(cluster)) as engine:
        with pytest.raises(StateError, match="behind a connection pooler") as caught:
            await engine.open()
    assert "name the database itself" in caught.value.hint


async def test_a_table_that_somebody_locks_is_waited_for_no_longer_than_a_bound(
    cluster: ClusterConfig, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the call fails as trouble that passes, and says where to look; so does a statement that takes too long."""
    monkeypatch.setitem(_SESSION, "lock_timeout", "50ms")
    monkeypatch.setitem(_SESSION, "statement_timeout", "300ms")
    async with member(cluster) as engine:
        journal = await engine.open()
        number = await begin(journal)
        locking = Database(cluster.url)

        async def meanwhile(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute("LOCK TABLE step")
                with pytest.raises(JournalBusyError, match="lock timeout") as caught:
                    await journal.step(number, "late", AT)
                assert "pg_stat_activity" in caught.value.hint

        await locking.look(meanwhile)
        with pytest.raises(JournalBusyError, match="statement timeout"):
            await locking.look(lambda connection: connection.execute("SELECT pg_sleep(5)"))
        await journal.step(number, "done", AT)
        await journal.close()


async def test_a_full_disk_of_the_database_is_said_to_be_one(cluster: ClusterConfig, postgres_server: Postgres) -> None:
    """Only what is written fails; `tests/process/cluster_rounds.py` fills a real one."""
    async with member(cluster) as engine:
        journal = await engine.open()
        number = await begin(journal)
        postgres_server.sql(
            cluster,
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$;"
            " CREATE TRIGGER full_disk BEFORE INSERT ON step FOR EACH STATEMENT EXECUTE FUNCTION full_disk()",
        )
        with pytest.raises(DiskFullError) as caught:
            await journal.announce(number, "delete", AT)
        assert caught.value.hint == "make room on the database's disk"
        assert [one.id for one in await journal.running()] == [number]
        postgres_server.sql(cluster, "DROP TRIGGER full_disk ON step")
        await journal.announce(number, "delete", AT)
        await journal.close()


async def test_a_connection_that_is_lost_is_made_again(cluster: ClusterConfig, postgres_server: Postgres) -> None:
    """Until then calls fail at once, as trouble that passes, and few of them try to connect."""
    async with wire(postgres_server.port) as between, member(between.through(cluster)) as engine:
        journal = await engine.open()
        number = await begin(journal)
        between.cut()
        tried = between.accepted
        for _ in range(50):
            with pytest.raises(JournalBusyError):
                await journal.step(number, "lost", AT)
        assert between.accepted - tried <= 2
        before = journal.trouble
        between.open = True
        for _ in range(500):
            try:
                await journal.step(number, "found", AT)
                break
            except JournalBusyError:
                await asyncio.sleep(0.01)  # noqa: TID251 — it tries again by itself, soon
        assert (isinstance(before, JournalBusyError), journal.trouble) == (True, None)
        assert [step.name for step in (await journal.running())[0].steps] == ["found"]
        await journal.close()


async def test_a_connection_that_the_server_ended_is_made_again_though_its_end_never_arrives(
    cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """All that came is what the server said last, while nothing was asked."""
    said = asyncio.Event()

    def hear(chunk: bytes) -> bytes:
        if ADMIN_SHUTDOWN in chunk:
            said.set()
        return chunk

    async with wire(postgres_server.port, hear) as between, member(between.through(cluster)) as engine:
        between.loses_ends = True
        journal = await engine.open()
        number = await begin(journal)
        postgres_server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle'")
        await asyncio.wait_for(said.wait(), 10)
        with pytest.raises(JournalBusyError, match="the connection is lost"):
            await journal.step(number, "lost", AT)
        await journal.step(number, "found", AT)
        await journal.close()


def test_a_message_names_the_place_and_no_secret() -> None:
    """Of several hosts as well."""
    url = f"postgresql://backupd:{PASSWORD}@db-1:5433,db-2/backupd?target_session_attrs=read-write"
    assert Database(SecretStr(url)).title == "the database db-1:5433,db-2/backupd"
    assert urlsplit(url).path == "/backupd"
