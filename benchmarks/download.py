"""`backups download` and `backups verify` of a large backup, side by side with `curl -s URL | sha1sum`.

Whole processes are measured, from their start to their end: ours also reads the configuration, lists the backups and
asks for the link. The panel is the sandbox; the file comes from a process of its own that only calls sendfile, since
the sandbox would make it up as it goes, at the speed of Python, and both sides would wait for that.

Memory is the peak of the process over that of the same command on a backup of 20 KB.

    python -m benchmarks.download [--size MIB] [--runs N] [--folder DIR]
"""

import argparse
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import CLOCK, MIB, Spread, Usage, machine, run_to_end, say
from daemon.sandbox.records import Backup, Server
from daemon.sandbox.scenes import KEY, one_server
from daemon.sandbox.serve import in_background

SMALL = 20_000


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", type=int, default=1024, metavar="MIB")
    options.add_argument("--runs", type=int, default=7, metavar="N")
    options.add_argument("--folder", type=Path, default=None, metavar="DIR", help="where to download to")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, bench(Path(folder), given.size * MIB) as measure:
        measure.report(given.runs)


@contextmanager
def bench(folder: Path, size: int) -> Iterator["Bench"]:
    """A panel with a small and a large backup, and a host with their files."""
    world, server = one_server(CLOCK)
    files = folder / "files"
    files.mkdir()
    small, large = (world.add_backup(server, name, size=length) for name, length in (("small", SMALL), ("large", size)))
    for backup in (small, large):
        write_file(backup, files / backup.uuid)
    with in_background(world) as sandbox, static_host(files) as hosts:
        yield Bench(folder, server, sandbox.url, hosts)


def write_file(backup: Backup, path: Path) -> None:
    """Bring a backup's file to the disk."""
    with path.open("wb") as file:
        for piece in backup.archive.pieces():
            file.write(piece)


@contextmanager
def static_host(files: Path) -> Iterator[dict[str, str]]:
    """A host for each file, by the file's name, in a process of its own."""
    ports = {path.name: free_port() for path in files.iterdir()}
    processes = [
        subprocess.Popen([sys.executable, "-m", "benchmarks.download", "serve", str(files / name), str(port)])  # noqa: S603 — ourselves
        for name, port in ports.items()
    ]
    try:
        for port in ports.values():
            wait_for(port)
        yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    finally:
        for process in processes:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def wait_for(port: int) -> None:
    """Return once somebody listens."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            threading.Event().wait(0.05)


def serve(path: Path, port: int) -> None:
    """Send the file to everybody who asks, whatever they ask."""
    size = path.stat().st_size
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            connection, _ = listening.accept()
            with connection, path.open("rb") as file:
                if connection.recv(65536):
                    connection.sendall(head)
                    connection.sendfile(file)


class Bench:
    """The commands, and what they take."""

    def __init__(self, folder: Path, server: Server, panel: str, hosts: dict[str, str]) -> None:
        self._folder = folder
        self._server = server
        self._hosts = hosts
        self._config = folder / "config.toml"
        key = folder / "main.key"
        key.write_text(KEY)
        key.chmod(0o600)
        self._config.write_text(
            f'state_dir = "none"\n[panels.main]\nurl = "{panel}"\napi_key_file = "main.key"\n'
            '[policies.standard]\nschedule = "0 4 * * *"\nscope = "own"\nkeep = { last = 3 }\n'
            f'[servers.survival]\nid = "{self._server.identifier}"\n'
        )

    def report(self, runs: int) -> None:
        """Run everything in turn, `runs` times, and print medians."""
        for name in ("small", "large"):
            self.ours("verify", name)  # once before it counts: files into memory, bytecode onto the disk
        seconds: dict[str, list[float]] = {"curl | sha1sum": [], "download": [], "verify": []}
        memory: dict[str, list[int]] = {"download": [], "verify": []}
        for _ in range(runs):
            seconds["curl | sha1sum"].append(self.curl())
            for command, peaks in memory.items():
                large = self.ours(command, "large")
                seconds[command].append(large.seconds)
                peaks.append(large.peak - self.ours(command, "small").peak)
        self._print(seconds, memory)

    def _print(self, seconds: dict[str, list[float]], memory: dict[str, list[int]]) -> None:
        size = self._backup("large").size
        base = Spread(tuple(seconds["curl | sha1sum"])).median
        say(f"{size / MIB:.0f} MiB over loopback, medians of {len(seconds['download'])} runs; {machine()}")
        for name, values in seconds.items():
            median = Spread(tuple(values)).median
            beside = f"{base / median:5.0%} of curl's speed" if name in memory else ""
            more = f", peak memory +{Spread(tuple(memory[name])).median / MIB:.1f} MiB" if name in memory else ""
            spread = f"({min(values):.2f} to {max(values):.2f} s)"
            say(f"{name:15} {median:6.2f} s {spread:18} {size / MIB / median:5.0f} MiB/s  {beside}{more}")

    def curl(self) -> float:
        """Seconds that `curl -s URL | sha1sum` takes."""
        url = self._hosts[self._backup("large").uuid]
        return run_to_end(["sh", "-c", f"curl -s {url}/ | sha1sum"]).seconds

    def ours(self, command: str, name: str) -> Usage:
        """What one of our commands takes."""
        self._server.node.url = self._hosts[self._backup(name).uuid]
        words = [sys.executable, "-m", "daemon", "--config", str(self._config), "backups", command, "survival", name]
        if command == "download":
            target = self._folder / "target.tar.gz"
            target.unlink(missing_ok=True)
            words += ["--output", str(target)]
        return run_to_end(words)

    def _backup(self, name: str) -> Backup:
        return next(backup for backup in self._server.backups.values() if backup.name == name)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
