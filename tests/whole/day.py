"""A day of a fleet: the daemon's own service on virtual time, fifty servers, trouble out of one seed, an operator.

Everything is the daemon's own but for three ends: requests to the panel go to the sandbox in this process, what is
sent to receivers goes to `Mailbox`, and HTTP is asked as an application, not over a socket. What is left of the day is
`Day`: what the daemon says of it, and what the sandbox knows.
"""

import asyncio
import random
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp
from structlog.testing import capture_logs

import daemon.service.assembly
from daemon.alerts import Alerts
from daemon.alerts.sender import Sender
from daemon.config.load import load
from daemon.config.values import Config, HttpConfig, PanelConfig
from daemon.core.alerting import Event
from daemon.panel.client import PanelClient
from daemon.sandbox import faults
from daemon.sandbox.app import PanelApp
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import BackupEnding, NodeState, Server, State, Work
from daemon.sandbox.scenes import KEY, fleet, history
from daemon.sandbox.world import World
from daemon.service.life import Service
from daemon.service.systemd import Notifier
from daemon.state import Rotation
from daemon.state.local.journal import SqliteJournal
from daemon.state.runner import Inline
from daemon.status.fleet_status import FleetStatus
from daemon.web.app import make_app
from tests.at_once import sqlite
from tests.virtual import START, VirtualClock, VirtualLoop
from tests.whole.fleet import on_virtual_time, until
from tests.whole.rig import InProcess

SEED = 4
HOURS = 24.0
TROUBLED_HOURS = 19.0
"""After these nothing goes wrong any more; then every server still has a start."""

REFUSED_HOUR = 5.5
"""When the operator writes what cannot be obeyed; it is put right at seven."""

FAULTS = 100
SMALL = 2_000
"""What the suspicious backup holds; every other one holds ten times as much."""

REMOVED, NEWCOMER, FULL, STOPPED = "server-050", "server-051", "server-030", "server-033"
"""Taken out at seven hours, put in then, at its limit all day, and suspended to the end."""

Policy = Mapping[str, str]
POLICIES: Mapping[str, Policy] = {
    "frequent": {
        "schedule": '"20,50 * * * *"',
        "splay": '"10m"',
        "scope": '"own"',
        "timeout": '"1h"',
        "failed_after": '"12h"',
        "alerts": '["ops", "alive"]',
        "keep": "{ last = 4, hourly = 6 }",
    },
    "steady": {
        "schedule": '"15 */2 * * *"',
        "splay": '"30m"',
        "scope": '"all"',
        "alerts": '["ops"]',
        "timeout": '"3h"',
        "keep": "{ last = 2, hourly = 4, daily = 2 }",
    },
    "slow": {
        "schedule": '"0 */4 * * *"',
        "timezone": '"Europe/Berlin"',
        "splay": '"1h"',
        "scope": '"own"',
        "timeout": '"3h"',
        "alerts": '["ops"]',
        "total_size": '"200KiB"',
        "keep": '{ last = 3, daily = 3, within = "1d" }',
    },
}

NOT_ASKED_FOR = {Event.NEW_NORMAL, Event.COPIED, Event.PRUNED, Event.PROVEN, Event.DRILLED}
"""The ends of troubles, which come by themselves to those who ask for the trouble."""


@dataclass(frozen=True, repr=False)
class Day:
    """What is left of it. `reloads` are the configurations with the moments from which they were in force."""

    world: World
    app: PanelApp
    reloads: list[tuple[datetime, Config]]
    rotations: list[Rotation]
    status: Mapping[str, Any]
    status_when_refused: Mapping[str, Any]
    metrics: Mapping[tuple[str, frozenset[tuple[str, str]]], float]
    page: str
    pages: Mapping[str, str]
    told: list[Mapping[str, Any]]
    pings: list[tuple[str, str]]
    logged: list[Any]

    @property
    def config(self) -> Config:
        """The configuration that was in force at the end."""
        return self.reloads[-1][1]

    def server(self, name: str) -> Server:
        """The server as the sandbox has it."""
        return next(server for server in self.world.servers.values() if server.name == name)

    def of(self, name: str) -> list[Rotation]:
        """A server's rotations, in the order in which they ended."""
        return [row for row in self.rotations if row.server == name]


