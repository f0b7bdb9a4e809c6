"""A store that locks its copies, as its operator sees it: what only a lock keeps is told with the lock's date."""
# ruff: noqa: F811 — the fixtures are those of other tests

import asyncio
import os
from pathlib import Path
from uuid import uuid4

import pytest

from daemon.config.load import load
from daemon.core.proof import Level, Proof
from daemon.sandbox.records import Backup
from daemon.state import ProofRecord, engine_for
from tests.cli.conftest import Cli, Panel, one_clock
from tests.cli.test_copies_after_a_loss import lines
from tests.fakes import FakeClock
from tests.stores.conftest import s3_service  # noqa: F401 — a fixture
from tests.stores.places import now
from tests.stores.services import S3Service


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The bucket goes by its own clock, which is this machine's."""
    return one_clock(monkeypatch, now())


def test_what_only_its_lock_keeps_is_told_with_the_date(
    cli: Cli, panel: Panel, tmp_path: Path, s3_service: S3Service
) -> None:
    """By `copies prune`, and a dry run. `copies list` asks no store, and knows the locks that a prune has renewed."""
    table = lines("vault", s3_service.settings("lockable", f"locked/{uuid4().hex}"), tmp_path)
    table += ['object_lock = "2d"', "max_deletions = -1"]
    extra = 'copies = ["vault"]\n' + "\n".join(table)
    config = panel.configure(extra=extra)
    assert cli("--config", config, "copies", "run", "survival").code == 0
    config = panel.configure(extra=f"{extra}\nkeep = {{ last = 4 }}")
    for words, lead in ((("--dry-run",), "would delete 0"), ((), "deleted 0")):
        ran = cli("--config", config, "copies", "prune", "survival", *words)
        assert (ran.code, f"survival in vault: {lead}, keeps 6" in ran.out) == (0, True), ran.out + ran.err
        told = [line for line in ran.out.splitlines() if "; locked in the store until " in line]
        assert [line.startswith("  keeps auto-survival-") for line in told] == [True, True]
    listed = cli("--config", config, "copies", "list", "survival").out
    assert listed.count("beyond the 4 newest backups; unless its lock, which is looked at then, has not ended") == 2
    assert listed.count(" of the 4 newest backups; locked in the store until ") == 4


async def found_torn(config: Path, server: str, backup: Backup) -> None:
    """Let a proof have found a backup on the panel wrong."""
    journal = await engine_for(load(config, os.environ).state).open()
    bad = Proof(backup.uuid, backup.name, backup.created_at, now(), Level.SANE, None, "", ("r.0.0.mca is torn",))
    await journal.record_proof(ProofRecord("survival", server, bad))
    await journal.close()


def test_by_hand_too_what_a_failed_proof_freezes_is_locked_for_longer(
    cli: Cli, panel: Panel, tmp_path: Path, s3_service: S3Service, clock: FakeClock
) -> None:
    """Nothing is deleted, and the exit code says so; but the frozen copies may be the last good ones."""
    table = lines("vault", s3_service.settings("lockable", f"locked/{uuid4().hex}"), tmp_path)
    table += ['object_lock = "2d"', "keep = { last = 4 }"]
    config = panel.configure(extra='copies = ["vault"]\n' + "\n".join(table))
    assert cli("--config", config, "copies", "run", "survival").code == 0
    newest = next(reversed(panel.survival.backups.values()))
    asyncio.run(found_torn(config, panel.survival.uuid, newest))
    asyncio.run(clock.sleep(3600))
    ran = cli("--config", config, "copies", "prune", "survival", "--json")
    (result,) = ran.json["servers"]
    assert (ran.code, result["deleted"], len(result["renewed"])) == (5, [], 4)
    assert result["error"]["code"] == "unproven"
