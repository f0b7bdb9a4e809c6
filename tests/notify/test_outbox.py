"""What waits for a receiver: in order, tried again with patience, within a bound, and lost only with a word."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from daemon.notify import outbox
from daemon.notify.outbox import DELAYS, Letter, Outbox
from daemon.notify.post import Failure
from tests.virtual import BACKEND, VirtualClock

pytestmark = pytest.mark.anyio

DOWN = Failure("answered 503", passing=True)
GONE = Failure("answered 404", passing=False)


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


class Desk:
    """A receiver in memory: what comes of each try, in order, and when each was made."""

    def __init__(self, *answers: Failure | Exception | None, always: Failure | None = None) -> None:
        self.clock = VirtualClock()
        self.outbox = Outbox("ops", self.clock)
        self.answers = list(answers)
        self.always = always
        self.tries: list[tuple[float, str]] = []

    def put(self, *names: str, lasting: bool = True) -> None:
        """Put letters of these names into the outbox."""
        for name in names:
            self.outbox.put(Letter(lambda name=name: self._try(name), name, "survival", lasting))  # type: ignore[misc]

    async def _try(self, name: str) -> Failure | None:
        self.tries.append((self.clock.monotonic(), name))
        answer = self.answers.pop(0) if self.answers else self.always
        if isinstance(answer, Exception):
            raise answer
        return answer

    def names(self) -> list[str]:
        """What was tried, in order."""
        return [name for _, name in self.tries]


def lost(lines: Sequence[object]) -> list[tuple[str, str]]:
    """What the log says was lost, and why."""
    found = [line for line in lines if isinstance(line, dict) and line["event"] == "alert_lost"]
    return [(line["told"], line["reason"]) for line in found]


async def test_letters_go_out_in_order() -> None:
    """One after the other, and again after a while of nothing."""
    desk = Desk()
    desk.put("one", "two")
    await desk.clock.sleep(60)
    desk.put("three")
    await desk.clock.sleep(60)
    assert desk.names() == ["one", "two", "three"]


async def test_a_dead_receiver_is_tried_for_about_an_hour_and_then_it_is_said() -> None:
    """With longer and longer pauses; those behind wait, and go out when it is back."""
    desk = Desk(*[DOWN] * 8)
    with capture_logs() as lines:
        desk.put("one", "two")
        await desk.clock.sleep(2 * 3600)
    moments = [moment for moment, name in desk.tries if name == "one"]
    assert [after - before for before, after in pairwise(moments)] == pytest.approx(DELAYS)
    assert 3600 < sum(DELAYS) < 5400
    assert desk.names() == ["one"] * 8 + ["two"]
    assert lost(lines) == [("one", "answered 503")]


async def test_retry_after_is_obeyed_within_reason() -> None:
    """A receiver that asks for a minute gets it; one that asks for a day does not."""
    desk = Desk(Failure("answered 429", passing=True, retry_after=60), Failure("", passing=True, retry_after=86400))
    desk.put("one")
    await desk.clock.sleep(3600)
    assert [moment for moment, _ in desk.tries] == pytest.approx([0, 60, 60 + 900])


async def test_what_can_never_work_is_not_tried_again() -> None:
    """A webhook that was deleted, and a bug of somebody's library, told without its words."""
    desk = Desk(GONE, ValueError("https://hooks.example.com/hunter2"), None)
    with capture_logs() as lines:
        desk.put("one", "two", "three")
        await desk.clock.sleep(1)
    assert desk.names() == ["one", "two", "three"]
    assert lost(lines) == [("one", "answered 404"), ("two", "a bug (ValueError)")]


async def test_what_does_not_last_is_tried_once() -> None:
    """A start that is told an hour late would be a lie."""
    desk = Desk(DOWN)
    with capture_logs() as lines:
        desk.put("start", lasting=False)
        await desk.clock.sleep(3600)
    assert desk.names() == ["start"]
    assert lost(lines) == [("start", "answered 503")]


async def test_where_too_many_wait_the_oldest_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is said; the one that is just being tried is not taken for another afterwards."""
    monkeypatch.setattr(outbox, "MOST_WAITING", 2)
    desk = Desk(DOWN)
    with capture_logs() as lines:
        desk.put("one")
        await desk.clock.sleep(1)
        desk.put("two", "three")
        await desk.clock.sleep(60)
    assert desk.names() == ["one", "one", "two", "three"]
    assert lost(lines) == [("one", "too many wait for this receiver")]


async def test_at_the_end_what_waits_is_tried_once_more_at_once() -> None:
    """A pause of fifteen minutes does not keep the daemon."""
    desk = Desk(DOWN)
    desk.put("one", "two")
    await desk.clock.sleep(1)
    await desk.outbox.close(3)
    assert desk.names() == ["one", "one", "two"]
    assert desk.clock.monotonic() == pytest.approx(1)


async def test_at_the_end_a_dead_receiver_costs_no_more_than_the_bound() -> None:
    """What it did not take is lost, and it is said."""
    desk = Desk(always=None)

    async def hang() -> Failure | None:
        await desk.clock.sleep(10)
        return DOWN

    with capture_logs() as lines:
        desk.outbox.put(Letter(hang, "one", "survival"))
        desk.put("two")
        await desk.outbox.close(3)
    assert desk.clock.monotonic() == pytest.approx(3)
    assert lost(lines) == [("one", "the daemon stops"), ("two", "the daemon stops")]


async def test_closing_an_outbox_that_was_never_used_does_nothing() -> None:
    """Most receivers hear nothing for weeks."""
    await Desk().outbox.close(3)
