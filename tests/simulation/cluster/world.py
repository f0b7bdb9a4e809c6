"""One run of a cluster: several members on one simulated database, each on a machine of its own."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pydantic import SecretStr

import daemon.fleet.sharing
from daemon.config.values import ClusterConfig, Config
from daemon.core.alerting import Event
from daemon.core.shares import node_part
from daemon.state import Engine
from daemon.state.postgres import membership
from daemon.state.postgres.fence import SERVER
from tests.simulation.call_faults import KINDS as CALL_FAULTS
from tests.simulation.clocks import HostClock, ProcessClock
from tests.simulation.cluster import storing, trouble
from tests.simulation.cluster.engine import ModelEngine
from tests.simulation.cluster.journal import MemberEngine
from tests.simulation.cluster.member import Member, members_in_place
from tests.simulation.cluster.network import Network, Roads
from tests.simulation.cluster.rules import DoubtsOfMembers, Fencing
from tests.simulation.cluster.scenario import Shape, draw_cluster
from tests.simulation.cluster.standby import Standby
from tests.simulation.cluster.stopping import know_tasks, processes_can_stand_still
from tests.simulation.cluster.storing import Storing
from tests.simulation.cluster.tables import Tables
from tests.simulation.cluster.telling import Telling
from tests.simulation.configuration import Policy
from tests.simulation.process import PROCESS, Process
from tests.simulation.proofs.trouble import KINDS as PROOF_KINDS
from tests.simulation.recorder import Exchange, Rotation
from tests.simulation.run import Report, Simulation, played
from tests.simulation.scenario import Scenario
from tests.simulation.stores.trouble import KINDS as STORE_KINDS

WITH_STORES = (*STORE_KINDS, *storing.OF_STORES)
KINDS = (*CALL_FAULTS, *trouble.OF_ONE_DAEMON, *trouble.OF_CLUSTERS, *WITH_STORES, storing.STOPPED, *PROOF_KINDS)
LOOKS_IN_CALM = 2.5
"""In calm days a look comes so many times as late: there is little to see, and looks are half of what a run costs."""
LOOKS_IN_LONG_CALM = 4.0
"""The same where there are stores, for which the calm is longer; still within the lease, by which members are heard."""
SHORTEST = 2e-6
DOWNTIMES = (0.0, 5.0, 60.0, 900.0, 7200.0)
URL = SecretStr("postgresql://database.example.com/backupd")


def simulate_cluster(
    seed: int, *, without: Collection[str] = (), length: float = 1.0, insist: Mapping[str, float] = MappingProxyType({})
) -> Report:
    """Play one seed to its end, or to the first rule that is broken; as `simulate` does for one daemon."""
    scenario, shape = draw_cluster(
        seed, KINDS, without=without, length=length, store_kinds=WITH_STORES, proof_kinds=tuple(PROOF_KINDS)
    )
    scenario.kinds.update(insist)
    with processes_can_stand_still(), members_in_place(shape.lease.total_seconds(), shape.look):
        return replace(played(scenario, lambda drawn, folder: Cluster(drawn, folder, shape)), cluster=True)


class MachineClock(ProcessClock):
    """A process' clock. The loop takes what is due within its resolution for due: so short a sleep takes longer, or who
    waits for a moment would wait for ever.
    """

    async def sleep(self, seconds: float) -> None:
        """Wait, and be later afterwards."""
        await super().sleep(max(seconds, SHORTEST) if seconds > 0 else seconds)


class Machine:
    """A machine that one member runs on, life after life: its clock, and its way to the database."""

    def __init__(self, name: str, clock: HostClock, roads: Roads) -> None:
        self.name = name
        self.clock = clock
        self.roads = roads
        self.sets: list[tuple[float, float]] = []
        """By how many seconds its clock was set when."""
        self.member: Member | None = None
        self.lives = 0
        self.gone = False
        self.out_since: float | None = None
        """When an operator sent its member out; None if it acts."""

    def clock_of(self, process: Process) -> ProcessClock:
        """The clock as a process has it."""
        return MachineClock(self.clock, process.check_alive)


class Cluster(Simulation):
    """The run itself, for several members."""

    spells: ClassVar = {**trouble.OF_ONE_DAEMON, **trouble.KINDS, **STORE_KINDS, **PROOF_KINDS}

    def __init__(self, scenario: Scenario, folder: Path, shape: Shape) -> None:
        super().__init__(scenario, folder)
        self.shape = shape
        self.database_ahead = 0.0
        self.database_set_at = self.promoted_at = self.lost_since = float("-inf")
        self.standbys = 0
        self.evicted_at: dict[int, float] = {}
        """When an operator ended an epoch."""

        self.machines: list[Machine] = []
        self.engines: dict[str, ModelEngine] = {}
        self.roads: dict[str, Roads] = {}
        self.slack = 3 * self.lease
        self.settles += self.lease  # in which one that is dead still has another configuration

    @property
    def lease(self) -> float:
        """Seconds for which a member lives unheard of."""
        return self.shape.lease.total_seconds()

    def set_up(self) -> None:
        """Make the database and the machines as well."""
        super().set_up()
        know_tasks(asyncio.get_running_loop())
        self._outside = copy_context()
        self.tables = Tables(lambda: self.clock.monotonic() + self.database_ahead, self.scenario.begins)
        self.fencing = Fencing(self)
        self.tables.given = self.fencing.given
        self.storing = Storing(self)
        self.telling = Telling(self, trouble.WITH_AN_ALERT)
        self.rules._endings._doubts = self.rules._deletions._doubts = DoubtsOfMembers(self)
        self._standing = self.scenario.stream(trouble.BEFORE_A_WRITE)
        self.checker.may_act = self._is_at_work
        self.checker.clock_of = lambda process: self.processes[process].now()
        self.panel.cut_off = lambda process: process in self.roads and self.roads[process].off_panel
        self.checker.stood = lambda name: (self.processes[name].stood_at, self.processes[name].went_on_at)
        self.checker.elsewhere = self._is_elsewhere
        self.checker.lost = self._is_lost
        self.checker.clocks_are_off_by = lambda: max(
            abs(machine.clock.ahead.total_seconds()) for machine in self.machines
        )
        for number, skew in enumerate(self.shape.skews, start=1):
            clock = HostClock(self.scenario.begins)
            clock.ahead = timedelta(seconds=skew)
            name = f"member{number}"
            self.machines.append(Machine(name, clock, Roads(self.scenario.stream(f"way of {name}"))))

    def read(self) -> Config:
        """Read the configuration as each member does: it is one of a cluster, whose promotions are told."""
        config = super().read()
        alerts = {name: replace(one, events=one.events | {Event.PROMOTED}) for name, one in config.alerts.items()}
        return replace(config, cluster=ClusterConfig(URL, "member", self.shape.lease), alerts=alerts)

    def machine_now(self) -> datetime:
        """What the clock of the machine shows whose code runs."""
        process = PROCESS.get(None)
        return process.now() if process is not None else self.host_clock.now()

    @property
    def installation(self) -> str:
        """The id under which they write into stores, as the database has it."""
        return self.tables.installation or ""

    @property
    def acts_since(self) -> float | None:
        """When the last of those members began that live, and act for the one that is gone."""
        began = [self.checker.begun[member.name] for member in self.members]
        return max((*began, self.calm_since + self.slack)) if began else None

    def engine(self, process: Process, config: Config) -> Engine:
        """The engine of a command by hand, on the first machine."""
        return self.engine_of(process, self.machines[0])

    def engine_of(self, process: Process, machine: Machine) -> ModelEngine:
        """The engine of a process on a machine."""
        cluster = ClusterConfig(URL, machine.name, self.shape.lease)
        network = Network(self.tables, machine.roads, process)
        self.roads[process.name] = machine.roads
        engine = self.engines[process.name] = MemberEngine(network, cluster, self.clock.monotonic)
        return engine

    def _is_at_work(self, process: str) -> bool:
        """Whether it is also a member still, and no rotation of its goes on without a lock: one that cannot reach the
        database only makes backups, beside others.
        """
        is_member = super()._is_at_work(process) and self.tables.lives(self.epoch_of(process))
        return is_member and not any(
            rotation.process == process and self._lacks_lock(rotation) for rotation in self.recorder.running.values()
        )

    def _lacks_lock(self, rotation: Rotation) -> bool:
        """Whether a rotation goes on without its server's lock, since the database did not answer when it was taken, or
        another one was promoted, which does not know of it.
        """
        if self.tables.holds(self.epoch_of(rotation.process), f"{SERVER}{rotation.uuid}"):
            return False
        forgotten = self.is_promoted_unnoticed and self.promoted_at >= rotation.began
        return forgotten or self.failed_since(rotation.process, rotation.began)

    @property
    def is_promoted_unnoticed(self) -> bool:
        """Whether the database was promoted, and no member has connected to it since: the first one ends all leases."""
        return self.tables.quiet_since == float("inf")

    def _is_lost(self, create: Exchange) -> bool:
        """Whether a promotion lost what announced a create, and its member has joined anew since."""
        rotation = create.rotation
        if rotation is None or not rotation.left:
            return False
        return self.lost_since <= create.sent and rotation.began <= self.promoted_at

    def _is_elsewhere(self, rotation: Rotation) -> bool:
        """Whether the server was on a node that the process did not hold when the rotation began: it had moved there,
        and the first rotation to see it there lets the others know. That every server is backed up is held at the end.
        """
        node, epoch = self.recorder.node_of(rotation.uuid, rotation.began), self.epoch_of(rotation.process)
        began = rotation.began + self.database_ahead
        return node is not None and self.tables.held_since(epoch, node_part("main", node)) >= began

    def epoch_of(self, process: str) -> int | None:
        """The epoch under which a process acts."""
        engine = self.engines.get(process)
        return None if engine is None else engine.epoch

    @property
    def members(self) -> Iterator[Member]:
        """Those that are alive."""
        return (one.member for one in self.machines if one.member is not None and one.member.alive)

    # What happens ----------------------------------------------------------------------------------------------------

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later, whatever becomes of the process whose code runs now."""
        asyncio.get_running_loop().call_later(seconds, act, context=self._outside.copy())

    def reload(
        self, policies: Mapping[str, Policy | None], what: str, *, key: str | None = None, url: str | None = None
    ) -> None:
        """Change the file, and tell every member."""
        super().reload(policies, what, key=key, url=url)
        for member in self.members:
            member.reload()

    def set_clock(self, machine: Machine, seconds: float) -> None:
        """Set the clock of a member's machine."""
        machine.clock.ahead += timedelta(seconds=seconds)
        machine.sets.append((self.clock.monotonic(), seconds))
        self.recorder.tell(f"the clock of {machine.name} jumps by {seconds:.0f} s")
        self.checker.host_clock_set(seconds)

    def set_database_clock(self, seconds: float) -> None:
        """Set the clock by which leases end."""
        self.database_ahead += seconds
        self.database_set_at = self.clock.monotonic()
        self.recorder.tell(f"the clock of the database jumps by {seconds:.0f} s")

    def promote(self, standby: Standby) -> None:
        """Let a standby take the primary's place; what an operator said to that about members may be lost as well."""
        if self.calm or self.stop.is_set():
            return
        now = self.promoted_at = self.clock.monotonic()
        self.lost_since = standby.since
        standby.take_the_place_of(self.tables)
        self.recorder.tell(f"the database is PROMOTED, and lacks what came after {now - standby.since:.0f} s ago")
        self.checker.journal_failed()
        self.checker.upset()  # all begin anew
        self.recorder.forget_asked(standby.since)
        self.rules.forget_room(standby.since)
        self.stores.first.loses(standby.since)
        self.proofs.rules.loses(standby.since)
        for machine in self.machines:
            if self.tables.is_out(machine.name) is not (machine.out_since is not None):
                machine.out_since = now if machine.out_since is None else None

    def evict(self, machine: Machine) -> None:
        """Take a member out at once, as `cluster evict` does."""
        self.tables.run(membership._SEND_OUT, (machine.name, "an operator", True))
        now = machine.out_since = self.clock.monotonic()
        self.evicted_at |= {row["epoch"]: now for row in self.tables.run(membership._EVICT, (machine.name,))}
        self.recorder.tell(f"{machine.name} is EVICTED")

    def call_back(self, machine: Machine) -> None:
        """Let it act again, unless it does."""
        if machine.out_since is not None:
            self.tables.run(membership._CALL_BACK, (machine.name,))
            machine.out_since = None
            self.recorder.tell(f"{machine.name} is called back")

    def rotation_begins(self, rotation: Rotation) -> None:
        """A rotation begins; what follows from it in the world is not the member's.

        One whose process did not reach the database when it opened the journal is remembered by that process alone.
        """
        context = self.context.get(rotation.process)
        if context is not None and not context.journal.persistent:
            self.checker.journal_failed()
        self.fencing.began(rotation)
        self._outside.copy().run(super().rotation_begins, rotation)

    def _sent(self, exchange: Exchange) -> None:
        self.fencing.sent(exchange)
        self._outside.copy().run(super()._sent, exchange)

    def announced(self, member: Member) -> None:
        """A member's announcement is committed."""
        rate = self.scenario.kinds.get(trouble.BEFORE_A_WRITE)
        if rate is not None and not (self.calm or member.stands_still) and self._standing.random() < rate:
            self.happened(trouble.BEFORE_A_WRITE)
            trouble.stand_still(self, member, self._standing)

    def failed_since(self, process: str, moment: float) -> bool:
        """Whether anything between a process and the database did not come through since then.

        What a member gave up as it went on, after it had stood still, only shows that; of a renewal it cannot know.
        """
        failed_at, member = self.roads[process].failed_at, self.processes[process]
        if isinstance(member, Member) and failed_at == member.went_on_at:
            failed_at = self.engines[process].failed_at
        return failed_at >= moment

    # The play --------------------------------------------------------------------------------------------------------

    def _calm_begins(self) -> None:
        """Mend everything, and take one member away for good: the others have to do."""
        super()._calm_begins()
        later = LOOKS_IN_LONG_CALM if self.scenario.stores else LOOKS_IN_CALM
        daemon.fleet.sharing.LOOK_SECONDS = self.shape.look * later  # what is in place ends with the run
        for machine in self.machines:
            machine.roads.quick = 1.0
            self.call_back(machine)
        for member in self.members:
            member.go_on()
        rng = self.scenario.stream("gone in the calm")
        machine = rng.choice(self.machines)
        machine.gone = True
        self.recorder.tell(f"{machine.name} is gone for good")
        if machine.member is not None and machine.member.alive:
            machine.member.die("the calm days begin")

    async def _lives(self) -> None:
        """All machines at once, on each one member after the other."""
        await asyncio.gather(*map(self._lives_on, self.machines))

    async def _lives_on(self, machine: Machine) -> None:
        rng = self.scenario.stream(f"downtime of {machine.name}")
        while not (self.finished or self.stop.is_set() or machine.gone):
            machine.lives += 1
            machine.member = Member(self, machine)
            await asyncio.create_task(machine.member.live())
            machine.member = None
            away = 0.0 if self.calm else rng.choice(DOWNTIMES)
            await self._pass(min(away, max(0.0, self.scenario.chaos_seconds - self.clock.monotonic())))

    async def _look_at_what_is_told(self) -> None:
        self.alert_checks.look_at_the_words({member.name for member in self.members})
        self.telling.look_at_the_end()
        self.storing.look_at_the_end()

    def _end_processes(self) -> None:
        for member in self.members:
            member.go_on()
            member.over.set()

    async def look_back(self, files: int) -> None:
        """Look for secrets in the database as well."""
        with self.tables.journal.raw() as connection:
            self.log_capture.search("\n".join(connection.iterdump()), "the database")
        self.tables.close()
        await super().look_back(files)
