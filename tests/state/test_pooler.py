"""A real pgbouncer before the database is found out by every process, and told with what to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config.values import ClusterConfig
from daemon.errors import StateError
from tests.postgres import PASSWORD, Postgres
from tests.process.support import Panel, command, running, serving
from tests.state.pooler import MODES, pooled
from tests.state.role import NAME, documented
from tests.state.test_postgres import member

SAID = "is behind a connection pooler"
HINT = "name the database itself in cluster.url"


@pytest.fixture(params=MODES)
def cluster(request: pytest.FixtureRequest, postgres_server: Postgres) -> Iterator[ClusterConfig]:
    """The database of the documented role, through a pooler in each mode."""
    with documented(postgres_server) as directly, pooled(directly, request.param) as cluster:
        yield cluster


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[Panel]:
    """A panel for the daemon, which looks at the database first."""
    with serving(tmp_path) as panel:
        panel.configure(panel.add_server("survival"))
        panel.secrets.append(PASSWORD)
        yield panel


@pytest.mark.anyio
async def test_it_is_refused_in_every_mode(cluster: ClusterConfig) -> None:
    """In session mode too, in which it would do: it cannot be told from the others, and there is nothing to gain."""
    async with member(cluster) as engine:
        for call in (engine.check, engine.open, engine.look, engine.leadership.join):
            with pytest.raises(StateError, match=SAID) as caught:
                await call()
            assert HINT in caught.value.hint


def test_every_process_is_told_so(cluster: ClusterConfig, panel: Panel, postgres_server: Postgres) -> None:
    """Also one that is given the session that another one had: it was left as it was. A daemon does not act."""
    url = cluster.url.get_secret_value()
    for _ in range(2):
        checked = command(panel, "check", "--offline", PTERO_BACKUPD_CLUSTER__URL=url)
        assert SAID in checked.stdout
        assert HINT in checked.stdout
    with running(panel, PTERO_BACKUPD_CLUSTER__URL=url) as daemon:
        reason = daemon.wait_for("standing_by")["reason"]
        assert SAID in reason
        assert HINT in reason
    assert postgres_server.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", NAME) == "0"
