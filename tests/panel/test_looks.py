"""The looks at what a lost answer left open: when they are made, and that their time holds."""

import asyncio

import pytest

from daemon.panel.errors import PanelUnreachableError
from daemon.panel.looks import looks, within
from tests.fakes import FakeClock
from tests.virtual import BACKEND, VirtualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


@pytest.mark.parametrize(
    ("seconds", "moments"), [(0, [0]), (5, [0, 2, 5]), (30, [0, 2, 6, 14, 30]), (45, [0, 2, 6, 14, 30, 45])]
)
async def test_the_looks_come_less_and_less_often_and_the_last_one_when_the_time_is_over(
    seconds: float, moments: list[float]
) -> None:
    """Only that one has the time of an answer; all others end with the time."""
    clock, made = FakeClock(), list[float]()
    for look in looks(clock, seconds):
        await clock.sleep(look.pause)
        made.append(clock.elapsed)
        assert look.last is (clock.elapsed == seconds)
        assert look.seconds == (30 if look.last else seconds - clock.elapsed)
    assert made == moments


async def test_a_panel_that_is_silent_makes_the_looks_no_longer() -> None:
    """Half a minute, and once the time of an answer."""
    clock = VirtualClock()
    began = clock.monotonic()
    for look in looks(clock, 30):
        await clock.sleep(look.pause)
        with pytest.raises(PanelUnreachableError, match="no answer within"):
            await within(look.seconds, "looking", asyncio.Event().wait())
    assert clock.monotonic() - began == pytest.approx(60)
