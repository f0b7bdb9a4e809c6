"""What a member of a cluster may do, until another one has taken over: in a real database, and in the model of one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from daemon.core.applied import AppliedRetention
from daemon.core.proof import Level, Proof
from daemon.errors import JournalBusyError, ServerBusyError, StateError
from daemon.state import Alert, Engine, ProofRecord
from daemon.state.postgres.database import Work
from daemon.state.postgres.engine import PostgresEngine
from tests.state.engines import Clustered, membership
from tests.state.test_postgres import AT, SERVER, begin, leaving

OTHER = "2b8df008-36ac-463f-9c5f-dfdd575253db"
BAD = ProofRecord(
    "survival", SERVER, Proof("b1", "auto-1", AT, AT, Level.WALKED, None, problems=("torn",), files=None, bytes=None)
)

pytestmark = pytest.mark.anyio


def member(cluster: Clustered, name: str) -> AbstractAsyncContextManager[Engine]:
    """A member of the cluster."""
    return leaving(cluster.member(name))


async def test_a_member_whose_time_is_over_is_replaced_and_announces_nothing_more(cluster: Clustered) -> None:
    """It learns that by its next announcement, and then no write of its leaves any more."""
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        await one.leadership.join()
        journal = await one.open()
        number = await begin(journal)
        async with one.locks.held(SERVER):
            await journal.announce(number, "create", AT)
            assert one.leadership.hindrance(creates=False) == ""
            cluster.expire("one")
            async with two.locks.held(SERVER):
                with pytest.raises(StateError, match="another member of the cluster has taken over"):
                    await journal.announce(number, "delete", AT)
        assert [one.leadership.hindrance(creates=creates) != "" for creates in (True, False)] == [True, True]
        await asyncio.wait_for(one.leadership.lost(), 5)
        assert [step.name for step in (await journal.running())[0].steps] == ["create"]
        await journal.close()


async def test_a_member_that_was_replaced_frees_nothing_more_to_be_deleted(cluster: Clustered) -> None:
    """It proves nothing, and says of no half deleted backup that it is whole: another one may have deleted it since, or
    found out otherwise.
    """
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        await one.leadership.join()
        journal = await one.open()
        await journal.record_proof(BAD)
        await journal.ask(SERVER, BAD.proof.backup, AT)
        cluster.expire("one")
        async with two.locks.held(SERVER):
            pass
        right = replace(BAD, proof=replace(BAD.proof, problems=(), reached=Level.WALKED))
        for freeing in (
            journal.record_proof(right),
            journal.forget_proofs(SERVER, [BAD.proof]),
            journal.asked_no_more(SERVER, BAD.proof.backup),
            journal.apply(SERVER, AppliedRetention("last=1")),
            journal.apply(SERVER, AppliedRetention("last=1"), "nas"),
        ):
            with pytest.raises(StateError, match="another member of the cluster has taken over"):
                await freeing
        assert await journal.proofs(SERVER) == [BAD]
        assert await journal.asked(SERVER) == {BAD.proof.backup}
        assert (await journal.applied(SERVER), await journal.applied(SERVER, "nas")) == (None, None)
        await journal.close()


async def test_a_member_whose_time_is_over_goes_on_if_nobody_took_over(cluster: Clustered) -> None:
    """Nobody else has acted since; its announcement makes it live again."""
    async with member(cluster, "one") as one:
        await one.leadership.join()
        journal = await one.open()
        async with one.locks.held(SERVER):
            cluster.expire("one")
            await journal.announce(await begin(journal), "create", AT)
        assert [each.left > 0 for each in (await membership(one).seen()).members] == [True]
        await journal.close()


@asynccontextmanager
async def answers_lost(one: Engine, *, late: bool = False) -> AsyncIterator[None]:
    """The way to the database is cut after the next thing that is asked of it has left. With `late`, that arrives once
    the block is over.
    """
    assert isinstance(one, PostgresEngine)
    run, asked = one._database.run, list[Work[Any]]()

    async def lost(work: Work[Any]) -> None:
        asked.append(work)
        if len(asked) == 1 and not late:
            await run(work)
        raise JournalBusyError("it is out of reach", hint="")

    with mock.patch.object(one._database, "run", lost):
        yield
    if late:
        await run(asked[0])


@pytest.mark.parametrize("late", [False, True])
async def test_a_member_that_joins_again_as_it_got_no_answer_is_there_once(cluster: Clustered, late: bool) -> None:
    """Else nodes would be given to one that nobody is. Another of its name and process, on another machine, stays."""
    async with member(cluster, "one") as one, member(cluster, "one") as other, member(cluster, "two") as two:
        await other.leadership.join()
        async with one.locks.held(SERVER):  # the tables are there, and a life before is over
            pass
        for _ in range(2):
            async with answers_lost(one, late=late):
                with pytest.raises(StateError, match="out of reach"):
                    await one.leadership.join()
        assert [each.role for each in (await membership(two).seen()).members] == ["acts", "acts"]
        await one.leadership.join()
        seen = (await membership(two).seen()).members
        assert len(seen) == 2
        assert isinstance(one, PostgresEngine)
        assert seen[1].epoch == one._members.epoch
        async with one.locks.held(SERVER):
            assert await two.locks.is_held(SERVER)
        await one.leadership.give_up()
        assert [each.epoch for each in (await membership(two).seen()).members] == [seen[0].epoch]


async def test_what_was_held_in_one_life_is_not_held_in_the_next(cluster: Clustered) -> None:
    """Even if the database could not be told of the end of the first: nobody would ever give it back."""
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        assert isinstance(one, PostgresEngine)
        held = one.locks.held(SERVER)
        await held.__aenter__()
        with mock.patch.object(one._database, "run", side_effect=JournalBusyError("it is out of reach", hint="")):
            await held.__aexit__(None, None, None)
        before = (await membership(two).seen()).members
        await one.leadership.join()
        assert len({each.epoch for each in (*before, *(await membership(two).seen()).members)}) == 2


async def test_a_member_that_is_told_to_stop_while_it_joins_is_none(cluster: Clustered) -> None:
    """What was asked of the database is done all the same."""
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        assert isinstance(one, PostgresEngine)
        await (await one.open()).close()
        async with one._database._turn:
            joining = asyncio.create_task(one.leadership.join())
            await turn_is_waited_for(one)
            joining.cancel()
            await turn_is_waited_for(one, by=2)
        with pytest.raises(asyncio.CancelledError):
            await joining
        assert (await membership(two).seen()).members == ()


async def turn_is_waited_for(one: PostgresEngine, by: int = 1) -> None:
    """Wait until so many calls wait for their turn at the database."""
    for _ in range(100):
        if len(one._database._turn._waiters or ()) >= by:
            return
        await asyncio.sleep(0)  # noqa: TID251 — nothing but the loop is waited for
    pytest.fail(f"not {by} are waiting")


async def test_what_a_dead_member_held_is_free_for_the_next(cluster: Clustered) -> None:
    """A command by hand was killed while it held a server."""
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        async with one.locks.held(SERVER):
            with pytest.raises(StateError, match=r"already by process \d+ of member one$"):
                await two.locks.held(SERVER).__aenter__()
            cluster.expire("one")
            async with two.locks.held(SERVER):
                assert await one.locks.is_held(SERVER)
        assert not await two.locks.is_held(SERVER)


async def test_a_clock_that_is_set_back_lets_no_dead_member_live_for_longer_than_its_lease(cluster: Clustered) -> None:
    """Whoever renews sees to that."""
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        for each in (one, two):
            await each.leadership.join()
        assert isinstance(one, PostgresEngine)
        assert isinstance(two, PostgresEngine)
        one._members.terminate()
        cluster.set_back(3600)
        left = await seconds_left(two)
        assert min(left) > 3600
        two._members.renew_now()
        for _ in range(1000):
            if max(left := await seconds_left(two)) <= 30:
                break
            await asyncio.sleep(0.01)  # noqa: TID251 — a real server is asked meanwhile
        assert [20 < each <= 30 for each in left] == [True, True]


async def seconds_left(engine: Engine) -> list[float]:
    """What is left of the members' leases."""
    return [each.left for each in (await membership(engine).seen()).members]


