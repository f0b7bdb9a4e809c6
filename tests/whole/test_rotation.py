"""One rotation from gather to report, against the sandbox in this process, on virtual time."""

from typing import Any

import pytest

from daemon.rotation.outcome import Result
from daemon.sandbox.orders import Call
from daemon.sandbox.settings import Kind
from tests.whole.rig import Rig

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", Kind)]


async def test_a_rotation_makes_a_backup_and_keeps_it(rig: Rig) -> None:
    """Given a server without backups, one is made and nothing is deleted."""
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems) == (Result.DONE, ())
    assert outcome.created is not None
    assert rig.names() == [outcome.created.name]
    assert outcome.deleted == ()


async def test_a_rotation_that_ends_as_predicted_costs_four_requests_and_its_deletions(rig: Rig) -> None:
    """View, list, create, and the look by list, which is the fresh listing as well; then one DELETE."""
    for _ in range(3):
        await rig.rotate()
    await rig.clock.sleep(61)  # after a minute the server is looked at again
    before = rig.requests()
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert len(outcome.deleted) == 1
    assert rig.requests() - before == 4 + 1
    assert rig.requests(Call.LIST) > 0


async def test_a_second_rotation_within_a_minute_needs_no_second_look_at_the_server(rig: Rig) -> None:
    """What was seen a moment ago is used."""
    await rig.rotate()
    await rig.rotate()
    assert rig.requests(Call.SERVER) == 1


async def test_a_limit_of_none_that_was_set_a_moment_ago_costs_no_backup(rig: Rig) -> None:
    """The server was seen before; the panel refuses, and no room that could be made would be enough."""
    for _ in range(4):
        await rig.rotate()
    before = rig.names()
    rig.server.limit = 0
    rig.configure(keep={"last": 1})
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems[-1].code) == (Result.REFUSED, "limit")
    assert rig.names() == before


@pytest.mark.parametrize("limit", [5, 0])
async def test_the_lock_goes_after_the_end_is_in_the_journal(
    rig: Rig, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that takes it would find the row open, and take this rotation for a killed one."""
    rig.server.limit = limit
    rows = type(rig.context.journal)
    end, held = rows.end, []

    async def looked(self: Any, *words: Any, **values: Any) -> None:
        held.append(await rig.context.engine.locks.is_held(rig.server.uuid))
        await end(self, *words, **values)

    monkeypatch.setattr(rows, "end", looked)
    outcome = await rig.rotate()
    assert outcome.result is (Result.DONE if limit else Result.REFUSED)
    assert held == [bool(limit)]  # one that was refused at the first look took none
