"""What a lost answer left open: when it is looked for, that its time holds, what settles it, and what it costs."""

import asyncio

import httpx
import pytest

from daemon.panel.errors import PanelUnreachableError
from daemon.panel.reconcile import looks, within
from tests.fakes import FakeClock
from tests.panel.stand_in import SERVER, Script, client, listing, row
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


@pytest.mark.parametrize("name", ["mine (2)", "not mine", "Mine", "min"])
async def test_a_name_that_is_only_similar_is_another_backup(name: str) -> None:
    """It would be waited for, and called good, instead of one that was never made."""
    async with client(listing([row(name=name)], 1)) as panel:
        assert await panel.settle_create(SERVER, "mine", until=0) is None


async def test_only_the_last_look_takes_three_passes() -> None:
    """One shows the name where it is; that it is nowhere, beside a wrong total, is believed of the same rows twice."""
    clock, script = FakeClock(), Script(listing([row(name="other")], 7))
    async with client(script, clock=clock) as panel:
        assert await panel.settle_create(SERVER, "mine") is None
    pages = [request.url.params["page"] for request in script.asked]
    looks = pages.count("1") - 2
    assert looks == len(clock.naps)
    assert pages == ["1", "2"] * (looks + 2)


async def test_the_list_that_says_no_is_read_when_the_time_is_over() -> None:
    """One that took until then may be too old for what the panel did meanwhile."""
    clock = FakeClock()

    def slow(_: object) -> httpx.Response:
        clock.elapsed += 50
        return listing([row(name="mine")], 1) if clock.elapsed > 125 else listing([], 0)

    async with client(slow, clock=clock) as panel:
        assert (await panel.settle_create(SERVER, "mine", until=60)) is not None
