"""Deletions on what is known to be true when the DELETE leaves, not when it was decided."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.answers import SandboxAnswer
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import Change, State
from daemon.sandbox.scenes import own_name
from daemon.sandbox.settings import Kind
from tests.whole.rig import Rig

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", Kind)]


def deleted(rig: Rig) -> list[str]:
    return [entry.name for entry in rig.world.ledger if entry.change is Change.DELETED]


def hold_back(rig: Rig, then: Callable[[], None]) -> None:
    """Let the API limit turn the first DELETE away for half a minute, in which something comes up."""
    fault = replace(faults.api_limit("30"), meanwhile=lambda *_: then())
    rig.world.faults.order(fault, on=Call.DELETE)


async def test_a_failed_one_locked_while_the_api_limit_holds_its_delete_back_is_spared(rig: Rig) -> None:
    """The 429 holds the DELETE back for a minute; the lock set meanwhile must be honoured (invariant 1)."""
    made = rig.world.now() - timedelta(days=5)
    failed = rig.world.add_backup(rig.server, own_name("survival", made, 1), created_at=made, state=State.FAILED)
    rig.world.faults.order(faults.api_limit("60"), on=Call.DELETE)
    rig.world.later(40, lambda: setattr(failed, "locked", True))
    await rig.rotate()
    assert rig.world.faults.happened
    assert failed.name in rig.names()


async def test_a_reload_that_widens_the_policy_stops_deletions_that_are_under_way(rig: Rig) -> None:
    """An operator sees the wrong ones go and reloads: nothing more may go by the old configuration (invariant 4)."""
    rig.fill(8)
    rig.configure(keep={"last": 1})

    def operator(*_: object) -> None:
        rig.configure(keep="all")

    rig.world.faults.order(Fault("operator", meanwhile=operator), on=Call.DELETE)
    await rig.rotate()
    assert len(deleted(rig)) <= 1


async def test_a_reload_while_the_api_limit_holds_a_delete_back_is_obeyed(rig: Rig) -> None:
    """What is looked at before the wait would let one more go by the old configuration (invariant 4)."""
    names = rig.fill(5)

    def reload() -> None:
        rig.configure(keep="all")

    hold_back(rig, reload)
    outcome = await rig.rotate()
    assert rig.world.faults.happened
    assert (deleted(rig), rig.names()[:5]) == ([], names)
    assert outcome.result is Result.DONE


async def test_members_of_a_cluster_that_begin_to_differ_while_a_delete_is_held_back_are_heeded(rig: Rig) -> None:
    """Nothing goes that another one would keep (invariant 20)."""
    names = rig.fill(5)
    hold_back(rig, lambda: setattr(rig.context, "disputed", lambda _server, /, *_stores: "they differ"))
    outcome = await rig.rotate()
    assert rig.world.faults.happened
    assert (deleted(rig), rig.names()[:5]) == ([], names)
    assert (outcome.result, outcome.problems[-1].code) == (Result.REFUSED, "disputed")


async def test_a_failed_one_locked_while_its_delete_waits_for_its_turn_is_spared(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy fleet has used the minute up: the DELETE queues after the look, and the look is old when it leaves."""
    made = rig.world.now() - timedelta(days=5)
    failed = rig.world.add_backup(rig.server, own_name("survival", made, 1), created_at=made, state=State.FAILED)

    def used_up(answer: SandboxAnswer) -> SandboxAnswer:
        rig.world.later(20, lambda: setattr(failed, "locked", True))
        return answer

    rig.world.faults.order(Fault("used up", change=used_up), on=Call.VIEW)
    look = rig.client.backup

    async def looked(server: str, uuid: str, **options: bool) -> object:
        seen = await look(server, uuid, **options)
        rig.client._limiter.refused(rig.clock.monotonic(), 50)  # a neighbour of the same key met the limit just now
        return seen

    monkeypatch.setattr(rig.client, "backup", looked)
    await rig.rotate()
    assert failed.name in rig.names()


async def test_a_wrong_total_is_said_once(rig: Rig) -> None:
    """The report says each problem once."""
    rig.fill(3)

    def one_more(answer: SandboxAnswer) -> SandboxAnswer:
        body = json.loads(answer.body)
        body["meta"]["pagination"]["total"] += 1
        return replace(answer, body=json.dumps(body).encode())

    rig.world.faults.order(Fault("total", change=one_more), on=Call.LIST, times=None)
    outcome = await rig.rotate()
    assert [problem.code for problem in outcome.problems] == ["wrong-total"]
