"""Who holds events against the rules: counts how often, and notes the first that is broken.

A rule that is never asked proves nothing, so `checked` counts each time; the first violation ends the run, though not
at once, and `broken` holds all of them. What excuses a broken rule, a clock that was set or a journal that could not be
written, is remembered here as well.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.simulation.recorder import Exchange, Recorder, Rotation
from tests.simulation.scenario import HOUR

if TYPE_CHECKING:
    from tests.simulation.proofs.rules import ProofRules
    from tests.simulation.stores.before import CopiesFirst

TITLES = {
    "1": "a locked backup is never deleted",
    "2": "pending, strange and foreign ones are never deleted",
    "3": "the newest min_good good ones survive; no good new backup, no deletion",
    "4": "deletions come from a fresh listing, oldest first, one at a time",
    "5": "no deletion by a listing that never held together; only what the whole list deletes",
    "6": "no create is repeated; one backup for one start",
    "7": "never more good ones at once than the brake allows, or none; a changed policy waits a day",
    "8": "every verdict says why",
    "9": "nothing is deleted by clocks that differ, or were set, by more than an hour",
    "10": "no key in logs, journal, errors, or at another host",
    "11": "a bad reload leaves the old configuration",
    "12": "one server's trouble is not another's",
    "past": "a backup that cannot be deleted stops neither the next one nor the other deletions",
    "turn": "one rotation at a time on a server, no more backups at once on a node than its places",
    "told": "what outcomes, alerts and metrics say agrees with the panel's ledger",
    "news": "whatever has to be told is told, also where a receiver was down and the daemon was killed meanwhile",
    "once": "an alert of a cluster is sent by one member, and once unless that dies before it has noted it",
    "13": "a manifest stands only beside whole data that is what the panel says; what may be written is not cleared",
    "14": "a good backup leaves the panel only once the stores that must have it do; else what waits is told",
    "15": "a store is pruned by its own rules from its own listing, the manifest first; nothing else is touched",
    "16": "a store in trouble keeps no copy from another; after calm days each has what its rules want, which is known",
    "17": "what is proven was read, and found right; a failed proof freezes; the newest n proven survive",
    "19": "a server is emptied only for an archive that was read and is right; how a restore ended is known",
    "20": "who writes to a server of a cluster holds it, and nobody else writes there",
    "live": "after calm days every server has a fresh good backup, and exactly what retention says",
    "calm": "rotations and requests are bounded, no task and no file stays open, no bug is logged",
}

SIGHTING = 120.0
"""Seconds for which a rotation may go by an earlier look at its server, by whatever request."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What was broken, when and for which server."""

    rule: str
    at: float
    server: str | None
    text: str


class Checker:
    """Holds what is asked of it against the rules. `policies_between` gives every policy of a server, by its configured
    name, that was in force between two moments; `at_work` tells whether a process is neither dead nor ending, and
    `host_now` what the clock of the daemon's machine shows, and `clock_of` that of a process. `calm_since` is when it
    showed that the calm days began, `begun` when each process did, `may_act` whether no other one has taken over from
    it, `stood` since and until when it last stood still, `elsewhere` whether a rotation is another member's to make,
    `lost` whether both the journal and its process have forgotten a create, `undeletable` which backups the panel does
    not delete, `host_set` and `panel_set` by how many seconds a clock was set when, and `clocks_are_off_by` by how many
    at most those of a cluster's machines are ahead or behind. The worlds of stores and of proofs put in what judges
    them.
    """

    copies_first: "CopiesFirst"
    proofs: "ProofRules"

    def __init__(
        self,
        recorder: Recorder,
        policies_between: Callable[[str, float, float], Sequence[Any]],
        at_work: Callable[[str], bool],
        host_now: Callable[[], datetime],
    ) -> None:
        self.recorder = recorder
        self.policies_between = policies_between
        self.at_work = at_work
        self.host_now = host_now
        self.calm_since: datetime | None = None
        self.checked: Counter[str] = Counter()
        self.violation: Violation | None = None
        self.broken: set[str] = set()
        self.on_violation: Callable[[], None] = lambda: None
        self.may_act: Callable[[str], bool] = lambda _: True
        self.clock_of: Callable[[str], datetime] = lambda _: host_now()
        self.stood: Callable[[str], tuple[float, float]] = lambda _: (float("-inf"), float("-inf"))
        self.elsewhere: Callable[[Rotation], bool] = lambda _: False
        self.lost: Callable[[Exchange], bool] = lambda _: False
        self.undeletable: Callable[[], Collection[str]] = lambda: ()
        self.clocks_are_off_by: Callable[[], float] = lambda: 0.0
        self._starts_come_again: list[tuple[float, float]] = []
        self._journal_failed_at = -1.0
        self._clocks_set: list[tuple[float, float]] = []
        self._disturbances: list[float] = []
        self.host_set: list[tuple[float, float]] = []
        self.panel_set: list[tuple[float, float]] = []
        self.begun: dict[str, float] = {}

    def hold(self, rule: str, holds: bool, text: str, server: str | None = None) -> None:
        """Count the rule, and note the first time that it does not hold."""
        self.checked[rule] += 1
        if holds:
            return
        self.broken.add(rule)
        if self.violation is not None:
            return
        self.violation = Violation(rule, self.recorder.now(), server, text)
        self.recorder.tell(f"!!! {rule}: {text}", server)
        self.on_violation()

    def host_clock_set(self, by: float) -> None:
        """For a while a start may come twice: the host's clock passes over the same hours again."""
        now = self.recorder.now()
        self.host_set.append((now, by))
        self._starts_come_again.append((now, now + 2 * abs(by) + HOUR))
        self.a_clock_was_set(by)
        self.upset()

    def starts_may_come_again(self, rotation: Rotation | None) -> bool:
        """Whether the host's clock was set so lately that starts may come twice, or was when this one's start came."""
        moments = [self.recorder.now()] if rotation is None else [self.recorder.now(), rotation.due]
        return any(since <= moment <= until for since, until in self._starts_come_again for moment in moments)

    def upset(self) -> None:
        """Starts are looked at anew, as after a reload, so that there may be another rotation."""
        self._disturbances.append(self.recorder.now())

    def disturbances_since(self, moment: float) -> int:
        """How often they were since then."""
        return sum(at >= moment for at in self._disturbances)

    def a_clock_was_set(self, by: float) -> None:
        """From now on dates that were made before cannot be compared with a start."""
        self._clocks_set.append((self.recorder.now(), by))

    def panel_clock_set(self, by: float) -> None:
        """The panel's clock is set."""
        self.panel_set.append((self.recorder.now(), by))
        self.a_clock_was_set(by)

    def a_clock_was_set_since(self, moment: float) -> bool:
        """Whether the host's or the panel's clock was set since then."""
        return any(at >= moment for at, _ in self._clocks_set)

    def clocks_set_by(self, moment: float) -> float:
        """By how many seconds both clocks were set since then, forwards and backwards together."""
        return sum(abs(by) for at, by in self._clocks_set if at >= moment)

    def journal_failed(self) -> None:
        """What was done since is nowhere remembered; then only the panel's list can show what a start has got."""
        self._journal_failed_at = self.recorder.now()

    def journal_failed_since(self, moment: float) -> bool:
        """Whether something could not be written down, or read, since then."""
        return self._journal_failed_at >= moment

    def remembered(self, rotation: Rotation) -> bool:
        """Whether the journal could hold what that rotation asked for, and for which start."""
        return self._journal_failed_at < rotation.began
