"""Which backup settles a creation whose answer was lost."""

import pytest

from tests.panel.stand_in import SERVER, client, listing, row

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["mine (2)", "not mine", "Mine", "min"])
async def test_a_name_that_is_only_similar_is_another_backup(name: str) -> None:
    """It would be waited for, and called good, instead of one that was never made."""
    async with client(listing([row(name=name)], 1)) as panel:
        assert await panel.settle_create(SERVER, "mine", until=0) is None
