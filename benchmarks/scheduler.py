"""A daemon of ten thousand servers: its start, its memory, a reload, and how punctual it is while much is going on.

The real process with a lived-in journal, against the sandbox. Beside the start: bare Python, and as the ideal one that
only reads the file. The lateness is that of a minute of starts as dense as ten thousand in ten minutes are; servers
have 200 backups, every hundredth 2,000. With --curve the start is measured from one server on, and the curve drawn.

    python -m benchmarks.scheduler [--servers N] [--runs N] [--seconds N] [--curve]
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles
from zoneinfo import ZoneInfo

from benchmarks.chart import Axis, Curve, draw
from benchmarks.lived_in import write_config, write_journal
from benchmarks.measure import (
    CLOCK,
    Figure,
    Spread,
    in_turn,
    peak,
    processor_seconds,
    report,
    resident,
    run_to_end,
    say,
)
from daemon.core.calendar import Starts, parse_schedule
from daemon.sandbox.records import Work
from daemon.sandbox.scenes import KEY, empty, history
from daemon.sandbox.serve import in_background
from daemon.sandbox.settings import Settings
from daemon.sandbox.world import World
from daemon.state.local.journal import SqliteJournal

SPLAY_SECONDS = 600
LEAD_SECONDS = 45
REST_SECONDS = 10
FEW, MANY, MANY_EVERY = 200, 2000, 100
COMMITS = 300
SIZES = (1, 10, 100, 1000, 10_000)
ENVIRONMENT = {**os.environ, "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY}


@dataclass(frozen=True, slots=True)
class Life:
    """What one daemon took: seconds to its start and for a reload, by the clock and of the processor, and MiB at the
    start, at rest, and at most.
    """

    ready: float
    worked: float
    reload: float
    reworked: float
    first: float
    rest: float
    peak: float


@dataclass(frozen=True, slots=True)
class Busy:
    """What a busy minute showed: seconds that each start was late, that the loop was held, and of the processor."""

    late: Sequence[float]
    holds: Sequence[float]
    used: Sequence[float]


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--servers", type=int, default=10_000, metavar="N")
    options.add_argument("--runs", type=int, default=5, metavar="N", help="how often the start is measured")
    options.add_argument("--seconds", type=int, default=60, metavar="N", help="how long starts are watched")
    options.add_argument("--curve", action="store_true", help="draw docs/performance-scheduler.svg")
    given = options.parse_args()
    lives, bare, reading = started(given.servers, given.runs)
    minute, commits = busy(given.servers, given.seconds)
    report([*_of_lives(lives, bare, reading), *_of_minute(minute, commits)])
    if given.curve:
        say(str(curve(given.runs)))


def _of_lives(lives: Sequence[Life], bare: Spread, reading: Spread) -> list[Figure]:
    def spread(name: str) -> Spread:
        return Spread(tuple(getattr(life, name) for life in lives))

    return [
        Figure("ready", "s", spread("ready"), 3, ideal=reading, alternative=bare),
        Figure("of that, of the processor", "s", spread("worked")),
        Figure("reload of an unchanged configuration", "s", spread("reload"), 1, ideal=reading),
        Figure("of that, of the processor", "s", spread("reworked")),
        Figure("resident when ready", "MiB", spread("first"), 160),
        Figure(f"resident {REST_SECONDS} s later", "MiB", spread("rest"), 160),
        Figure("resident at most, after a reload", "MiB", spread("peak"), 160),
    ]


def _of_minute(minute: Busy, commits: Sequence[float]) -> list[Figure]:
    return [
        Figure(f"late, 99th percentile of {len(minute.late)} starts", "ms", _high(minute.late), 250),
        Figure("loop held at most", "ms", _most(minute.holds), 50),
        Figure("its thread's processor time meanwhile", "ms", _most(minute.used)),
        Figure("loop held, 99.9th percentile", "ms", _high(minute.holds, 1000)),
        Figure("a commit to the journal, in the middle", "ms", Spread((sorted(commits)[len(commits) // 2] * 1000,))),
        Figure("a commit, 99th percentile", "ms", _high(commits)),
        Figure("a commit at most", "ms", _most(commits)),
    ]


def _high(seconds: Sequence[float], parts: int = 100) -> Spread:
    return Spread((quantiles(seconds, n=parts)[-1] * 1000,))


def _most(seconds: Sequence[float]) -> Spread:
    return Spread((max(seconds) * 1000,))


# The start and a reload ----------------------------------------------------------------------------------------------


def started(servers: int, runs: int) -> tuple[list[Life], Spread, Spread]:
    """Lives of a daemon of so many servers, and the seconds of bare Python and of one that only reads the file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids = [f"{number:08x}" for number in range(1, servers + 1)]
        file = write_config(folder, "http://127.0.0.1:9", ids, _quiet_schedules(CLOCK.now()), splay="10m")
        write_journal(folder, [f"{one}-0000-4000-8000-000000000000" for one in ids], CLOCK.now())
        reading = f"import tomllib; tomllib.loads(open({str(file)!r}).read())"
        gave = in_turn(
            {
                "bare": lambda: run_to_end([sys.executable, "-c", "pass"]).seconds,
                "reading": lambda: run_to_end([sys.executable, "-c", reading]).seconds,
            },
            runs,
        )
        lives = [life(folder, file) for _ in range(runs + 1)][1:]
        return lives, Spread(tuple(gave["bare"])), Spread(tuple(gave["reading"]))


