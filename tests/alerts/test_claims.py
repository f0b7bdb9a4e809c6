"""Two members of a cluster on one real database, and one real receiver: each message is sent once, and none is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daemon.alerts import Alerts, memory, outbox
from daemon.alerts.claims import Claims
from daemon.alerts.formats import Post
from daemon.alerts.receiver import SINGLY
from daemon.alerts.sender import Failure
from daemon.alerts.writing import Writing
from daemon.clock import SystemClock
from daemon.config.values import ClusterConfig, Config
from daemon.errors import StateError
from daemon.fleet.share import Share
from daemon.rotation.outcome import Result
from daemon.rotation.run import RotationContext
from daemon.state import Alert, Engine, Journal, MemoryEngine, engine_for
from tests.alerts.build import NOON, alert, message, order, outcome, tracking_in
from tests.alerts.receiver import Receiving, receiving
from tests.config.support import loaded
from tests.postgres import Postgres
from tests.state.test_postgres import until

pytestmark = pytest.mark.anyio

FAILED = outcome(Result.FAILED, "backup-failed")
MESSAGES = [Alert("ops", f"s{number}", "failed", {"n": number}) for number in range(40)]
KEYS = [(one.receiver, one.server, one.event) for one in MESSAGES]
ENDED = "UPDATE alert SET claimed_until = clock_timestamp() WHERE claimed_by IS NOT NULL"


@dataclass
class Tables:
    """The tables of one cluster."""

    server: Postgres
    cluster: ClusterConfig

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator[tuple[Engine, Journal]]:
        """A process of the cluster, with its journal."""
        engine = engine_for(replace(self.cluster, member=name))
        async with AsyncExitStack() as held:
            held.callback(engine.close)
            journal = await engine.open()
            held.push_async_callback(journal.close)
            yield engine, journal

    def sql(self, statement: str) -> str:
        """Run a statement on them."""
        return self.server.sql(self.cluster, statement)


@pytest.fixture
def tables(postgres_server: Postgres) -> Tables:
    """Tables of their own."""
    return Tables(postgres_server, postgres_server.new())


async def test_what_one_has_in_hand_no_other_one_gets(tables: Tables) -> None:
    """Though both reach for all of it at the same time; nor can the other one forget it."""
    async with tables.member("one") as (_, one), tables.member("two") as (_, two):
        await one.watch({}, NOON, MESSAGES)
        found = await asyncio.gather(*(each.claim_alerts(MESSAGES) for _ in range(5) for each in (one, two)))
        mine, theirs = ({alert.server for each in found[start::2] for alert in each} for start in (0, 1))
        assert mine | theirs == {alert.server for alert in MESSAGES}
        assert not mine & theirs
        await two.alerts_sent(KEYS)
        assert {alert.server for alert in await one.alerts()} == mine


async def test_a_claim_ends_by_the_databases_clock(tables: Tables) -> None:
    """Then another one may send it, and the first one has it in hand no more."""
    message = MESSAGES[0]
    async with tables.member("one") as (_, one), tables.member("two") as (_, two):
        await one.watch({}, NOON, [message])
        assert await one.claim_alerts([message]) == [message]
        assert await two.claim_alerts([message]) == []
        assert tables.sql("SELECT claimed_until > clock_timestamp() + interval '90 seconds' FROM alert") == "t"
        tables.sql(ENDED)
        assert await two.claim_alerts([message]) == [message]
        assert await one.claim_alerts([message]) == []
        tables.sql("UPDATE alert SET claimed_until = claimed_until + interval '1 hour'")
        assert await one.claim_alerts([message]) == [], "it was set back, and that one may be at work"
        assert tables.sql("SELECT claimed_until <= clock_timestamp() + interval '2 minutes' FROM alert") == "t"
        await one.alerts_sent(KEYS[:1], claimed=True)
        assert await two.alerts() == [message]


async def test_a_newer_message_is_sent_in_its_own_words_and_outlasts_the_one_before_it(tables: Tables) -> None:
    """The next member wrote it while the first one had the earlier one in hand."""
    earlier = MESSAGES[0]
    newer = replace(earlier, message={"n": "newer"})
    async with tables.member("one") as (_, one), tables.member("two") as (_, two):
        await one.watch({}, NOON, [earlier])
        await one.claim_alerts([earlier])
        await two.watch({}, NOON, [newer])
        await one.alerts_sent(KEYS[:1], claimed=True)
        assert await one.claim_alerts([earlier]) == [newer]
        assert await two.claim_alerts([newer]) == []


def claims_of(engine: Engine, journal: Journal) -> Claims:
    """What a member knows of what waits in that journal."""
    context = SimpleNamespace(journal=journal, engine=engine, opening_trouble=None)
    return Claims(Writing(cast("RotationContext", context)))


async def test_a_newer_one_is_not_forgotten_in_the_place_of_an_earlier_one_that_was_sent_without_a_claim(
    tables: Tables, tmp_path: Path
) -> None:
    """Whether it is written before that one has arrived, or before it could be forgotten."""
    survival = loaded(tmp_path).servers["survival"]
    earlier, newer = message(survival), message(survival, text="worse")
    async with tables.member("one") as (engine, journal):
        claims = claims_of(engine, journal)

        async def write() -> None:
            await memory.remember(journal, {}, [("ops", newer)], NOON)
            claims.written([("ops", newer)])

        claims.unwritten.add(("ops", earlier))
        assert await claims.claim("ops", [earlier]) == [earlier]
        async with claims._writing.one_at_a_time:
            arriving = asyncio.create_task(claims.arrived("ops", [earlier]))
            await write()
        await arriving
        assert await claims.claim("ops", [newer]) == [newer]

        claims.unwritten.add(("ops", earlier))
        assert await claims.claim("ops", [earlier]) == [earlier]
        tables.sql("ALTER TABLE alert RENAME TO away")
        await claims.arrived("ops", [earlier])
        tables.sql("ALTER TABLE away RENAME TO alert")
        await write()
        await claims.catch_up()
        assert await claims.claim("ops", [newer]) == [newer]


async def test_what_has_just_arrived_is_not_queued_again(tables: Tables, tmp_path: Path) -> None:
    """A look reads its row while something else is being written, so that it could not be forgotten yet."""
    one = message(loaded(tmp_path).servers["survival"])
    async with tables.member("one") as (engine, journal):
        claims = claims_of(engine, journal)
        await memory.remember(journal, {}, [("ops", one)], NOON)
        await claims.claim("ops", [one])
        async with claims._writing.one_at_a_time:
            arriving = asyncio.create_task(claims.arrived("ops", [one]))
            assert claims.still_waiting(await memory.waiting(journal, alone=False)) == {"ops": []}
        await arriving
        assert await memory.waiting(journal, alone=False) == {}


async def test_what_is_sent_while_the_journal_cannot_be_opened_is_forgotten_there_once_it_can(
    tables: Tables, tmp_path: Path
) -> None:
    """The journal in memory that stands in for it knows nothing of its messages."""
    survival = loaded(tmp_path).servers["survival"]
    one, newer = message(survival), message(survival, text="worse")
    async with tables.member("one") as (engine, journal):
        await memory.remember(journal, {}, [("ops", one)], NOON)
        context = SimpleNamespace(journal=journal, engine=engine, opening_trouble=StateError("gone"))
        claims = Claims(Writing(cast("RotationContext", context)))
        context.journal = await MemoryEngine().open()
        for each in (one, newer):
            claims.unwritten.add(("ops", each))
            await memory.remember(context.journal, {}, [("ops", each)], NOON)
            assert await claims.claim("ops", [each]) == [each]
            await claims.arrived("ops", [each])
        context.journal, context.opening_trouble = journal, None
        assert claims.still_waiting(await memory.waiting(journal, alone=False)) == {"ops": []}
        await claims.catch_up()
        assert await journal.alerts() == []


# The whole way -------------------------------------------------------------------------------------------------------


@dataclass
class Member:
    """A member that alerts."""

    alerts: Alerts
    config: Config

    def acts(self, yes: bool) -> None:
        """Let it act for all servers from now on, or for none."""
        self.alerts.reload(self.config, Share(self.config if yes else replace(self.config, servers={}), yes))

    async def failed(self) -> None:
        """Let a rotation of survival fail here."""
        server = self.config.servers["survival"]
        await self.alerts._tracker.ended(order(server), FAILED)
        await self.alerts.ended(order(server), FAILED)

    async def look(self) -> None:
        """Let it look now, as it does once a minute."""
        await self.alerts._record.recall_left()


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiving]:
    """A receiver on loopback, which is sent each message at once."""
    monkeypatch.setattr(outbox, "GATHER_SECONDS", 0.0)
    async with receiving() as there:
        yield there


@asynccontextmanager
async def alerting(tables: Tables, folder: Path, url: str, *names: str) -> AsyncIterator[list[Member]]:
    """Members that alert; the first one acts for all servers."""
    config = replace(loaded(folder), alerts={"ops": alert(url)})
    async with AsyncExitStack() as held:
        members = []
        for number, name in enumerate(names):
            engine, journal = await held.enter_async_context(tables.member(name))
            share = Share(config if number == 0 else replace(config, servers={}), fleet=number == 0)
            alerts = Alerts(config, tracking_in(config, SystemClock(), engine, journal), share=share)
            await alerts.start()
            held.push_async_callback(alerts.close, 0)
            members.append(Member(alerts, config))
        yield members


async def test_a_member_that_dies_with_a_message_in_hand_loses_none_and_no_two_send_it(
    tables: Tables, tmp_path: Path, receiver: Receiving
) -> None:
    """The receiver has it from the first one, and does not answer; the next one waits until that claim has ended."""
    receiver.silent = True
    async with alerting(tables, tmp_path, receiver.url, "one", "two") as (one, two):
        await one.failed()
        await until(lambda: len(receiver.requests) == 1)
        receiver.silent = False
        one.alerts._record.receivers.by_name["ops"].stop()  # it is dead
        two.acts(True)
        await until(lambda: not two.alerts._record._writing._writes)
        for _ in range(3):
            await two.look()
            await until(lambda: not two.alerts._record.receivers.waiting)
        assert len(receiver.requests) == 1
        tables.sql(ENDED)
        await two.look()
        await until(lambda: len(receiver.requests) == 2)
        await until(lambda: tables.sql("SELECT count(*) FROM alert") == "0")


async def test_what_is_in_hand_while_its_node_goes_to_another_member_is_sent_once(
    tables: Tables, tmp_path: Path, receiver: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next member finds it in the database, and the first one forgets it there when it has arrived."""
    slow = asyncio.Event()
    async with alerting(tables, tmp_path, receiver.url, "one", "two") as (one, two):
        send = one.alerts._sender.send

        async def held_up(post: Post) -> Failure | None:
            await slow.wait()
            return await send(post)

        monkeypatch.setattr(one.alerts._sender, "send", held_up)
        await one.failed()
        await until(lambda: tables.sql("SELECT count(claimed_by) FROM alert") == "1")
        one.acts(False)
        two.acts(True)
        await until(lambda: not two.alerts._record._writing._writes)
        await two.look()
        await until(lambda: not two.alerts._record.receivers.waiting)
        assert receiver.requests == []
        slow.set()
        await until(lambda: tables.sql("SELECT count(*) FROM alert") == "0")
        assert len(receiver.requests) == 1


