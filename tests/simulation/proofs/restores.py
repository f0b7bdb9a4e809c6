"""What must hold of restores by hand, held against what the panel and its node did: invariant 19 of the design."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.core.restores import RestoreEnd
from daemon.errors import ProblemCode
from daemon.operations.restore import Restored
from daemon.rotation.outcome import Result
from daemon.sandbox.records import Change, Entry
from tests.simulation.proofs.archives import is_sound
from tests.simulation.recorder import ORIGIN

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

SEEN_SECONDS = 10.0
"""So long ago what is kept may have been seen at most: looking for it again would only make that shorter."""

ENDS = {Change.RESTORED: RestoreEnd.COMPLETED, Change.RESTORE_FAILED: RestoreEnd.FAILED}


@dataclass(slots=True)
class Asked:
    """What an operator asked for: whether the archive is to be read first, and what is there kept."""

    server: str
    backup: str
    reads: bool
    safe: bool
    truncates: bool
    begun: float | None = None
    at: float = 0.0


class Restores:
    """Remembers what was asked for by which process, and holds what becomes of it."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._hold = simulation.checker.hold
        self._asked: dict[str, Asked] = {}
        self._made: dict[str, set[str]] = {}
        self._ends: dict[str, list[tuple[float, Change]]] = {}
        simulation.recorder.on_entry.append(self._entry)

    def asks(self, process: str, asked: Asked) -> None:
        """A process is about to restore a backup."""
        self._asked[process] = asked
        asked.at = self._simulation.clock.monotonic()

    def under_way(self) -> list[str]:
        """The processes that restore and live."""
        return [name for name in self._asked if self._simulation.processes[name].at_work]

    def _entry(self, entry: Entry) -> None:
        """Something happens to a backup, or to its server."""
        exchange = ORIGIN.get()
        process = exchange.process if exchange is not None else ""
        if entry.change in ENDS:
            self._ends.setdefault(entry.backup, []).append((self._simulation.clock.monotonic(), entry.change))
        elif process in self._asked and entry.change is Change.CREATED:
            self._made.setdefault(process, set()).add(entry.backup)
        elif process in self._asked and entry.change is Change.RESTORING:
            self._begins(process, entry)

    def _begins(self, process: str, entry: Entry) -> None:
        """The panel begins a restore: a server is emptied only for an archive that was read, and is right."""
        simulation, asked = self._simulation, self._asked[process]
        self._hold("19", asked.begun is None, f"{entry.name} is restored twice", entry.server)
        asked.begun = simulation.clock.monotonic()
        if asked.truncates and asked.reads:
            data = simulation.proofs.served.get((process, entry.backup))
            true = simulation.stores.rules.true(entry.server, entry.backup)
            read = data is not None and is_sound(data)
            read &= data == true or simulation.stores.rules.was_not_told(entry.server, simulation.recorder.now())
            read |= simulation.proofs.rules.was_right(entry.server, entry.backup, asked.at)
            self._hold(
                "19", read, f"the server is emptied for {entry.name}, which was not read and right", entry.server
            )
        lately = simulation.recorder.truths(entry.server, simulation.clock.monotonic() - SEEN_SECONDS)
        made = (rows[uuid] for rows in lately for uuid in self._made.get(process, ()) if uuid in rows)
        safe = any(row.successful and row.locked for row in made)
        self._hold("19", safe or not asked.safe, f"{entry.name} is restored, and nothing is kept before", entry.server)
        simulation.happened("a server was restored by hand")

    def ended(self, process: str, done: Restored) -> None:
        """A process says how its restore ended: as the node did, and by the server's log alone."""
        asked = self._asked[process]
        ends = [] if asked.begun is None else [end for end in self._ends.get(asked.backup, ()) if end[0] >= asked.begun]
        really = {ENDS[change] for _, change in ends}
        known = done.log_says is None or done.log_says in really
        self._hold("19", known, f"the restore is said to have {done.log_says}, and has {really}", asked.server)
        well = done.outcome.result is Result.DONE
        unknown = any(problem.code == ProblemCode.OUTCOME_NOT_TOLD for problem in done.outcome.problems)
        told = unknown or done.log_says is RestoreEnd.COMPLETED or not (well and done.ended)
        self._hold("19", told, "a restore is said to have ended well, and nobody knows that", asked.server)
        failed = done.log_says is RestoreEnd.FAILED
        self._hold("19", not (failed and well), "a restore that failed is said to be done", asked.server)
