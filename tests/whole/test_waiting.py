"""Waiting for the new backup: seldom looked at, never given up too early, adopted where it is ours already."""

import asyncio
from datetime import timedelta

import pytest

from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import State, Work
from daemon.sandbox.scenes import own_name
from daemon.sandbox.settings import Kind
from tests.whole.rig import Rig
from tests.whole.test_trouble import deleted, problem

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", Kind)]


async def test_a_backup_that_takes_an_hour_as_foretold_costs_four_requests_too(rig: Rig) -> None:
    """The earlier ones took an hour: the one look comes just after it."""
    for day in range(3, 0, -1):
        made = rig.world.now() - timedelta(days=day)
        name = own_name("survival", made, day)
        rig.world.add_backup(rig.server, name, created_at=made, took=timedelta(hours=1))
    rig.configure(keep={"last": 10})
    rig.server.work = Work(seconds=3600)
    assert (await rig.rotate()).result is Result.DONE
    assert rig.requests() == 4


async def test_with_several_pages_the_first_look_is_the_whole_list_and_later_ones_are_views(rig: Rig) -> None:
    """A look by list costs a request a page; one that comes too early is followed by cheap ones."""
    rig.fill(70)
    await rig.rotate()
    rig.configure(keep={"last": 100})
    rig.fill(70)
    rig.server.work = Work(seconds=300)
    lists, views = rig.requests(Call.LIST), rig.requests(Call.VIEW)
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert rig.requests(Call.LIST) - lists == 2 + 2 + 2
    assert rig.requests(Call.VIEW) - views > 1


async def test_a_backup_that_vanishes_while_it_is_made_is_reported(rig: Rig) -> None:
    """Somebody deleted it: nothing is deleted in its name."""
    rig.fill(5)
    rig.server.work = Work(seconds=600)
    rotation = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(60)
    newest = next(reversed(rig.server.backups.values()))
    rig.world.remove(rig.server, newest, by="somebody")
    outcome = await rotation
    assert (outcome.result, problem(outcome)[0]) == (Result.FAILED, "vanished")
    assert len(deleted(rig)) == 1


async def test_trouble_of_the_panel_while_the_node_works_is_waited_out(rig: Rig) -> None:
    """A panel that is away for minutes while the node writes costs nothing."""
    rig.fill(5)
    rig.server.work = Work(seconds=600)
    rotation = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(5)
    rig.world.settings.maintenance = True
    await rig.clock.sleep(1200)
    rig.world.settings.maintenance = False
    outcome = await rotation
    assert outcome.result is Result.DONE


async def test_a_key_withdrawn_while_it_waits_ends_the_rotation(rig: Rig) -> None:
    """That does not pass by itself, so it is reported at once."""
    rig.server.work = Work(seconds=600)
    rotation = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(5)
    rig.world.faults.order(faults.refused(401, "AuthenticationException", "Unauthenticated."), times=None)
    outcome = await rotation
    assert (outcome.result, problem(outcome)[0]) == (Result.FAILED, "key-refused")


async def test_a_pending_one_of_ours_made_since_the_last_start_is_adopted(rig: Rig) -> None:
    """A rotation by hand waits for what another began; the panel is not asked for a second one."""
    rig.fill(5)
    made = rig.world.now() - timedelta(hours=2)
    rig.world.add_backup(rig.server, own_name("survival", made, 77), created_at=made, state=State.PENDING, by="history")
    pending = next(reversed(rig.server.backups.values()))
    rig.world.later(1800, lambda: rig.world.report(rig.server, pending, success=True))
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert outcome.created is not None
    assert outcome.created.uuid == pending.uuid
    assert rig.requests(Call.CREATE) == 0
    assert len(deleted(rig)) == 3


async def test_a_server_that_is_suspended_while_it_queues_for_its_node_is_skipped(rig: Rig) -> None:
    """After a long wait for the slot the server is seen again, before anything is asked for."""
    neighbour = rig.neighbour("creative")
    other = next(server for server in rig.world.servers.values() if server.name == "creative")
    rig.server.work = Work(seconds=900)
    first = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(1)
    second = asyncio.create_task(rig.rotate(of=neighbour))
    await rig.clock.sleep(60)
    other.status = "suspended"
    assert (await first).result is Result.DONE
    outcome = await second
    assert (outcome.result, problem(outcome)[0]) == (Result.SKIPPED, "server-state")
    assert other.backups == {}


async def test_a_suspicious_one_counts_again_once_an_operator_accepts_it(rig: Rig) -> None:
    """`backups accept` is remembered in the journal and obeyed by the next judgement."""
    rig.fill(5)
    rig.server.coming.append(Work(size=2_000))
    shrunk = await rig.rotate()
    assert (shrunk.result, problem(shrunk)[0]) == (Result.FAILED, "backup-suspicious")
    assert shrunk.created is not None
    rig.journal.accept(rig.server.uuid, shrunk.created.uuid, rig.clock.now())
    rig.configure(keep={"last": 2})
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert shrunk.created.name in rig.names()
    assert len(rig.names()) == 2
