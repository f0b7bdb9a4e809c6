"""Where the members of a cluster meet."""

from pathlib import Path

import pytest

from tests.postgres import Postgres
from tests.state.engines import Clustered, Modelled, Shared


@pytest.fixture(params=["model", "postgres"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Clustered:
    """A real database, and the model that the simulation has of one."""
    if request.param == "model":
        return Modelled(tmp_path)
    server: Postgres = request.getfixturevalue("postgres_server")
    return Shared(server)
