"""The invariants of the design, held against what the recorder saw: the panel's own ledger, never the daemon's opinion.

Each rule carries the design's number, or a word where the design has none. What is sent and what is done is handed on
to those who know the rules of it.
"""

from daemon.rotation.outcome import Outcome
from daemon.sandbox.records import Change, Entry
from tests.simulation.checker import Checker
from tests.simulation.creates import Creates
from tests.simulation.deletions import Deletions
from tests.simulation.outcome_rules import Endings
from tests.simulation.recorder import DAEMON, ORIGIN, Exchange, Rotation


class Rules:
    """Hands every event to the rules that it concerns."""

    def __init__(self, checker: Checker, places: int) -> None:
        self._hold = checker.hold
        self._recorder = checker.recorder
        self._deletions = Deletions(checker)
        self._creates = Creates(checker, places)
        self._endings = Endings(checker)
        self._recorder.on_entry.append(self._entry)

    def _entry(self, entry: Entry) -> None:
        """Something is about to be done to a backup."""
        if entry.by != DAEMON:
            return
        exchange = ORIGIN.get()
        if exchange is None:
            raise AssertionError("the daemon did something without a request")
        if entry.change in {Change.DELETED, Change.FILE_DELETED}:
            self._deletions.done(entry, exchange)
        elif entry.change is Change.CREATED:
            self._creates.done(entry, exchange)
        elif exchange.rotation is not None:
            self._hold("1", False, f"a rotation {entry.change.value} {entry.name}", entry.server)

    def sent(self, exchange: Exchange, created: str | None) -> None:
        """A request leaves; `created` is the backup that its rotation means to have made."""
        self._endings.sent(exchange)
        if exchange.rotation is None:
            return
        exchange.created_by_then = created
        if exchange.call == "create":
            self._creates.sent(exchange)
        elif exchange.call == "delete":
            self._deletions.sent(exchange)
        elif exchange.call in {"lock", "restore"}:
            self._hold("1", False, f"a rotation asks for {exchange.call}", exchange.server)

    def room_taken(self, server: str) -> bool:
        """Whether room was made there, and somebody else took the place."""
        return self._deletions.room_taken(server)

    def forget_room(self, since: float) -> None:
        """What was written down since then is lost."""
        self._deletions.forget_room(since)

    def began(self, rotation: Rotation) -> None:
        """A rotation begins."""
        self._endings.began(rotation)

    def ended(self, rotation: Rotation, outcome: Outcome, *, calm: bool) -> None:
        """A rotation reports."""
        self._endings.ended(rotation, outcome, calm=calm)

    def locked_by_hand(self, process: str, server: str, backup: str, wanted: bool, began: float) -> None:
        """A command says that a backup is locked, or is not; nobody else, nor another command, touched it meanwhile."""
        row = self._recorder.mirror[server].get(backup)
        set_at, by = self._recorder.lock_set_by.get(backup, (-1.0, process))
        touched_at = max(self._recorder.touched_by_others.get(backup, -1.0), set_at if by != process else -1.0)
        if row is not None and touched_at < began:
            text = f"{row.name} was to be {'' if wanted else 'un'}locked, and is not"
            self._hold("6", row.locked is wanted, text, server)