def _quiet_schedules(now: datetime) -> list[str]:
    """Three schedules that are not due for hours: what is measured is the start, not rotations."""
    hour = (now.hour + 12) % 24
    return [f"0 {hour} * * *", f"30 {hour} * * 0-6", f"15 {hour} 1-31 * *"]


def life(folder: Path, file: Path) -> Life:
    """One daemon, from its start over a reload to its end."""
    with listening(folder) as manager:
        began = CLOCK.monotonic()
        with daemon([sys.executable, "-m", "daemon", "--config", str(file), "run"], folder) as process:
            heard(manager, "READY=1")
            ready, worked, first = CLOCK.monotonic() - began, processor_seconds(process.pid), resident(process.pid)
            threading.Event().wait(REST_SECONDS)
            rest, before = resident(process.pid), processor_seconds(process.pid)
            began = CLOCK.monotonic()
            process.send_signal(signal.SIGHUP)
            heard(manager, "RELOADING=1")
            heard(manager, "READY=1")
            reload, reworked = CLOCK.monotonic() - began, processor_seconds(process.pid) - before
            return Life(ready, worked, reload, reworked, first, rest, peak(process.pid))


@contextmanager
def listening(folder: Path) -> Iterator[socket.socket]:
    """The socket that systemd would listen on."""
    address = folder / "notify"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(60)
        yield manager


def heard(manager: socket.socket, word: str) -> None:
    """Wait until the daemon says that."""
    while word not in manager.recv(4096).decode().splitlines():
        pass


@contextmanager
def daemon(words: Sequence[str], folder: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A process of ours, with more in its environment, told to stop at the end."""
    environ = {**ENVIRONMENT, **more, "NOTIFY_SOCKET": str(folder / "notify")}
    with subprocess.Popen(  # noqa: S603 — our own
        words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


# A busy minute -------------------------------------------------------------------------------------------------------


def busy(servers: int, seconds: int) -> tuple[Busy, list[float]]:
    """What the loop and the starts of a daemon looked like that rotates as many servers as fall due in that time."""
    base = (CLOCK.now() + timedelta(seconds=LEAD_SECONDS + 60)).replace(second=0, microsecond=0)
    schedule = f"{base.minute} {base.hour} * * *"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = populated(servers, seconds, schedule)
        with in_background(world) as sandbox, listening(folder) as manager:
            ids = [server.identifier for server in world.servers.values()]
            file = write_config(folder, sandbox.url, ids, [schedule], splay=f"{SPLAY_SECONDS}s")
            write_journal(folder, [server.uuid for server in world.servers.values()], CLOCK.now())
            commits = committed(folder)
            words = [sys.executable, "-m", "benchmarks.held", str(file)]
            with daemon(words, folder) as process:
                heard(manager, "READY=1")
                ready = CLOCK.now()
                left = (base - ready).total_seconds() + seconds
                threading.Event().wait(left)
                until = CLOCK.monotonic()
                process.terminate()
                out, _ = process.communicate(timeout=60)
    seen = json.loads(out)
    running = [hold for hold in seen["holds"] if until - left < hold[0] < until]  # one clock for all processes
    return Busy(
        [seconds for _, seconds in seen["late"]], [hold[1] for hold in running], [hold[2] for hold in running]
    ), commits


def populated(servers: int, seconds: int, schedule: str) -> World:
    """A panel without a limit; servers whose start falls into the time have backups of nights before."""
    world, owner, _ = empty(CLOCK, settings=Settings(api_limit=10**9, creation_limit=0))
    nodes = [world.add_node(f"node-{number}") for number in range(50)]
    starts = parse_schedule(schedule)
    now, large = CLOCK.now().replace(microsecond=0), 0
    for number in range(servers):
        node = nodes[number % len(nodes)]
        server = world.add_server(f"server-{number}", owner=owner, node=node, limit=5000, work=Work(seconds=2))
        delay = Starts(starts, ZoneInfo("UTC"), timedelta(seconds=SPLAY_SECONDS), server.identifier).delay
        if delay < timedelta(seconds=seconds):
            large += 1
            count = MANY if large % MANY_EVERY == 0 else FEW
            history(world, server, [now - timedelta(hours=12 * ago) for ago in range(count, 0, -1)])
    return world


def committed(folder: Path) -> list[float]:
    """How long each of many commits to the journal took."""
    took = []
    with SqliteJournal.open(folder / "state") as journal:
        number = journal.recent(limit=1)[0].id
        for _ in range(COMMITS):
            began = CLOCK.monotonic()
            journal.step(number, "gathered", CLOCK.now())
            took.append(CLOCK.monotonic() - began)
    return took


# The curve -----------------------------------------------------------------------------------------------------------


def curve(runs: int) -> Path:
    """Draw the start's processor time and memory over the number of servers."""
    ready, memory = [], []
    for servers in SIZES:
        lives, *_ = started(servers, runs)
        ready.append((servers, Spread(tuple(life.worked for life in lives)).median * 100))
        memory.append((servers, Spread(tuple(life.rest for life in lives)).median))
        say(f"{servers:,} servers: ready after {ready[-1][1] / 100:.2f} s of the processor, {memory[-1][1]:.0f} MiB")
    return draw(
        "performance-scheduler.svg",
        "The daemon's start and memory",
        across=Axis("servers", logarithmic=True),
        up=Axis("MiB; hundredths of a second"),
        curves=[Curve("resident at rest, MiB", memory), Curve("processor time until ready, 1/100 s", ready)],
    )


if __name__ == "__main__":
    main()