class Mailbox(httpx.AsyncBaseTransport):
    """Where everything that the daemon tells arrives; while it is shut, the webhook answers 503."""

    def __init__(self) -> None:
        self.told: list[Mapping[str, Any]] = []
        self.pings: list[tuple[str, str]] = []
        self.shut = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Take one message."""
        body = await request.aread()
        if request.url.host == "ping.example.com":
            _, server, *step = request.url.path.split("/")
            self.pings.append((server, step[0] if step else "success"))
        elif self.shut:
            return httpx.Response(503)
        else:
            document = httpx.Response(200, content=body).json()
            self.told += document.get("alerts", [document])
        return httpx.Response(200)


class Shown:
    """Stands where the daemon's door to HTTP is, and keeps the fleet's status that it would show."""

    app: ASGIApp | None = None

    def __init__(self, fleet_status: FleetStatus) -> None:
        journal = sqlite(fleet_status.tracker.context.journal)
        journal._connection.execute("PRAGMA synchronous = OFF")  # no power fails here, and a slow disk takes its time
        Shown.app = make_app(fleet_status, lambda: HttpConfig("127.0.0.1", 0, frozenset(), None))

    async def follow(self, _: HttpConfig | None) -> None:
        """Listen nowhere."""

    async def follow_or_stay(self, _: HttpConfig | None) -> None:
        """Listen nowhere."""


@dataclass
class Operator:
    """Who writes the configuration, and tells the daemon to read it again."""

    file: Path
    servers: dict[str, tuple[str, str]]
    clock: VirtualClock
    policies: dict[str, dict[str, str]] = field(
        default_factory=lambda: {name: dict(policy) for name, policy in POLICIES.items()}
    )
    reloads: list[tuple[datetime, Config]] = field(default_factory=list)

    def write(self, more: str = "") -> None:
        """The configuration as a file."""
        lines = [
            f'state_dir = "{self.file.parent / "state"}"',
            "[panels.main]",
            'url = "https://panel.example.com"',
            "[alerts.ops]",
            'type = "webhook"',
            f"events = {sorted(map(str, {*Event} - NOT_ASKED_FOR))}",
            "[alerts.alive]",
            'type = "ping"',
        ]
        for name, policy in self.policies.items():
            lines += [f"[policies.{name}]", *(f"{key} = {value}" for key, value in policy.items())]
        for name, (identifier, policy_name) in self.servers.items():
            lines += [f"[servers.{name}]", f'id = "{identifier}"', f'policy = "{policy_name}"']
        self.file.write_text("\n".join([*lines, more]))

    def read(self) -> Config:
        """What the daemon reads, noted where it is sound."""
        secrets = {
            "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY,
            "PTERO_BACKUPD_ALERTS__OPS__URL": "https://hook.example.com/EXAMPLE",
            "PTERO_BACKUPD_ALERTS__ALIVE__URL": "https://ping.example.com/{server}",
        }
        config = load(self.file, secrets)
        self.reloads.append((self.clock.now(), config))
        return config

    def reload(self, policy: str | None = None, /, more: str = "", **changes: str) -> None:
        """Change a policy, and tell the daemon in the way that it is told in life."""
        if policy is not None:
            self.policies[policy] |= changes
        self.write(more)
        signal.raise_signal(signal.SIGHUP)

    def swap(self, gone: str, coming: tuple[str, str, str]) -> None:
        """One server less, another more."""
        del self.servers[gone]
        name, identifier, policy = coming
        self.servers[name] = (identifier, policy)
        self.reload()


def policy_of(number: int) -> str:
    """Which policy the server of that number has: few often, most seldom."""
    return "frequent" if number % 10 == 5 else "steady" if number % 10 in {0, 3, 7} else "slow"


def populate(clock: VirtualClock, chance: random.Random) -> World:
    """Fifty servers and one to come, on five nodes, with a past: own backups and foreign, locked, failed, pending."""
    world = fleet(clock, 51, nodes=5, seed=SEED)
    world.settings.housekeeping = 6 * 3600
    for number, server in enumerate(world.servers.values(), 1):
        server.limit = 25
        server.work = Work(seconds=chance.randint(5, 300), size=chance.randint(10, 20) * SMALL)
        moments = [START - timedelta(hours=8 * ago, minutes=number) for ago in range(chance.randint(0, 7), 0, -1)]
        locked, failed = {chance.randrange(7)}, {chance.randrange(20)}
        history(world, server, moments, locked=locked, failed=failed)
        if number % 4 == 0:
            made = START - timedelta(days=number)
            world.add_backup(server, "before the update", created_at=made, locked=number % 8 == 0, by="history")
        if number % 16 == 0:
            made = START - timedelta(hours=1)
            world.add_backup(server, "by hand", created_at=made, state=State.PENDING, by="history")
    return world


def orders(chance: random.Random) -> tuple[Callable[[], Fault], Call | None]:
    """One fault out of those that the panel, its node or the network between can have, and the call that meets it."""
    kinds: list[tuple[Callable[[], Fault], Call | None]] = [
        (faults.web_page, None),
        (faults.web_page, Call.CREATE),
        (lambda: faults.web_page(503), Call.LIST),
        (faults.lost_after, Call.CREATE),
        (faults.lost_after, Call.DELETE),
        (faults.lost_before, Call.CREATE),
        (faults.lost_before, Call.DELETE),
        (faults.cut, Call.LIST),
        (faults.node_error, Call.CREATE),
        (faults.node_error, Call.DELETE),
        (lambda: faults.api_limit("30"), None),
        (faults.creation_throttle, Call.CREATE),
        (faults.odd, Call.LIST),
        (faults.half_json, Call.CREATE),
        (faults.shuffled, Call.LIST),
        (faults.slow, Call.CREATE),
        (lambda: faults.late(200), Call.CREATE),
        (faults.appears, Call.LIST),
        (faults.vanishes, Call.DELETE),
        (lambda: faults.refused(404, "NotFoundHttpException"), Call.SERVER),
    ]
    return chance.choice(kinds)


class Trouble:
    """What goes wrong in the day, and what people do at the panel, by moments in hours."""

    def __init__(self, world: World, mailbox: Mailbox, operator: Operator, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.servers = list(world.servers.values())
        self.script: list[tuple[float, Callable[[], object]]] = []
        named = {server.name: server for server in self.servers}
        nodes = list(world.nodes.values())
        for _ in range(FAULTS):
            self.at(self.any_hour(), self.order_one)
        for _ in range(12):
            self.at(self.any_hour(), self.fail_one)
            self.at(self.any_hour(), self.touch_one)
        self.between(3, 9, lambda on: setattr(named["server-012"], "status", "suspended" if on else None))
        self.between(16, None, lambda on: setattr(named[STOPPED], "status", "suspended" if on else None))
        for name in ("server-005", "server-015"):
            self.between(5, 9, partial(self.install, named[name]))
        self.between(9.1, 9.5, lambda on: setattr(world.settings, "web_down", on))
        self.between(10, 10.8, lambda on: setattr(nodes[2], "state", NodeState.DOWN if on else NodeState.UP))
        self.between(13, 13.6, lambda on: setattr(nodes[3], "maintenance", on))
        self.between(13.9, 14.6, lambda on: setattr(mailbox, "shut", on))
        self.at(1.2, lambda: self.make_late(named["server-005"]))
        self.at(4, lambda: named["server-025"].coming.append(Work(outcome=BackupEnding.STUCK)))
        self.at(18.4, lambda: named["server-035"].coming.append(Work(outcome=BackupEnding.STUCK)))
        self.at(16.5, lambda: named["server-045"].coming.append(Work(seconds=9, size=SMALL)))
        for name in ("server-020", FULL):
            self.fill(named[name])
        self.at(9.3, lambda: setattr(named["server-020"], "limit", 25))
        named["server-013"].limit = max(1, len(named["server-013"].backups))
        newcomer = (NEWCOMER, named[NEWCOMER].identifier, "frequent")
        self.at(2.5, lambda: operator.reload("frequent", keep="{ last = 6, hourly = 12, daily = 2 }"))
        self.at(REFUSED_HOUR, lambda: operator.reload(more="[policies.nightly]\nshedule = 4"))
        self.at(7, lambda: operator.swap(REMOVED, newcomer))
        self.at(11.2, lambda: operator.reload("slow", schedule='"40 */3 * * *"'))
        self.at(14, lambda: operator.reload("steady", keep="{ last = 1 }", max_deletions="1"))
        self.at(17.3, lambda: operator.reload("steady", max_deletions="-1"))
        self.at(TROUBLED_HOURS, self.end)

    def at(self, hour: float, action: Callable[[], object]) -> None:
        """Let something happen at that hour of the day."""
        self.script.append((hour, action))

    def between(self, hour: float, end: float | None, switch: Callable[[bool], object]) -> None:
        """Let something be so for a while."""
        self.at(hour, lambda: switch(True))
        if end is not None:
            self.at(end, lambda: switch(False))

    def any_hour(self) -> float:
        """Any moment of the troubled hours but the first."""
        return self.chance.uniform(0.5, TROUBLED_HOURS)

    def order_one(self) -> None:
        """A fault for one server's next such call, or for whoever makes it next."""
        make, call = orders(self.chance)
        server = self.chance.choice([None, self.chance.choice(self.servers).identifier])
        self.world.faults.order(make(), on=call, server=server, times=self.chance.randint(1, 3))

    def install(self, server: Server, on: bool) -> None:
        """The server is being installed for hours, which passes, so that its next good backup becomes overdue."""
        server.status = "installing" if on else None

    def make_late(self, server: Server) -> None:
        """The next backup is begun long after it was asked for, and takes long: the next try finds it under way."""
        server.coming.append(Work(seconds=1500, size=server.work.size))
        self.world.faults.order(faults.late(200), on=Call.CREATE, server=server.identifier)

    def fail_one(self) -> None:
        """A server's next backup fails, or the next two."""
        failing = Work(seconds=20, outcome=BackupEnding.FAILED)
        self.chance.choice(self.servers).coming.extend([failing] * self.chance.randint(1, 2))

    def touch_one(self) -> None:
        """Somebody locks, unlocks or deletes a backup in the panel."""
        self.world.settle()
        server = self.chance.choice([server for server in self.servers if server.backups])
        backup = self.chance.choice(list(server.backups.values()))
        if self.chance.random() < 0.7:
            self.world.toggle_lock(server, backup, by="somebody")
        elif not backup.locked:
            self.world.remove(server, backup, by="somebody")

    def fill(self, server: Server) -> None:
        """Nothing but locked backups, as many as the panel allows."""
        for number in range(3):
            made = START - timedelta(days=3 - number)
            self.world.add_backup(server, f"keep {number}", created_at=made, locked=True, by="history")
        for backup in server.backups.values():
            backup.locked = True
        server.limit = sum(backup.state is not State.FAILED for backup in server.backups.values())

    def end(self) -> None:
        """From now on all is well; a backup that hangs goes on hanging."""
        self.world.faults.clear()
        for server in self.servers:
            server.coming.clear()


