"""Which backup a drill tries, whose turn it is, and what a drill shows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daemon.core.model import Action, Backup, State, Verdict
from daemon.core.proof import Level, Proof, Proofs
from daemon.operations.drill import Drilled, choose_backup, last_drilled, proof_of_drill
from daemon.operations.onto import Brought
from daemon.operations.result import OperationResult
from daemon.rotation.outcome import Result
from daemon.state import ProofRecord

NOW = datetime(2026, 4, 1, tzinfo=UTC)


def backup(uuid: str) -> Backup:
    """A backup of yesterday."""
    return Backup(uuid, uuid, True, False, 5, NOW - timedelta(days=1), NOW)


def verdict(uuid: str, state: State = State.GOOD) -> Verdict:
    """That one as a listing judges it."""
    return Verdict(backup(uuid), state, True, Action.KEEP, ())


def proof(uuid: str, level: Level = Level.SANE, *problems: str, days: int = 1) -> Proof:
    """A reading of a backup."""
    at = NOW - timedelta(days=days)
    return Proof(uuid, uuid, at, at, level, None if problems else level, problems=problems)


@pytest.mark.parametrize(
    ("proofs", "chosen"),
    [
        ((), "newest"),
        ((proof("older"),), "older"),
        ((proof("older", Level.READ),), "newest"),
        ((proof("newest", Level.WALKED, "torn"),), "older"),
    ],
    ids=["none is proven", "the proven one", "read is too little", "a damaged one never"],
)
def test_the_newest_proven_one_is_tried(proofs: tuple[Proof, ...], chosen: str) -> None:
    """Else the newest good one, but for one that is known to be damaged."""
    verdicts = [verdict("failed", State.FAILED), verdict("newest"), verdict("older")]
    found = choose_backup(verdicts, Proofs(proofs))
    assert found is not None
    assert found.uuid == chosen


def test_without_a_good_one_there_is_none() -> None:
    """Failed and pending ones have no file."""
    assert choose_backup([verdict("failed", State.FAILED)], Proofs()) is None


def test_a_turn_counts_from_the_last_drill() -> None:
    """Readings that showed less are none."""
    records = [ProofRecord("a", "u", proof(str(days), Level.RESTORED, days=days)) for days in (9, 3)]
    records.append(ProofRecord("a", "u", proof("read", days=1)))
    assert last_drilled(records, Level.RESTORED) == NOW - timedelta(days=3)
    assert last_drilled([], Level.RESTORED) is None


def test_a_drill_shows_as_much_as_it_did() -> None:
    """Restored only where the server ran; nothing where it failed."""
    done = Drilled(Brought(OperationResult(backup("b"), Result.DONE), level=Level.WALKED), 5.0)
    ran = proof_of_drill("a", "u", done, NOW, started=True)
    unpacked = proof_of_drill("a", "u", done, NOW, started=False)
    assert ran is not None
    assert unpacked is not None
    assert (ran.proof.asked, ran.proof.reached) == (Level.RESTORED, Level.RESTORED)
    assert (unpacked.proof.asked, unpacked.proof.reached) == (Level.SANE, Level.WALKED)
    failed = replace(done, brought=replace(done.brought, outcome=OperationResult(backup("b"), Result.FAILED)))
    assert proof_of_drill("a", "u", failed, NOW, started=True) is None
