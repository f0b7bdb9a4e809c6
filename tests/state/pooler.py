"""A real pgbouncer at 127.0.0.1, between a daemon and its database."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from daemon.config.values import ClusterConfig
from tests.postgres import NOBODY, server_folder
from tests.stores.services import free_ports, program, running

MODES = ("session", "transaction", "statement")
"""How long a client of pgbouncer keeps a session of the database."""


@contextmanager
def pooled(cluster: ClusterConfig, mode: str) -> Iterator[ClusterConfig]:
    """The same database through a pgbouncer in that mode, until the end of the block."""
    installed = program("pgbouncer", "apt-get install pgbouncer")
    parts = urlsplit(cluster.url.get_secret_value())
    with server_folder() as folder:
        (port,) = free_ports(1)
        (folder / "users").write_text(f'"{parts.username}" "{parts.password}"\n')
        database = parts.path.removeprefix("/")
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": folder / "users",
            "pool_mode": mode,
            "default_pool_size": 1,  # so that each client is given the session that the one before it had
        }
        lines = ["[databases]", f"{database} = host=127.0.0.1 port={parts.port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (folder / "settings").write_text("\n".join(lines) + "\n")
        for file in folder.iterdir():
            file.chmod(0o644)
        # It refuses to run as root, as the database does.
        user = ["-u", pwd.getpwuid(NOBODY).pw_name] if os.geteuid() == 0 else []
        with running([installed, *user, folder / "settings"], folder, port):
            place = f"{parts.username}:{parts.password}@127.0.0.1:{port}"
            yield replace(cluster, url=SecretStr(urlunsplit(parts._replace(netloc=place))))