async def test_what_could_not_be_given_back_can_be_taken_again_by_its_holder_alone(cluster: Clustered) -> None:
    """The database was out of reach as a rotation ended: the server is rotated again at its next start."""
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        await one.leadership.join()
        assert isinstance(one, PostgresEngine)
        held = one.locks.held(SERVER)
        await held.__aenter__()
        with mock.patch.object(one._database, "run", side_effect=JournalBusyError("it is out of reach", hint="")):
            await held.__aexit__(None, None, None)
        with pytest.raises(ServerBusyError, match=r"of member one$"):
            await two.locks.held(SERVER).__aenter__()
        async with one.locks.held(SERVER):
            with pytest.raises(ServerBusyError, match=r"of member one$"):
                await two.locks.held(SERVER).__aenter__()
        async with two.locks.held(SERVER):
            pass


async def test_what_could_not_be_given_back_is_given_back_once_the_database_answers(cluster: Clustered) -> None:
    """The server may be on another member's node by then; what is held anew meanwhile is kept."""
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        await one.leadership.join()
        assert isinstance(one, PostgresEngine)
        assert one.leadership.shares is not None
        left, kept = one.locks.held(SERVER), one.locks.held(OTHER)
        for held in (left, kept):
            await held.__aenter__()
        with mock.patch.object(one._database, "run", side_effect=JournalBusyError("it is out of reach", hint="")):
            for held in (left, kept):
                await held.__aexit__(None, None, None)
        async with one.locks.held(OTHER):
            await one.leadership.shares.look()
            async with two.locks.held(SERVER):
                with pytest.raises(ServerBusyError, match=r"of member one$"):
                    await two.locks.held(OTHER).__aenter__()