async def test_what_the_database_could_not_take_is_sent_once_though_its_node_goes_to_another_member(
    tables: Tables, tmp_path: Path, receiver: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written once that can be, and then whoever claims it sends it."""
    async with alerting(tables, tmp_path, receiver.url, "one", "two") as (one, two):
        answers = asyncio.Event()
        send = one.alerts._sender.send

        async def held_up(post: Post) -> Failure | None:
            await answers.wait()
            return await send(post)

        monkeypatch.setattr(one.alerts._sender, "send", held_up)
        tables.sql("ALTER TABLE alert RENAME TO away")
        await one.failed()
        one.acts(False)
        two.acts(True)
        await until(lambda: not two.alerts._record._writing._writes)
        tables.sql("ALTER TABLE away RENAME TO alert")
        await two.alerts._record.agree()
        await one.alerts._record.agree()
        await two.look()
        answers.set()
        await until(lambda: tables.sql("SELECT count(*) FROM alert") == "0")
        await until(lambda: not any(each.alerts._record.receivers.waiting for each in (one, two)))
        assert len(receiver.requests) == 1


async def test_what_the_database_does_not_know_is_sent_without_it(
    tables: Tables, tmp_path: Path, receiver: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other member can send it, so that no claim is needed. What is written while it is on its way is forgotten."""
    answered = asyncio.Event()
    async with alerting(tables, tmp_path, receiver.url, "one") as (one,):
        send = one.alerts._sender.send

        async def answered_late(post: Post) -> Failure | None:
            failure = await send(post)
            await answered.wait()
            return failure

        monkeypatch.setattr(one.alerts._sender, "send", answered_late)
        tables.sql("ALTER TABLE alert RENAME TO away")
        await one.failed()
        await until(lambda: len(receiver.requests) == 1)
        tables.sql("ALTER TABLE away RENAME TO alert")
        await one.alerts._record.agree()
        assert tables.sql("SELECT count(*) FROM alert") == "1"
        answered.set()
        await until(lambda: tables.sql("SELECT count(*) FROM alert") == "0")
        await one.look()
        assert len(receiver.requests) == 1
        assert "failed" in tables.sql("SELECT watch FROM watch WHERE server = 'survival'")


async def test_what_could_not_be_forgotten_is_not_sent_again(
    tables: Tables, tmp_path: Path, receiver: Receiving
) -> None:
    """The database was gone when it had arrived; once it is back, it is forgotten there."""
    async with alerting(tables, tmp_path, receiver.url, "one") as (one,):
        send = one.alerts._sender.send

        async def loses_the_table(post: Post) -> Failure | None:
            tables.sql("ALTER TABLE alert RENAME TO away")
            return await send(post)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(one.alerts._sender, "send", loses_the_table)
            await one.failed()
            await until(lambda: one.alerts._record._writing.behind)
        tables.sql("ALTER TABLE away RENAME TO alert")
        await one.look()
        await one.alerts._record.agree()
        assert tables.sql("SELECT count(*) FROM alert") == "0"
        await one.look()
        assert (len(receiver.requests), one.alerts._record.receivers.waiting) == (1, [])


@pytest.mark.parametrize("count", [1, SINGLY + 1])
async def test_what_the_database_lacks_does_not_wait_behind_what_it_holds(
    tables: Tables, tmp_path: Path, receiver: Receiving, count: int
) -> None:
    """While it cannot be asked who sends that; once it can, that is sent too, alone or with others as one message."""
    async with alerting(tables, tmp_path, receiver.url, "one") as (one,):
        record, survival = one.alerts._record, one.config.servers["survival"]
        held = [message(replace(survival, name=f"s{number}")) for number in range(count)]
        await record.remember({}, [("ops", each) for each in held])
        tables.sql("ALTER TABLE alert RENAME TO away")  # before anything was claimed
        await one.failed()
        await until(lambda: len(receiver.requests) == 1)
        assert receiver.requests[0].document["server"] == "survival"
        tables.sql("ALTER TABLE away RENAME TO alert")
        await record.agree()
        await one.look()
        await until(lambda: tables.sql("SELECT count(*) FROM alert") == "0")
        assert len(receiver.requests) == 2


async def test_what_was_written_though_its_answer_was_lost_is_not_sent_again(
    tables: Tables, tmp_path: Path, receiver: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was sent without a claim, and could not be forgotten at once."""
    async with alerting(tables, tmp_path, receiver.url, "one") as (one,):
        journal = one.alerts._record._writing.journal
        watch, forget = journal.watch, journal.alerts_sent

        async def answer_lost(*arguments: Any, **more: Any) -> None:
            await watch(*arguments, **more)
            raise StateError("the connection was lost")

        async def lost(*_: Any, **__: Any) -> None:
            monkeypatch.setattr(journal, "alerts_sent", forget)
            raise StateError("the connection was lost")

        monkeypatch.setattr(journal, "alerts_sent", lost)
        with monkeypatch.context() as patched:
            patched.setattr(journal, "watch", answer_lost)
            await one.failed()
        await until(lambda: len(receiver.requests) == 1 and not one.alerts._record.receivers.waiting)
        await until(lambda: journal.alerts_sent == forget)
        await one.alerts._record.agree()
        await one.look()
        await until(lambda: tables.sql("SELECT count(*) FROM alert") == "0")
        assert (len(receiver.requests), one.alerts._record.receivers.waiting) == (1, [])


async def test_what_was_written_to_a_stand_in_is_sent_though_the_journal_is_open_again(
    tables: Tables, tmp_path: Path, receiver: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next claim may come before the next look, which writes what the database lacks: that knows nothing of it."""
    async with alerting(tables, tmp_path, receiver.url, "one") as (one,):
        context = one.alerts._record._tracker.context
        journal, stand_in = context.journal, await MemoryEngine().open()
        monkeypatch.setattr(context, "opening_trouble", StateError("gone"))
        monkeypatch.setattr(context, "journal", stand_in)
        monkeypatch.setattr(outbox, "GATHER_SECONDS", 3600.0)
        await one.failed()
        (waits,) = one.alerts._record.receivers.waiting
        monkeypatch.setattr(context, "opening_trouble", None)
        monkeypatch.setattr(context, "journal", journal)
        assert await one.alerts._record._claims.claim("ops", [waits[1]]) == [waits[1]]
