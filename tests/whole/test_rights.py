"""A key that may create backups and not delete them: known before the create, told, and cheap to know."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from daemon.rotation.outcome import Outcome, Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Server, User
from daemon.sandbox.scenes import KEY
from tests.whole.fleet import Daemons, at, until
from tests.whole.rig import Rig

pytestmark = pytest.mark.anyio

MOST = ("backup.read", "backup.create", "backup.download")
ALL = (*MOST, "backup.delete")
LACKING = ("permission-lacking", "the key lacks backup.delete on this server, so no rotation can delete its backups")


def share(server: Server, permissions: Sequence[str]) -> None:
    """Let the key's user be one with whom the server is shared."""
    server.owner = User("somebody")
    server.subusers["backupd"] = tuple(permissions)


@pytest.fixture
async def shared(rig: Rig) -> Rig:
    """The rig's server is shared with the key's user, who may not delete."""
    rig.world.add_key(KEY, User("backupd"))
    share(rig.server, MOST)
    return rig


def told(outcome: Outcome) -> list[tuple[str, str]]:
    """Its problems, without their hints."""
    return [(problem.code, problem.text) for problem in outcome.problems]


async def test_while_nothing_is_due_to_be_deleted_the_rotation_is_done_and_says_so(shared: Rig) -> None:
    """Weeks before the limit is full."""
    outcome = await shared.rotate()
    assert (outcome.result, told(outcome)) == (Result.DONE, [LACKING])
    assert "backup.delete" in outcome.problems[0].hint
    assert len(shared.names()) == 1


async def test_what_is_due_is_not_asked_for_and_the_rotation_fails_with_its_new_backup(shared: Rig) -> None:
    """The same words, once; the backup stands, and is not tried again."""
    names = shared.fill(5)
    outcome = await shared.rotate("schedule", shared.clock.now())
    assert (outcome.result, told(outcome), outcome.retry_at) == (Result.FAILED, [LACKING], None)
    assert outcome.created is not None
    assert shared.names() == [*names, outcome.created.name]
    assert outcome.kept == len(shared.names())
    assert shared.requests(Call.DELETE) == 0


async def test_at_the_limit_no_room_is_asked_for(shared: Rig) -> None:
    """It is refused with both reasons, the limit's last."""
    shared.fill(5)
    shared.server.limit = 5
    outcome = await shared.rotate()
    assert (outcome.result, [code for code, _ in told(outcome)]) == (Result.REFUSED, ["permission-lacking", "limit"])
    assert "the key lacks backup.delete" in outcome.problems[-1].text
    assert shared.requests(Call.DELETE) == 0


async def test_a_policy_that_deletes_nothing_needs_no_right_to(shared: Rig) -> None:
    """keep = "all" creates only."""
    shared.configure(keep="all")
    outcome = await shared.rotate()
    assert (outcome.result, told(outcome)) == (Result.DONE, [])


async def test_a_right_that_is_given_is_seen_by_the_next_rotation(shared: Rig) -> None:
    """Only a yes is remembered."""
    shared.fill(5)
    await shared.rotate()
    share(shared.server, ALL)
    outcome = await shared.rotate()
    assert (outcome.result, told(outcome)) == (Result.DONE, [])
    assert len(shared.names()) == 3


# Where the shared list shows the servers, which does not tell permissions ---------------------------------------------


@pytest.fixture
async def fleet(daemons: Daemons) -> Daemons:
    """Two servers that start together, shared with the key's user."""
    daemons.world.add_key(KEY, User("backupd"))
    for server in daemons.world.servers.values():
        share(server, ALL)
    return daemons


async def views(fleet: Daemons, days: int) -> list[int]:
    """How often a server was viewed by itself, night by night."""
    counts = []
    async with fleet.running(fleet.configure(keep={"last": 1})):
        for day in range(2, days + 2):
            before = fleet.app.requests(Call.SERVER)
            await until(fleet.clock, at(day, 5))
            counts.append(fleet.app.requests(Call.SERVER) - before)
    return counts


async def test_what_a_user_may_who_shares_a_server_is_looked_at_once_a_week(fleet: Daemons) -> None:
    """One view each in the first night; its owner's list tells without any."""
    counts = await views(fleet, 9)
    assert sum(counts[:6]) <= 2
    assert sum(counts) == 4


async def test_a_right_that_is_withdrawn_is_learnt_from_the_first_refusal(fleet: Daemons) -> None:
    """One DELETE is refused; from then on none is asked for."""
    async with fleet.running(fleet.configure(keep={"last": 1})):
        await until(fleet.clock, at(2, 5))
        for server in fleet.world.servers.values():
            share(server, MOST)
        for day in (3, 4, 5):
            await until(fleet.clock, at(day, 5))
    refused = [call for call in fleet.app.calls if call.call is Call.DELETE and call.status == 403]
    assert len(refused) == len(fleet.world.servers)


async def test_a_view_that_fails_leaves_it_open(fleet: Daemons) -> None:
    """The rotation goes on, as it did before anybody asked."""
    fleet.world.faults.order(faults.web_page(502), on=Call.SERVER, times=None)
    async with fleet.running(fleet.configure(keep={"last": 1})):
        await until(fleet.clock, at(3, 5) + timedelta(minutes=5))
    assert all(len(server.backups) == 1 for server in fleet.world.servers.values())
