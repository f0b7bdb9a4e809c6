"""Trouble of a cluster's own: members that die or stand still, and their ways to the database.

As in `tests.simulation.trouble`, each kind is told of a rotation that has just begun. Of what there is for one daemon,
everything counts here that does not happen on its own machine.
"""

import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from daemon.sandbox.records import Server
from tests.simulation import trouble
from tests.simulation.cluster.standby import Standby
from tests.simulation.trouble import NothingToDoError, Spell

if TYPE_CHECKING:
    from tests.simulation.cluster.member import Member
    from tests.simulation.cluster.world import Cluster, Machine

Trouble = Callable[["Cluster", Server, random.Random], None]

MINUTE, HOUR = 60.0, 3600.0
ALSO_CUT_OFF = 0.5
STANDBYS = 3
BEHIND = (0.0, 2.0, MINUTE, 20 * MINUTE, 3 * HOUR)
"""For so many seconds a standby hears of nothing before it is promoted."""
OF_ITS_MACHINE = {
    "host clock jumps",
    "both clocks jump by months",
    "disk full",
    "journal unreadable",
    "killed at a step",
    "killed between two steps",
    "killed at a moment",
    "stopped and started",
    "bad configuration reloaded",
}


def _member(sim: "Cluster", rng: random.Random) -> "Member":
    """One that is alive and runs."""
    there = [member for member in sim.members if not member.stands_still]
    if not there:
        raise NothingToDoError
    return rng.choice(there)


def _machine(sim: "Cluster", rng: random.Random) -> "Machine":
    return rng.choice(sim.machines)


def killed(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """At some step that follows: a request, an answer of the panel or of the database."""
    _member(sim, rng).doomed_in = rng.randrange(1, 150)


def killed_between_steps(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """After so many steps of the event loop: at any await there is."""
    steps, doomed = rng.randrange(1, 1500), _member(sim, rng)
    sim.disturbances.kill_after(steps, lambda: doomed.die("between two steps") if doomed.alive else None)


def killed_at_a_moment(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """In the middle of whatever it waits for."""
    _member(sim, rng).die("it waits")


def stopped(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """And started again: an upgrade, one by one."""
    _member(sim, rng).over.set()


def stands_still(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """For a moment, or until after its lease has ended."""
    stand_still(sim, _member(sim, rng), rng)


def stand_still(sim: "Cluster", member: "Member", rng: random.Random) -> None:
    """Stop a member, and let it go on again."""
    member.stand_still()
    sim.later(rng.uniform(1, 3 * sim.lease), member.go_on)


def cut_off(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """What it sends to the database, and what comes from there, waits until then."""
    sim.disturbances.spell(_machine(sim, rng).roads, "cut", True, rng.uniform(1, 4 * sim.lease))


def cut_off_from_the_panel(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """It keeps its lease, and so its nodes."""
    sim.disturbances.spell(_machine(sim, rng).roads, "off_panel", True, rng.choice((60.0, 1200.0, 3 * HOUR)))


def evicted(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """By an operator, whatever it does, as one that does not reach its panel; some of them it is cut off from."""
    if any(machine.out_since is not None for machine in sim.machines):
        raise NothingToDoError
    machine, seconds = _machine(sim, rng), rng.uniform(5 * MINUTE, 4 * HOUR)
    if rng.random() < ALSO_CUT_OFF:
        sim.disturbances.spell(machine.roads, "off_panel", True, seconds)
    sim.evict(machine)
    sim.later(seconds, lambda: sim.call_back(machine))


def database_down(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """For all of them."""
    seconds = rng.uniform(5, 15 * MINUTE)
    for machine in sim.machines:
        sim.disturbances.spell(machine.roads, "refusing", True, seconds)


def database_slow(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """So that statements are given up, and done all the same."""
    roads = _machine(sim, rng).roads
    sim.disturbances.spell(roads, "slowness", rng.choice((1.0, 8.0, 25.0)), rng.uniform(MINUTE, 20 * MINUTE))


def answers_lost(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """Nobody knows whether something was committed."""
    sim.disturbances.spell(_machine(sim, rng).roads, "losing", 0.4, rng.uniform(MINUTE, 20 * MINUTE))


def clock_set(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """On one machine, once in a run."""
    if sim.checker.host_set:
        raise NothingToDoError
    sim.set_clock(_machine(sim, rng), rng.choice((-1, 1)) * rng.choice((5, 90, 700)))


def database_clock_set(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """So that all leases have ended, or last for longer."""
    sim.set_database_clock(rng.choice((-0.5, 0.5, 3.0)) * sim.lease)


def promoted(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """From now on the standby, or a backup of the database, hears of nothing more; after a while it is all there is.

    There are few of them, and none is promoted before anybody has seen where the tables are.
    """
    if sim.standbys == STANDBYS or sim.tables.home is None:
        raise NothingToDoError
    sim.standbys += 1
    standby, away = Standby(sim.tables, sim.clock.monotonic()), rng.choice((0.0, 5.0, 5 * MINUTE))

    def promote() -> None:
        sim.promote(standby)
        for machine in sim.machines if away and not sim.calm else ():
            sim.disturbances.spell(machine.roads, "refusing", True, away)

    sim.later(rng.choice(BEHIND), promote)


def receiver_slow(sim: "Cluster", _: Server, rng: random.Random) -> None:
    """So that there is time in which a member has a message in hand."""
    sim.disturbances.spell(sim.telling, "slowness", rng.choice((1.0, 10.0, 25.0)), rng.uniform(HOUR, 4 * HOUR))


OF_ONE_DAEMON: Mapping[str, tuple[Spell, float, bool]] = {
    kind: spell for kind, spell in trouble.KINDS.items() if kind not in OF_ITS_MACHINE
}
KINDS: Mapping[str, tuple[Trouble, float, bool]] = {
    "member killed at a step": (killed, 0, False),
    "member killed between two steps": (killed_between_steps, 0, False),
    "member killed at a moment": (killed_at_a_moment, 1200, False),
    "member stopped and started": (stopped, 1200, False),
    "member stands still": (stands_still, 300, False),
    "member cut off from the database": (cut_off, 600, False),
    "member cut off from the panel": (cut_off_from_the_panel, 600, False),
    "member evicted": (evicted, 600, False),
    "database down": (database_down, 600, False),
    "database slow": (database_slow, 600, False),
    "answers of the database lost": (answers_lost, 600, False),
    "member's clock set": (clock_set, 1800, False),
    "database's clock set": (database_clock_set, 600, False),
    "database promoted": (promoted, 600, False),
    "receiver of alerts slow": (receiver_slow, 600, False),
}
BEFORE_A_WRITE = "member stands still before a write that it announced"
WITH_AN_ALERT = "member killed with an alert in hand"
OF_CLUSTERS = (*KINDS, BEFORE_A_WRITE, WITH_AN_ALERT)
