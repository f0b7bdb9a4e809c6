"""A real PostgreSQL at 127.0.0.1, started once for a session of tests, by a user that is not root."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import SecretStr

from daemon.config.values import ClusterConfig
from tests.stores.services import free_ports, program

NOBODY = 65534
PASSWORD = "secret-EXAMPLE-of-postgres"
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "ssl": "on",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "autovacuum": "off",
    "max_wal_senders": "2",
}


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    folder: Path
    port: int
    numbers: Iterator[int]

    def url(self, database: str = "postgres") -> str:
        """How it is reached."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new(self, *, lease: float = 30.0, member: str = "backup-1") -> ClusterConfig:
        """Tables of their own, for one test: in a schema, since a database takes a third of a second."""
        name = f"test_{next(self.numbers)}"
        self.psql(f"CREATE SCHEMA {name}")
        url = SecretStr(f"{self.url()}?sslmode=disable&search_path={name}")
        return ClusterConfig(url, member, timedelta(seconds=lease))

    def psql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement, as an operator would; return what it prints."""
        found = subprocess.run(  # noqa: S603 — a program of this machine
            [binary("psql"), "--no-psqlrc", "-qtAX", "-v", "ON_ERROR_STOP=1", "-c", statement, self.url(database)],
            check=True,
            capture_output=True,
            text=True,
        )
        return found.stdout.strip()

    def sql(self, cluster: ClusterConfig, statement: str) -> str:
        """Run a statement on the tables of `new`."""
        schema = cluster.url.get_secret_value().rpartition("=")[2]
        return self.psql(f"SET search_path = {schema}; {statement}")

    def stop(self, how: str = "fast") -> None:
        """Stop it, and return when it has ended."""
        self._control("stop", "-m", how)

    def start(self) -> None:
        """Start it, and return when it answers."""
        options = " ".join(f"-c {name}='{value}'" for name, value in {**SETTINGS, "port": str(self.port)}.items())
        self._control("start", "-l", str(self.folder / "log"), "-o", options)

    def _control(self, *words: str) -> None:
        command: list[str | Path] = [binary("pg_ctl"), "-D", self.folder / "data", "-w", "-t", "30", *words]
        _as_nobody(command)


def _as_nobody(command: Sequence[str | Path]) -> None:
    """Run a program of the server's, which refuses to run as root."""
    root = os.geteuid() == 0
    subprocess.run(  # noqa: S603 — a program of this machine
        command,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",
        user=NOBODY if root else None,
        group=NOBODY if root else None,
        extra_groups=[] if root else None,
    )


def binary(name: str) -> Path:
    """Where a program of PostgreSQL is; the test is skipped where it is missing, with what installs it."""
    of_debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(of_debian[-1]) if of_debian else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian's postgresql)")
    return Path(found)


def certificate(folder: Path) -> None:
    """Make one for 127.0.0.1, which only who is shown it believes."""
    openssl = program("openssl", "apt-get install openssl")
    made: list[str | Path] = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    made += [
        "-nodes",
        "-subj",
        "/CN=test",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        folder / "data/server.key",
    ]
    subprocess.run([openssl, *made, "-out", folder / "data/server.crt"], check=True, capture_output=True)  # noqa: S603
    (folder / "data/server.key").chmod(0o600)
    if os.geteuid() == 0:
        os.chown(folder / "data/server.key", NOBODY, NOBODY)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server, until the end of the block, in a folder that its user can reach: not below pytest's own."""
    binary("initdb")
    with TemporaryDirectory(prefix="ptero-backupd-postgres-") as folder, _in(Path(folder)) as server:
        yield server


@contextmanager
def _in(folder: Path) -> Iterator[Postgres]:
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    words: list[str | Path] = [
        "-D",
        folder / "data",
        "-U",
        "postgres",
        "-A",
        "scram-sha-256",
        f"--pwfile={folder / 'password'}",
    ]
    _as_nobody([binary("initdb"), *words, "--no-sync", "--no-instructions", "--locale=C.UTF-8"])
    certificate(folder)
    (port,) = free_ports(1)
    server = Postgres(folder, port, count())
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")
