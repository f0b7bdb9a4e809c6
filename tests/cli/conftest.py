"""The command line in this process, and a panel in a thread: whatever waits, waits on a clock that jumps."""

import io
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon.__main__ import main
from daemon.clock import SystemClock
from daemon.copies.work import OwnProcess
from daemon.sandbox import faults
from daemon.sandbox.records import Server, Work
from daemon.sandbox.scenes import KEY, empty, history
from daemon.sandbox.serve import SandboxServer, in_background
from daemon.sandbox.settings import Settings
from daemon.sandbox.world import World
from tests.fakes import FakeClock


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Stdout as the one document that it must be."""
        document = json.loads(self.out)
        assert document.pop("schema") == 1
        assert isinstance(document, dict)
        return document


Cli = Callable[..., Ran]


class Terminal(io.StringIO):
    """A stream that says it is one: what is typed there, or what is drawn."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def screen_for(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """From now on stderr is a terminal of 100 columns."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return screen


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, nothing configured, and whatever a command does to the log undone."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "STATE_DIRECTORY", "PTERO_BACKUPD_CONFIG", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    before, level, handlers = structlog.get_config(), logging.root.level, logging.root.handlers[:]
    yield tmp_path
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def cli(environment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs the command line: `cli("plan", "--json")`."""

    def run(*words: str | Path, stdin: str = "") -> Ran:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = main([str(word) for word in words])
        written = capsys.readouterr()
        return Ran(code, written.out, written.err)

    return run


@pytest.fixture(autouse=True)
def reads_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives are read by this process, as the one that is made for it would: tests/cli/test_reader.py makes that."""
    monkeypatch.setattr("daemon.cli.reader.ChildProcess", lambda: OwnProcess(SystemClock()))


def one_clock(monkeypatch: pytest.MonkeyPatch, begin: datetime) -> FakeClock:
    """A clock for the commands and the panel, which begins then."""
    clock = FakeClock(begin)
    monkeypatch.setattr(SystemClock, "now", lambda _: clock.now())
    monkeypatch.setattr(SystemClock, "monotonic", lambda _: clock.monotonic())
    monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: clock.sleep(seconds))
    return clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """One clock for all."""
    return one_clock(monkeypatch, datetime.fromisoformat("2026-04-01T12:00:00Z"))


@dataclass
class Panel:
    """A panel with two servers, and a configuration of them."""

    world: World
    url: str
    survival: Server
    lobby: Server
    config: Path

    def configure(
        self,
        *,
        keep: str = "{ last = 3 }",
        scope: str = "own",
        servers: dict[str, str] | None = None,
        extra: str = "",
    ) -> Path:
        """Write the configuration; both servers, unless others are named by their ids."""
        ids = {"survival": self.survival.identifier, "lobby": self.lobby.identifier} if servers is None else servers
        self.config.with_name("main.key").write_text(KEY)
        self.config.with_name("main.key").chmod(0o600)
        lines = [
            f'[panels.main]\nurl = "{self.url}"\napi_key_file = "main.key"',
            f'[policies.standard]\nschedule = "0 4 * * *"\nscope = "{scope}"\nkeep = {keep}\n{extra}',
            *(f'[servers.{name}]\nid = "{id_}"' for name, id_ in ids.items()),
        ]
        self.config.write_text("\n\n".join(lines))
        return self.config


@pytest.fixture
def panel(environment: Path, clock: FakeClock) -> Iterator[Panel]:
    """`survival` has five good own backups, a locked one, a failed one and a foreign one; `lobby` has none."""
    world, owner, node = empty(clock, settings=Settings(creation_limit=0))
    survival = world.add_server("survival", owner=owner, node=node, limit=30, work=Work(seconds=5))
    lobby = world.add_server("lobby", owner=owner, node=node, limit=4)
    days = [clock.now() - timedelta(days=day, hours=8) for day in range(7, 0, -1)]
    history(world, survival, days, locked={1}, failed={5})
    world.add_backup(survival, "by hand", created_at=days[2] + timedelta(hours=1))
    with ExitStack() as held:
        server: SandboxServer = held.enter_context(in_background(world))
        made = Panel(world, server.url, survival, lobby, environment / "config.toml")
        made.configure()
        yield made


@pytest.fixture
def no_ctrl_c() -> Iterator[None]:
    """Whatever happens to Ctrl-C in a test is undone."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(panel: Panel, call: str, *, skip: int = 0) -> None:
    """Press Ctrl-C while that call is under way."""
    fault = faults.meanwhile(lambda _world, _server: os.kill(os.getpid(), signal.SIGINT))
    panel.world.faults.order(fault, on=call, skip=skip)


__all__ = ["Cli", "Panel", "Ran", "interrupt"]
