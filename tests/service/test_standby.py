"""A daemon stands by while its cluster cannot be asked."""

import pytest

from daemon.errors import JournalBusyError, StateError
from daemon.service.standby import may_act, stand_by
from daemon.state import Membership, Shares
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio


class Answers:
    """A leadership that answers as it is told: that we are one of the daemons, or with trouble."""

    shares: Shares | None = None
    membership: Membership | None = None

    def __init__(self, *answers: StateError | None) -> None:
        self._answers = list(answers)

    async def join(self) -> None:
        """Give the next answer."""
        answer = self._answers.pop(0)
        if answer is not None:
            raise answer

    async def lost(self) -> None:
        """Nobody asks."""

    async def give_up(self) -> None:
        """Nobody asks."""

    def hindrance(self, *, creates: bool) -> str:
        """Nobody asks."""
        return ""


async def test_who_is_a_member_acts() -> None:
    """For what it will hold."""
    assert await may_act(Answers(None)) == ""


async def test_who_does_not_know_the_others_does_not_act() -> None:
    """A database out of reach may be in reach of another one."""
    assert "cannot be asked: gone" in await may_act(Answers(StateError("gone")))


async def test_it_says_what_to_do_about_what_does_not_pass_by_itself() -> None:
    """But not that backups go on, which is said to those that act already."""
    assert (await may_act(Answers(StateError("wrong", hint="mend it")))).endswith(": wrong; mend it")
    assert (await may_act(Answers(StateError("wrong", hint="")))).endswith(": wrong")
    assert (await may_act(Answers(JournalBusyError("gone", hint="backups go on")))).endswith(": gone")


async def test_it_waits_until_the_database_answers_and_says_why_once(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And again when the reason changes."""
    reasons: list[str] = []
    monkeypatch.setattr("daemon.service.standby.log.info", lambda _, reason: reasons.append(reason), raising=False)
    leadership = Answers(JournalBusyError("gone"), JournalBusyError("gone"), JournalBusyError("full"), None)
    await stand_by(leadership, clock, "the cluster's database cannot be asked: gone")
    assert reasons == ["the cluster's database cannot be asked: gone", "the cluster's database cannot be asked: full"]
    assert clock.naps == [2.0] * 4
