"""A cluster of real daemons on a real PostgreSQL against the sandbox, and what each of these takes of the processor.

The database waits for the disk as one in earnest does. It counts its statements, which takes a little of its time.
"""

import re
import signal
import socket
import subprocess
import sys
import threading
from asyncio import run
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from benchmarks.lived_in import write_config, write_journal
from benchmarks.measure import CLOCK, processor_seconds
from benchmarks.scheduler import daemon, heard, listening
from daemon.config.values import ClusterConfig
from daemon.sandbox.world import World
from daemon.state.move import move_state
from tests.postgres import SETTINGS, Postgres, postgres

IN_EARNEST = {
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "128MB",
    "shared_preload_libraries": "pg_stat_statements",
}
PATIENCE = 120.0
GLANCE = 0.1
SETTLE_SECONDS = 5


@dataclass(frozen=True)
class Database:
    """The database of one cluster."""

    server: Postgres
    cluster: ClusterConfig

    def ask(self, query: str) -> str:
        """What a query prints."""
        schema = self.cluster.url.get_secret_value().rpartition("=")[2]
        return self.server.psql(f"SET search_path = {schema}, public; {query}")

    def nodes(self, *, without: str = "") -> list[int]:
        """How many nodes each member holds, the fewest first."""
        counts = self.ask(
            "SELECT count(*) FROM lease JOIN member USING (epoch)"  # noqa: S608 — names of ours
            f" WHERE starts_with(what, 'node ') AND name <> '{without}' GROUP BY name ORDER BY 1"
        )
        return [int(line) for line in counts.splitlines()]

    @property
    def statements(self) -> int:
        """How many it was sent so far."""
        return int(self.ask("SELECT sum(calls) FROM pg_stat_statements"))

    @property
    def steps(self) -> int:
        """How many steps of rotations it was told so far, their beginnings and ends among them."""
        return int(self.ask("SELECT (SELECT count(*) FROM step) + count(*) + count(ended_at) FROM rotation"))

    @property
    def processor(self) -> float:
        """The seconds of the processor that it has taken so far, with the sessions that have ended."""
        main = int((self.server.folder / "data/postmaster.pid").read_text().split()[0])
        sessions = [one for one in map(_parent, Path("/proc").glob("[0-9]*")) if one is not None and one[1] == main]
        return processor_seconds(main, ended=True) + sum(processor_seconds(process) for process, _ in sessions)


def _parent(process: Path) -> tuple[int, int] | None:
    """A process and its parent; None if it has ended."""
    try:
        return int(process.name), int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


@contextmanager
def database(folder: Path, world: World) -> Iterator[Database]:
    """A database whose journal knows an earlier rotation of each server, of an hour ago."""
    with patch.dict(SETTINGS, IN_EARNEST), postgres() as server:
        server.psql("CREATE EXTENSION pg_stat_statements")
        made = Database(server, server.new())
        write_journal(folder, [one.uuid for one in world.servers.values()], CLOCK.now(), rotations=1)
        run(move_state(folder / "state", made.cluster))
        made.ask("ANALYZE")
        yield made


@dataclass(frozen=True)
class Member:
    """A daemon of the cluster, and how long it took until it was ready."""

    name: str
    file: Path
    manager: socket.socket
    process: "subprocess.Popen[str]"
    ready: float

    def kill(self) -> None:
        """End it without a word to anybody."""
        self.process.kill()
        self.process.wait()

    def seen(self) -> str:
        """Tell it to stop; what the probe in it has seen."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=60)
        return out


@contextmanager
def members(
    folder: Path, within: Database, url: str, world: World, names: Sequence[str], *, reserve: float
) -> Iterator[list[Member]]:
    """Daemons that were started together and are ready, and for which nothing is due; all but the last with a probe in
    them. They leave that part of the panel's limit to others, and are killed at the end, if they still run.
    """
    ids = [server.identifier for server in world.servers.values()]
    where = {"PTERO_BACKUPD_CLUSTER__URL": within.cluster.url.get_secret_value()}
    far = CLOCK.now() + timedelta(hours=12)
    files, managers = [], []
    with ExitStack() as held:
        for name in names:
            (place := folder / name).mkdir()
            files.append(write_config(place, url, ids, [_at(far)], splay="0s"))
            text = re.sub("api_reserve = .*", f"api_reserve = {reserve}", files[-1].read_text())
            files[-1].write_text(f'{text}\n[cluster]\nmember = "{name}"\n')
            managers.append(held.enter_context(listening(place)))
        began = CLOCK.monotonic()
        processes = []
        for file in files:
            probed = file is not files[-1]
            how = ["benchmarks.held", str(file)] if probed else ["daemon", "--config", str(file), "run"]
            processes.append(held.enter_context(daemon([sys.executable, "-m", *how], file.parent, **where)))
            held.callback(processes[-1].kill)
        ready = [_ready(manager, began) for manager in managers]
        yield list(map(Member, names, files, managers, processes, ready))


def let_be_due(started: Sequence[Member], splay: int) -> datetime:
    """Have all servers due from the next full minute on, spread over so many seconds; return that minute.

    It is the configuration that says so, which is read again.
    """
    due = (CLOCK.now() + timedelta(seconds=60 + SETTLE_SECONDS)).replace(second=0, microsecond=0)
    for one in started:
        text = re.sub('schedule = ".*"', f'schedule = "{_at(due)}"', one.file.read_text())
        one.file.write_text(re.sub('splay = ".*"', f'splay = "{splay}s"', text))
        one.process.send_signal(signal.SIGHUP)
    for one in started:
        heard(one.manager, "RELOADING=1")
        heard(one.manager, "READY=1")
    return due


def _at(moment: datetime) -> str:
    return f"{moment.minute} {moment.hour} * * *"


def _ready(manager: socket.socket, began: float) -> float:
    heard(manager, "READY=1")
    return CLOCK.monotonic() - began


def wait_until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> float:
    """Look again and again until it holds; return how many seconds that took."""
    began = CLOCK.monotonic()
    while not holds():
        if CLOCK.monotonic() - began > seconds:
            raise SystemExit(f"waited {seconds:g} s in vain: {what}")
        threading.Event().wait(GLANCE)
    return CLOCK.monotonic() - began


def wait_for(moment: datetime) -> None:
    """Wait until that moment, which must be to come."""
    left = (moment - CLOCK.now()).total_seconds()
    if left < 0:
        raise SystemExit("this machine is too busy to measure anything on it")
    threading.Event().wait(left)
