"""Rotations of a server that another member of the cluster acts for, or has taken over in their midst."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import SimpleNamespace

import pytest

from daemon.alerts.assess import report_of
from daemon.errors import ElsewhereError, ProblemCode, TakenOverError
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome, Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.state.local.journal import SqliteJournal
from tests.whole.fleet import Daemons, at, made, until
from tests.whole.rig import Rig

pytestmark = pytest.mark.anyio

SECONDS = timedelta(seconds=5)
"""Members look at who holds what once a second."""


async def scheduled(rig: Rig) -> Outcome:
    """What came of the rotation of a start."""
    return await rig.rotate("schedule", rig.clock.now())


async def test_what_another_member_refused_to_let_be_announced_is_not_asked_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That member makes the backup within seconds, and would not know of this one."""

    def refused(*_: object, **_detail: object) -> None:
        raise TakenOverError("another member has taken over", hint="wait")

    rig.fill(5)
    monkeypatch.setattr(SqliteJournal, "announce", refused)
    outcome = await scheduled(rig)
    assert outcome.result is Result.FAILED
    assert outcome.retry_at == rig.clock.now() + SECONDS
    assert {problem.code for problem in outcome.problems} == {ProblemCode.JOURNAL}
    assert (rig.requests(Call.CREATE), rig.requests(Call.DELETE)) == (0, 0)


@pytest.mark.parametrize(("holder", "who"), [("two", "member two acts"), ("", "no member acts yet")])
async def test_a_start_on_a_node_that_this_member_does_not_hold_is_tried_within_seconds(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, holder: str, who: str
) -> None:
    """By whichever member holds it then: the journal says when. The server was moved there a moment ago."""

    def elsewhere(server_uuid: str, part: str | None = None) -> AbstractAsyncContextManager[None]:
        assert part == f"node main/{rig.server.node.name}"
        raise ElsewhereError(server_uuid, holder)

    monkeypatch.setattr(rig.context.engine.locks, "held", elsewhere)
    outcome = await scheduled(rig)
    assert (outcome.result, outcome.passing, outcome.retry_at) == (Result.SKIPPED, True, rig.clock.now() + SECONDS)
    assert outcome.problems[-1].text.endswith(who)
    [row] = await rig.context.journal.attempts("survival", limit=2)
    assert row.retry_at == outcome.retry_at


class Heard:
    """A listener that keeps what ended."""

    def __init__(self) -> None:
        self.ended_so: list[tuple[Order, Outcome]] = []

    async def began(self, order: Order) -> None:
        """A rotation begins."""

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        self.ended_so.append((order, outcome))


@pytest.mark.parametrize("taken_over", [True, False])
async def test_a_hand_over_uses_up_no_try(daemons: Daemons, monkeypatch: pytest.MonkeyPatch, taken_over: bool) -> None:
    """Whoever makes the backup then may fail in passing once without a word, and tries again after ten minutes."""

    def refused(*_: object, **_detail: object) -> None:
        raise TakenOverError("another member has taken over", hint="wait")

    survival = next(iter(daemons.world.servers.values()))
    config, heard = daemons.configure({"survival": survival}), Heard()
    async with daemons.running(config, heard):
        await until(daemons.clock, at(1, 3, 59, 50))
        daemons.world.faults.order(faults.refused(500, "DaemonConnectionException", "no"), on=Call.CREATE)
        with monkeypatch.context() as patched:
            patched.setattr(SqliteJournal, "announce", refused)
            await until(daemons.clock, at(1, 4, 0, 2))
        if not taken_over:
            await until(daemons.clock, at(1, 4, 30))
    async with daemons.running(config, heard):
        await until(daemons.clock, at(1, 4, 30))
    assert [(order.attempt, order.hand_overs) for order, _ in heard.ended_so[1:]] == [(0, 0), (0, 1), (1, 1)]
    assert [report_of(order, outcome).trouble for order, outcome in heard.ended_so[1:]] == [None, None, None]
    assert made(daemons)[1:] == ["01 04:10"]


@pytest.mark.parametrize(("ahead", "clustered", "creates"), [(0, False, 1), (80, False, 2), (80, True, 1)])
async def test_what_another_member_asked_for_may_appear_for_120_seconds_by_whatever_clock(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, ahead: int, clustered: bool, creates: int
) -> None:
    """Its clock dated the request in the journal, and the one that takes over may be ahead of that. One daemon's clock
    is one, unless it was set.
    """
    start = rig.clock.now()
    rig.world.faults.order(faults.late(90), on=Call.CREATE)
    task = asyncio.create_task(rig.rotate("schedule", start))
    await rig.clock.sleep(70)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    rig.clock.start += timedelta(seconds=ahead)
    if clustered:
        monkeypatch.setattr(rig.context.engine.leadership, "shares", SimpleNamespace(), raising=False)
    await rig.rotate("resume", start)
    await rig.clock.sleep(60)
    assert rig.requests(Call.CREATE) == creates
