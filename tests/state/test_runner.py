"""What may block is done in one thread, in order, within bounds; the event loop goes on meanwhile."""

import asyncio
import sqlite3
import threading
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from daemon.errors import JournalBusyError
from daemon.state import Worker, engine_for, runner
from daemon.state.local.store import FILE_NAME

AT = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """A real loop: a thread does not wait for virtual time."""
    return "asyncio"


async def test_all_is_done_in_one_thread_in_the_order_in_which_it_was_asked_for() -> None:
    """And not in the thread of the event loop."""
    worker, done = Worker(), list[tuple[int, int]]()

    def note(number: int) -> None:
        done.append((number, threading.get_ident()))

    await asyncio.gather(*(worker.run(partial(note, number)) for number in range(20)))
    worker.close()
    assert [number for number, _ in done] == list(range(20))
    (thread,) = {thread for _, thread in done}
    assert thread != threading.get_ident()


async def test_an_error_is_raised_where_it_is_waited_for() -> None:
    """And the next call works."""
    worker = Worker()
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert await worker.run(lambda: 1) == 1
    worker.close()


async def test_a_call_that_is_cancelled_is_done_all_the_same() -> None:
    """A lock that is only just being taken can be given back in its turn."""
    worker, may, done = Worker(), threading.Event(), list[str]()
    first = asyncio.create_task(worker.run(may.wait))
    second = asyncio.create_task(worker.run(lambda: done.append("second")))
    await asyncio.sleep(0)  # noqa: TID251 — lets both ask
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    may.set()
    await first
    await worker.run(lambda: done.append("third"))
    worker.close()
    assert done == ["second", "third"]


async def test_a_disk_that_hangs_is_waited_for_no_longer_than_the_bound_and_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop goes on; what was asked for may be done later; after a quick call it would be told again."""
    monkeypatch.setattr(runner, "SLOW_SECONDS", 0.02)
    monkeypatch.setattr(runner, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(runner, "QUIET_SECONDS", 0.0)
    told: list[None] = []
    worker, answers = Worker(lambda: told.append(None)), threading.Event()
    waiting = [asyncio.create_task(worker.run(answers.wait)) for _ in range(3)]
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in ended] == [JournalBusyError] * 3
    assert "does not answer" in str(ended[0])
    assert len(told) == 1
    answers.set()
    await answered(worker)
    answers.clear()
    with pytest.raises(JournalBusyError):
        await worker.run(answers.wait)
    answers.set()
    worker.close()
    assert len(told) == 2


async def test_slow_calls_with_quick_ones_between_them_are_told_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the journal, each look at it is slow, and the look at the locks beside it quick."""
    monkeypatch.setattr(runner, "SLOW_SECONDS", 0.02)
    told: list[None] = []
    slow = asyncio.Event()

    def tell() -> None:
        told.append(None)
        slow.set()

    worker, answers = Worker(tell), threading.Event()

    async def one_slow_call() -> None:
        answers.clear()
        call = asyncio.create_task(worker.run(answers.wait))
        with suppress(TimeoutError):
            await asyncio.wait_for(slow.wait(), timeout=0.1)
        slow.clear()
        answers.set()
        await call
        await worker.run(lambda: None)

    for _ in range(3):
        await one_slow_call()
    assert len(told) == 1
    monkeypatch.setattr(runner, "QUIET_SECONDS", 0.0)
    await one_slow_call()
    worker.close()
    assert len(told) == 2


async def answered(worker: Worker) -> None:
    """Wait until the worker takes calls again."""
    for _ in range(500):
        with suppress(JournalBusyError):
            await worker.run(lambda: None)
            return
        await asyncio.sleep(0.01)  # noqa: TID251 — the thread has it in hand
    raise AssertionError("it never answers")


async def test_while_the_disk_hangs_all_calls_fail_at_once_but_what_is_given_back_is_done_in_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hundreds of rotations do not wait one after the other; a lock that was only just being taken ends."""
    monkeypatch.setattr(runner, "ANSWER_SECONDS", 0.05)
    worker, answers, done = Worker(), threading.Event(), list[str]()

    def take() -> None:
        answers.wait()
        done.append("taken")

    with pytest.raises(JournalBusyError):
        await worker.run(take)
    monkeypatch.setattr(runner, "ANSWER_SECONDS", 1000.0)
    with pytest.raises(JournalBusyError):
        await worker.run(lambda: done.append("refused"))
    await worker.give_back(lambda: done.append("given back"))
    await worker.give_back(lambda: 1 // 0)
    assert done == []
    answers.set()
    await answered(worker)
    worker.close()
    assert done == ["taken", "given back"]


async def test_a_worker_ends_with_its_last_call_and_begins_anew_if_it_is_asked_again() -> None:
    """No thread is left where nobody needs one."""
    worker = Worker()
    first = await worker.run(threading.current_thread)
    worker.close()
    worker.close()
    await asyncio.to_thread(first.join, 5)
    assert not first.is_alive()
    assert await worker.run(threading.current_thread) is not first
    worker.close()


async def test_a_journal_that_another_holds_for_a_moment_is_waited_for_and_holds_nothing_else(tmp_path: Path) -> None:
    """A backup tool has it locked in the midst of a rotation: the step is written, and other tasks went on."""
    engine = engine_for(tmp_path, Worker())
    journal = await engine.open()
    shell = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    shell.execute("BEGIN EXCLUSIVE")
    write = asyncio.create_task(journal.watch({"survival": {"told": []}}, AT))
    for _ in range(5):
        await asyncio.sleep(0.01)  # noqa: TID251 — as long as the loop goes on, this ends
    assert not write.done()
    shell.execute("ROLLBACK")
    shell.close()
    await write
    assert journal.trouble is None
    assert set(await journal.watches()) == {"survival"}
    await journal.close()
    engine.close()


async def test_a_journal_that_another_holds_on_to_fails_the_call_and_the_next_ones_at_once(tmp_path: Path) -> None:
    """It is waited for once, however many rotations write."""
    worker = Worker()
    worker.patience = 0.05
    engine = engine_for(tmp_path, worker)
    journal = await engine.open()
    shell = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    shell.execute("BEGIN EXCLUSIVE")
    for _ in range(50):
        with pytest.raises(JournalBusyError):
            await journal.probe()
    before = journal.trouble
    shell.execute("ROLLBACK")
    shell.close()
    await journal.probe()
    assert (isinstance(before, JournalBusyError), journal.trouble) == (True, None)
    await journal.close()
    engine.close()
