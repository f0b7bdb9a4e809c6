"""A daemon stands by while another one acts, or while that is not known."""

import pytest

from daemon.errors import StateError
from daemon.service.standby import may_act, stand_by
from daemon.state import Member
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio


class Answers:
    """A leadership that answers as it is told: with who acts, or with trouble."""

    def __init__(self, *answers: str | StateError) -> None:
        self._answers = list(answers)

    async def take(self) -> str:
        """Give the next answer."""
        answer = self._answers.pop(0)
        if isinstance(answer, StateError):
            raise answer
        return answer

    async def lost(self) -> None:
        """Nobody asks."""

    async def give_up(self) -> None:
        """Nobody asks."""

    async def members(self) -> list[Member]:
        """Nobody asks."""
        return []

    def hindrance(self, *, creates: bool) -> str:
        """Nobody asks."""
        return ""


async def test_who_gets_the_lease_acts() -> None:
    """No other does."""
    assert await may_act(Answers("")) == ""


async def test_who_does_not_know_who_acts_does_not_act() -> None:
    """A database out of reach may be in reach of another one."""
    assert "cannot be asked: gone" in await may_act(Answers(StateError("gone")))


async def test_it_waits_until_the_other_lets_go_and_says_why_once(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And again when the reason changes."""
    reasons: list[str] = []
    monkeypatch.setattr("daemon.service.standby.log.info", lambda _, reason: reasons.append(reason), raising=False)
    leadership = Answers("one", StateError("gone"), StateError("gone"), "one", "")
    await stand_by(leadership, clock, "member one acts")
    assert reasons == [
        "member one acts",
        "the cluster's database cannot be asked: gone",
        "member one acts",
    ]
    assert clock.naps == [2.0] * 5
