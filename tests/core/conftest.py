"""The core is asked on a machine far away from every zone that it is asked for."""

import os
import time
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def far_away() -> Iterator[None]:
    """The machine's own zone plays no part in any decision, so it is one that would be noticed: 14 hours east."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "FAR-14"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()
