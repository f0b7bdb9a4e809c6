"""The pages and the metrics of a daemon with many servers, asked for over HTTP as a browser and Prometheus do.

The real process, started with a journal of earlier rotations, so that every server has backups to show. Each life of
the daemon answers `/` once as its first request, and then all of them in turn. Wanted with 1,000 servers: under 100 ms
each, be it the first or a later one. The ideal is `/healthz` of the same process: a request, and an answer that takes
no work. Processor time is counted in hundredths of a second, so it is told of many requests together.

    python -m benchmarks.pages [--servers N] [--runs N] [--lives N]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.lived_in import write_config, write_journal
from benchmarks.measure import CLOCK, Figure, Spread, in_turn, machine, processor_seconds, report, say
from daemon.sandbox.scenes import KEY

NOTHING = "/healthz"
PATHS = ("/", "/metrics", "/api/status", "/servers/server-0")
WANTED = 100.0

FRESH_SECONDS = 1.1
"""An answer is shared by all who ask within one second: so long is waited before the next one, which is made anew."""


@dataclass(frozen=True, slots=True)
class Told:
    """Milliseconds of every request, by path: wall and, of all requests together, the processor's for one."""

    first: list[float] = field(default_factory=list)
    first_processor: list[float] = field(default_factory=list)
    wall: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in (*PATHS, NOTHING)})
    processor: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in PATHS})


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--servers", type=int, default=1000, metavar="N")
    options.add_argument("--runs", type=int, default=15, metavar="N", help="requests of each page in each life")
    options.add_argument("--lives", type=int, default=3, metavar="N", help="how often the daemon is started")
    given = options.parse_args()
    told = Told()
    with tempfile.TemporaryDirectory() as name:
        file = lived_in(Path(name), given.servers)
        for _ in range(given.lives):
            with daemon(file) as (process, address):
                live(told, process.pid, address, given.runs)
    ideal = Spread(tuple(told.wall[NOTHING]))
    figures = [Figure("first `/` after the start", "ms", Spread(tuple(told.first)), WANTED, ideal=ideal)]
    figures.append(Figure("the same, processor time", "ms", Spread(tuple(told.first_processor))))
    for path in PATHS:
        figures.append(Figure(f"`{path}`", "ms", Spread(tuple(told.wall[path])), WANTED, ideal=ideal))
        figures.append(Figure(f"`{path}`, processor time", "ms", Spread(tuple(told.processor[path]))))
    say(f"{given.servers:,} servers; {machine()}\n")
    report(figures)


def lived_in(folder: Path, servers: int) -> Path:
    """The configuration, and a journal beside it."""
    ids = [f"{number:08x}" for number in range(1, servers + 1)]
    not_yet = f"0 {(CLOCK.now().hour + 12) % 24} * * *"
    file = write_config(folder, "http://127.0.0.1:9", ids, [not_yet], splay="10m")
    with file.open("a") as config:
        config.write('\n[http]\nlisten = "127.0.0.1:0"\n')
    write_journal(folder, [f"{one}-0000-4000-8000-000000000000" for one in ids], CLOCK.now())
    return file


@contextmanager
def daemon(file: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The daemon as a process, and where it listens."""
    environ = {**os.environ, "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY}
    words = [sys.executable, "-m", "daemon", "--config", str(file), "run"]
    with subprocess.Popen(words, env=environ, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 — our own
        assert process.stderr is not None  # noqa: S101 — it is a pipe
        events = (json.loads(line) for line in process.stderr if line.startswith("{"))
        address = next(event["address"] for event in events if "address" in event)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield process, f"http://{address}"
        finally:
            process.terminate()


def live(told: Told, process: int, address: str, runs: int) -> None:
    """Ask one daemon for everything."""
    before = processor_seconds(process)
    told.first.append(asked(address, "/"))
    told.first_processor.append((processor_seconds(process) - before) * 1000)
    gave = in_turn({"": wait} | {path: partial(asked, address, path) for path in (*PATHS, NOTHING)}, runs)
    for path in (*PATHS, NOTHING):
        told.wall[path] += gave[path]
    for path in PATHS:
        before = processor_seconds(process)
        for _ in range(runs):
            wait()
            asked(address, path)
        told.processor[path].append((processor_seconds(process) - before) / runs * 1000)


def wait() -> float:
    """Let the shared answers grow old."""
    threading.Event().wait(FRESH_SECONDS)
    return FRESH_SECONDS


def asked(address: str, path: str) -> float:
    """Milliseconds from the request to the last byte of the answer."""
    began = CLOCK.monotonic()
    with urllib.request.urlopen(f"{address}{path}") as answer:  # noqa: S310 — our own address
        answer.read()
    return (CLOCK.monotonic() - began) * 1000


if __name__ == "__main__":
    main()
