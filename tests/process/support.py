"""The daemon as its own process, and a panel in a thread of this one: what the tests of the real process are made with.

Nothing here sleeps for luck: every wait is for a line that the daemon writes, or for something that the panel has seen,
and has a deadline.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from daemon.clock import SystemClock
from daemon.sandbox.records import Backup, Change, Node, Server, Work
from daemon.sandbox.scenes import KEY, empty, history
from daemon.sandbox.serve import in_background
from daemon.sandbox.settings import Settings
from tests.leaks import leaks, stored

CLOCK = SystemClock()
COMMAND = (sys.executable, "-m", "daemon")
PATIENCE = 30.0

COMMAND_PATIENCE = 150.0
"""A command may look for two minutes for what an earlier process asked for."""

UNCOUNTED = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""What asks a process to count what of it is run: one that is killed, or finds no room to write it, cannot tell."""

Event = dict[str, Any]


def wait_until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Look again and again until it holds; AssertionError after the deadline."""
    deadline = CLOCK.monotonic() + seconds
    while not holds():
        assert CLOCK.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        threading.Event().wait(0.02)


class Panel:
    """A panel over real HTTP with one node, and what it has seen."""

    def __init__(self, folder: Path) -> None:
        self.world, self._owner, self.node = empty(CLOCK, settings=Settings(creation_limit=0))
        self.folder = folder
        self.url = ""
        self.secrets = [KEY]
        self.printed: list[tuple[str, str]] = []

    def add_server(
        self, name: str = "survival", *, past: int = 4, seconds: float = 0.1, node: Node | None = None
    ) -> Server:
        """A server whose backups take that long, with that many own ones from long before the start."""
        work = Work(seconds=seconds)
        server = self.world.add_server(name, owner=self._owner, node=node or self.node, limit=50, work=work)
        now = CLOCK.now().replace(microsecond=0)
        history(self.world, server, [now - timedelta(days=30 + days) for days in range(past, 0, -1)])
        for backup in server.backups.values():
            backup.completed_at = backup.created_at
        return server

    def backups(self, server: Server) -> list[Backup]:
        """Its backups, in the panel's order."""
        return list(server.backups.copy().values())

    def done(self, change: Change, server: Server) -> list[str]:
        """The names of the backups that the daemon did this to, in order."""
        entries = tuple(self.world.ledger)
        return [e.name for e in entries if (e.change, e.server, e.by) == (change, server.uuid, self._owner.name)]

    def order(self, method: str, path: str) -> None:
        """Have somebody do something at the panel, in the panel's own thread; see `daemon.sandbox.control`."""
        request = urllib.request.Request(f"{self.url}/sandbox/{path}", method=method)  # noqa: S310 — our own sandbox
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            answer.read()

    def configure(self, *servers: Server, more: str = "", **policy: str) -> Path:
        """Write a configuration of these servers; values are TOML. Its one start, long past, is caught up at once."""
        values = {"schedule": '"every 1w"', "scope": '"own"', "keep": "{ last = 3 }", **policy}
        text = f'state_dir = "{self.folder / "state"}"\n[panels.main]\nurl = "{self.url}"\n[policies.standard]\n'
        text += "".join(f"{key} = {value}\n" for key, value in values.items())
        text += "".join(f'[servers.{server.name}]\nid = "{server.identifier}"\n' for server in servers)
        file = self.folder / "config.toml"
        file.write_text(text + more)
        return file

    def leaks(self) -> dict[str, list[str]]:
        """The secrets in all that was printed or is in the state folder, by where they are; empty is good."""
        places: list[tuple[str, str | bytes]] = [*self.printed, ("the state folder", stored(self.folder / "state"))]
        found = ((place, leaks(content, *self.secrets)) for place, content in places)
        return {place: secrets for place, secrets in found if secrets}

    @property
    def environment(self) -> dict[str, str]:
        """Our own environment without anything that is for a daemon, and with the panel's key."""
        foreign = ("PTERO_", "NOTIFY_", "JOURNAL_", "WATCHDOG_", "STATE_", "CREDENTIALS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {**kept, "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY}


