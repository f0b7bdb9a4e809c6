"""What every test shares."""

import pytest

from tests.fakes import FakeClock


@pytest.fixture
def anyio_backend() -> str:
    """The daemon runs on asyncio, because APScheduler does; its tests run there too."""
    return "asyncio"


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves only when somebody sleeps."""
    return FakeClock()
