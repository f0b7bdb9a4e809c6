"""Which backup settles a creation whose answer was lost, and what it costs to look for it."""

import httpx
import pytest

from tests.fakes import FakeClock
from tests.panel.stand_in import SERVER, Script, client, listing, row

pytestmark = pytest.mark.anyio


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
