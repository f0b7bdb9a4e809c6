"""Answers to reads that no panel gives: login pages, interstitials, half documents. They come and go."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.model import Backup
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import Work
from tests.whole.rig import Rig
from tests.whole.test_starts import fill_the_disk

pytestmark = pytest.mark.anyio

STRANGE = [
    faults.web_page(200),
    faults.web_page(403),
    faults.redirected(),
    faults.half_json(),
    faults.odd({"object": "list"}),
]
READS = [Call.SERVER, Call.LIST]


def named(fault: Fault) -> str:
    """The fault's name."""
    return fault.name


@pytest.mark.parametrize("call", READS)
@pytest.mark.parametrize("strange", STRANGE, ids=named)
async def test_a_read_that_is_answered_strangely_is_made_again_at_once(rig: Rig, strange: Fault, call: Call) -> None:
    """A login page at 04:00 costs one request, and not a day."""
    rig.world.faults.order(strange, on=call)
    assert (await rig.rotate("schedule", rig.clock.now())).result is Result.DONE


@pytest.mark.parametrize("call", READS)
@pytest.mark.parametrize("strange", STRANGE, ids=named)
async def test_strange_answers_that_last_are_tried_again_by_the_daemon_as_other_trouble_is(
    rig: Rig, strange: Fault, call: Call
) -> None:
    """In ten minutes, and not at the next start."""
    await rig.clock.sleep(120)  # the next start is a day away
    rig.world.faults.order(strange, on=call, times=2)
    outcome = await rig.rotate("schedule", rig.clock.now())
    assert (outcome.result, outcome.problems[-1].code) == (Result.FAILED, "strange-answer")
    assert outcome.retry_at == rig.clock.now() + timedelta(minutes=10)
    assert (await rig.rotate("retry", rig.clock.now())).result is Result.DONE


async def test_strange_answers_that_last_end_a_rotation_by_hand(rig: Rig) -> None:
    """Whoever typed it looks at the address that he configured."""
    rig.world.faults.order(faults.web_page(200), on=Call.LIST)
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems[-1].code) == (Result.FAILED, "strange-answer")
    assert "url is the panel's own address" in outcome.problems[-1].hint
    assert outcome.retry_at is None


@pytest.mark.parametrize("strange", STRANGE, ids=named)
async def test_strange_answers_are_waited_out_while_the_node_makes_the_backup(rig: Rig, strange: Fault) -> None:
    """It goes on meanwhile, whoever answers for the panel."""
    rig.server.work = Work(seconds=60)
    rig.world.faults.order(strange, on=Call.LIST, skip=1, times=4)
    outcome = await rig.rotate("schedule", rig.clock.now())
    assert outcome.result is Result.DONE
    assert rig.requests(Call.CREATE) == 1


async def test_a_forks_answer_is_final(rig: Rig) -> None:
    """It would be the same in ten minutes."""
    await rig.clock.sleep(120)  # the next start is a day away
    rig.world.faults.order(faults.job(), on=Call.CREATE)
    outcome = await rig.rotate("schedule", rig.clock.now())
    assert (outcome.problems[-1].code, outcome.retry_at) == ("foreign-panel", None)


async def test_what_a_forks_job_makes_is_taken_over_by_the_next_rotation_of_the_start(rig: Rig) -> None:
    """Its answer says neither that it was made nor that it was not (seed 704705)."""
    start = rig.clock.now()
    rig.world.faults.order(faults.job(), on=Call.CREATE)
    assert (await rig.rotate("schedule", start)).problems[-1].code == "foreign-panel"
    await rig.clock.sleep(600)  # it is done by then
    second = await rig.rotate("schedule", start)
    assert second.result is Result.DONE, second.problems
    assert rig.requests(Call.CREATE) == 1


async def test_no_name_is_asked_for_twice_though_a_forks_job_came_to_nothing(rig: Rig) -> None:
    """It is looked for, as after any other create that may still be done."""
    start = rig.clock.now()
    rig.world.faults.order(replace(faults.job(), processed=False), on=Call.CREATE)
    assert (await rig.rotate("schedule", start)).problems[-1].code == "foreign-panel"
    began = rig.clock.now()
    assert (await rig.rotate("schedule", start)).result is Result.DONE
    assert rig.requests(Call.CREATE) == 2
    assert rig.clock.now() - began >= timedelta(minutes=2)


def asked_for(rig: Rig) -> list[str]:
    """The names that creates asked for, newest rotation first."""
    return [str(step.detail["backup"]) for row in rig.journal.recent() for step in row.steps if step.name == "create"]


async def test_two_starts_within_a_second_ask_for_two_names(rig: Rig) -> None:
    """By one name nobody could tell which of them made it (seed 704705)."""
    rig.configure(name="b {time}")
    start = rig.clock.now()
    rig.world.faults.order(replace(faults.job(), processed=False), on=Call.CREATE)
    await rig.rotate("schedule", start - timedelta(days=1))
    assert (await rig.rotate("schedule", start)).result is Result.DONE
    second, first = asked_for(rig)
    assert second > first


async def test_nor_do_they_where_the_journal_cannot_be_written(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process asked for it knows by itself (seed 784090)."""
    rig.configure(name="b {time}")
    asked: list[str] = []
    create = rig.client.create

    async def note(server_id: str, *, name: str, **options: Any) -> Backup:
        asked.append(name)
        return await create(server_id, name=name, **options)

    monkeypatch.setattr(rig.client, "create", note)
    fill_the_disk(monkeypatch)
    rig.world.faults.order(replace(faults.job(), processed=False), on=Call.CREATE)
    for start in (rig.clock.now() - timedelta(days=1), rig.clock.now()):
        await rig.rotate("schedule", start)
    assert len(set(asked)) == len(asked) == 2


async def test_a_name_that_a_backup_has_is_not_asked_for(rig: Rig) -> None:
    """A clock that was set back comes to the same second again: an answer that is lost would be settled by the old
    one.
    """
    rig.configure(name="b {time}")
    taken = f"b {rig.clock.now():%Y%m%dT%H%M%SZ}"
    rig.world.add_backup(rig.server, taken, created_at=rig.world.now() - timedelta(days=1), by="history")
    assert (await rig.rotate()).result is Result.DONE
    assert len(set(rig.names())) == len(rig.names()) == 2
