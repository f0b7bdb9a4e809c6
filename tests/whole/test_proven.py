"""What a rotation does with the proofs that it finds, right up to each DELETE (invariant 17)."""

from datetime import UTC

import pytest

from daemon.core.proof import Level, Proof
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.state import ProofRecord
from tests.whole.rig import Rig

pytestmark = pytest.mark.anyio

PROVE = {"prove": {"level": "sane", "keep_proven": 1}}


def read(rig: Rig, name: str, *problems: str) -> None:
    """Let a backup have been read just now."""
    (row,) = (row for row in rig.server.backups.values() if row.name == name)
    made, level = row.created_at.astimezone(UTC), None if problems else Level.SANE
    proof = Proof(row.uuid, name, made, rig.clock.now(), Level.SANE, level, problems=problems)
    rig.journal.record_proof(ProofRecord("survival", rig.server.uuid, proof))


async def test_a_proof_that_fails_while_a_rotation_deletes_saves_what_is_left(rig: Rig) -> None:
    """It is asked for again before each DELETE."""
    names = rig.fill(6)
    rig.configure(**PROVE)
    read(rig, names[5])
    rig.world.faults.order(faults.meanwhile(lambda *_: read(rig, names[5], "torn")), on=Call.DELETE)
    outcome = await rig.rotate()
    assert [backup.name for backup in outcome.deleted] == names[:1]
    assert (outcome.result, outcome.problems[-1].code) == (Result.REFUSED, "unproven")


async def test_what_waited_for_a_proof_is_not_counted_by_the_brake_when_it_comes(rig: Rig) -> None:
    """A week without a proof would otherwise be told as too much at once."""
    names = rig.fill(4)
    rig.configure(**PROVE, max_deletions=2, max_share=1.0)
    for _ in range(4):
        assert (await rig.rotate()).result is Result.DONE
        await rig.clock.sleep(86_400)
    assert rig.names()[:4] == names
    read(rig, rig.names()[-1])
    outcome = await rig.rotate()
    assert (outcome.result, len(outcome.deleted)) == (Result.DONE, 6)


async def test_a_keep_proven_that_is_lowered_is_held_for_a_day(rig: Rig) -> None:
    """As after any change that deletes more; the journal knows what was applied."""
    names = rig.fill(5)
    rig.configure(**PROVE, max_deletions=5)
    read(rig, names[0])
    await rig.rotate()
    assert names[0] in rig.names()
    rig.configure(prove={"keep_proven": 0}, max_deletions=5)
    assert (await rig.rotate()).result is Result.REFUSED
    assert names[0] in rig.names()
