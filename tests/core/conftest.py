"""The core is asked on a machine far away from every zone that it is asked for."""

import os
import time
from collections.abc import Callable, Iterator

import pytest


def move_to(zone: str | None) -> None:
    """Set the machine's own zone, as TZ has it: FAR-14 is 14 hours east of UTC."""
    if zone is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = zone
    time.tzset()


@pytest.fixture(autouse=True, scope="package")
def far_away() -> Iterator[None]:
    """The machine's own zone plays no part in any decision, so it is one that would be noticed."""
    before = os.environ.get("TZ")
    move_to("FAR-14")
    yield
    move_to(before)


@pytest.fixture
def machine_in() -> Iterator[Callable[[str | None], None]]:
    """Sets the machine's own zone until the test is over."""
    yield move_to
    move_to("FAR-14")
