"""After calm days the newest good backup of each server that proves is read, within its time."""

from typing import TYPE_CHECKING

from tests.simulation.proofs.scenario import HOUR, SPANS
from tests.simulation.scenario import DAY
from tests.simulation.stores.wanted import good_ones

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

QUIET = 13 * HOUR
"""The longest time without proofs, where there are quiet hours, and some more."""


class ProofEnding:
    """Looks at what was read at the end of a run."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._hold = simulation.checker.hold

    def look(self) -> None:
        """Hold what was read against what should have been, where a day's bytes are not bounded."""
        simulation = self._simulation
        if not simulation.scenario.proofs or simulation.scenario.proofs.table["per_day"] != "off":
            return
        if simulation.checker.a_clock_was_set_since(simulation.calm_since - DAY):
            return
        for name, policy in simulation.configuration.known.items():
            uuid = simulation.uuid_of(name)
            if "prove" in policy and uuid not in simulation.removed:
                self._look_at(name, uuid)

    def _look_at(self, name: str, uuid: str) -> None:
        simulation = self._simulation
        policy, since, now = simulation.configuration.known[name], simulation.acts_since, simulation.clock.monotonic()
        asked = set().union(*simulation.recorder.half_deleted(uuid, now))
        rows = list(simulation.recorder.mirror[uuid].values())
        good = [row for row in good_ones(rows, policy, name, simulation.world.now()) if row.uuid not in asked]
        if not good or since is None:
            return
        newest = good[0]
        there = next(at for at, held in simulation.recorder.versions[uuid] if _is_good(held.get(newest.uuid)))
        began = max(there, simulation.calm_since, since)
        span = SPANS[policy["prove"]["newest_within"]] + HOUR
        span += QUIET if simulation.scenario.proofs.table["quiet"] != "off" else 0.0
        span += DAY if there < simulation.calm_since else 0.0  # it may have been put off, since it could not be read
        if now - began < span:
            return
        read = simulation.proofs.rules.was_read(uuid, newest.uuid, there)
        self._hold(
            "17", read, f"{newest.name}, the newest good one, is not read after {(now - there) / HOUR:.1f} h", uuid
        )


def _is_good(row: object) -> bool:
    return bool(getattr(row, "successful", False))
