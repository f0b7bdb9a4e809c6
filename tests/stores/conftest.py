"""One place per engine, over real services of this machine, each started once and only when a test needs it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from daemon.stores.base import Store
from daemon.stores.values import DirectoryLocation, StoreSettings
from tests.stores.places import Place

KINDS = ("directory",)


@pytest.fixture
def directory(tmp_path: Path) -> Place:
    """A folder."""
    folder = tmp_path / "store"
    folder.mkdir()
    return Place("directory", StoreSettings("nas", DirectoryLocation(folder)), folder)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> Place:
    """Each of the engines."""
    place: Place = request.getfixturevalue(request.param)
    return place


@pytest.fixture
async def store(place: Place) -> AsyncGenerator[Store, None]:
    """An open store, empty."""
    async with place.open() as store:
        yield store
