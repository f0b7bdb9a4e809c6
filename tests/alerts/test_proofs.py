"""Alerts about proofs: a backup that is not sound is told once, and so is the end of the freeze."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.core.proof import Level, Proof
from daemon.core.proof_due import ProofRules
from daemon.state import ProofRecord
from daemon.state.local.journal import SqliteJournal
from tests.alerts.build import alert
from tests.alerts.test_copies import BEGIN, HOOK, HOUR, UUID, Stage
from tests.virtual import BACKEND, VirtualClock
from tests.web.gallery import configured

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A server that is to be proven, and all is well."""
    config = configured(tmp_path, ["survival"], timezone="UTC")
    policy = replace(config.servers["survival"].policy, prove=ProofRules())
    servers = {"survival": replace(config.servers["survival"], policy=policy)}
    with closing(SqliteJournal.memory()) as journal:
        yield Stage(replace(config, servers=servers, alerts={"ops": alert(HOOK)}), journal, VirtualClock(BEGIN))


def read(stage: Stage, backup: str, *problems: str) -> None:
    """Let a backup that was just made be read."""
    now = stage.clock.now()
    proof = Proof(backup, f"auto-{backup}", now, now, Level.SANE, None if problems else Level.SANE, problems=problems)
    stage.journal.record_proof(ProofRecord("survival", UUID, proof))


async def test_a_backup_that_is_not_sound_is_told_once_and_the_end_of_the_freeze_too(stage: Stage) -> None:
    """With what is wrong and where; however many fail, and not again after a restart."""
    async with stage.running():
        await stage.clock.sleep(HOUR)
        read(stage, "one", "world/region/r.0.0.mca: torn")
        await stage.clock.sleep(HOUR)
        read(stage, "two", "world/region/r.0.0.mca: torn")
        await stage.clock.sleep(HOUR)
        assert stage.said == ["survival: a backup is not sound"]
        assert "auto-one is not sound: world/region/r.0.0.mca: torn; nothing is deleted" in stage.messages[0]["text"]
    async with stage.running():
        await stage.clock.sleep(HOUR)
        assert len(stage.said) == 1
        read(stage, "three")
        await stage.clock.sleep(HOUR)
        assert stage.said[1:] == ["survival: deletion goes on"]
