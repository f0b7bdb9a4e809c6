"""What the demo is played on: the panel's world, and a configuration that fits it, in a temporary folder."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from daemon.clock import Clock
from daemon.config.load import load
from daemon.config.values import Config
from daemon.core.calendar import parse_schedule
from daemon.sandbox import scenes
from daemon.sandbox.records import BackupEnding, Server
from daemon.sandbox.world import World

_PERIODS, _FIRST_SECONDS = range(17, 31), 10.0

KEEP: Mapping[str, str] = {
    "survival": "{ last = 3, daily = 7, weekly = 4, monthly = 6 }",
    "creative": "{ last = 3, daily = 14, weekly = 4 }",
    "lobby": "{ last = 4 }",
    "museum": "{ last = 4 }",
}

STORE = "copies"
"""The folder for copies."""

HEAD = """\
state_dir = "state"

[panels.sandbox]
url = "{url}"
api_key_file = "key"

[policies.standard]
schedule = "{every}"
scope = "own"
keep = {{ last = 3 }}
max_share = 1
"""

COPIES = """\
copies = ["nas"]

[stores.nas]
url = "{store}"
keep = {{ last = 3, monthly = 3 }}
"""

SERVER = """
[servers.{name}]
id = "{id}"
keep = {keep}
"""

DRILL = """
[servers.{name}]
id = "{id}"

[drills.{name}]
server = "{name}"
from = ["{source}"]
start = true
watch = "1s"
"""


@dataclass(frozen=True, slots=True)
class DemoSetup:
    """A configuration in a folder, as an operator would write it."""

    folder: Path

    @property
    def file(self) -> Path:
        """The configuration's file."""
        return self.folder / "config.toml"

    def write(self, world: World, url: str, *, every: str, copies: bool = True) -> None:
        """Write the configuration of every server of the world, and the panel's key; with `copies` make a store too."""
        text = HEAD.format(url=url, every=every)
        if copies:
            store = self.folder / STORE
            store.mkdir()
            text += COPIES.format(store=store.as_uri())
        for server in world.servers.values():
            keep = KEEP.get(server.name, "{ last = 3 }")
            text += SERVER.format(name=server.name, id=server.identifier, keep=keep)
        self.file.write_text(text)
        key = os.open(self.folder / "key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(key, "w") as file:
            file.write(f"{scenes.KEY}\n")

    def read(self) -> Config:
        """Read the configuration, without the environment of the person who watches."""
        return load(self.file, {})

    def add_drill(self, spare: Server, source: str) -> None:
        """Configure a drill of that server's backups on the spare server."""
        with self.file.open("a") as file:
            file.write(DRILL.format(name=spare.name, id=spare.identifier, source=source))

    def lift_brake(self, server: str, bound: int) -> None:
        """Allow one server's rotations that many deletions."""
        table = f"[servers.{server}]\n"
        self.file.write_text(self.file.read_text().replace(table, f"{table}max_deletions = {bound}\n"))


def good_schedule(now: datetime) -> str:
    """Return a schedule whose next start comes after the brake was lifted, and the one after that at the end."""
    texts = [f"every {period}s" for period in _PERIODS]
    return min(texts, key=lambda text: abs(_seconds_to_start(text, now) - _FIRST_SECONDS))


def _seconds_to_start(schedule: str, now: datetime) -> float:
    return (parse_schedule(schedule).after(now, ZoneInfo("UTC")) - now).total_seconds()


def build_world(clock: Clock) -> World:
    """Return the sandbox's own demo world, in which the second backup of `creative` will fail."""
    world = scenes.demo(clock)
    creative = next(server for server in world.servers.values() if server.name == "creative")
    creative.coming.extend([creative.work, replace(creative.work, outcome=BackupEnding.FAILED)])
    return world
