"""What a world of several members is drawn from: that of one daemon, with more nodes and quick schedules."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from tests.simulation.proofs.scenario import Proofs, draw_kinds, draw_prove
from tests.simulation.proofs.scenario import draw_table as draw_proof_table
from tests.simulation.scenario import HOUR, SCHEDULES, Scenario, Spec, draw, draw_server
from tests.simulation.stores.scenario import Stores, draw_table, let_copies_come_first, lock_copies

QUICK = (SCHEDULES[2], SCHEDULES[2], SCHEDULES[4])
LEASE = timedelta(minutes=10)
LOOKS = 5
"""So many times within its lease a member looks at the others; the real ones do it more often, which takes long."""
OFTEN = 0.7
"""How many of the servers have a policy by which each rotation deletes something."""
TIMEOUTS = ("1h", "1h", "3h")
WITH_STORES = 0.3
WITH_PROOFS = 0.2
FEW: tuple[Any, ...] = ({"last": 1}, {"last": 1}, {"last": 2}, {"last": 2, "daily": 2}, "all")
"""What stores keep: little, so that they are pruned within the hours that there are."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How many members there are, and for how long each lives unheard of. `skews` are by how many seconds their clocks
    are wrong.
    """

    members: int
    skews: tuple[float, ...]
    lease: timedelta = LEASE

    @property
    def look(self) -> float:
        """Seconds between two looks at who holds what."""
        return self.lease.total_seconds() / LOOKS


def draw_cluster(
    seed: int,
    kinds: Iterable[str],
    *,
    without: Iterable[str] = (),
    length: float = 1.0,
    store_kinds: Collection[str] = (),
    proof_kinds: Collection[str] = (),
) -> tuple[Scenario, Shape]:
    """The scenario of a seed, and the shape of its cluster. `store_kinds` are those of worlds with stores alone, and
    `proof_kinds` of those that prove backups.
    """
    scenario = draw(seed, kinds, without={*without, *proof_kinds})
    rng = scenario.stream("cluster")
    for altering in ("alter", "echo"):  # what was asked for while the journal cannot be written is known by its name
        scenario.panel.pop(altering, None)
    scenario.nodes = rng.choice((2, 3, 4))
    scenario.servers = [_spec(rng, number) for number in range(scenario.nodes + rng.choice((0, 1, 2)))]
    scenario.chaos_seconds = rng.uniform(5, 12) * HOUR * length
    members = rng.choice((2, 3, 3))
    shape = Shape(members, tuple(rng.choice((0.0, 0.0, -40.0, 40.0)) for _ in range(members)))
    scenario.stores, scenario.proofs = _stores(scenario), _proofs(scenario)
    for spec in scenario.servers:
        spec.policy |= {**scenario.stores.of(spec.name), **scenario.proofs.of(spec.name)}
    if scenario.proofs:
        scenario.kinds |= draw_kinds(seed, [kind for kind in proof_kinds if kind not in set(without)])
    if not scenario.stores:
        scenario.kinds = {kind: rate for kind, rate in scenario.kinds.items() if kind not in store_kinds}
    return scenario, shape


def _stores(scenario: Scenario) -> Stores:
    """One or two stores, in some of the worlds."""
    rng = scenario.stream("stores of a cluster")
    if rng.random() >= WITH_STORES:
        return Stores()
    names = ["nas", "offsite"][: rng.choice((1, 1, 2))]
    copies = {spec.name: names for spec in scenario.servers if rng.random() < OFTEN or spec.name == "s0"}
    stores = Stores({name: draw_table(name, rng) for name in names}, copies)
    for name, table in stores.tables.items():
        stores.tables[name] = {**table, "keep": rng.choice(FEW), "max_deletions": rng.choice((-1, -1, 10))}
    let_copies_come_first(stores, rng)
    lock_copies(stores, rng)
    return stores


def _proofs(scenario: Scenario) -> Proofs:
    """What is proven, in some of the worlds: most servers."""
    rng = scenario.stream("proofs of a cluster")
    if rng.random() >= WITH_PROOFS:
        return Proofs()
    names = [spec.name for spec in scenario.servers if rng.random() < OFTEN or spec.name == "s0"]
    return Proofs({name: draw_prove(rng) for name in names}, draw_proof_table(rng))


def _spec(rng: Random, number: int) -> Spec:
    """A server; its node goes by its number."""
    spec = draw_server(rng, number, QUICK)
    spec.node, spec.policy["timeout"] = number, rng.choice(TIMEOUTS)
    if rng.random() < OFTEN:
        spec.policy |= {"keep": {"last": rng.choice((1, 2))}, "min_good": 1, "max_deletions": -1}
        spec.history, spec.limit = rng.choice((0, 2, 4)), 30
    return spec
