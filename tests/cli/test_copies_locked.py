"""A store that locks its copies, as its operator sees it: what only a lock keeps is told with the lock's date."""
# ruff: noqa: F811 — the fixtures are those of other tests

from pathlib import Path
from uuid import uuid4

import pytest

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
    table += ['object_lock = "1d"', "max_deletions = -1"]
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
