"""A day of the daemon on virtual time, with trouble, alerts, metrics, pages and reloads: nothing in it may grow.

Whatever the sandbox keeps for itself is thrown away before each look, so that what is counted is the daemon's. The
first hours count for nothing: they fill what is bounded.
"""

import asyncio
import gc
import io
import os
import random
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

import daemon.fleet.fleet
from daemon.log import configure
from daemon.sandbox import archive
from daemon.sandbox.app import PanelApp
from daemon.sandbox.records import Work
from daemon.sandbox.scenes import KEY, fleet, history
from daemon.sandbox.world import World
from daemon.service.life import Service
from daemon.service.systemd import Notifier
from daemon.state.local.journal import SqliteJournal
from daemon.state.local.store import FILE_NAME
from daemon.state.runner import Inline
from tests.leaks import leaks, stored
from tests.virtual import START, VirtualClock, VirtualLoop
from tests.whole.day import Mailbox, Operator, asked, at_once, connect, orders
from tests.whole.fleet import until

SEED = 11
SECRETS = (KEY, "hook.example.com/EXAMPLE")
HOURS = 24
ROTATIONS = 300
"""At least so many there are after the hours that count for nothing."""

SETTLED_HOUR = 8
FAULTS_AN_HOUR = 4
RELOADED_EVERY = 3
SEARCHED_EVERY = 8
KEPT = timedelta(hours=3)
"""So long the journal remembers here, instead of more than a year."""

POLICIES = {
    "quarterly": {
        "schedule": '"*/15 * * * *"',
        "scope": '"own"',
        "timeout": '"10m"',
        "keep": "{ last = 4, hourly = 3 }",
    },
    "hourly": {
        "schedule": '"5 * * * *"',
        "splay": '"5m"',
        "scope": '"all"',
        "timeout": '"30m"',
        "keep": "{ last = 5 }",
    },
}


@dataclass(frozen=True)
class Look:
    """What there was at some hour, while nothing was under way."""

    objects: int
    bytes: int
    tasks: int
    files: int
    journal_bytes: int
    rotations: int


class Soak:
    """The world, the daemon over it, and what it lets out."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.state = folder / "state"
        self.clock, self.chance = VirtualClock(), random.Random(SEED)
        self.mailbox, self.log = Mailbox(), io.StringIO()
        self.world = _populate(self.clock)
        self.app = PanelApp(self.world)
        connect(patch, self.clock, self.app, self.mailbox)
        configure("debug", self.log, "json", clock=self.clock)
        servers = {
            server.name: (server.identifier, "quarterly" if server.number % 2 else "hourly")
            for server in self.world.servers.values()
        }
        policies = {name: dict(policy) for name, policy in POLICIES.items()}
        self.operator = Operator(folder / "config.toml", servers, self.clock, policies)
        self.rotations = 0

    async def spend(self) -> AsyncIterator[Look]:
        """Let the day pass, and look at the end of each hour."""
        self.operator.write()
        service = Service(self.operator.read, self.clock, Notifier({}, self.clock), aside=at_once, runner=Inline())
        life = asyncio.create_task(service.run())
        for hour in range(1, HOURS + 1):
            self._trouble()
            await until(self.clock, START + timedelta(hours=hour, minutes=-6))
            self.world.faults.clear()
            while any(one["under_way"] for one in (await asked("/api/status")).json()["servers"]):
                await self.clock.sleep(5)
            self._search_log()
            if hour % SEARCHED_EVERY == 0:
                await self._search()
            self._forget()
            yield self._look()
            if hour % RELOADED_EVERY == 0:
                self.operator.reload()
        signal.raise_signal(signal.SIGTERM)
        await life

    def _trouble(self) -> None:
        """Order faults for whoever meets them first."""
        for _ in range(FAULTS_AN_HOUR):
            make, call = orders(self.chance)
            self.world.faults.order(make(), on=call, server=self.chance.choice(list(self.world.servers)))

    def _search_log(self) -> None:
        """Search what was logged and told for secrets, and the log for bugs."""
        log = self.log.getvalue()
        assert leaks(f"{log}{self.mailbox.told}{self.mailbox.pings}", *SECRETS) == []
        assert '"event": "bug"' not in log
        assert '"event": "rotation_bug"' not in log
        self.rotations += log.count('"event": "rotation_ended"')

    async def _search(self) -> None:
        """Search what is shown and stored for secrets."""
        for path in ("/", "/metrics", "/api/status", *(f"/servers/{name}" for name in self.operator.servers)):
            assert leaks((await asked(path)).text, *SECRETS) == []
        assert leaks(stored(self.state), *SECRETS) == []

    def _forget(self) -> None:
        """Let the panel, the mailbox, the operator and the log forget: what is left is the daemon's."""
        for kept in (self.world.ledger, self.app.calls, self.mailbox.told, self.mailbox.pings, self.operator.reloads):
            kept.clear()
        for server in self.world.servers.values():
            server.recent.clear()
        archive._digest.cache_clear()
        self.log.seek(0)
        self.log.truncate()

    def _look(self) -> Look:
        gc.collect()
        objects = gc.get_objects()
        with closing(sqlite3.connect(self.state / FILE_NAME)) as connection:
            rotations = connection.execute("SELECT count(*) FROM rotation").fetchone()[0]
        return Look(
            objects=len(objects),
            bytes=sum(map(sys.getsizeof, objects)),
            tasks=len(asyncio.all_tasks()),
            files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 — the names alone, as they are
            journal_bytes=sum(file.stat().st_size for file in self.state.glob(f"{FILE_NAME}*")),
            rotations=rotations,
        )


def _populate(clock: VirtualClock) -> World:
    world = fleet(clock, 6, nodes=2, seed=SEED)
    world.settings.creation_limit = 0
    for server in world.servers.values():
        server.limit = 15
        server.work = Work(seconds=20.0 * server.number)
        history(world, server, [START - timedelta(hours=4 * ago) for ago in range(6, 0, -1)], locked={1}, failed={2})
    return world


@pytest.mark.timeout(180)
def test_a_day_of_work_and_trouble_leaves_nothing_growing_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects and their size, tasks, open files and the journal: after a day as after eight hours."""
    monkeypatch.setattr(daemon.fleet.fleet, "PRUNE_SECONDS", 3600.0)
    monkeypatch.setattr(
        SqliteJournal, "prune", lambda journal, now, prune=SqliteJournal.prune: prune(journal, now, KEPT)
    )

    async def spend() -> list[Look]:
        soak = Soak(tmp_path, monkeypatch)
        looks = [look async for look in soak.spend()]
        assert soak.rotations > ROTATIONS, "the day was lived through"
        return looks

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        looks = runner.run(spend())
    for look in looks:
        print(look)  # noqa: T201 — shown where it fails
    settled, last = looks[SETTLED_HOUR - 1], looks[-1]
    assert last.objects - settled.objects < ROTATIONS, "not one object a rotation is kept"
    assert last.bytes - settled.bytes < 100 * ROTATIONS
    assert (last.tasks, last.files) == (settled.tasks, settled.files)
    assert last.rotations <= settled.rotations
    assert last.journal_bytes < 1.05 * settled.journal_bytes
