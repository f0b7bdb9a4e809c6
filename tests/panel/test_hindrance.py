"""A write for which there is a hindrance does not leave; a read does."""

from collections.abc import Awaitable, Callable

import pytest

from daemon.panel.client import PanelClient
from daemon.panel.errors import HeldBackError
from tests.panel.stand_in import SERVER, UUID, Script, backup, client

pytestmark = pytest.mark.anyio

WRITES: list[tuple[Callable[[PanelClient], Awaitable[object]], bool]] = [
    (lambda panel: panel.create(SERVER, name="n"), True),
    (lambda panel: panel.delete(SERVER, UUID), False),
    (lambda panel: panel.restore(SERVER, UUID, truncate=True), False),
]


@pytest.mark.parametrize(("write", "creates"), WRITES)
async def test_a_write_that_is_hindered_is_not_sent(
    write: Callable[[PanelClient], Awaitable[object]], creates: bool
) -> None:
    """It says what hinders it, and that a backup would be made, or something taken away."""
    asked: list[bool] = []

    def hindrance(*, creates: bool) -> str:
        asked.append(creates)
        return "another member has taken over"

    script = Script()
    async with client(script, hindrance=hindrance) as panel:
        with pytest.raises(HeldBackError, match="another member has taken over; nothing was sent"):
            await write(panel)
    assert asked == [creates]


async def test_it_is_asked_after_the_announcement_right_before_the_write_leaves() -> None:
    """What the announcement found out counts."""
    lost: list[str] = []

    async def announce() -> None:
        lost.append("another member has taken over")

    def hindrance(*, creates: bool) -> str:
        return "".join(lost)

    async with client(Script(), hindrance=hindrance) as panel:
        with pytest.raises(HeldBackError, match="taken over"):
            await panel.create(SERVER, name="n", on_send=announce)


async def test_a_read_is_never_hindered() -> None:
    """It changes nothing."""
    async with client(backup(), hindrance=lambda *, creates: "no") as panel:
        await panel.backup(SERVER, UUID)
