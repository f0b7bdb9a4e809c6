"""The end of a run: everything is mended, calm days follow, and then every server must be as its policy says."""

import asyncio
import itertools
from datetime import datetime
from typing import TYPE_CHECKING

from daemon.sandbox.records import NodeState
from daemon.sandbox.settings import Kind
from tests.simulation import oracle, trouble
from tests.simulation.call_faults import REFUSALS, UNDELETABLE
from tests.simulation.configuration import KEYS
from tests.simulation.recorder import DAEMON, Rotation
from tests.simulation.scenario import DAY, HOUR, NODE_HOLDS, SPLAYS, TIMEOUTS, Spec
from tests.simulation.starts import latest_start

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

AWAY = (0.0, HOUR, 7 * HOUR)
"""Seconds for which a daemon that was killed when the calm days began is away."""
CALM_OF_STORES = 28 * HOUR
"""In so many seconds each store has got what its rules want, whatever was wrong with it."""
AT_ONCE = 600.0
"""Seconds within which a daemon that starts begins what it picks up, splay apart."""


class Ending:
    """Mends what was broken, and looks at what is there in the end."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._hold = simulation.checker.hold
        self._away = 0.0
        self._to_pick_up: dict[str, float] = {}

    # The calm days ---------------------------------------------------------------------------------------------------

    def mend(self) -> None:
        """From here on nothing goes wrong any more, but that the daemon may have been killed this moment."""
        simulation, world = self._simulation, self._simulation.world
        simulation.recorder.tell("the calm days begin")
        simulation.calm, simulation.calm_since = True, simulation.clock.monotonic()
        simulation.checker.calm_since = simulation.host_clock.now()
        simulation.faults.on = False
        simulation.faults.undeletable.clear()
        simulation.disturbances.end()
        simulation.proofs.mend()
        for key in KEYS:
            world.add_key(key, simulation.user)
        world.settings.api_limit = max(world.settings.api_limit, 240)
        for node in world.nodes.values():
            node.state, node.maintenance, node.error, node.answer_seconds = NodeState.UP, False, None, 0.0
        for server in world.servers.values():
            server.status, server.transferring, server.limit = self._status(), False, 400
            server.subusers = {DAEMON: trouble.GRANTED}
            server.coming.clear()
        known, policies = simulation.configuration.known, simulation.configuration.policies
        if None in policies.values():
            simulation.reload(known, "every server is back")
        self._leave_one_undeletable()
        self._kill()

    def _leave_one_undeletable(self) -> None:
        """One backup stays one that the panel does not delete, in the runs that had such: the others must not mind."""
        simulation, rng = self._simulation, self._simulation.scenario.stream("calm and undeletable")
        servers = list(simulation.world.servers.values())
        if UNDELETABLE not in simulation.scenario.kinds or not servers or rng.random() < 0.3:
            return
        server = servers[0] if simulation.faults.victim else rng.choice(servers)
        if (backup := trouble.pick_to_go(simulation, server, rng)) is not None:
            simulation.faults.undeletable[backup.uuid] = rng.choice(REFUSALS), rng.random() < 0.3
            simulation.recorder.tell(f"{backup.name} can never be deleted")

    def _status(self) -> str | None:
        """What a server may stay in for ever: a reinstallation that failed hinders no backup on a Pterodactyl."""
        rng = self._simulation.scenario.stream("calm status")
        hinders = self._simulation.world.settings.kind is Kind.PELICAN
        return "reinstall_failed" if not hinders and rng.random() < 0.3 else None

    def _kill(self) -> None:
        """Kill the daemon, in some runs: nothing but what it left on the disk can hinder the next one."""
        simulation, rng = self._simulation, self._simulation.scenario.stream("kill before the calm days")
        doomed = simulation.daemon
        if simulation.faults.victim is None and doomed is not None and doomed.alive and rng.random() < 0.5:
            self._away = rng.choice(AWAY)
            simulation.away_until = simulation.clock.monotonic() + self._away
            doomed.die("the calm days begin")
            simulation.happened("killed before the calm days")

    def daemon_starts(self) -> None:
        """Note which servers the first daemon of the calm days finds with nothing done for their last start."""
        simulation = self._simulation
        if not self._away_for_the_first_time():
            return
        now = simulation.host_clock.now()
        for name, policy in simulation.configuration.known.items():
            uuid = simulation.uuid_of(name)
            start = latest_start(policy, uuid, now)
            ago = (now - start).total_seconds()
            since = simulation.clock.monotonic() - ago - 1.0
            if simulation.checker.a_clock_was_set_since(since) or uuid in simulation.removed:
                continue
            # By a clock that ran ahead and was set back since, this start had its rotation before it came.
            those = [r for r in simulation.recorder.rotations if r.uuid == uuid]
            if self._left_or_missed([r for r in those if r.began >= since or (r.start_at and r.start_at >= start)]):
                self._to_pick_up[name] = simulation.clock.monotonic()

    def _away_for_the_first_time(self) -> bool:
        """Whether this is the daemon that follows the one that was killed at the beginning of the calm days."""
        simulation = self._simulation
        return simulation.calm and simulation.away_until is not None and not self._to_pick_up

    def _left_or_missed(self, rotations: list[Rotation]) -> bool:
        """Whether there was no rotation since the last start, or one that was killed and that the journal knows."""
        return not rotations or (
            len(rotations) == 1
            and rotations[0].trigger != "manual"
            and not (rotations[0].reported or rotations[0].journal_failed)
        )

    def seconds(self) -> float:
        """How long the calm days are."""
        least = CALM_OF_STORES if self._simulation.scenario.stores else 0.0
        return self._away + max(least, *map(self._bound, self._simulation.scenario.servers))

    def _bound(self, spec: Spec) -> float:
        """How old the newest good backup may be: interval, splay, time-out, and the queueing for the node."""
        simulation = self._simulation
        policy = simulation.configuration.known[spec.name]
        neighbours = [other for other in simulation.scenario.servers if other is not spec]
        queue = sum(min(NODE_HOLDS[other.policy["node_hold"]], other.work_seconds * 1.6 + 60) for other in neighbours)
        return (
            spec.longest_interval
            + SPLAYS[policy["splay"]]
            + max(TIMEOUTS[policy["timeout"]], spec.work_seconds * 1.6)
            + queue
            + 900
            + simulation.slack
        )

    # Looking at the end ----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Hold what is there against what should be."""
        simulation = self._simulation
        simulation.world.settle()
        now = simulation.world.now()
        for name, spec in simulation.specs.items():
            if simulation.uuid_of(name) not in simulation.removed:
                self._look_at(name, spec, now)
        self._look_at_the_spared(now)
        simulation.stores.ending.look()
        simulation.proofs.ending.look()
        if not simulation.recorder.mirror_is_true():
            raise AssertionError("the recorder's mirror is wrong")

    def _look_at(self, name: str, spec: Spec, now: datetime) -> None:
        """A server has a good backup, not too old; what was left of it was taken up at once."""
        simulation, uuid = self._simulation, self._simulation.uuid_of(name)
        policy = simulation.configuration.known[name]
        rows = simulation.recorder.mirror[uuid].values()
        mine = [row for row in rows if row.successful and oracle.owns(policy, name, row.name)]
        newest = max((row for row in mine if row.created <= now), key=lambda row: row.created, default=None)
        age = (now - newest.created).total_seconds() if newest else float("inf")
        # A clock that is set back makes the way to the next start longer, one that is set forward makes dates older.
        bound = self._bound(spec) + (self._clocks_set_since(uuid, newest.uuid) if newest else 0.0)
        bound += DAY if simulation.rules.room_taken(uuid) else 0.0  # until room is made again
        text = f"{name}: the newest good one is {age / HOUR:.1f} h old, bound {bound / HOUR:.1f} h"
        throttled = simulation.world.settings.creation_limit > 0 and simulation.recorder.dated_ahead(uuid)
        self._hold("live", age <= bound or throttled, text, uuid)
        since = self._to_pick_up.get(name)
        if since is not None:
            until = since + SPLAYS[policy["splay"]] + AT_ONCE
            taken = any(r.uuid == uuid and since <= r.began <= until for r in simulation.recorder.rotations)
            self._hold("live", taken, f"{name}: what a killed daemon left or missed is not taken up", uuid)

    def _clocks_set_since(self, server: str, backup: str) -> float:
        """By how many seconds clocks were set since that backup was first there."""
        return self._simulation.checker.clocks_set_by(self._simulation.recorder.first_seen(server, backup))

    def _look_at_the_spared(self, now: datetime) -> None:
        """Servers that no trouble was aimed at have had a good backup all the time."""
        simulation = self._simulation
        if simulation.faults.victim is None:
            return
        begins = simulation.scenario.begins + simulation.world.settings.skew
        victim = NODE_HOLDS[simulation.scenario.servers[0].policy["node_hold"]]
        for name, spec in list(simulation.specs.items())[1:]:
            uuid = simulation.uuid_of(name)
            made = sorted(
                row.created
                for _, rows in simulation.recorder.versions[uuid]
                for row in rows.values()
                if row.successful and row.created >= begins
            )
            gap = max((late - early).total_seconds() for early, late in itertools.pairwise([begins, *made, now]))
            text = f"{name} had no good backup for {gap / HOUR:.1f} h"
            self._hold("12", gap <= self._bound(spec) + victim, text, uuid)

    def look_for_what_is_left(self) -> None:
        """No task goes on, and no request went astray."""
        current = asyncio.current_task()
        left = [task.get_name() for task in asyncio.all_tasks() if task is not current and not task.done()]
        self._hold("calm", not left, f"tasks are left: {left}")
        leaks = self._simulation.panel.leaks
        self._hold("10", not leaks, "; ".join(leaks))
