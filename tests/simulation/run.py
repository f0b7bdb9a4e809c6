"""One run: a whole service against a whole panel, days of it in a fraction of a second, the same each time.

First troubled days, in which everything that the scenario holds may happen; then everything is mended, calm days
follow, and at their end every server must be as its policy says.
"""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from daemon.config.values import Config
from daemon.errors import ProblemCode
from daemon.rotation.outcome import Outcome
from daemon.rotation.run import RotationContext
from daemon.sandbox.app import PanelApp
from daemon.sandbox.records import Backup, Server, State, User, Work
from daemon.sandbox.settings import Kind, Settings
from daemon.sandbox.world import World
from daemon.state import Engine, Runner, engine_for
from daemon.state.runner import Inline
from tests.simulation import call_faults, oracle, trouble
from tests.simulation.alert_checks import AlertChecks
from tests.simulation.call_faults import RandomFaults
from tests.simulation.checker import SIGHTING, Checker, Violation
from tests.simulation.clocks import HostClock, SteppedLoop, TrueClock
from tests.simulation.configuration import KEYS, Configuration, Policy
from tests.simulation.disk import SlowDisk
from tests.simulation.disturbances import Disturbances
from tests.simulation.ending import Ending
from tests.simulation.hand import Hand
from tests.simulation.machine import LogCapture, in_place, open_files
from tests.simulation.process import Daemon, Process
from tests.simulation.proofs.restores import Asked
from tests.simulation.proofs.trouble import KINDS as PROOF_KINDS
from tests.simulation.proofs.world import ProofWorld
from tests.simulation.recorder import DAEMON, Event, Exchange, Recorder, Rotation
from tests.simulation.rules import Rules
from tests.simulation.scenario import DAY, HOUR, Scenario, Spec, draw
from tests.simulation.stores.host import downloads_in_place
from tests.simulation.stores.trouble import KINDS as STORE_KINDS
from tests.simulation.stores.world import StoreWorld
from tests.simulation.wire import Panel

KINDS = (*call_faults.KINDS, *trouble.KINDS, *trouble.RACES, "one victim", "slow disk", *STORE_KINDS, *PROOF_KINDS)
CIRCUMSTANCES = (
    "panel's and host's clocks differ",
    "the panel is a Pelican",
    "the panel alters names",
    call_faults.MET,
    call_faults.MET_IN_CALM,
    "clocks change for daylight saving",
    "the panel's clocks change for daylight saving",
    "killed before the calm days",
    "a backup was copied",
    "a copy was pruned",
    "a copy was locked",
    "a lock was renewed",
    "a lock held a copy",
    "an archive was proven",
    "a damaged archive was read",
    "a server was restored by hand",
)
"""What a run may be in, besides the kinds of trouble that can be switched off."""
DOWNTIMES = (0.0, 5.0, 300.0, 3 * HOUR, 1.5 * DAY)
NEW_POLICIES = 0.3
"""How many of the policies are new: what is there was made by hand."""
HELD = " held until "
"""In the words that tell of backups that wait since the retention was changed."""
REST = 200.0
"""Seconds after the end in which the panel finishes what it was asked for."""


@dataclass(slots=True)
class Report:
    """What came of a run."""

    seed: int
    violation: Violation | None
    broken: frozenset[str]
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
    cluster: bool = False


def simulate(
    seed: int, *, without: Collection[str] = (), length: float = 1.0, insist: Mapping[str, float] = MappingProxyType({})
) -> Report:
    """Play one seed to its end, or to the first rule that is broken.

    `without` switches kinds of trouble off, `insist` adds some with a rate of their own.
    """
    scenario = draw(seed, KINDS, without=without, length=length, store_kinds=STORE_KINDS, proof_kinds=PROOF_KINDS)
    scenario.kinds.update(insist)
    return played(scenario, Simulation)