@contextmanager
def serving(folder: Path) -> Iterator[Panel]:
    """A panel that answers for as long as the block lasts; by then no command may have let a secret out."""
    panel = Panel(folder)
    with in_background(panel.world) as sandbox:
        panel.url = sandbox.url
        yield panel
    found = panel.leaks()
    assert not found, f"secrets got out: {found}"


class Daemon:
    """`ptero-backupd run` as a process, with the events that it has logged so far."""

    def __init__(self, panel: Panel, environ: Mapping[str, str], room: int | None) -> None:
        self.command = _command(panel, ("--verbose", "run"), room)
        self.process = subprocess.Popen(  # noqa: S603 — our own command
            self.command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._changed = threading.Condition()
        self._open = 2
        self._readers = [self._reader(self.process.stdout, self.stdout), self._reader(self.process.stderr, self.stderr)]

    def events(self, name: str, **fields: object) -> list[Event]:
        """The events of that name, with these fields, that were logged so far."""
        found = (json.loads(line) for line in tuple(self.stderr) if line.startswith("{"))
        return [event for event in found if event["event"] == name and fields.items() <= event.items()]

    def wait_for(self, name: str, *, times: int = 1, seconds: float = PATIENCE, **fields: object) -> Event:
        """Wait for the n-th event of that name with these fields, and return it."""
        with self._changed:
            there = self._changed.wait_for(lambda: len(self.events(name, **fields)) >= times or not self._open, seconds)
        assert there, f"no event {name} {fields} within {seconds} s\n{self.output}"
        found = self.events(name, **fields)
        assert len(found) >= times, f"the daemon ended without {name} {fields}\n{self.output}"
        return found[times - 1]

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end, and return the exit code, negative for a signal.

        The patience is for a busy machine. Still it is less than the 25 s of a drain, after which every daemon ends.
        """
        code = self.process.wait(20)
        for reader in self._readers:
            reader.join()
        return code

    @property
    def output(self) -> str:
        """All that it wrote."""
        return "".join((*self.stdout, *self.stderr))

    def _reader(self, stream: IO[str] | None, lines: list[str]) -> threading.Thread:
        assert stream is not None

        def read() -> None:
            with stream:
                for line in stream:
                    with self._changed:
                        lines.append(line)
                        self._changed.notify_all()
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

        thread = threading.Thread(target=read)
        thread.start()
        return thread


@contextmanager
def running(panel: Panel, *, room: int | None = None, counted: bool = True, **environ: str | None) -> Iterator[Daemon]:
    """A daemon that is there for as long as the block lasts; one that still runs at its end is killed.

    A variable that is None is not set. `room` is how many blocks its files may hold at first. `counted` is whether
    what it runs counts for the coverage.
    """
    daemon = Daemon(panel, _environment(panel, environ, counted=counted and room is None), room)
    panel.printed.append(("its line in the list of processes", Path(f"/proc/{daemon.process.pid}/cmdline").read_text()))
    try:
        yield daemon
    finally:
        daemon.process.kill()
        daemon.ended()
        panel.printed.append(("the daemon's output", daemon.output))


def command(panel: Panel, *words: str, room: int | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run another command with the same configuration to its end."""
    done = subprocess.run(  # noqa: S603 — our own command
        _command(panel, words, room),
        env=_environment(panel, environ, counted=room is None),
        check=False,
        capture_output=True,
        text=True,
        timeout=COMMAND_PATIENCE,
    )
    panel.printed.append((" ".join(words), done.stdout + done.stderr))
    return done


def _environment(panel: Panel, more: Mapping[str, str | None], *, counted: bool) -> dict[str, str]:
    """What a command of ours finds in its environment."""
    merged = {**panel.environment, **more, **({} if counted else dict.fromkeys(UNCOUNTED))}
    return {name: value for name, value in merged.items() if value is not None}


def _command(panel: Panel, words: Sequence[str], room: int | None) -> list[str]:
    """Our command with the panel's configuration; where there is a bound, the shell sets it."""
    limited = [] if room is None else ["sh", "-c", f'ulimit -S -f {room}; exec "$@"', "sh"]
    return [*limited, *COMMAND, "--config", str(panel.folder / "config.toml"), *words]
