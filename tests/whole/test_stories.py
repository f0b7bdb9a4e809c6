"""Stories that users of other tools tell, each with the end that it has here."""

import asyncio
from datetime import timedelta

import pytest

from daemon.config.errors import ConfigError
from daemon.rotation.outcome import Outcome, Result
from daemon.sandbox.faults import late, wrong_total
from daemon.sandbox.orders import Call
from daemon.sandbox.records import BackupEnding, Server, State, Work
from daemon.sandbox.scenes import own_name
from daemon.sandbox.settings import Kind
from tests.whole.rig import Rig, configuration

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", Kind)]


def add(rig: Rig, *, days: float, name: str | None = None, state: State = State.GOOD, locked: bool = False) -> str:
    """Put a backup into the panel that was made so many days ago; return its name."""
    made = rig.world.now() - timedelta(days=days)
    name = name or own_name("survival", made, int(days * 1000))
    rig.world.add_backup(rig.server, name, created_at=made, state=state, locked=locked, by="history")
    return name


def codes(outcome: Outcome) -> list[str]:
    """The codes of an outcome's problems."""
    return [problem.code for problem in outcome.problems]


async def test_a_stuck_pending_one_does_not_block_the_server_or_its_node(rig: Rig) -> None:
    """One pending for three days is reported and left; a backup that never ends gives its node's place back."""
    stuck = add(rig, days=3, state=State.PENDING)
    outcome = await rig.rotate()
    assert (outcome.result, codes(outcome)) == (Result.DONE, ["stuck"])
    assert stuck in rig.names()
    rig.server.coming.append(Work(outcome=BackupEnding.STUCK))
    neighbour = rig.neighbour("creative")
    began = rig.clock.now()
    stuck_one, next_one = await asyncio.gather(rig.rotate(), rig.rotate(of=neighbour))
    assert (stuck_one.result, codes(stuck_one)) == (Result.FAILED, ["stuck", "timeout"])
    assert next_one.result is Result.DONE
    assert next_one.created is not None
    assert next_one.created.created_at is not None
    assert next_one.created.created_at - began < timedelta(hours=1, minutes=1)  # node_hold, not the timeout of 6 h


async def test_a_narrowed_policy_is_stopped_by_the_brake(rig: Rig) -> None:
    """From last = 30 to last = 3 would cost 28 worlds at once; nothing is deleted until somebody says so."""
    for day in range(30, 0, -1):
        add(rig, days=day)
    rig.configure(keep={"last": 3}, max_deletions=10)
    outcome = await rig.rotate()
    assert (outcome.result, codes(outcome)) == (Result.REFUSED, ["max-deletions"])
    assert "would delete 28 good backups, more than max_deletions = 10" in outcome.problems[0].text
    assert len(rig.names()) == 31
    lifted = await rig.rotate(max_deletions=30)
    assert lifted.result is Result.DONE
    assert len(rig.names()) == 3


async def test_a_changed_template_leaves_the_old_ones_foreign_until_also_own_names_them(rig: Rig) -> None:
    """Names that the policy no longer makes are somebody else's, unless it says that they were its own."""
    old = [add(rig, days=day) for day in (5, 4, 3, 2)]
    rig.configure(keep={"last": 1}, name="nightly-{time}-{id}")
    outcome = await rig.rotate()
    assert (outcome.result, outcome.deleted) == (Result.DONE, ())
    assert set(old) < set(rig.names())
    rig.configure(keep={"last": 1}, name="nightly-{time}-{id}", also_own=["auto-{server}-{time}-{id}"])
    outcome = await rig.rotate()
    assert [backup.name for backup in outcome.deleted][:4] == old
    assert outcome.created is not None
    assert rig.names() == [outcome.created.name]


async def test_a_panel_whose_clock_runs_10_minutes_ahead_is_rotated_rightly(rig: Rig) -> None:
    """Its new backups are dated in our future; that makes them neither strange nor adopted nor kept for too long."""
    rig.world.settings.skew = timedelta(minutes=10)
    outcomes = []
    for _ in range(4):
        outcomes.append(await rig.rotate())
        assert (outcomes[-1].result, outcomes[-1].problems) == (Result.DONE, ())
        await rig.clock.sleep(3600)
    assert len(rig.names()) == 3
    newest = outcomes[-1].created
    assert newest is not None
    assert newest.created_at is not None
    assert newest.created_at - rig.clock.now() > timedelta(minutes=-60)


async def test_a_policy_widened_by_a_reload_while_a_rotation_waits_is_obeyed(rig: Rig) -> None:
    """The configuration that counts is the one in force when the deletions are decided."""
    for day in (4, 3, 2):
        add(rig, days=day)
    rig.configure(keep={"last": 1})
    rig.server.work = Work(seconds=600)
    rotation = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(300)
    rig.configure(keep={"last": 3})
    outcome = await rotation
    assert outcome.result is Result.DONE
    assert len(outcome.deleted) == 1
    assert len(rig.names()) == 3


async def test_a_create_whose_answer_takes_20_s_is_made_once(rig: Rig) -> None:
    """The panel waits up to 15 s for a node: patience, not a second request."""
    rig.world.faults.order(late(20.0), on=Call.CREATE)
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert rig.requests(Call.CREATE) == 1
    assert len(rig.names()) == 1


async def test_a_total_that_is_always_wrong_does_not_stop_rotation(rig: Rig) -> None:
    """Two passes that give the same rows are judged, and it is said."""
    for day in (5, 4, 3, 2):
        add(rig, days=day)
    rig.world.faults.order(wrong_total(1), on=Call.LIST, times=None)
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert set(codes(outcome)) == {"wrong-total"}
    assert len(rig.names()) == 3


async def test_the_same_server_configured_twice_is_refused(rig: Rig) -> None:
    """By its short id and by its uuid it is one server; two rotations would undo each other."""
    twin = Server(rig.server.uuid, 0, "twin", rig.server.owner, rig.server.node)
    with pytest.raises(ConfigError, match=r"the same server as servers\.survival"):
        configuration(rig.folder, {"survival": rig.server, "twin": twin})