def played(scenario: Scenario, make: "Callable[[Scenario, Path], Simulation]") -> Report:
    """Play a scenario in the simulation that is made for it."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 — faster than a disk, and as real
    with tempfile.TemporaryDirectory(dir=memory) as folder, asyncio.Runner(loop_factory=SteppedLoop) as runner:
        simulation, files = make(scenario, Path(folder)), open_files()
        with in_place(scenario, simulation.machine_now, simulation.log_capture), downloads_in_place(simulation):
            runner.run(simulation.play())
            runner.run(_settled())
        runner.run(simulation.look_back(files))
    return simulation.report()


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)  # noqa: TID251 — lets other tasks run


class Simulation:
    """The run itself: what there is, and what can be done to it. `spells` are the kinds of trouble that come by
    themselves, `slack` is by how many seconds a backup may be later than one daemon would make it, and `settles` for
    how many a rotation in calm days may be disturbed by what was before.
    """

    spells: ClassVar[Mapping[str, tuple[Callable[..., None], float, bool]]] = {
        **trouble.KINDS,
        **STORE_KINDS,
        **PROOF_KINDS,
    }
    slack = 0.0
    settles = SIGHTING

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.folder = folder
        self.clock = TrueClock(scenario.begins)
        self.host_clock = HostClock(scenario.begins)
        self.configuration = Configuration(scenario, folder, self.clock.monotonic)
        self.specs: dict[str, Spec] = {spec.name: spec for spec in scenario.servers}
        self.log_capture = LogCapture(lambda: self.checker)
        self.disk_full = self.disk_unreadable = self.receiver_down = False
        self.removed: set[str] = set()
        self.wrong_dates: set[str] = set()
        self.daemon: Daemon | None = None
        self.daemons = 0
        self.processes: dict[str, Process] = {}
        self.once_more: dict[tuple[str, datetime], datetime] = {}
        """Since when another backup of a server was wanted, and the last start before that."""
        self.context: dict[str, RotationContext] = {}
        self.calm = self.finished = False
        self.calm_since = 0.0
        self.away_until: float | None = None
        self._happened: Counter[str] = Counter()
        self._hands: set[asyncio.Task[None]] = set()
        self._commands = 0

    # The world at the beginning --------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Make the panel, its servers and their history, and all who watch; needs the running loop."""
        scenario = self.scenario
        self.stop = asyncio.Event()
        self.world = World(self.clock, settings=Settings(**scenario.panel), seed=scenario.seed)
        self.recorder = Recorder(self.world)
        self.checker = Checker(self.recorder, self.configuration.between, self._is_at_work, self.host_clock.now)
        self.checker.on_violation = self.stop.set
        self.rules = Rules(self.checker, scenario.backups_per_node)
        self.stores = StoreWorld(self)
        self.proofs = ProofWorld(self)
        self.alert_checks = AlertChecks(self)
        self.disturbances = Disturbances(self)
        self.ending = Ending(self)
        self.panel = Panel(PanelApp(self.world), self.recorder, self.clock, scenario.stream("latency"))
        self.panel.on_sent = self._sent
        self.panel.on_answer.append(self.disturbances.answered)
        self.faults = RandomFaults(scenario.kinds, scenario.stream, self.happened)
        self.checker.undeletable = self.faults.undeletable.keys
        self.world.faults = self.faults
        self.user = User(DAEMON)
        for key in KEYS:
            self.world.add_key(key, self.user)
        self._make_servers()
        self.proofs.damage_some()
        if "one victim" in scenario.kinds and len(scenario.servers) > 1:
            self.faults.victim = self.uuid_of(scenario.servers[0].name)
            self.happened("one victim")
            for server in list(self.world.servers.values())[1:]:
                server.limit = 200
        if "slow disk" in scenario.kinds:
            self.happened("slow disk")
        if self.world.settings.kind is Kind.PELICAN:
            self.happened("the panel is a Pelican")
        if self.world.settings.alter is not None:
            self.happened("the panel alters names")
        if scenario.panel["skew"]:
            self.happened("panel's and host's clocks differ")
        self.configuration.begin(self._uuids)

    def _make_servers(self) -> None:
        owner = User("owner")
        nodes = [self.world.add_node(f"node{number}") for number in range(self.scenario.nodes)]
        self._uuids: dict[str, str] = {}
        for spec in self.scenario.servers:
            server = self.world.add_server(spec.name, owner=owner, node=nodes[spec.node % len(nodes)], limit=spec.limit)
            server.work = Work(seconds=spec.work_seconds, size=spec.size)
            server.subusers = {DAEMON: trouble.GRANTED}
            self._uuids[spec.name] = server.uuid
            self._make_history(server, spec)

    def _make_history(self, server: Server, spec: Spec) -> None:
        rng = self.scenario.stream(f"history of {spec.name}")
        new_policy = self.scenario.stream(f"age of the policy of {spec.name}").random() < NEW_POLICIES
        for number in range(spec.history):
            age = timedelta(hours=(spec.history - number) * rng.choice((3, 8, 20)), minutes=rng.randrange(60))
            made = (self.world.now() - age).replace(microsecond=0)
            dice = rng.random()
            state = State.FAILED if dice < 0.25 else State.PENDING if dice < 0.3 else State.GOOD
            ours = rng.random() < 0.8 and not new_policy
            self.world.add_backup(
                server,
                oracle.named(spec.policy, spec.name, made, number) if ours else "made by hand",
                state=state,
                locked=rng.random() < 0.2,
                created_at=made,
                size=round(spec.size * rng.uniform(0.9, 1.1)),
                by="history",
            )

    def uuid_of(self, name: str) -> str:
        """A server's uuid by its configured name."""
        return self._uuids[name]

    # What happens ----------------------------------------------------------------------------------------------------

    def happened(self, kind: str) -> None:
        """Count that a kind of trouble really occurred."""
        self._happened[kind] += 1

    def read(self) -> Config:
        """Read the configuration as the daemon does."""
        return self.configuration.read()

    def reload(
        self, policies: Mapping[str, Policy | None], what: str, *, key: str | None = None, url: str | None = None
    ) -> None:
        """Change the file and tell the daemon."""
        self.configuration.change(policies, key=key, url=url)
        self.checker.upset()
        self.recorder.tell(f"the configuration is changed ({what}) and reloaded")
        if self.daemon is not None:
            self.daemon.reload(self.read)

    def reload_badly(self, text: str) -> None:
        """Put a mistake into the file, tell the daemon, and mend it again."""
        if self.daemon is None or not (self.daemon.up and self.daemon.alive):
            return
        fleet = self.daemon.fleet
        before = fleet.config, fleet.next_start(), fleet.running()
        self.recorder.tell("a bad configuration is reloaded")
        self.configuration.spoil(text)
        self.daemon.reload(self.read)
        same = before == (fleet.config, fleet.next_start(), fleet.running())
        self.checker.hold("11", same, "a bad reload changed something")
        self.configuration.write()

    def journal_fails(self, kind: str, process: str, server: str | None) -> None:
        """A read or a write of the journal fails, in a rotation or elsewhere in the process."""
        self.happened(kind)
        self.checker.journal_failed()
        rotation = self.recorder.running.get((process, server or ""))
        if rotation is not None:
            rotation.journal_failed = rotation.unwritten = True

    def withdraw_keys(self, seconds: float) -> None:
        """Delete the daemon's keys, and make them again later."""

        def give() -> None:
            for key in KEYS:
                self.world.add_key(key, self.user)

        self.world.keys.clear()
        asyncio.get_running_loop().call_later(seconds, give)

    def remove(self, server: Server) -> None:
        """Take a server off the panel."""
        self.removed.add(server.uuid)
        self.world.remove_server(server)
        self.recorder.mirror.pop(server.uuid, None)

    def jump(self, by: timedelta) -> None:
        """Set the clock of the daemon's machine."""
        self.host_clock.ahead += by
        self.recorder.tell(f"the host's clock jumps by {by.total_seconds():.0f} s")
        self.checker.host_clock_set(by.total_seconds())

    def jump_panel(self, by: timedelta) -> None:
        """Set the clock of the panel's machine."""
        self.world.settings.skew += by
        self.checker.panel_clock_set(by.total_seconds())
        self.recorder.tell(f"the panel's clock jumps by {by.total_seconds():.0f} s")

    def rotate_by_hand(self, name: str, most: int | None = None) -> None:
        """Run `rotate NAME` in another process; `most` is its `--max-deletions`."""
        if self.configuration.policies[name] is not None:
            self._by_hand(lambda hand: hand.rotate(self.read(), name, most))

    def lock_by_hand(self, server: Server, backup: Backup, *, wanted: bool) -> None:
        """Run `backups lock` or `backups unlock` in another process."""
        if self.configuration.policies[server.name] is not None:
            self._by_hand(lambda hand: hand.set_lock(self.read(), server.name, backup.uuid, wanted))

    def accept_by_hand(self, name: str) -> None:
        """Run `prove accept NAME latest` in another process."""
        if self.configuration.policies[name] is not None:
            self._by_hand(lambda hand: hand.accept_proof(self.read(), name))

    def restore_by_hand(self, name: str, asked: Asked) -> None:
        """Run `backups restore` in another process."""
        if self.configuration.policies[name] is not None:
            self._by_hand(lambda hand: hand.restore(self.read(), name, asked))

    def _by_hand(self, command: Callable[[Hand], Coroutine[Any, Any, None]]) -> None:
        self._commands += 1
        task = asyncio.create_task(command(Hand(self, f"hand{self._commands}")))
        self._hands.add(task)
        task.add_done_callback(self._hands.discard)

    # What is seen of the processes -----------------------------------------------------------------------------------

    @property
    def installation(self) -> str:
        """The id under which the daemon writes into stores, as its state has it; empty while it has none."""
        file = self.folder / "state" / "installation"
        return file.read_text().strip() if file.exists() else ""

    @property
    def acts_since(self) -> float | None:
        """When the daemon began that acts now; None if there is none."""
        return self.checker.begun[self.daemon.name] if self.daemon is not None else None

    def machine_now(self) -> datetime:
        """What the clock of the machine shows whose code runs."""
        return self.host_clock.now()

    def engine(self, process: Process, config: Config) -> Engine:
        """Where a process keeps its state."""
        disk: Runner = SlowDisk(process) if "slow disk" in self.scenario.kinds else Inline()
        return engine_for(config.state_dir, disk)

    def _is_at_work(self, process: str) -> bool:
        return self.processes[process].at_work

    def _sent(self, exchange: Exchange) -> None:
        """A request leaves a process."""
        context = self.context.get(exchange.process)
        rotation = exchange.rotation
        run = context.under_way.get(rotation.server) if context is not None and rotation is not None else None
        self.rules.sent(exchange, run.created.uuid if run is not None and run.created is not None else None)
        self.disturbances.sent(exchange)

    def rotation_begins(self, rotation: Rotation) -> None:
        """A rotation begins."""
        self.recorder.began(rotation)
        self.rules.began(rotation)
        self.proofs.once_more(rotation)
        self.disturbances.rotation_begins(rotation)

    def rotation_ended(self, process: str, server: str, outcome: Outcome, words: str) -> None:
        """A rotation reports."""
        words = words.replace(str(self.folder), "…").replace(f"process {os.getpid()}", "process …")
        rotation = self.recorder.ended(process, server, outcome.result.value, words)
        rotation.told_held = any(HELD in problem.text for problem in outcome.problems)
        rotation.told_frozen = any(problem.code == ProblemCode.UNPROVEN for problem in outcome.problems)
        self.rules.ended(rotation, outcome, calm=self.calm and rotation.began > self.calm_since + self.settles)
        self.log_capture.search(repr(outcome), f"the outcome of {server}")

    def forget(self, process: str) -> None:
        """A process is gone, and its rotations with it."""
        for key in [key for key in self.recorder.running if key[0] == process]:
            del self.recorder.running[key]

    # The play --------------------------------------------------------------------------------------------------------

    async def play(self) -> None:
        """The troubled days, the calm ones, and the end."""
        self.set_up()
        life = asyncio.create_task(self._lives())
        await self._pass(self.scenario.chaos_seconds)
        if not self.stop.is_set():
            self._calm_begins()
            await self._pass(self.ending.seconds())
        if not self.stop.is_set():
            self.ending.look()
            await self._look_at_what_is_told()
        self.finished = True
        self._end_processes()
        await life
        for task in list(self._hands):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._hands, return_exceptions=True)
        await self.clock.sleep(REST)
        if self.checker.violation is None:
            self.ending.look_for_what_is_left()

    def _calm_begins(self) -> None:
        self.ending.mend()

    async def _look_at_what_is_told(self) -> None:
        if self.daemon is not None and self.daemon.up and self.daemon.alive:
            await self.alert_checks.look_at_the_end(self.daemon)

    def _end_processes(self) -> None:
        if self.daemon is not None:
            self.daemon.over.set()

    async def _pass(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)

    async def _lives(self) -> None:
        """One daemon after the other."""
        rng = self.scenario.stream("downtime")
        while not self.finished:
            self.daemons += 1
            self.daemon = Daemon(self, f"daemon{self.daemons}")
            self.ending.daemon_starts()
            await asyncio.create_task(self.daemon.live(self.read))
            self.daemon = None
            if not self.finished:
                end = self.scenario.chaos_seconds if self.away_until is None else self.away_until
                longest = float("inf") if self.calm else rng.choice(DOWNTIMES)
                await self._pass(min(longest, max(0.0, end - self.clock.monotonic())))
            if self.stop.is_set():
                return

    async def look_back(self, files: int) -> None:
        """Look for files that were not open before, and for secrets in all that was said and stored."""
        left = open_files() - files
        self.checker.hold("calm", left <= 0, f"{left} files stay open")
        self.log_capture.look_back(self.folder / "state")

    def report(self) -> Report:
        """What came of it."""
        recorder = self.recorder
        lasted = timedelta(seconds=recorder.story[-1].at if recorder.story else 0.0)
        zones = {ZoneInfo(policy["timezone"]) for policy in self.configuration.known.values()}
        if any(_changes_clocks(zone, self.scenario.begins, lasted) for zone in zones):
            self.happened("clocks change for daylight saving")
        if _changes_clocks(self.scenario.panel["zone"], self.scenario.begins, lasted):
            self.happened("the panel's clocks change for daylight saving")
        return Report(
            seed=self.scenario.seed,
            violation=self.checker.violation,
            broken=frozenset(self.checker.broken),
            story=recorder.story,
            digest=recorder.digest,
            begins=self.scenario.begins,
            happened=self._happened,
            checked=self.checker.checked,
            kinds=tuple(self.scenario.kinds),
            virtual_seconds=lasted.total_seconds(),
            rotations=len(recorder.rotations),
            requests=len(recorder.exchanges),
            deletions=sum(exchange.call == "delete" for exchange in recorder.exchanges),
            names={uuid: name for name, uuid in self._uuids.items()},
        )


def _changes_clocks(zone: ZoneInfo, begins: datetime, lasted: timedelta) -> bool:
    """Whether the zone's clocks are changed within that time."""
    return begins.astimezone(zone).utcoffset() != (begins + lasted).astimezone(zone).utcoffset()
