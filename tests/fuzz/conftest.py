"""What the fuzz shares."""

from collections.abc import Iterator

import pytest

from tests.fuzz.host import Host


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """One for all examples."""
    made = Host()
    yield made
    made.close()
