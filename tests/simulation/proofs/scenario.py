"""Which worlds prove their backups, and what is configured of that; by a random stream of its own."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.sandbox.archive import Flavour

SHARE = 0.12
KINDS_SHARE = 0.6
"""How many of the kinds of trouble with proofs a world has that proves anything: of such worlds there are few."""
HOUR = 3600.0
SPANS = {"2h": 2 * HOUR, "6h": 6 * HOUR, "1d": 24 * HOUR, "2d": 48 * HOUR}
LEVELS = ("read", "walked", "sane", "restored")
"""From the least deep to the deepest."""
DAMAGES = (Flavour.CUT, Flavour.CUT_TAR, Flavour.BAD_CRC, Flavour.ESCAPING)
"""What is wrong with an archive of which the panel tells size and checksum as they are."""
DAMAGED = 0.12
"""How many of the backups that are there when a run begins are damaged."""


@dataclass(slots=True)
class Proofs:
    """The `prove` of each server's policy, and the table `[proof]`; nothing where nothing is proven."""

    policies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    table: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.policies)

    def of(self, server: str) -> Mapping[str, Any]:
        """What a server's policy says of proofs."""
        return {"prove": self.policies[server]} if server in self.policies else {}


def draw_proofs(seed: int, servers: int) -> Proofs:
    """The proofs of a seed."""
    rng = random.Random(f"proof {seed}")
    if rng.random() >= SHARE:
        return Proofs()
    names = [f"s{number}" for number in range(servers) if number == 0 or rng.random() < 0.7]
    table = draw_table(rng)
    return Proofs({name: draw_prove(rng) for name in names}, table)


def draw_table(rng: random.Random) -> Mapping[str, Any]:
    """The table `[proof]`."""
    return {"per_day": rng.choice(("off", "off", 700, 3000)), "quiet": rng.choice(("off", "off", "08:00-20:00"))}


def draw_kinds(seed: int, kinds: Iterable[str]) -> dict[str, float]:
    """The kinds of trouble with proofs and restores that such a world has, and how often each comes."""
    streams = {kind: random.Random(f"proof {seed}/{kind}") for kind in kinds}
    return {kind: rng.choice((0.15, 0.4, 0.8)) for kind, rng in streams.items() if rng.random() < KINDS_SHARE}


def draw_prove(rng: random.Random) -> Mapping[str, Any]:
    """What a policy says of proofs."""
    return {
        "level": rng.choice(("sane", "sane", "walked", "read")),
        "newest_within": rng.choice(list(SPANS)),
        "every": rng.choice(("never", "2d", "30d")),
        "keep_proven": rng.choice((0, 1, 1, 2)),
    }
