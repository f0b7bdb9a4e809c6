"""How the daemons of a cluster share the fleet: by what a real database says of them, and the simulation's model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from daemon.copies.alone import alone
from daemon.core.agreement import Opinion
from daemon.errors import ElsewhereError, StateError, TakenOverError
from daemon.state import Engine, Shares, SharesSeen, Trigger, UnderWay
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.database import Database
from tests.postgres import Postgres
from tests.state.engines import Clustered, Shared, membership

pytestmark = pytest.mark.anyio

AT = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
SERVER = "1a7ce997-259b-452e-8b4e-cecc464142ca"
NODE = "node main/one"


@asynccontextmanager
async def daemon(cluster: Clustered, name: str) -> AsyncIterator[Engine]:
    """A daemon of the cluster."""
    engine = cluster.member(name)
    async with AsyncExitStack() as held:
        held.callback(engine.close)
        held.push_async_callback(engine.leadership.give_up)
        await engine.leadership.join()
        await held.enter_async_context(engine.presence.known())
        yield engine


def shares(engine: Engine) -> Shares:
    """How that daemon shares the fleet."""
    assert engine.leadership.shares is not None
    return engine.leadership.shares


def names(seen: SharesSeen) -> dict[str, str]:
    """Who holds which part."""
    return {part: name for part, (name, _) in seen.held.items()}


async def test_a_part_is_in_use_while_a_lock_is_held_that_would_end_with_it(cluster: Clustered) -> None:
    """Of a command by hand the node does not matter."""
    async with daemon(cluster, "one") as one:
        assert await shares(one).take(NODE)
        assert set(shares(one).in_use()) == set()
        async with one.locks.held(SERVER, NODE), one.locks.held("another"):
            assert set(shares(one).in_use()) == {NODE}
        assert set(shares(one).in_use()) == set()


async def test_a_part_has_one_holder_and_another_when_that_gives_it(cluster: Clustered) -> None:
    """All see the same; commands by hand are no daemons."""
    async with daemon(cluster, "one") as one, daemon(cluster, "two") as two:
        command = cluster.member("three")
        async with command.locks.held("another"):
            assert await shares(one).take(NODE)
            assert not await shares(two).take(NODE)
            seen = await shares(two).look()
            assert (names(seen), seen.me[0]) == ({NODE: "one"}, "two")
            assert {name for name, _ in seen.members} == {"one", "two"}
        await shares(one).give(NODE)
        assert await shares(two).take(NODE)
        assert names(await shares(one).look()) == {NODE: "two"}
        assert [member.holds for member in (await membership(one).seen()).members] == [(), (NODE,)]
        command.close()


async def test_what_another_process_has_under_way_is_told_with_its_last_step_and_nothing_that_was_broken_off(
    cluster: Clustered,
) -> None:
    """A lock tells that somebody is at it; of several that were broken off, the newest is gone on with."""
    async with daemon(cluster, "one") as one, daemon(cluster, "two") as two:
        journal = await one.open()

        async def begun(trigger: Trigger) -> int:
            names = {"server_uuid": SERVER, "server": "survival", "panel": "main", "policy": "standard"}
            return await journal.begin(**names, trigger=trigger, start_at=AT, at=AT)

        first = await begun("schedule")
        await journal.step(first, "create", AT)
        assert await shares(two).under_way() == []
        async with one.locks.held(SERVER):
            now = UnderWay("one", "survival", "main", SERVER, "schedule", AT, "create", AT)
            assert await shares(two).under_way() == [now]
            assert await shares(one).under_way() == []
            second = await begun("resume")
            await journal.step(second, "gathered", AT)
            assert await shares(two).under_way() == [replace(now, trigger="resume", step=None, step_at=None)]
            for number in (first, second):
                await journal.end(number, at=AT, result="done", summary={})
            assert await shares(two).under_way() == []
            await begun("manual")
            cluster.expire("one")
            assert await shares(two).under_way() == []
        await journal.close()


async def test_what_a_dead_member_held_is_free_and_it_is_no_member_any_more(cluster: Clustered) -> None:
    """Its own leases end with it, whatever it still believes."""
    async with daemon(cluster, "one") as one, daemon(cluster, "two") as two:
        assert await shares(one).take(NODE)
        cluster.expire("one")
        assert names(await shares(two).look()) == {}
        assert await shares(two).take(NODE)
        with pytest.raises(StateError, match="has taken over"):
            await shares(one).take("another")


async def test_a_server_is_locked_within_its_part_alone_and_loses_the_lock_with_it(cluster: Clustered) -> None:
    """So nothing is announced for a node that another member holds; the member itself goes on."""
    async with daemon(cluster, "one") as one, daemon(cluster, "two") as two:
        with pytest.raises(ElsewhereError, match="no member acts yet"):
            await one.locks.held(SERVER, NODE).__aenter__()
        assert await shares(one).take(NODE)
        with pytest.raises(ElsewhereError, match="member one acts"):
            await two.locks.held(SERVER, NODE).__aenter__()
        journal = await one.open()
        number = await journal.begin(
            server_uuid=SERVER, server="s", panel="main", policy="p", trigger="schedule", start_at=AT, at=AT
        )
        async with one.locks.held(SERVER, NODE):
            await journal.announce(number, "create", AT)
            await shares(one).give(NODE)
            assert await shares(two).take(NODE)
            async with two.locks.held(SERVER, NODE):
                with pytest.raises(TakenOverError, match="has taken over"):
                    await journal.announce(number, "delete", AT)
        assert await shares(one).take("another")
        await journal.close()


async def test_all_see_where_a_server_is_rotated_or_copied(cluster: Clustered) -> None:
    """By its lock within that part, until the member that holds it is dead. Its copies are made within the part too."""
    async with daemon(cluster, "one") as one, daemon(cluster, "two") as two:
        assert await shares(one).take(NODE)
        for held in (one.locks.held(SERVER, NODE), alone(one.locks, SERVER, NODE)):
            assert not await shares(two).at_work(NODE)
            async with held:
                assert await shares(two).at_work(NODE)
                assert not await shares(two).at_work("node main/other")
        with pytest.raises(ElsewhereError, match="member one acts"):
            await alone(two.locks, SERVER, NODE).__aenter__()
        async with one.locks.held(SERVER, NODE):
            cluster.expire("one")
            assert not await shares(two).at_work(NODE)


async def test_all_learn_of_the_nodes_and_of_rotations_that_ended(cluster: Clustered) -> None:
    """Each once; who comes later learns of all nodes, and of no rotation that is over."""
    async with daemon(cluster, "one") as one, daemon(cluster, "two") as two:
        await shares(two).look()
        journal = await one.open()
        number = await journal.begin(
            server_uuid=SERVER, server="survival", panel="main", policy="p", trigger="schedule", start_at=AT, at=AT
        )
        await shares(one).place("main", {"a": "n1", "b": "n1"})
        seen = await shares(two).look()
        assert (seen.placed, seen.ended) == ({("main", "a"): "n1", ("main", "b"): "n1"}, frozenset())
        await journal.end(number, at=AT, result="done", summary={})
        await shares(one).place("main", {"a": "n1", "b": "n2"})
        seen = await shares(two).look()
        assert (seen.placed, seen.ended) == ({("main", "b"): "n2"}, frozenset({"survival"}))
        seen = await shares(two).look()
        assert (seen.placed, seen.ended) == ({}, frozenset())
        seen = await shares(one).look()
        assert (seen.placed, seen.ended) == ({("main", "a"): "n1", ("main", "b"): "n2"}, frozenset())
        await journal.close()


async def test_one_that_joins_anew_learns_of_all_nodes_again(cluster: Clustered) -> None:
    """Its daemon begins anew, and knows none."""
    engine = cluster.member("one")
    await engine.leadership.join()
    await shares(engine).place("main", {"a": "n1"})
    for _ in range(2):
        await engine.leadership.join()
        assert (await shares(engine).look()).placed == {("main", "a"): "n1"}
        assert (await shares(engine).look()).placed == {}
        await engine.leadership.give_up()
    engine.close()


async def test_who_joined_counts_among_those_that_share_at_once(cluster: Clustered) -> None:
    """Whatever fails afterwards: it takes parts, and uses the API limit."""
    engine = cluster.member("one")
    await engine.leadership.join()
    async with daemon(cluster, "two") as two:
        assert {name for name, _ in (await shares(two).look()).members} == {"one", "two"}
    await engine.leadership.give_up()
    engine.close()


async def test_one_that_is_sent_out_is_seen_by_all_and_stays_out_when_it_starts_again(cluster: Clustered) -> None:
    """By its name, until it is called back; it keeps what it holds until it gives that."""
    async with daemon(cluster, "one") as one, daemon(cluster, "two") as two:
        assert await shares(one).take(NODE)
        assert (await membership(two).seen()).out == ()
        await membership(two).send_out("one")
        seen = await shares(one).look()
        assert ({name for name, _ in seen.members}, set(seen.out)) == ({"two"}, {seen.me})
        assert names(seen) == {NODE: "one"}
        (out,) = (await membership(two).seen()).out
        assert (out.name, out.by, out.evicted) == ("one", "two", False)
    async with daemon(cluster, "one") as again:
        assert {name for name, _ in (await shares(again).look()).out} == {"one"}
        assert await membership(again).call_back("one")
        assert not await membership(again).call_back("one")
        assert (await shares(again).look()).out == frozenset()


async def test_one_that_is_evicted_learns_of_it_at_its_next_look(cluster: Clustered) -> None:
    """Not only when it renews: until it knows, what it has announced still leaves, and it may prune."""
    one = cluster.member("one")
    async with daemon(cluster, "two") as two:
        await one.leadership.join()
        await shares(one).look()
        assert one.leadership.hindrance(creates=False) == ""
        await membership(two).evict("one")
        await shares(two).look()
        await shares(one).look()
        assert "has taken over" in one.leadership.hindrance(creates=False)
        assert two.leadership.hindrance(creates=False) == ""
        with pytest.raises(StateError, match="has taken over") as told:
            await shares(one).take(NODE)
        assert "evicted" in told.value.hint
        await one.leadership.give_up()
    one.close()


async def test_one_that_is_evicted_holds_and_announces_nothing_more_and_comes_back_as_one_that_is_out(
    cluster: Clustered,
) -> None:
    """What it announced last is in the journal for the next holder."""
    one = cluster.member("one")
    async with daemon(cluster, "two") as two:
        await one.leadership.join()
        journal = await one.open()
        assert await shares(one).take(NODE)
        number = await journal.begin(
            server_uuid=SERVER, server="s", panel="main", policy="p", trigger="schedule", start_at=AT, at=AT
        )
        async with one.locks.held(SERVER, NODE):
            await journal.announce(number, "create", AT)
            (epoch,) = await membership(two).evict("one")
            assert await shares(two).take(NODE)
            async with two.locks.held(SERVER, NODE):
                with pytest.raises(TakenOverError, match="has taken over"):
                    await journal.announce(number, "delete", AT)
                successor = await two.open()
                (found,) = await successor.of_start(SERVER, AT)
                assert (found.ended_at, [step.name for step in found.steps]) == (None, ["create"])
                await successor.close()
        assert one.leadership.hindrance(creates=True) != ""
        await one.leadership.give_up()
        await one.leadership.join()
        seen = await shares(one).look()
        assert (seen.me[1] > epoch, set(seen.out)) == (True, {seen.me})
        (out,) = (await membership(two).seen()).out
        assert out.evicted
        assert await membership(two).evict("nobody") == []
        await journal.close()
        await one.leadership.give_up()
    one.close()


async def test_what_each_goes_by_is_known_to_all_and_read_only_where_it_differs(cluster: Clustered) -> None:
    """Each look shows what each says by then; who has said nothing yet is not there."""
    same, other = Opinion.of({"a": "x", "b": "y"}), Opinion.of({"a": "x", "b": "z"}, 7)
    async with daemon(cluster, "one") as one, daemon(cluster, "two") as two:
        await shares(one).publish(same)
        seen = await shares(one).look()
        assert seen.opinions == {seen.me: same}
        await shares(two).publish(same)
        opinions = (await shares(one).look()).opinions
        assert list(opinions.values()) == [same, same]
        assert all(one is same for one in opinions.values()), "those that agree are not read"
        await shares(two).publish(other)
        opinions = (await shares(one).look()).opinions
        assert {name: said for (name, _), said in opinions.items()} == {"one": same, "two": other}
        again = (await shares(one).look()).opinions
        assert [again[key] is opinions[key] for key in again] == [True, True], "what is known is not read again"
    async with daemon(cluster, "two") as two:
        assert (await shares(two).look()).opinions == {}, "it ends with its member"


async def test_one_that_joins_anew_says_again_what_it_goes_by(cluster: Clustered) -> None:
    """Under its new epoch; the old one is gone."""
    engine = cluster.member("one")
    for _ in range(2):
        await engine.leadership.join()
        await shares(engine).publish(Opinion.of({"a": "x"}))
        seen = await shares(engine).look()
        assert list(seen.opinions) == [seen.me]
        await engine.leadership.give_up()
    engine.close()


async def test_all_see_which_panels_a_member_says_it_cannot_reach_until_it_takes_that_back_or_is_gone(
    cluster: Clustered,
) -> None:
    """So does an operator."""
    async with daemon(cluster, "one") as one:
        async with daemon(cluster, "two") as two:
            assert (await shares(one).look()).cut_off == {}
            await shares(two).tell_cut_off({"main", "other"})
            seen = await shares(one).look()
            assert {name: panels for (name, _), panels in seen.cut_off.items()} == {"two": {"main", "other"}}
            assert [*(await membership(one).seen()).cut_off.values()] == [{"main", "other"}]
            await shares(two).tell_cut_off(frozenset())
            assert (await shares(one).look()).cut_off == {}
            await shares(two).tell_cut_off({"main"})
        assert (await shares(one).look()).cut_off == {}


async def test_one_that_joins_anew_says_again_which_panels_it_cannot_reach(cluster: Clustered) -> None:
    """Under its new epoch, of which nothing is known before."""
    engine = cluster.member("one")
    for _ in range(2):
        await engine.leadership.join()
        assert (await shares(engine).look()).cut_off == {}
        await shares(engine).tell_cut_off({"main"})
        seen = await shares(engine).look()
        assert seen.cut_off == {seen.me: {"main"}}
        await engine.leadership.give_up()
    engine.close()


async def test_two_members_whose_time_is_over_do_not_wait_for_each_other(postgres_server: Postgres) -> None:
    """One is just being renewed, and would wait for the other as well."""
    cluster = Shared(postgres_server)
    async with daemon(cluster, "one") as one, daemon(cluster, "two") as two:

        async def meanwhile(connection: Connection) -> bool:
            async with connection.transaction():
                await connection.execute("SELECT FROM member WHERE name = 'one' FOR UPDATE")
                return await asyncio.wait_for(shares(two).take(NODE), 10)

        await shares(one).take("another")
        cluster.expire("one")
        database = Database(cluster.cluster.url)
        database.use()
        assert await database.run(meanwhile)
        await database.leave()
