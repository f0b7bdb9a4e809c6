"""What docs/cluster.md has an operator make for the daemons, by its own statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from pydantic import SecretStr

from daemon.config.values import ClusterConfig
from tests.postgres import PASSWORD, Postgres
from tests.test_docs import blocks

PAGE = "docs/cluster.md"
NAME = "backupd"
"""What the page calls the role, and its database."""


@contextmanager
def documented(server: Postgres) -> Iterator[ClusterConfig]:
    """The role and its database on that server, until the end of the block; give how a daemon reaches them.

    A server has them once, so nothing else may ask for them meanwhile.
    """
    (block,) = [one for one in blocks("sql") if one.page == PAGE]
    assert block.text.count("'…'") == 1, "the password that the operator chooses"
    _remove(server)
    for statement in block.text.replace("…", PASSWORD).splitlines():
        server.psql(statement)
    try:
        yield ClusterConfig(SecretStr(url(server)), "one", timedelta(seconds=30))
    finally:
        _remove(server)


def url(server: Postgres) -> str:
    """The address that the page has for the daemons, at that server."""
    return f"postgresql://{NAME}:{PASSWORD}@127.0.0.1:{server.port}/{NAME}"


def _remove(server: Postgres) -> None:
    server.psql(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    server.psql(f"DROP ROLE IF EXISTS {NAME}")
