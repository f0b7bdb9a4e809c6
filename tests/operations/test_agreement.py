"""What a command by hand asks of a cluster's daemons before anything is deleted."""

from typing import cast

import pytest

from daemon.config.values import ServerConfig
from daemon.core.agreement import UNCOMPARED, Opinion
from daemon.errors import StateError
from daemon.operations.agreement import disputed_by_hand
from daemon.state import ClusterSeen, Leadership

pytestmark = pytest.mark.anyio


class Unreachable:
    """A cluster whose database does not answer this once."""

    @property
    def membership(self) -> "Unreachable":
        """It is one."""
        return self

    async def seen(self) -> ClusterSeen:
        """No answer."""
        raise StateError("the database was restarted just now")


async def test_where_the_daemons_could_not_be_asked_nothing_is_deleted() -> None:
    """The database may answer again when something is to be deleted; then nothing else would say so."""
    disputed = await disputed_by_hand(cast("Leadership", Unreachable()), Opinion.of({}))
    assert disputed is not None
    assert disputed(cast("ServerConfig", None)) == disputed(cast("ServerConfig", None), "nas") == UNCOMPARED
