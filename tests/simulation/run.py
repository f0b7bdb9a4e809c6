"""One run: a whole service against a whole panel, days of it in a fraction of a second, the same each time.

First troubled days, in which everything that the scenario holds may happen; then everything is mended, calm days
follow, and at their end every server must be as its policy says.
"""

import asyncio
import gc
import itertools
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import apscheduler.schedulers.base
import structlog

import daemon.fleet
import daemon.notify.alerts
import daemon.rotation.tools
import daemon.sandbox.shapes
from daemon.config.load import load
from daemon.config.values import Config
from daemon.rotation.outcome import Outcome
from daemon.rotation.run import Tools
from daemon.sandbox.app import PanelApp
from daemon.sandbox.records import Backup, NodeState, Server, Settings, State, User, Work
from daemon.sandbox.world import World
from tests.leaks import known, stored
from tests.simulation import call_faults, oracle, trouble
from tests.simulation.call_faults import RandomFaults
from tests.simulation.clocks import HostClock, SteppedLoop, TrueClock
from tests.simulation.process import Daemon, DiskJournal, Hand
from tests.simulation.rules import Rules, Violation
from tests.simulation.scenario import DAY, HOUR, NODE_HOLDS, SPLAYS, TIMEOUTS, Scenario, Spec, draw, toml
from tests.simulation.told import HOOK, Told
from tests.simulation.wire import Panel
from tests.simulation.witness import DAEMON, Event, Exchange, Rotation, Witness

KEY = "ptlc_EXAMPLE_of_the_simulation"
ENVIRONMENT = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY, "PTERO_BACKUPD_ALERTS__PEOPLE__URL": HOOK}
KINDS = (*call_faults.KINDS, *trouble.KINDS, *trouble.RACES, "one victim")
CIRCUMSTANCES = ("panel's and host's clocks differ", "clocks change for daylight saving")
"""What a run may be in, besides the kinds of trouble that can be switched off."""
DOWNTIMES = (0.0, 5.0, 300.0, 3 * HOUR, 1.5 * DAY)
REST = 200.0
"""Seconds after the end in which the panel finishes what it was asked for."""


@dataclass(slots=True)
class Report:
    """What came of a run."""

    seed: int
    violation: Violation | None
    broken: Collection[str]
    story: list[Event]
    digest: str
    begins: datetime
    happened: Counter[str]
    checked: Counter[str]
    kinds: Collection[str]
    virtual_seconds: float
    rotations: int
    requests: int
    deletions: int
    names: Mapping[str, str] = field(default_factory=dict)


def simulate(
    seed: int, *, without: Collection[str] = (), length: float = 1.0, insist: Mapping[str, float] = MappingProxyType({})
) -> Report:
    """Play one seed to its end, or to the first rule that is broken.

    `without` switches kinds of trouble off, `insist` adds some with a rate of their own.
    """
    scenario = draw(seed, KINDS, without=without, length=length)
    scenario.kinds.update(insist)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 — faster than a disk, and as real
    with tempfile.TemporaryDirectory(dir=memory) as folder, asyncio.Runner(loop_factory=SteppedLoop) as runner:
        simulation, files = Simulation(scenario, Path(folder)), _open_files()
        with simulation.in_place():
            runner.run(simulation.play())
            runner.run(_settled())
        runner.run(simulation.look_back(files))
    return simulation.report()


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)  # noqa: TID251 — lets other tasks run


