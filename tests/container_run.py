"""Runs the built image as an engine would, beside a panel: `python -m tests.container_run ROOT INSPECTED`, as root.

ROOT is the image's file system and INSPECTED what `buildah inspect` says of it; scripts/check-container makes both. The
container gets what an engine gives at its strictest: namespaces of its own but for the network, a read-only root with
no writable folder, the image's user without any capability, and nothing but environment variables. Each step says what
was seen; the first that is not so ends it with an AssertionError.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from daemon.clock import SystemClock
from daemon.sandbox.records import Change, Server, Work
from daemon.sandbox.scenes import KEY, empty
from daemon.sandbox.serve import in_background
from daemon.sandbox.settings import Settings
from daemon.sandbox.world import World

CLOCK = SystemClock()
PATIENCE = 20.0
GRACE_SECONDS = 10.0
"""How long `docker stop` waits if it is told nothing."""

STATE_DIR = "PTERO_BACKUPD_STATE_DIR"
STATE = "/var/lib/ptero-backupd"
INSIDE = r"""
set -e
mount --make-rprivate /
mount --bind "$ROOT" "$AT"
[ -z "$VOLUME" ] || mount --bind "$VOLUME" "$AT/var/lib/ptero-backupd"
mount -o remount,bind,ro "$AT"
mount -t proc proc "$AT/proc"
mount -t tmpfs -o mode=755 tmpfs "$AT/dev"
for device in null zero urandom; do
    touch "$AT/dev/$device"
    mount --bind "/dev/$device" "$AT/dev/$device"
done
exec setpriv --no-new-privs chroot --userspec="$IDS" --groups= "$AT" /usr/bin/env -i "$@"
"""


class Container:
    """One run of the image, with what it wrote so far."""

    def __init__(
        self, root: Path, image: Mapping[str, Any], environment: Mapping[str, str], volume: Path | None
    ) -> None:
        self.image = image
        self.environment = {**dict(pair.split("=", 1) for pair in image["Env"]), **environment}
        self._at = tempfile.mkdtemp()
        namespaces = ["--mount", "--pid", "--ipc", "--uts", "--fork"]
        words = [f"{name}={value}" for name, value in self.environment.items()]
        self._process = subprocess.Popen(  # noqa: S603 — our own words
            [tool("unshare"), *namespaces, "bash", "-c", INSIDE, "-", *words, *image["Entrypoint"], *image["Cmd"]],
            env={**os.environ, "ROOT": str(root), "AT": self._at, "VOLUME": str(volume or ""), "IDS": image["User"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._readers = [
            threading.Thread(target=lines.extend, args=(stream,))
            for stream, lines in ((self._process.stdout, self.stdout), (self._process.stderr, self.stderr))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The daemon's process, as the machine numbers it; in the container it is the first one."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0])

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event of the log, and return it."""
        deadline = CLOCK.monotonic() + PATIENCE
        while True:
            for line in tuple(self.stdout):
                event = json.loads(line)
                if event["event"] == name:
                    return cast("dict[str, Any]", event)
            assert self._process.poll() is None, f"it ended without {name}\n{self.output}"
            assert CLOCK.monotonic() < deadline, f"no {name} within {PATIENCE} s\n{self.output}"
            threading.Event().wait(0.05)

    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the daemon, as `docker exec` and health checks do."""
        user, _, group = self.image["User"].partition(":")
        entered = ["--target", str(self.pid), "--mount", "--pid", "--ipc", "--uts", "--root", "--wd=/"]
        return subprocess.run(  # noqa: S603 — our own words
            [tool("nsenter"), *entered, f"--setuid={user}", f"--setgid={group}", *words],
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def stop(self) -> tuple[int, float]:
        """Send the image's stop signal, and return the exit code and how many seconds it took."""
        began = CLOCK.monotonic()
        os.kill(self.pid, signal.Signals[self.image["StopSignal"]])
        code = self._process.wait(GRACE_SECONDS)
        took = CLOCK.monotonic() - began
        for reader in self._readers:
            reader.join()
        return code, took

    def remove(self) -> None:
        """End it where it still runs, and leave nothing behind."""
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)  # what began it ends with it
            self._process.wait()
        for reader in self._readers:
            reader.join()
        Path(self._at).rmdir()

    @property
    def output(self) -> str:
        """All that it wrote."""
        return "".join((*self.stdout, *self.stderr))


def main(root: Path, image: Mapping[str, Any]) -> None:
    """See two lives of the image: one without a volume, and one with it."""
    world, owner, node = empty(CLOCK, settings=Settings(creation_limit=0))
    first, second = (
        world.add_server(name, owner=owner, node=node, limit=20, work=Work(seconds=0.2)) for name in ("lobby", "arena")
    )
    with in_background(world) as sandbox:
        with started(root, image, configured(sandbox.url, first)) as container:
            see_a_backup(container, world, first)
            see_its_limits(container)
            see_its_health(container)
            see_its_end(container)
        environment = configured(sandbox.url, second) | {STATE_DIR: STATE}
        with volume(image) as folder, started(root, image, environment, folder) as container:
            see_a_backup(container, world, second)
            see_its_history(container, folder)
            see_its_end(container)