def spend(folder: Path) -> Day:
    """Live through the day; it takes seconds."""
    with (
        pytest.MonkeyPatch.context() as patch,
        capture_logs() as logged,
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        return runner.run(_spend(folder, patch, logged))


Result = TypeVar("Result")


async def at_once(work: Callable[[], Result], /) -> Result:
    """Do it in no time: a thread lives in real time, in which virtual hours pass."""
    return work()


async def _spend(folder: Path, patch: pytest.MonkeyPatch, logged: list[Any]) -> Day:
    clock, chance, mailbox = VirtualClock(), random.Random(SEED), Mailbox()
    world = populate(clock, chance)
    app = PanelApp(world)
    connect(patch, clock, app, mailbox)
    servers = {
        server.name: (server.identifier, policy_of(server.number))
        for server in world.servers.values()
        if server.name != NEWCOMER
    }
    operator = Operator(folder / "config.toml", servers, clock)
    trouble = Trouble(world, mailbox, operator, chance)
    operator.write()
    service = asyncio.create_task(
        Service(operator.read, clock, Notifier({}, clock), aside=at_once, runner=Inline()).run()
    )
    await clock.sleep(1)
    when_refused: Any = None
    for hour, action in sorted(trouble.script, key=lambda one: one[0]):
        await until(clock, START + timedelta(hours=hour))
        action()
        if hour == REFUSED_HOUR:
            await clock.sleep(1)
            when_refused = (await asked("/api/status")).json()
    await until(clock, START + timedelta(hours=HOURS))
    while (status := (await asked("/api/status")).json()) and any(one["under_way"] for one in status["servers"]):
        await clock.sleep(5)
    metrics, page = (await asked("/metrics")).text, (await asked("/")).text
    pages = {name: (await asked(f"/servers/{name}")).text for name in operator.servers}
    signal.raise_signal(signal.SIGTERM)
    await service
    with SqliteJournal.open(folder / "state") as journal:
        rotations = sorted(journal.recent(limit=10_000), key=lambda row: (row.ended_at or row.began_at, row.id))
    samples = {
        (sample.name.removeprefix("ptero_backupd_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
    }
    world.settle()
    return Day(
        world,
        app,
        operator.reloads,
        rotations,
        status,
        when_refused,
        samples,
        page,
        pages,
        mailbox.told,
        mailbox.pings,
        logged,
    )


def connect(patch: pytest.MonkeyPatch, clock: VirtualClock, app: PanelApp, mailbox: Mailbox) -> None:
    """Let the daemon's three ends end in this process."""

    def open_client(panel: PanelConfig, _clock: object, **_hindrance: object) -> PanelClient:
        transport = InProcess(app)
        return PanelClient(
            panel.name, panel.url, panel.api_key, clock=clock, transport=transport, randomness=random.Random(1)
        )

    on_virtual_time(patch, clock)
    patch.setattr(daemon.service.assembly, "open_client", open_client)
    patch.setattr(daemon.service.assembly, "Alerts", partial(Alerts, sender=Sender(transport=mailbox)))
    patch.setattr(daemon.service.assembly, "Http", Shown)


async def asked(path: str) -> httpx.Response:
    """What the daemon answers to a GET."""
    assert Shown.app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(Shown.app), base_url="http://localhost") as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    return answer
