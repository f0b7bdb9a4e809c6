"""The fleet that is looked at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.at_once import at_once
from tests.web.gallery import Gallery, fleet


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    """Ten servers in every state."""
    made = fleet(tmp_path)
    yield made
    at_once(made.context.close())


@pytest.fixture
def stocked(tmp_path: Path) -> Iterator[Gallery]:
    """The same with two stores, one of them in trouble."""
    made = fleet(tmp_path, stores=True)
    yield made
    at_once(made.context.close())