def configured(url: str, server: Server) -> dict[str, str]:
    """All that the container is told. Its one start, long past, is caught up at once."""
    values = {
        "PANELS__MAIN__URL": url,
        "PANELS__MAIN__API_KEY": KEY,
        "POLICIES__STANDARD__SCHEDULE": "every 1w",
        "POLICIES__STANDARD__SCOPE": "own",
        "POLICIES__STANDARD__KEEP": '{"last": 3}',
        "SERVERS__SURVIVAL__ID": server.identifier,
    }
    return {f"PTERO_BACKUPD_{key}": value for key, value in values.items()}


@contextmanager
def started(
    root: Path, image: Mapping[str, Any], environment: Mapping[str, str], volume: Path | None = None
) -> Iterator[Container]:
    """A container that is there for as long as the block lasts."""
    container = Container(root, image, environment, volume)
    try:
        yield container
    finally:
        container.remove()


@contextmanager
def volume(image: Mapping[str, Any]) -> Iterator[Path]:
    """A folder as an engine makes it for a new volume: with the owner that the image's own folder has."""
    with tempfile.TemporaryDirectory() as folder:
        user, _, group = image["User"].partition(":")
        os.chown(folder, int(user), int(group))
        yield Path(folder)


def see_a_start(container: Container) -> None:
    """It logs JSON on stdout, and runs as process 1 without any right of root's."""
    container.event("daemon_started")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{container.pid}/status").read_text().splitlines())
    assert status["NSpid"].split()[-1] == "1"
    assert {*status["Uid"].split(), *status["Gid"].split()} == set(container.image["User"].split(":")), (
        "is nobody's user"
    )
    assert (int(status["CapEff"], 16), status["NoNewPrivs"], status["Groups"].strip()) == (0, "1", "")
    told(f"runs as process 1, user {status['Uid'].split()[0]}, no capabilities, {status['VmRSS'].strip()} resident")


def see_a_backup(container: Container, world: World, server: Server) -> None:
    """It makes the backup that it was late with, from nothing but environment variables."""
    see_a_start(container)
    ended = container.event("rotation_ended")
    assert ended["result"] == "done", container.output
    made = [entry.name for entry in world.ledger if (entry.change, entry.server) == (Change.CREATED, server.uuid)]
    assert made == [ended["created"]]
    told(f"made {ended['created']}; the panel's own ledger says so too")


def see_its_limits(container: Container) -> None:
    """Nothing in it can be written."""
    tried = "import pathlib, sys\nfor folder in sys.argv[1:]: pathlib.Path(folder, 'x').touch()"
    for folder in ("/", "/tmp", STATE, "/opt/ptero-backupd"):  # noqa: S108 — the container's own
        ran = container.execute("python", "-c", tried, folder)
        assert ran.returncode == 1, f"{folder} can be written"
        assert "Read-only file system" in ran.stderr or "Permission denied" in ran.stderr, ran.stderr
    told("nothing in it can be written")


def see_its_health(container: Container) -> None:
    """The image's health check asks the daemon, and notices one that stands still."""
    kind, *words = container.image["Healthcheck"]["Test"]
    assert kind == "CMD", "a health check needs no shell"
    began = CLOCK.monotonic()
    alive = container.execute(*words)
    took = CLOCK.monotonic() - began
    assert (alive.returncode, alive.stdout) == (0, "alive\n"), alive.stdout + alive.stderr
    os.kill(container.pid, signal.SIGSTOP)
    still = container.execute(*words)
    os.kill(container.pid, signal.SIGCONT)
    assert still.returncode == 1, "a daemon that stands still is called alive"
    told(f"the health check says alive within {took * 1000:.0f} ms, of one that stands still {still.stdout.strip()!r}")


def see_its_history(container: Container, folder: Path) -> None:
    """With a volume it remembers, and a command beside it reads the same journal."""
    ran = container.execute("ptero-backupd", "history", "--json")
    assert ran.returncode == 0, ran.stderr
    rotations = json.loads(ran.stdout)["rotations"]
    assert [row["result"] for row in rotations] == ["done"], ran.stdout
    told(f"with a volume it keeps {', '.join(sorted(path.name for path in folder.iterdir()))}; `history` reads it")


def see_its_end(container: Container) -> None:
    """The stop signal ends it well within the grace time, with nothing on stderr and every line of the log JSON."""
    code, took = container.stop()
    assert code == 0, container.output
    assert container.event("daemon_stopped")["left"] == []
    assert container.stderr == []
    told(
        f"{container.image['StopSignal']} ended it in {took:.1f} s with 0; {len(container.stdout)} log lines, all JSON"
    )


def told(text: str) -> None:
    """Say what was seen."""
    sys.stdout.write(f"seen: {text}\n")
    sys.stdout.flush()


def tool(name: str) -> str:
    """The path of one of the machine's own tools."""
    found = shutil.which(name)
    assert found, f"{name} is missing (Debian package: util-linux)"
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())["Docker"]["config"])
