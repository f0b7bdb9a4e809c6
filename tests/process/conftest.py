"""A panel in a thread, for daemons in processes of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.support import Panel, serving


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[Panel]:
    """A panel without servers."""
    with serving(tmp_path) as made:
        yield made
