"""The daemon, and the process that copies for it, killed again and again while copying: no half copy may look whole.

    python -m tests.process.copy_kills              50 kills
    python -m tests.process.copy_kills --kills 500

After each kill every copy that has a manifest is read and compared with it. At the end the time is taken for 48 hours
later, so that what the kills left is cleared away, and a last daemon copies the rest: then the store holds each backup
once, and nothing else.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

from daemon.copies.clear import Clearing, clear_leftovers, look_for_begun
from daemon.copies.shelf import look_into
from daemon.sandbox.records import Server
from daemon.stores.open import open_store
from daemon.stores.values import DirectoryLocation, StoreSettings
from tests.process.support import CLOCK, Daemon, Panel, running, serving, wait_until

SIZE = 400_000
RATE = 'rate = "1MiB"'
LATEST = 0.6
"""A kill comes within so many seconds after a copy began."""


def configure(panel: Panel, server: Server, more: str = "") -> None:
    """The configuration, with more keys of the store as TOML."""
    store = f'[stores.nas]\nurl = "{(panel.folder / "nas").as_uri()}"\n{more}'
    panel.configure(server, more=store, copies='["nas"]', scope='"all"', keep='"all"')


def files(panel: Panel, pattern: str) -> list[str]:
    """What lies in the store, by its end."""
    return sorted(path.name for path in (panel.folder / "nas").rglob(pattern) if path.is_file())


def children(daemon: Daemon) -> list[int]:
    """The processes that it started and that run."""
    told = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children")
    return [int(pid) for pid in told.read_text().split()] if told.exists() else []


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Ordeal:
    """One panel, one store, and one daemon after the other."""

    def __init__(self, panel: Panel, seed: int) -> None:
        self.panel = panel
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.server: Server = panel.add_server(past=2)
        (panel.folder / "nas").mkdir()

    def kill(self) -> None:
        """Kill one of the two while they copy, and look at what is in the store."""
        self.panel.world.add_backup(self.server, f"large-{self.done.total()}", size=SIZE)
        configure(self.panel, self.server, RATE)
        with running(self.panel, counted=False) as daemon:
            daemon.wait_for("copy_begun")
            child = next(iter(children(daemon)), None)
            self._wait()
            whom = self.chance.choice(["daemon", "child"])
            pid = daemon.process.pid if whom == "daemon" or child is None else child
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)
                self.done[whom] += 1
            daemon.process.kill()
            daemon.ended()
            if child is not None:
                wait_until(lambda: not is_running(child), "the child ends with the daemon")
        self.judge()

    def _wait(self) -> None:
        """Let a random moment pass: the only timer."""
        deadline = CLOCK.monotonic() + self.chance.uniform(0, LATEST)
        wait_until(lambda: CLOCK.monotonic() >= deadline, "a moment")

    def judge(self) -> None:
        """Each copy with a manifest has the bytes that this tells, and those are the panel's."""
        for manifest in (self.panel.folder / "nas").rglob("*.json"):
            told = json.loads(manifest.read_text())
            data = manifest.with_name(manifest.name.removesuffix(".json")).read_bytes()
            record = self.server.backups[told["backup"]["uuid"]]
            assert hashlib.sha256(data).hexdigest() == told["stored"]["sha256"], manifest
            assert data == b"".join(record.archive.pieces()), manifest

    def end(self) -> None:
        """Clear up as 48 hours later, and let a last daemon bring everything to where it should be."""
        self.done["left data"] = len(files(self.panel, "*.tar.gz")) - len(files(self.panel, "*.json"))
        self.done["left parts"] = len(files(self.panel, "*.part"))
        asyncio.run(self._clear())
        configure(self.panel, self.server)
        with running(self.panel, counted=False) as daemon:
            wait_until(self._is_complete, "all is copied", 120.0)
            daemon.send(signal.SIGTERM)
            daemon.ended()
        self.judge()
        assert files(self.panel, "*.part") == []

    def _is_complete(self) -> bool:
        have = {path.name.split("_")[1].split(".")[0] for path in (self.panel.folder / "nas").rglob("*.json")}
        want = {uuid for uuid, backup in self.server.backups.copy().items() if backup.completed_at}
        under_way = files(self.panel, "*.part")  # to break off what goes on is another test's
        return want <= have and len(files(self.panel, "*.tar.gz")) == len(files(self.panel, "*.json")) and not under_way

    async def _clear(self) -> None:
        """Two looks, 48 hours apart."""
        settings = StoreSettings("nas", DirectoryLocation(self.panel.folder / "nas"))
        now, shelf = CLOCK.now(), None
        async with open_store(settings) as store:
            for moment in (now, now + timedelta(hours=48)):
                shelf = await look_into(store, "main", self.server.uuid, shelf, moment)
                shelf = await look_for_begun(store, "main", self.server.uuid, shelf, moment)
                await clear_leftovers(store, shelf, moment, Clearing(most=sys.maxsize))  # there were many kills


def suffer(folder: Path, kills: int, seed: int) -> Counter[str]:
    """So many kills, and the end; return how many of which, and what they had left. AssertionError for a broken one."""
    with serving(folder) as panel:
        ordeal = Ordeal(panel, seed)
        while ordeal.done.total() < kills:
            ordeal.kill()
        ordeal.end()
        return ordeal.done


def main() -> None:
    """Read the arguments, and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(f"seed {asked.seed}: {dict(suffer(Path(folder), asked.kills, asked.seed))}\n")


if __name__ == "__main__":
    main()
