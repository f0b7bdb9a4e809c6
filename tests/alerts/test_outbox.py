"""What waits for an address: in order, tried until it is taken, and bounded by its keys alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from daemon.alerts.outbox import GATHER_SECONDS, REFUSED_SECONDS, RETRY_SECONDS, SPACING_SECONDS, Outbox
from daemon.alerts.sender import Failure
from tests.virtual import BACKEND, VirtualClock

pytestmark = pytest.mark.anyio

DOWN = Failure("answered 503", passing=True)
GONE = Failure("answered 404", passing=False)


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


@dataclass(frozen=True)
class Note:
    """A letter: its words after the colon do not count in its key, and one that is brief is not worth a second try."""

    text: str

    @property
    def key(self) -> str:
        """What is before the colon."""
        return self.text.partition(":")[0]

    def worth(self, _: Failure) -> bool:
        """Unless it is brief."""
        return not self.text.startswith("brief")


class DownloadSession:
    """A receiver in memory: what comes of each try, in order, and when each was made."""

    def __init__(
        self,
        *answers: Failure | Exception | None,
        always: Failure | None = None,
        gathers: bool = False,
        singly: int = 9,
    ) -> None:
        self.clock = VirtualClock()
        self.answers = list(answers)
        self.always = always
        self.singly = singly
        self.tries: list[tuple[float, str]] = []
        self.taken: list[str] = []
        self.outbox = Outbox[Note](
            "ops",
            self.clock,
            pick=self._pick,
            send=self._try,
            taken=self._arrived,
            gathers=gathers,
        )

    async def _arrived(self, notes: Sequence[Note]) -> None:
        self.taken.extend(note.text for note in notes)

    def _pick(self, notes: Sequence[Note], refused: bool) -> Sequence[Note]:
        return notes if refused or len(notes) > self.singly else notes[:1]

    def put(self, *texts: str) -> None:
        """Put letters of these texts into the outbox."""
        self.outbox.put(*map(Note, texts))

    async def _try(self, notes: Sequence[Note]) -> Failure | None:
        self.tries.append((self.clock.monotonic(), " ".join(note.text for note in notes)))
        answer = self.answers.pop(0) if self.answers else self.always
        if isinstance(answer, Exception):
            raise answer
        return answer

    def texts(self) -> list[str]:
        """What was tried, in order."""
        return [text for _, text in self.tries]

    @property
    def waiting(self) -> list[str]:
        """What waits."""
        return [note.text for note in self.outbox.waiting]


async def test_letters_go_out_in_order() -> None:
    """One after the other, and again after a while of nothing."""
    desk = DownloadSession()
    desk.put("one", "two")
    await desk.clock.sleep(60)
    desk.put("three")
    await desk.clock.sleep(60)
    assert desk.texts() == desk.taken == ["one", "two", "three"]


async def test_a_dead_receiver_is_tried_until_it_is_back() -> None:
    """With longer and longer pauses, and for days; those behind wait, and nothing is lost."""
    desk = DownloadSession(*[DOWN] * 300)
    desk.put("one", "two")
    await desk.clock.sleep(4 * 86_400)
    moments = [moment for moment, text in desk.tries if text == "one"]
    pauses = [after - before for before, after in pairwise(moments)]
    assert pauses[: len(RETRY_SECONDS)] == pytest.approx(RETRY_SECONDS)
    assert set(pauses[len(RETRY_SECONDS) :]) == {max(RETRY_SECONDS)}
    assert desk.taken == ["one", "two"]


async def test_retry_after_is_obeyed_within_reason() -> None:
    """A receiver that asks for a minute gets it; one that asks for a day does not."""
    desk = DownloadSession(
        Failure("answered 429", passing=True, retry_after=60), Failure("", passing=True, retry_after=86400)
    )
    desk.put("one")
    await desk.clock.sleep(3600)
    assert [moment for moment, _ in desk.tries] == pytest.approx([0, 60, 60 + 900])


async def test_what_is_refused_is_tried_each_hour_and_with_whatever_comes() -> None:
    """An address may be put right, and words that are not taken alone may be with others."""
    desk = DownloadSession(GONE, GONE, ValueError("https://hooks.example.com/hunter2"), None)
    with capture_logs() as lines:
        desk.put("one")
        await desk.clock.sleep(REFUSED_SECONDS + 10)
        assert desk.texts() == ["one", "one"]
        desk.put("two")
        await desk.clock.sleep(10)
        desk.put("three")
        await desk.clock.sleep(10)
    assert desk.texts() == ["one", "one", "one two", "one two three"]
    assert desk.taken == ["one", "two", "three"]
    reasons = [line["reason"] for line in lines if line["event"] == "alert_delayed"]
    assert reasons == ["answered 404", "answered 404", "a bug (ValueError)"]


async def test_what_is_not_worth_it_is_tried_once() -> None:
    """A start that is told an hour late would be a lie."""
    desk = DownloadSession(DOWN)
    with capture_logs() as lines:
        desk.put("brief", "two")
        await desk.clock.sleep(1)
    assert desk.texts() == ["brief", "two"]
    (lost,) = [line for line in lines if line["event"] == "alert_lost"]
    assert (lost["receiver"], lost["reason"]) == ("ops", "answered 503")


async def test_a_newer_letter_takes_the_place_of_the_one_before_it() -> None:
    """Behind what has come since; one that comes while the other is on its way is sent as well."""
    desk = DownloadSession(DOWN)
    desk.put("one: a", "two")
    await desk.clock.sleep(1)
    desk.put("one: b")
    assert desk.waiting == ["two", "one: b"]
    await desk.clock.sleep(60)
    assert desk.texts() == ["one: a", "two", "one: b"]


async def test_what_was_replaced_on_its_way_still_waits() -> None:
    """The one that was taken was the one before it."""
    desk = DownloadSession()

    async def send(_: Sequence[Note]) -> Failure | None:
        desk.put("one: b") if not desk.tries else None
        return await desk._try(desk.outbox.waiting[:1])

    desk.outbox._send = send
    desk.put("one: a")
    await desk.clock.sleep(1)
    assert (desk.taken, desk.waiting) == (["one: b"], [])
    assert len(desk.tries) == 2


async def test_what_others_send_is_forgotten_and_what_is_claimed_is_sent_as_it_is_by_now() -> None:
    """The claim names it; what has replaced a letter meanwhile still waits."""
    desk = DownloadSession(singly=0)

    async def claim(notes: Sequence[Note]) -> Sequence[Note]:
        if len(notes) == 3:
            desk.put("three: newer")
        return [replace(note, text=f"{note.key}: by now") for note in notes if note.key != "two"]

    desk.outbox._claim = claim
    desk.put("one", "two", "three")
    await desk.clock.sleep(GATHER_SECONDS)
    assert desk.texts() == ["one: by now three: by now"]
    await desk.clock.sleep(SPACING_SECONDS)
    assert (desk.texts()[1:], desk.waiting) == (["three: by now"], [])


async def test_a_bug_in_what_says_what_may_be_sent_ends_nothing() -> None:
    """It waits, as what is refused."""
    desk = DownloadSession()
    bugs = [KeyError()]

    async def claim(notes: Sequence[Note]) -> Sequence[Note]:
        if bugs:
            raise bugs.pop()
        return notes

    desk.outbox._claim = claim
    desk.put("one")
    await desk.clock.sleep(RETRY_SECONDS[0])
    assert (desk.texts(), desk.waiting) == ([], ["one"])
    await desk.clock.sleep(REFUSED_SECONDS)
    assert (desk.texts(), desk.waiting) == (["one"], [])


async def test_what_is_dropped_on_its_way_has_arrived_all_the_same() -> None:
    """Somebody else remembers that it waits."""
    desk = DownloadSession()

    async def send(notes: Sequence[Note]) -> Failure | None:
        desk.outbox.drop("one")
        return await desk._try(notes)

    desk.outbox._send = send
    desk.put("one")
    await desk.clock.sleep(1)
    assert (desk.taken, desk.waiting) == (["one"], [])


async def test_a_letter_that_is_dropped_is_not_sent() -> None:
    """Whether there is one or not."""
    desk = DownloadSession(DOWN)
    desk.put("one", "two")
    for key in ("two", "never"):
        desk.outbox.drop(key)
    await desk.clock.sleep(60)
    assert desk.texts() == ["one", "one"]


async def test_the_trouble_of_many_goes_out_together() -> None:
    """What comes within moments in one, what comes afterwards in another a minute later."""
    desk = DownloadSession(gathers=True, singly=2)
    desk.put("a", "b")
    await desk.clock.sleep(GATHER_SECONDS / 2)
    desk.put("c")
    await desk.clock.sleep(GATHER_SECONDS)
    desk.put("d", "e")
    await desk.clock.sleep(SPACING_SECONDS)
    assert desk.texts() == ["a b c", "d", "e"]
    assert [moment for moment, _ in desk.tries] == pytest.approx([2, 62, 62])


async def test_at_the_end_what_waits_is_tried_once_more_at_once() -> None:
    """A pause of fifteen minutes does not keep the daemon."""
    desk = DownloadSession(DOWN)
    desk.put("one", "two")
    await desk.clock.sleep(1)
    await desk.outbox.close(3)
    assert desk.texts() == ["one", "one", "two"]
    assert desk.clock.monotonic() == pytest.approx(1)


async def test_at_the_end_a_dead_receiver_costs_no_more_than_the_bound() -> None:
    """What it did not take still waits."""
    for slow in (True, False):
        desk = DownloadSession(always=DOWN)

        async def hang(notes: Sequence[Note], desk: DownloadSession = desk, slow: bool = slow) -> Failure | None:
            await desk.clock.sleep(10 if slow else 0)
            return await desk._try(notes)

        desk.outbox._send = hang
        began = desk.clock.monotonic()
        desk.put("one", "two")
        await desk.outbox.close(3)
        assert desk.clock.monotonic() - began == pytest.approx(3 if slow else 0)
        assert (desk.waiting, desk.taken) == (["one", "two"], [])


async def test_closing_an_outbox_that_was_never_used_does_nothing() -> None:
    """Most receivers hear nothing for weeks."""
    desk = DownloadSession()
    desk.outbox.stop()
    await desk.outbox.close(3)


async def test_one_that_is_stopped_sends_no_more() -> None:
    """What waits is given to somebody else."""
    desk = DownloadSession(DOWN)
    desk.put("one")
    await desk.clock.sleep(1)
    desk.outbox.stop()
    await desk.clock.sleep(3600)
    assert (desk.texts(), desk.waiting) == (["one"], ["one"])
