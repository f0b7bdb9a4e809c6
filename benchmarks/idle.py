"""What the daemon takes while nothing happens: memory and processor, with many servers, HTTP off and on.

The real process against the sandbox: every server is rotated once, so that all that the pages show is known; then it is
left alone for a while, and after that looked at as Prometheus and a person do. Wanted with 100 servers: at most 56 MiB
resident, less than 0.1 % of a core and no more than one wake-up in a second; with HTTP on, 64 MiB and 0.2 %.

    python -m benchmarks.idle [--servers N] [--seconds N] [--stores]

With `--stores` each new backup is copied to two folders first, by the process that copies, which has ended by then.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import IO

from benchmarks.measure import CLOCK, processor_seconds, resident, say
from daemon.sandbox.records import Work
from daemon.sandbox.scenes import KEY, empty, history
from daemon.sandbox.serve import in_background
from daemon.sandbox.settings import Settings
from daemon.sandbox.world import World

SCRAPE_SECONDS = 15
BACKUPS = 20
STORES = ("nas", "usb")


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--servers", type=int, default=100, metavar="N")
    options.add_argument("--seconds", type=int, default=60, metavar="N", help="how long each look lasts")
    options.add_argument("--stores", action="store_true", help="copy to two folders")
    given = options.parse_args()
    stores = STORES if given.stores else ()
    for http in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), given.servers, given.seconds, stores, http=http)


def measure(folder: Path, servers: int, seconds: int, stores: Sequence[str], *, http: bool) -> None:
    """One daemon, from its start to its end."""
    world = populated(servers)
    with in_background(world) as sandbox, daemon(folder, world, sandbox.url, stores, http=http) as (process, address):
        copied = f", and copied to {len(stores)} stores" if stores else ""
        say(f"HTTP {'on' if http else 'off'}, {servers} servers, {BACKUPS} backups each, all rotated once{copied}")
        report("left alone", process, seconds)
        if address:
            report("scraped every 15 s", process, seconds, f"http://{address}/metrics")
            for path in ("/", "/api/status", "/servers/server-0", "/metrics"):
                say(f"  {path}: {timed(f'http://{address}{path}')}")
            report("after the pages", process, seconds)


def populated(servers: int) -> World:
    """Servers on ten nodes, with backups of long ago."""
    world, owner, _ = empty(CLOCK, settings=Settings(creation_limit=0))
    nodes = [world.add_node(f"node-{number}") for number in range(10)]
    now = CLOCK.now().replace(microsecond=0)
    for number in range(servers):
        node = nodes[number % len(nodes)]
        server = world.add_server(f"server-{number}", owner=owner, node=node, limit=50, work=Work(seconds=0.1))
        history(world, server, [now - timedelta(days=9 + days) for days in range(BACKUPS - 1, 0, -1)])
    return world


@contextmanager
def daemon(
    folder: Path, world: World, url: str, stores: Sequence[str], *, http: bool
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The daemon as a process, once it has rotated and copied every server, and where it listens."""
    lines = [f'state_dir = "{folder / "state"}"', '[http]\nlisten = "127.0.0.1:0"' if http else ""]
    lines += [f'[panels.main]\nurl = "{url}"\nbackups_per_node = 10\napi_reserve = 0.0', "[policies.standard]"]
    lines += ['schedule = "every 1w"', 'scope = "own"', f"keep = {{ last = {BACKUPS} }}"]
    lines += [f"copies = {json.dumps(stores)}"] if stores else []
    lines += [f'[stores.{store}]\nurl = "file://{folder / store}"\nbackfill = "none"' for store in stores]
    lines += [f'[servers.{server.name}]\nid = "{server.identifier}"' for server in world.servers.values()]
    for store in stores:
        (folder / store).mkdir()
    file = folder / "config.toml"
    file.write_text("\n".join(lines))
    environ = {**os.environ, "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY}
    command = [sys.executable, "-m", "daemon", "--config", str(file), "run"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 — our own
        assert process.stderr is not None  # noqa: S101 — it is a pipe
        address = rotated(process.stderr, len(world.servers), copies=len(stores) * len(world.servers))
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield process, address
        finally:
            process.terminate()


def rotated(lines: IO[str], servers: int, *, copies: int) -> str:
    """Read the log until every server was rotated, and so many copies made; return where the daemon listens, if it
    does.
    """
    ended = copied = 0
    address = ""
    for line in lines:
        event = json.loads(line) if line.startswith("{") else {}
        ended += event.get("event") == "rotation_ended"
        copied += event.get("event") == "copy_made"
        address = str(event.get("address", address))
        if ended == servers and copied == copies:
            return address
    raise RuntimeError("the daemon ended before its work was done")


def report(what: str, process: subprocess.Popen[str], seconds: int, address: str = "") -> None:
    """What the process holds and takes during a while, and how often it wakes up."""
    before, woken = processor_seconds(process.pid), [wake_ups(process.pid)]
    for second in range(1, seconds + 1):
        threading.Event().wait(1)
        if address and second % SCRAPE_SECONDS == 0:
            timed(address)
        woken.append(wake_ups(process.pid))
    share = (processor_seconds(process.pid) - before) / seconds
    most = max(after - earlier for earlier, after in pairwise(woken))
    say(f"  {what}: {resident(process.pid):.1f} MiB resident, {share:.2%} of a core")
    say(f"    woke up {woken[-1] - woken[0]} times in {seconds} s, {most} times in one of them at most")


def wake_ups(process: int) -> int:
    """How often the process's threads went to sleep so far, and so were woken: the voluntary context switches."""
    statuses = [(task / "status").read_text() for task in Path(f"/proc/{process}/task").iterdir()]
    return sum(int(re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[0]) for status in statuses)


def timed(address: str) -> str:
    """How long an answer takes, and how large it is."""
    began = CLOCK.monotonic()
    with urllib.request.urlopen(address) as answer:  # noqa: S310 — our own address
        size = len(answer.read())
    return f"{(CLOCK.monotonic() - began) * 1000:.1f} ms, {size / 1024:.0f} KiB"


if __name__ == "__main__":
    main()