class Simulation:
    """The run itself: what there is, and what can be done to it."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.folder = folder
        self.clock = TrueClock(scenario.begins)
        self.host_clock = HostClock(scenario.begins)
        self.happened_: Counter[str] = Counter()
        self.disk_full = self.disk_unreadable = False
        self.removed: set[str] = set()
        self.daemon: Daemon | None = None
        self.daemons = 0
        self.tools: dict[str, Tools] = {}
        self.calm = False
        self.config: Config | None = None
        self.said: list[str] = []
        self._spells: dict[tuple[int, str], tuple[Any, Any]] = {}
        self._spell_numbers: dict[tuple[int, str], int] = {}
        self._hands: set[asyncio.Task[None]] = set()
        self._commands = 0
        self._streams = {kind: scenario.stream(kind) for kind in scenario.kinds}
        self._changes: dict[str, list[tuple[float, Mapping[str, Any] | None]]] = {}
        self.specs: dict[str, Spec] = {spec.name: spec for spec in scenario.servers}
        self.policies_once: dict[str, Mapping[str, Any]] = {spec.name: spec.policy for spec in scenario.servers}
        self.policies: dict[str, Mapping[str, Any] | None] = dict(self.policies_once)

    # The world at the beginning --------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Make the panel, its servers and their history; needs the running loop."""
        scenario = self.scenario
        self.world = World(self.clock, settings=Settings(**scenario.panel), seed=scenario.seed)
        self.witness = Witness(self.world)
        self.rules = Rules(self.witness, self.policies_between)
        self.stop = asyncio.Event()
        self.rules.on_violation = self.stop.set
        self.told = Told(self)
        self.panel = Panel(PanelApp(self.world), self.witness, self.clock, scenario.stream("latency"))
        self.panel.on_sent = self._sent
        self.panel.on_answer.append(self._answered)
        self.faults = RandomFaults(scenario.kinds, scenario.stream, KEY, self.happened)
        self.world.faults = self.faults
        self.user = User(DAEMON)
        self.world.add_key(KEY, self.user)
        owner = User("owner")
        nodes = [self.world.add_node(f"node{number}") for number in range(scenario.nodes)]
        self._uuids: dict[str, str] = {}
        for spec in scenario.servers:
            server = self.world.add_server(spec.name, owner=owner, node=nodes[spec.node % len(nodes)], limit=spec.limit)
            server.work = Work(seconds=spec.work_seconds, size=spec.size)
            server.subusers = {DAEMON: trouble.PERMISSIONS}
            self._uuids[spec.name] = server.uuid
            self._changes[spec.name] = [(0.0, spec.policy)]
            self._make_history(server, spec)
        if "one victim" in scenario.kinds and len(scenario.servers) > 1:
            self.faults.victim = self.uuid_of(scenario.servers[0].name)
            self.happened("one victim")
            for server in list(self.world.servers.values())[1:]:
                server.limit = 200
        if scenario.panel["skew"]:
            self.happened("panel's and host's clocks differ")
        self.write(self.policies)

    def _make_history(self, server: Server, spec: Spec) -> None:
        rng = self.scenario.stream(f"history of {spec.name}")
        for number in range(spec.history):
            age = timedelta(hours=(spec.history - number) * rng.choice((3, 8, 20)), minutes=rng.randrange(60))
            made = (self.world.now() - age).replace(microsecond=0)
            dice = rng.random()
            state = State.FAILED if dice < 0.25 else State.PENDING if dice < 0.3 else State.GOOD
            template = oracle.setting(spec.policy, "name") if rng.random() < 0.8 else "made by hand"
            name = template.replace("{server}", spec.name).replace("{time}", f"{made:%Y%m%dT%H%M%SZ}")
            self.world.add_backup(
                server,
                name.replace("{id}", f"{number:08x}"),
                state=state,
                locked=rng.random() < 0.2,
                created_at=made,
                size=round(spec.size * rng.uniform(0.9, 1.1)),
                by="history",
            )

    def uuid_of(self, name: str) -> str:
        """A server's uuid by its configured name."""
        return self._uuids[name]

    # Configuration ---------------------------------------------------------------------------------------------------

    def write(self, policies: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Write the configuration file."""
        held = {name: policy for name, policy in policies.items() if policy}
        ids = {name: self.uuid_of(name)[:8] for name in held}
        state = str(self.folder / "state")
        (self.folder / "config.toml").write_text(toml(self.scenario, held, ids, state))

    def read(self) -> Config:
        """Read it as the daemon does."""
        return load(self.folder / "config.toml", ENVIRONMENT)

    def policies_between(self, name: str, since: float, until: float) -> Sequence[Any]:
        """Every policy of a server that was in force between the two moments."""
        changes = self._changes[name]
        before = [policy for at, policy in changes if at <= since]
        return [before[-1], *(policy for at, policy in changes if since < at <= until)]

    def reload(self, policies: Mapping[str, Mapping[str, Any] | None], what: str) -> None:
        """Change the file and tell the daemon."""
        for name, policy in policies.items():
            if policy != self.policies[name]:
                self._changes[name].append((self.clock.monotonic(), policy))
                self.policies_once[name] = policy or self.policies_once[name]
        self.policies = dict(policies)
        self.witness.tell(f"the configuration is changed ({what}) and reloaded")
        self.write(self.policies)
        if self.daemon is not None:
            self.daemon.reload(self.read)

    def reload_badly(self, text: str) -> None:
        """Put a mistake into the file, tell the daemon, and mend it again."""
        if self.daemon is None or not (self.daemon.up and self.daemon.alive):
            return
        fleet = self.daemon.fleet
        before = fleet.config, fleet.next_start(), fleet.running()
        self.witness.tell("a bad configuration is reloaded")
        (self.folder / "config.toml").write_text(text)
        self.daemon.reload(self.read)
        same = before == (fleet.config, fleet.next_start(), fleet.running())
        self.rules.hold("11", same, "a bad reload changed something")
        self.write(self.policies)

    # Trouble ---------------------------------------------------------------------------------------------------------

    def happened(self, kind: str) -> None:
        """Count that a kind of trouble really occurred."""
        self.happened_[kind] += 1

    def journal_fails(self, kind: str) -> None:
        """A read or a write of the journal fails."""
        self.happened(kind)
        self.rules.journal_failed()

    def rotation_begins(self, rotation: Rotation) -> None:
        """A rotation begins: let trouble throw its dice."""
        self.witness.began(rotation)
        server = self.world.servers.get(rotation.uuid)
        if self.calm or server is None:
            return
        for kind, rate in self.scenario.kinds.items():
            if kind not in trouble.KINDS:
                continue
            act, delay, for_one = trouble.KINDS[kind]
            rng = self._streams[kind]
            hit, wait = rng.random() < rate, rng.random() * delay
            spared = self.faults.victim is not None and (not for_one or rotation.uuid != self.faults.victim)
            if hit and not spared:
                asyncio.get_running_loop().call_later(wait, self._act, kind, act, server, rng)

    def _act(self, kind: str, act: trouble.Spell, server: Server, rng: random.Random) -> None:
        if self.calm or self.stop.is_set() or server.uuid not in self.world.servers:
            return
        self.world.settle()
        with suppress(trouble.NothingToDoError):
            act(self, server, rng)
            self.witness.tell(f"trouble: {kind}", server.uuid)
            self.happened(kind)

    def spell(self, thing: Any, attribute: str, value: Any, seconds: float) -> None:
        """Set something for a while."""
        key = id(thing), attribute
        self._spells.setdefault(key, (thing, getattr(thing, attribute)))
        number = self._spell_numbers[key] = self._spell_numbers.get(key, 0) + 1
        setattr(thing, attribute, value)

        def over() -> None:
            if self._spell_numbers[key] == number:
                self._undo(key)

        asyncio.get_running_loop().call_later(seconds, over)

    def _undo(self, key: tuple[int, str]) -> None:
        if key in self._spells:
            self.world.settle()
            thing, before = self._spells.pop(key)
            setattr(thing, key[1], before)

    def withdraw_key(self, seconds: float) -> None:
        """Delete the daemon's key, and make it again later."""
        self.world.keys.pop(KEY, None)
        asyncio.get_running_loop().call_later(seconds, lambda: self.world.add_key(KEY, self.user))

    def remove(self, server: Server) -> None:
        """Take a server off the panel."""
        self.removed.add(server.uuid)
        self.world.remove_server(server)
        self.witness.mirror.pop(server.uuid, None)

    def kill_after(self, steps: int) -> None:
        """Kill the daemon before so many more steps of the event loop are made."""
        loop, doomed, left = asyncio.get_running_loop(), self.daemon, steps
        assert isinstance(loop, SteppedLoop)

        def step() -> None:
            nonlocal left
            left -= 1
            if left:
                return
            loop.on_step = None
            if doomed is not None and doomed.alive and not self.calm:
                doomed.die("between two steps")

        loop.on_step = step

    def jump(self, by: timedelta) -> None:
        """Set the clock of the daemon's machine."""
        self.host_clock.ahead += by
        self.witness.tell(f"the host's clock jumps by {by.total_seconds():.0f} s")
        self.rules.host_clock_set(by.total_seconds())

    def rotate_by_hand(self, name: str) -> None:
        """Run `rotate NAME` in another process."""
        if self.policies.get(name) is None:
            return
        self._by_hand(lambda hand: hand.rotate(self.read(), name))

    def lock_by_hand(self, server: Server, backup: Backup, *, wanted: bool) -> None:
        """Run `backups lock` or `backups unlock` in another process."""
        if self.policies.get(server.name) is not None:
            self._by_hand(lambda hand: hand.set_lock(self.read(), server.name, backup.uuid, wanted))

    def _by_hand(self, command: Callable[[Hand], Coroutine[Any, Any, None]]) -> None:
        self._commands += 1
        task = asyncio.create_task(command(Hand(self, f"hand{self._commands}")))
        self._hands.add(task)
        task.add_done_callback(self._hands.discard)

    def _sent(self, exchange: Exchange) -> None:
        """A request leaves a process."""
        tools = self.tools.get(exchange.process)
        run = (
            tools.under_way.get(exchange.rotation.server)
            if tools is not None and exchange.rotation is not None
            else None
        )
        created = run.created.uuid if run is not None and run.created is not None else None
        self.rules.sent(exchange, created)
        if exchange.call == "delete":
            self._race("lock races with a DELETE", exchange, random_delay=True)

    def _answered(self, exchange: Exchange) -> None:
        """The panel has answered, and the answer is on its way."""
        if exchange.call in {"list", "view"}:
            self._race("lock races with a reading", exchange)
            self._race("deletion races with a reading", exchange)

    def _race(self, kind: str, exchange: Exchange, *, random_delay: bool = False) -> None:
        server = self.world.servers.get(exchange.server or "")
        rng = self._streams.get(kind)
        if rng is None or self.calm or server is None or self.faults.victim not in (None, exchange.server):
            return
        hit, delay = rng.random() < self.scenario.kinds[kind], rng.random() * self.panel.slowness * 2
        backup = server.backups.get(exchange.backup or "") or trouble.pick(server, rng)
        if not hit or backup is None:
            return

        def act() -> None:
            if backup.uuid not in server.backups or server.uuid not in self.world.servers or self.calm:
                return
            self.world.settle()
            self.happened(kind)
            if kind == "deletion races with a reading":
                self.world.remove(server, backup, by=trouble.SOMEBODY)
            elif not backup.locked:
                self.world.toggle_lock(server, backup, by=trouble.SOMEBODY)

        if random_delay:
            asyncio.get_running_loop().call_later(delay, act)
        else:
            act()

    # The play --------------------------------------------------------------------------------------------------------

    async def play(self) -> None:
        """The troubled days, the calm ones, and the end."""
        self.set_up()
        life = asyncio.create_task(self._lives())
        await self._pass(self.scenario.chaos_seconds)
        if not self.stop.is_set():
            self._mend()
            await self._pass(self._calm_seconds())
        if not self.stop.is_set():
            self._look_at_the_end()
            if self.daemon is not None and self.daemon.up and self.daemon.alive:
                await self.told.look_at_the_end(self.daemon)
        self.finished = True
        if self.daemon is not None:
            self.daemon.over.set()
        await life
        for task in list(self._hands):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._hands, return_exceptions=True)
        await self.clock.sleep(REST)
        if self.rules.violation is None:
            self._look_for_what_is_left()

    finished = False

    async def _pass(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)

    async def _lives(self) -> None:
        """One daemon after the other."""
        rng = self.scenario.stream("downtime")
        while not self.finished:
            self.daemons += 1
            self.daemon = Daemon(self, f"daemon{self.daemons}")
            await asyncio.create_task(self.daemon.live(self.read))
            self.daemon = None
            if not self.finished:
                left = max(0.0, self.scenario.chaos_seconds - self.clock.monotonic())
                await self._pass(min(rng.choice(DOWNTIMES), left))
            if self.stop.is_set():
                return

    def forget(self, process: str) -> None:
        """A process is gone, and its rotations with it."""
        for key in [key for key in self.witness.running if key[0] == process]:
            del self.witness.running[key]

    def rotation_ended(self, process: str, server: str, outcome: Outcome, words: str) -> None:
        """A rotation reports."""
        words = words.replace(str(self.folder), "…")
        rotation = self.witness.ended(process, server, outcome.result.value, words)
        self.rules.ended(rotation, outcome, calm=self.calm and rotation.began > self.calm_since)
        self.search(repr(outcome), f"the outcome of {server}")

    calm_since = 0.0

    def _mend(self) -> None:
        """From here on nothing goes wrong any more."""
        self.witness.tell("the calm days begin")
        self.calm, self.calm_since = True, self.clock.monotonic()
        self.faults.on = False
        for key in list(self._spells):
            self._undo(key)
        if KEY not in self.world.keys:
            self.world.add_key(KEY, self.user)
        self.world.settings.api_limit = max(self.world.settings.api_limit, 240)
        for node in self.world.nodes.values():
            node.state, node.maintenance, node.error, node.answer_seconds = NodeState.UP, False, None, 0.0
        for server in self.world.servers.values():
            server.status, server.transferring, server.limit = None, False, 400
            server.subusers = {DAEMON: trouble.PERMISSIONS}
            server.coming.clear()
        if any(policy is None for policy in self.policies.values()):
            back = {name: policy or self.policies_once[name] for name, policy in self.policies.items()}
            self.reload(back, "every server is back")

    # Looking at the end ----------------------------------------------------------------------------------------------

    def _bound(self, spec: Spec) -> float:
        """How old the newest good backup may be: interval, splay, time-out, and the queueing for the node."""
        policy = self.policies_once[spec.name]
        neighbours = [other for other in self.scenario.servers if other is not spec]
        queue = sum(min(NODE_HOLDS[other.policy["node_hold"]], other.work_seconds * 1.6 + 60) for other in neighbours)
        return (
            spec.longest_interval
            + SPLAYS[policy["splay"]]
            + max(TIMEOUTS[policy["timeout"]], spec.work_seconds * 1.6)
            + queue
            + 900
        )

    def _calm_seconds(self) -> float:
        return max(map(self._bound, self.scenario.servers))

    def _look_at_the_end(self) -> None:
        self.world.settle()
        now = self.world.now()
        for name, spec in self.specs.items():
            uuid = self.uuid_of(name)
            if uuid in self.removed or self.policies.get(name) is None:
                continue
            rows = self.witness.mirror[uuid].values()
            mine = [r for r in rows if r.successful and oracle.owns(self.policies_once[name], name, r.name)]
            newest = max((row.created for row in mine if row.created <= now), default=None)
            age = (now - newest).total_seconds() if newest else float("inf")
            bound = self._bound(spec)
            self.rules.hold(
                "live",
                age <= bound,
                f"{name}: the newest good one is {age / HOUR:.1f} h old, bound {bound / HOUR:.1f} h",
                uuid,
            )
        self._look_at_the_spared(now)
        if not self.witness.mirror_is_true():
            raise AssertionError("the witness's mirror is wrong")

    def _look_at_the_spared(self, now: datetime) -> None:
        """Servers that no trouble was aimed at have had a good backup all the time."""
        if self.faults.victim is None:
            return
        for name, spec in list(self.specs.items())[1:]:
            uuid = self.uuid_of(name)
            made = sorted(
                row.created
                for _, rows in self.witness.versions[uuid]
                for row in rows.values()
                if row.successful and row.created >= self.world.settings.skew + self.scenario.begins
            )
            edges = [self.scenario.begins + self.world.settings.skew, *made, now]
            gap = max((late - early).total_seconds() for early, late in itertools.pairwise(edges))
            victim = NODE_HOLDS[self.scenario.servers[0].policy["node_hold"]]
            bound = self._bound(spec) + victim
            self.rules.hold("12", gap <= bound, f"{name} had no good backup for {gap / HOUR:.1f} h", uuid)

    def _look_for_what_is_left(self) -> None:
        current = asyncio.current_task()
        left = [task.get_name() for task in asyncio.all_tasks() if task is not current and not task.done()]
        self.rules.hold("calm", not left, f"tasks are left: {left}")
        self.rules.hold("10", not self.panel.leaks, "; ".join(self.panel.leaks))

    def search(self, text: str, where: str) -> None:
        """Look for a secret as it is, at the moment that the text is said; other codes are looked for at the end."""
        self.said.append(text)
        self.rules.hold("10", not any(secret in text for secret in (KEY, HOOK)), f"a secret is in {where}")

    async def look_back(self, files: int) -> None:
        """Look for files that were not open before, and in all that was said and stored for secrets in any code."""
        left = _open_files() - files
        self.rules.hold("calm", left <= 0, f"{left} files stay open")
        for place, written in (("what was said", "\n".join(self.said)), ("the state", stored(self.folder / "state"))):
            found = known(written, KEY, HOOK)
            self.rules.hold("10", not found, f"in {place} there is {', '.join(found)}")

    # What is put in place of the machine's ---------------------------------------------------------------------------

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Virtual time for APScheduler, a disk that can be full, small pages, and ears for what is logged."""
        host_clock = self.host_clock

        class Moment(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return host_clock.now().astimezone(tz)

        configured = structlog.get_config()
        root, handler = logging.getLogger(), _Ear(self._heard)
        level, handlers = root.level, root.handlers[:]
        root.handlers[:], root.level = [handler], logging.WARNING
        structlog.configure(
            processors=[structlog.contextvars.merge_contextvars, self._hear],
            wrapper_class=structlog.make_filtering_bound_logger("debug"),
            logger_factory=structlog.ReturnLoggerFactory(),
            cache_logger_on_first_use=False,
        )
        structlog.contextvars.clear_contextvars()
        gc.disable()  # when garbage is collected must not matter, and a run makes little
        try:
            with (
                mock.patch.object(apscheduler.schedulers.base, "datetime", Moment),
                mock.patch.object(daemon.rotation.tools, "Journal", DiskJournal),
                mock.patch.object(daemon.fleet, "TICK_SECONDS", self.scenario.tick),
                mock.patch.object(daemon.notify.alerts, "LOOK_SECONDS", self.scenario.tick),
                mock.patch.object(daemon.sandbox.shapes, "MOST_BACKUPS_PER_PAGE", self.scenario.page_cap),
            ):
                yield
        finally:
            gc.enable()
            gc.collect()
            root.handlers[:], root.level = handlers, level
            structlog.configure(**configured)

    def _hear(self, _: Any, level: str, event: dict[str, Any]) -> str:
        """Every event of the daemon's log, before anything is taken out of it."""
        text = repr(event)
        self.search(text, f"a line of the log: {event.get('event')}")
        if event.get("exc_info"):
            self.rules.hold("calm", False, f"a bug is logged: {text}")
        return text

    def _heard(self, record: logging.LogRecord) -> None:
        """What libraries log; APScheduler and asyncio warn only where something is wrong."""
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return  # a killed process was at work in a callback
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        self.search(text, f"a line of {record.name}")
        self.rules.hold("calm", False, f"{record.name} says: {text}")

    def report(self) -> Report:
        """What came of it."""
        witness = self.witness
        lasted = timedelta(seconds=witness.story[-1].at if witness.story else 0.0)
        zones = {policy["timezone"] for policy in self.policies_once.values()}
        if any(_changes_clocks(zone, self.scenario.begins, lasted) for zone in zones):
            self.happened("clocks change for daylight saving")
        return Report(
            seed=self.scenario.seed,
            violation=self.rules.violation,
            broken=frozenset(self.rules.broken),
            story=witness.story,
            digest=witness.digest,
            begins=self.scenario.begins,
            happened=self.happened_,
            checked=self.rules.checked,
            kinds=tuple(self.scenario.kinds),
            virtual_seconds=lasted.total_seconds(),
            rotations=len(witness.rotations),
            requests=len(witness.exchanges),
            deletions=sum(exchange.call == "delete" for exchange in witness.exchanges),
            names={uuid: name for name, uuid in self._uuids.items()},
        )


def _changes_clocks(zone: str, begins: datetime, lasted: timedelta) -> bool:
    """Whether the zone's clocks are changed within that time."""
    there = begins.astimezone(ZoneInfo(zone))
    return there.utcoffset() != (begins + lasted).astimezone(ZoneInfo(zone)).utcoffset()


class _Ear(logging.Handler):
    """Hands records on."""

    def __init__(self, hear: Any) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        self._hear(record)


__all__ = ["KINDS", "Backup", "Report", "Simulation", "simulate"]