async def test_a_message_is_in_the_hands_of_one_member(cluster: Clustered) -> None:
    """That one alone forgets it; what is told anew is in nobody's hands."""
    failed, overdue = (Alert("ops", "survival", event, {"text": event}) for event in ("failed", "overdue"))
    keys = [(each.receiver, each.server, each.event) for each in (failed, overdue)]
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        for engine in (one, two):
            await engine.leadership.join()
        ours, others = await one.open(), await two.open()
        await ours.watch({"survival": {"seen": 1}}, AT, [failed, overdue])
        assert await ours.claim_alerts([failed]) == [failed]
        assert await ours.claim_alerts([failed]) == [failed]
        assert await others.claim_alerts([overdue, failed]) == [overdue]
        await others.alerts_sent(keys)
        assert await others.alerts() == [failed]
        await others.alerts_sent(keys, claimed=True)
        assert await others.alerts() == [failed]
        await ours.alerts_sent(keys, claimed=True)
        assert await others.alerts() == []
        await ours.watch({}, AT, [failed])
        assert await others.claim_alerts([failed]) == [failed]
        assert await others.watches() == {"survival": {"seen": 1}}
        for journal in (ours, others):
            await journal.close()


async def test_a_member_that_was_replaced_can_come_again(cluster: Clustered) -> None:
    """Under another epoch, and behind the one that took over."""
    async with member(cluster, "one") as one, member(cluster, "two") as two:
        await one.leadership.join()
        cluster.expire("one")
        await two.leadership.join()
        async with two.locks.held(SERVER):
            with pytest.raises(StateError, match="has taken over"):
                await one.locks.held(OTHER).__aenter__()
        await one.leadership.join()
        assert one.leadership.hindrance(creates=False) == ""
        assert [each.name for each in (await membership(two).seen()).members] == ["two", "one"]
