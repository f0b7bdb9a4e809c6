"""What a world of several members is drawn from: that of one daemon, with more nodes and quick schedules, no stores."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from tests.simulation.proofs.scenario import Proofs
from tests.simulation.scenario import HOUR, SCHEDULES, Scenario, Spec, draw, draw_server
from tests.simulation.stores.scenario import Stores

QUICK = (SCHEDULES[2], SCHEDULES[2], SCHEDULES[4])
LEASE = timedelta(minutes=10)
LOOKS = 5
"""So many times within its lease a member looks at the others; the real ones do it more often, which takes long."""
OFTEN = 0.7
"""How many of the servers have a policy by which each rotation deletes something."""
TIMEOUTS = ("1h", "1h", "3h")


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
    seed: int, kinds: Iterable[str], *, without: Iterable[str] = (), length: float = 1.0
) -> tuple[Scenario, Shape]:
    """The scenario of a seed, and the shape of its cluster."""
    scenario = draw(seed, kinds, without=without)
    rng = scenario.stream("cluster")
    scenario.stores, scenario.proofs = Stores(), Proofs()
    for altering in ("alter", "echo"):  # what was asked for while the journal cannot be written is known by its name
        scenario.panel.pop(altering, None)
    scenario.nodes = rng.choice((2, 3, 4))
    scenario.servers = [_spec(rng, number) for number in range(scenario.nodes + rng.choice((0, 1, 2)))]
    scenario.chaos_seconds = rng.uniform(5, 12) * HOUR * length
    members = rng.choice((2, 3, 3))
    return scenario, Shape(members, tuple(rng.choice((0.0, 0.0, -40.0, 40.0)) for _ in range(members)))


def _spec(rng: Random, number: int) -> Spec:
    """A server; its node goes by its number."""
    spec = draw_server(rng, number, QUICK)
    spec.node, spec.policy["timeout"] = number, rng.choice(TIMEOUTS)
    if rng.random() < OFTEN:
        spec.policy |= {"keep": {"last": rng.choice((1, 2))}, "min_good": 1, "max_deletions": -1}
        spec.history, spec.limit = rng.choice((0, 2, 4)), 30
    return spec
