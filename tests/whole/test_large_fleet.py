"""A fleet of thousands: what does not grow with it, counted and not timed, on virtual time."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from cronsim import CronSim

from daemon.config.values import Config
from daemon.core.calendar import parse_schedule
from daemon.fleet.fleet import SLICE
from daemon.fleet.scheduler import Scheduler
from daemon.state.local.journal import SqliteJournal
from tests.virtual import JumpingSelector
from tests.whole.fleet import Daemons

pytestmark = pytest.mark.anyio

SERVERS = 500


@pytest.fixture
def large(daemons: Daemons) -> Config:
    """Many servers of one policy, spread over an hour. None of them is on the panel: nothing is rotated."""
    config = daemons.configure(schedule="0 12 * * *", splay="1h")
    one = config.servers["survival"]
    names = [f"server-{number}" for number in range(SERVERS)]
    servers = {name: replace(one, name=name, id=f"{number:08x}") for number, name in enumerate(names)}
    return replace(config, servers=servers)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each of what costs something is done."""
    counts: Counter[str] = Counter()

    def count(owner: type, name: str) -> None:
        plain = getattr(owner, name)

        def counting(*given: Any, **named: Any) -> Any:
            counts[name] += 1
            return plain(*given, **named)

        monkeypatch.setattr(owner, name, counting)

    count(Scheduler, "put")
    count(Scheduler, "remove")
    count(SqliteJournal, "attempts_of")
    count(SqliteJournal, "recent")
    count(CronSim, "__init__")
    return counts


async def looked_at(daemons: Daemons) -> None:
    """Let the background's work on a fleet come to its end."""
    for _ in range(SERVERS):
        await daemons.clock.sleep(0)


async def test_a_start_asks_the_journal_for_many_servers_at_a_time_and_the_schedule_hardly_at_all(
    daemons: Daemons, large: Config, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schedule that all servers share is asked for the gaps between its starts, and not for each server."""
    monkeypatch.setattr("daemon.fleet.rotations.Rotations.launch", lambda *_: None)
    async with daemons.running(large):
        await looked_at(daemons)
    assert counted["put"] == SERVERS
    assert counted["attempts_of"] == SERVERS / SLICE
    assert counted["recent"] == 0
    assert counted["__init__"] < SERVERS / 10


async def test_a_reload_of_an_unchanged_configuration_touches_nothing(
    daemons: Daemons, large: Config, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a job nor the journal, whether the values are the same ones or equal ones."""
    monkeypatch.setattr("daemon.fleet.rotations.Rotations.launch", lambda *_: None)
    async with daemons.running(large) as fleet:
        await looked_at(daemons)
        counted.clear()
        fleet.reload(replace(large, servers=dict(large.servers)))
        assert "following a reload" not in {task.get_name() for task in asyncio.all_tasks()}
        fleet.reload(replace(large, servers={name: replace(server) for name, server in large.servers.items()}))
        await looked_at(daemons)
        assert not counted


async def test_a_reload_that_changes_every_server_lets_others_run_meanwhile(
    daemons: Daemons, large: Config, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that falls due is not late by what a thousand jobs take to be scheduled anew."""
    monkeypatch.setattr("daemon.fleet.rotations.Rotations.launch", lambda *_: None)
    async with daemons.running(large) as fleet:
        await looked_at(daemons)
        counted.clear()
        fleet.reload(an_hour_later(large))
        most = 0
        while counted["put"] < SERVERS:
            before = counted["put"]
            await asyncio.sleep(0)  # noqa: TID251 — lets the others run once
            most = max(most, counted["put"] - before)
        assert 0 < most <= 20
        await looked_at(daemons)
        assert counted["put"] == SERVERS


async def test_rotations_that_start_together_open_their_rows_one_at_a_time(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the disk, and whatever else is due must not wait for all of them."""
    first = next(iter(daemons.world.servers.values()))
    for number in range(40):
        daemons.world.add_server(f"server-{number}", owner=first.owner, node=first.node)
    turn, turns = 0, list[int]()
    begin, select = SqliteJournal.begin, JumpingSelector.select

    def beginning(journal: SqliteJournal, **given: Any) -> int:
        turns.append(turn)
        return begin(journal, **given)

    def selecting(selector: JumpingSelector, timeout: float | None = None) -> Any:
        nonlocal turn
        turn += 1
        return select(selector, timeout)

    monkeypatch.setattr(SqliteJournal, "begin", beginning)
    monkeypatch.setattr(JumpingSelector, "select", selecting)
    async with daemons.running(daemons.configure()):
        await daemons.clock.sleep(30)
    assert len(turns) == len(set(turns)) == len(daemons.world.servers)


def an_hour_later(config: Config) -> Config:
    """The same an hour later, without splay."""
    policy = next(iter(config.servers.values())).policy
    later = replace(policy, schedule=parse_schedule("0 13 * * *"), splay=timedelta(0))
    return replace(config, servers={name: replace(one, policy=later) for name, one in config.servers.items()})


async def test_servers_that_start_together_are_begun_a_few_at_a_time(large: Config, daemons: Daemons) -> None:
    """Everything else goes on between them: five hundred rotations at once would hold the loop."""
    together = replace(
        large,
        servers={
            name: replace(server, policy=replace(server.policy, splay=timedelta(0)))
            for name, server in large.servers.items()
        },
    )
    begun: list[int] = []
    async with daemons.running(together) as fleet:
        await looked_at(daemons)
        fleet._due_together({name: server.starts for name, server in together.servers.items()})
        while not begun or begun[-1] < SERVERS:
            begun.append(len(fleet._served))
            await daemons.clock.sleep(0)
    assert max(later - earlier for earlier, later in pairwise(begun)) == SLICE
